//! Headworks core: decides. Bytes and a clock value in, actions out.
//!
//! Must never open a socket, read a clock, start a thread, use `unsafe` or know of Python. The rooms:
//!
//! | room | owns |
//! |---|---|
//! | [`spec`], [`plan`] | the configuration as given, and compiled |
//! | [`session`], [`flow`], [`buffer`], [`action`] | one connection as a state machine |
//! | [`protocol`], [`analyze`], [`wire`] | what a listener speaks, who looks at held bytes, how they are read |
//! | [`spoken`] | what a client speaks, and a refusal in that |
//! | [`http`], [`tls`] | requests and responses; what TLS presents, demands and has found out |
//! | [`program`] | rules that people wrote, compiled |
//! | [`names`] | what a name resolves to |
//! | [`listener`], [`connection_rate`], [`bandwidth`] | who is let in, how often, and how fast |
//! | [`table`], [`pool`], [`balance`] | name -> backend -> server |
//! | [`message`], [`host`], [`close`], [`problem`] | values that know no room: messages, hosts, ends, problems |

#![forbid(unsafe_code)]

pub mod action;
pub mod address;
pub mod analyze;
pub mod balance;
pub mod bandwidth;
pub mod buffer;
pub mod close;
pub mod connection_rate;
pub mod consult;
pub mod explain;
pub mod flow;
pub mod histogram;
pub mod host;
pub mod http;
pub mod listener;
pub mod lock;
pub mod message;
pub mod names;
pub mod networks;
pub mod plan;
pub mod pool;
pub mod problem;
pub mod program;
pub mod protocol;
pub mod session;
mod short_text;
pub mod spec;
pub mod spoken;
pub mod table;
pub mod tally;
pub mod time;
pub mod tls;
pub mod wire;
