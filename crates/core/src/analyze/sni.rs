//! The name a TLS client asks for, from its ClientHello, which is not consumed.

use super::{Analyzer, Facts, Verdict};
use crate::close::CloseReason;
use crate::wire::client_hello::{self, Parsed, ServerName};

/// Learns the name from the server_name extension (RFC 6066 section 3).
#[derive(Debug)]
pub struct Sni;

impl Analyzer for Sni {
    fn name(&self) -> &'static str {
        "sni"
    }

    fn inspect(&self, held: &[u8], facts: &mut Facts) -> Verdict {
        match client_hello::parse(held) {
            Parsed::Partial { need } => Verdict::Wait { need },
            Parsed::Invalid(_) => Verdict::Reject(CloseReason::BadRequest),
            Parsed::Complete(hello) => {
                if let ServerName::Host(name) = hello.name {
                    facts.name = Some(name);
                }
                Verdict::Pass { consumed: 0 }
            }
        }
    }
}
