//! Status: the reason phrase of each status, and the beginning of a response that we write.

use super::text::push_line;
use crate::message::Persistence;
use crate::wire::http1::write;

/// Returns the phrase of a status (RFC 9110 section 15 and the registry it sets up); empty for others, which
/// is allowed.
pub fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

/// Whether a response with this status has no body, whatever its fields say (RFC 9112 section 6.3). 205 has
/// none by choice of its sender.
pub fn is_bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 205 | 304)
}

/// The field that has browsers come by https from now on (RFC 6797).
pub(super) const HSTS: &str = "Strict-Transport-Security";

/// Fields that every response of ours has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Always<'a> {
    /// The value of Date (RFC 9110 section 6.6.1); left out when it is empty.
    pub date: &'a [u8],
    /// The value of Strict-Transport-Security; left out when it is empty.
    pub hsts: &'a str,
    /// The connection ends with this response, which says so.
    pub close: bool,
}

/// Appends the status line and what every response of ours has.
pub(super) fn push_start(out: &mut Vec<u8>, status: u16, always: Always<'_>) {
    write::status_line(out, status, phrase(status).as_bytes());
    if !always.date.is_empty() {
        push_line(out, "Date", always.date);
    }
    if !always.hsts.is_empty() {
        push_line(out, HSTS, always.hsts.as_bytes());
    }
    if always.close {
        write::connection(out, Persistence::Close, false);
    }
}

/// Appends `Content-Length` and the end of the head.
pub(super) fn push_length(out: &mut Vec<u8>, length: usize) {
    write::length(out, length as u64);
    write::end(out);
}
