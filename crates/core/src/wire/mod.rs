//! Pure codecs over `&[u8]`. Must never keep state between calls, allocate in proportion to what is claimed rather
//! than what arrived, or panic on any bytes.

pub mod chunk_writer;
pub mod client_hello;
pub mod proxy_protocol;
