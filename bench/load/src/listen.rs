//! Listening as both the origin and the floor do it: announce the port, accept whoever waits.

use std::io::{self, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};

use crate::sys;

/// Listens on `address` without blocking and prints the port, the first line of stdout. 0.0.0.0 is every address of
/// 127.0.0.0/8, and no other.
pub fn open(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    if address.ip().is_unspecified() {
        sys::stay_on_loopback(&listener)?;
    }
    listener.set_nonblocking(true)?;
    sys::lengthen_backlog(&listener)?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    Ok(listener)
}

/// The next client, or None when nobody waits; one that has gone again is passed over.
pub fn next(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    loop {
        match sys::accept(listener) {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}
