//! Watching: the registration of a socket with the poll.
//!
//! Owns what the socket is registered for. Must never take a registration back: it ends with the socket.

use std::io;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::Socket;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Nothing,
    /// Registered for somebody else, by another token.
    Elsewhere,
    Reads,
    Both,
}

impl Socket {
    /// Watches for readability; once is enough.
    pub(crate) fn watch_reads(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self.watched {
            // What is owed to the wire goes out whoever writes next, or nobody: TLS must be woken for writes,
            // too.
            Watched::Nothing | Watched::Elsewhere if self.tls.is_some() => self.watch_both(registry, token),
            Watched::Nothing => {
                registry.register(&mut SourceFd(&self.fd()), token, Interest::READABLE)?;
                self.watched = Watched::Reads;
                Ok(())
            }
            Watched::Elsewhere => {
                registry.reregister(&mut SourceFd(&self.fd()), token, Interest::READABLE)?;
                self.watched = Watched::Reads;
                Ok(())
            }
            Watched::Reads if self.owes() => self.watch_both(registry, token),
            Watched::Reads | Watched::Both => Ok(()),
        }
    }

    /// Hands the socket to somebody else, who watches it by another token.
    pub(crate) fn hand_on(&mut self) {
        if self.watched != Watched::Nothing {
            self.watched = Watched::Elsewhere;
        }
    }

    /// Watches for writability too; once is enough.
    pub(crate) fn watch_both(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self.watched {
            Watched::Nothing => registry.register(&mut SourceFd(&self.fd()), token, both)?,
            Watched::Reads | Watched::Elsewhere => {
                registry.reregister(&mut SourceFd(&self.fd()), token, both)?;
            }
            Watched::Both => return Ok(()),
        }
        self.watched = Watched::Both;
        Ok(())
    }
}
