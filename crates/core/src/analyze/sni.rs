//! The name a TLS client asks for, from its ClientHello, which is not consumed.

use super::{Analyzer, Facts, Verdict};
use crate::close::CloseReason;
use crate::wire::client_hello::{self, HelloParsed, ServerName};

/// Learns the name from the server_name extension (RFC 6066 section 3).
#[derive(Debug)]
pub struct Sni;

impl Analyzer for Sni {
    fn name(&self) -> &'static str {
        "sni"
    }

    fn inspect(&self, held: &[u8], facts: &mut Facts) -> Verdict {
        match client_hello::parse(held) {
            HelloParsed::Partial { need } => Verdict::Wait { need },
            HelloParsed::Invalid(_) => Verdict::Reject(CloseReason::BadRequest),
            HelloParsed::Complete(hello) => {
                if let ServerName::Host(name) = hello.name {
                    facts.name = Some(name);
                }
                facts.alpn = hello.alpn;
                Verdict::Pass { consumed: 0 }
            }
        }
    }
}
