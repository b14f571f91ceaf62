//! Malformed: why a message is refused. Must never be told apart by guessing: one variant for each rule.

use crate::close::CloseReason;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $text:literal;)*) => {
        /// The rule that a message breaks. For a response all of them mean 502.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Malformed {
            $($(#[$doc])* $name,)*
        }

        impl Malformed {
            /// Every variant.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the status that a request is refused with.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Returns the rule in words, for the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

impl Malformed {
    /// Returns the reason for which a request ends that breaks the rule.
    pub fn reason(self) -> CloseReason {
        match self.status() {
            414 => CloseReason::TargetTooLong,
            431 => CloseReason::TooLarge,
            501 => CloseReason::NotImplemented,
            505 => CloseReason::VersionNotSupported,
            _ => CloseReason::BadRequest,
        }
    }
}

reasons! {
    /// A CR that no LF follows.
    BareCr = 400, "a carriage return without a line feed";
    /// An LF without a CR before it.
    BareLf = 400, "a line feed without a carriage return";
    /// More than one empty line before a request.
    EmptyLines = 400, "empty lines before the request line";
    /// A method that is no token, or is not followed by one space.
    Method = 400, "the method is not a token";
    /// Not three words with single spaces between them.
    RequestLine = 400, "the request line does not have three parts";
    /// A request target with bytes or in a form that its method does not have.
    Target = 400, "the request target is not valid";
    /// A version that is not written as one.
    VersionSyntax = 400, "the version is not written as HTTP/1.1";
    /// A version other than 1.0 and 1.1.
    Version = 505, "the version is neither HTTP/1.0 nor HTTP/1.1";
    /// A request line over the limit.
    RequestLineTooLong = 414, "the request line is too long";
    /// A status line that is none.
    StatusLine = 400, "the status line is not valid";
    /// A status below 100: no class begins with 0, and clients take such a response for a broken one.
    Status = 400, "the status is less than 100";
    /// A status line over the limit.
    StatusLineTooLong = 431, "the status line is too long";
    /// A head over the limit.
    HeadTooLong = 431, "the head is too long";
    /// A field line over the limit.
    FieldTooLong = 431, "a field line is too long";
    /// More fields than the limit.
    TooManyFields = 431, "there are too many fields";
    /// A field name that is empty or no token, or a line without a colon.
    FieldName = 400, "a field name is not a token";
    /// Whitespace between name and colon (RFC 9112 section 5.1).
    SpaceBeforeColon = 400, "whitespace before a colon";
    /// A line that begins with whitespace (RFC 9112 sections 2.2 and 5.2).
    Folded = 400, "a field line begins with whitespace";
    /// A control byte in a value.
    FieldValue = 400, "a control byte in a field value";
    /// `Content_Length` and the like: readers that take `_` for `-` see another message.
    Underscore = 400, "underscores in the name of a framing or forwarding field";
    /// A Content-Length that is not 1 to 19 digits.
    ContentLength = 400, "Content-Length is not a number";
    /// More than one Content-Length, be they equal.
    ContentLengthTwice = 400, "more than one Content-Length";
    /// More than one Transfer-Encoding.
    TransferEncodingTwice = 400, "more than one Transfer-Encoding";
    /// A transfer coding other than `chunked`.
    TransferCoding = 501, "the transfer coding is not chunked";
    /// Transfer-Encoding in HTTP/1.0.
    TransferEncodingVersion = 400, "Transfer-Encoding in HTTP/1.0";
    /// Both Content-Length and Transfer-Encoding.
    TwoLengths = 400, "both Content-Length and Transfer-Encoding";
    /// Content-Length or Transfer-Encoding where there is no body to frame, or a body where none may be.
    NoBody = 400, "a body where there can be none";
    /// A Host that is not a host with an optional port.
    Host = 400, "Host is not valid";
    /// More than one Host.
    HostTwice = 400, "more than one Host";
    /// No Host in HTTP/1.1.
    HostMissing = 400, "Host is missing";
    /// A Host that is not the authority of the target.
    HostDisagrees = 400, "Host disagrees with the request target";
    /// Connection options that are no tokens, or too many.
    Connection = 400, "Connection is not valid";
    /// A Connection option that would take away what all readers need.
    Nominated = 400, "Connection names an end-to-end field";
    /// An expectation other than `100-continue`.
    Expectation = 417, "an expectation other than 100-continue";
    /// A 101 that does not say to what it switches.
    Switching = 400, "101 without Upgrade";
    /// A pseudo-field of HTTP/2 that is missing, repeated, unknown, or comes after a field.
    Pseudo = 400, "a pseudo-field is missing, repeated, unknown or late";
    /// A field in HTTP/2 that concerns the connection (RFC 9113 section 8.2.2).
    ConnectionField = 400, "a field that concerns the connection alone";
    /// A TE in HTTP/2 that is not `trailers`.
    Te = 400, "TE is not trailers";
    /// A body in HTTP/2 that is shorter or longer than Content-Length says.
    LengthDisagrees = 400, "the body does not have the length that was announced";
    /// A chunk size that is none, or beyond all measure.
    ChunkSize = 400, "a chunk size is not valid";
    /// Chunk extensions that are not `;name`, `;name=value` or `;name="text"`.
    ChunkExtension = 400, "a chunk extension is not valid";
    /// A chunk's first line over the limit.
    ChunkLineTooLong = 400, "the line of a chunk size is too long";
    /// A chunk that is not followed by CRLF.
    ChunkEnd = 400, "a chunk does not end with CRLF";
    /// Trailer fields over the limits.
    TrailersTooLong = 431, "the trailer fields are too long";
    /// A trailer field that may only be in a head (RFC 9110 section 6.5.1).
    TrailerField = 400, "a field that may not be a trailer";
}
