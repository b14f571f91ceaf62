//! Pure codecs over `&[u8]`. Must never keep state between calls (a [`body`] and a connection of [`http2`]
//! keep their own), allocate in proportion to what is claimed rather than what arrived, or panic on any
//! bytes.

pub mod body;
pub mod chunk_writer;
pub mod chunked;
pub mod client_hello;
pub(crate) mod der;
mod distinguished_name;
pub mod first_host;
pub mod http1;
pub mod http2;
pub mod kind;
pub mod proxy_protocol;
mod x509;
