//! The host that a client's first request names, which is not consumed.

use super::{Analyzer, Facts, Verdict};
use crate::spoken::Spoken;
use crate::wire::first_host::{self, HostParsed};

/// Learns the name from Host, or from `:authority` of HTTP/2. Without one it has nothing against the client:
/// the server is to judge what cannot be read.
#[derive(Debug)]
pub struct FirstHost;

impl Analyzer for FirstHost {
    fn name(&self) -> &'static str {
        "first_host"
    }

    fn inspect(&self, held: &[u8], facts: &mut Facts) -> Verdict {
        let seen = std::mem::take(&mut facts.seen) as usize;
        let speaks_http2 = first_host::begins_http2(held) == Some(true);
        facts.spoken = Some(if speaks_http2 { Spoken::Http2 } else { Spoken::Http1 });
        let parsed = if first_host::may_be_complete(held, seen) {
            first_host::parse(held)
        } else {
            HostParsed::Partial { need: held.len() + 1 }
        };
        match parsed {
            HostParsed::Complete(name) => {
                facts.name = name;
                Verdict::Pass { consumed: 0 }
            }
            HostParsed::Partial { need } => {
                facts.seen = u32::try_from(held.len()).unwrap_or_default();
                Verdict::Wait { need }
            }
        }
    }
}
