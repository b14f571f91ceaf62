//! Names: what a name resolves to, decided without a socket or a clock.
//!
//! | file | owns |
//! |---|---|
//! | `domain` | a domain name, checked |
//! | `message` | queries as bytes, and how answers are read |
//! | `inquiry` | one query, from nameserver to nameserver until it is answered |
//! | `search` | one name that is sought: the queries that it takes, and what comes of them |
//! | `cache` | answers, as long as they hold |
//! | `nameservers` | whom to ask first |
//! | `hosts`, `resolver_conf` | the two files of the system |
//!
//! Must never believe an answer that does not prove to be one to the query, and never keep more than it was
//! allowed to.

mod cache;
mod domain;
mod hosts;
mod inquiry;
mod message;
mod nameservers;
mod resolver_conf;
mod search;

pub use cache::{CacheLimits, Cached, Kept, NameCache};
pub use domain::Domain;
pub use hosts::HostsFile;
pub use inquiry::{Inquiry, InquiryAction, InquiryEvent};
pub use message::{AnswerParsed, Found, NameAnswer, Query, QueryType, SentQuery, Service, StreamAnswer};
pub use nameservers::Nameservers;
pub use resolver_conf::ResolverConf;
pub use search::{Endpoint, Families, Resolution, Search, Sought, SoughtKind};

use crate::time::Millis;

/// Time for which a failure is kept: so soon nobody is asked the same again.
pub const FAILURE_KEPT: Millis = 1_000;

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// The reason why a name has no addresses. A row of the table below.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Unresolved {
            $($(#[$doc])* $name,)*
        }

        impl Unresolved {
            /// Every reason there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the word in logs and counters.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

failures! {
    /// No such name exists: a nameserver said so.
    NoSuchName = "no_such_name";
    /// The name exists, but has no addresses of the families that are wanted.
    NoAddresses = "no_addresses";
    /// No name that could be asked for: too long, empty labels, characters that names do not have.
    BadName = "bad_name";
    /// The nameservers failed.
    ServerFailure = "servfail";
    /// The nameservers refuse to answer us.
    Refused = "refused";
    /// The nameservers' answers cannot be read.
    Malformed = "malformed";
    /// The name is an alias of an alias, and so on for too long.
    Loop = "loop";
    /// No answer in time.
    Timeout = "timeout";
    /// No nameserver could be reached.
    Unreachable = "unreachable";
    /// Too much is asked already.
    Busy = "busy";
    /// No thread or descriptor to ask with.
    Exhausted = "exhausted";
    /// The resolver has ended.
    Stopped = "stopped";
}

impl Unresolved {
    /// Returns the place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether a nameserver answered, only not what was hoped for.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::NoSuchName | Self::NoAddresses)
    }
}
