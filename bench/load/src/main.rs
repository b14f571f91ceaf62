//! The benchmarks' two ends: `load origin` answers, `load run` asks and measures. Both are one thread and one epoll
//! loop each, small enough that neither is the bottleneck. `load relay` is the floor that proxies are held against. What a proxy costs is worked out by the callers.

mod args;
mod conversation;
mod hello;
mod histogram;
mod http;
mod http_origin;
mod listen;
mod origin;
mod relay;
mod run;
mod sys;
mod tls;
mod wire;

use std::process::ExitCode;

use args::Args;

const USAGE: &str = "usage:
  load origin --mode close|answer|source|sink|hold|http [--listen 127.0.0.1:0] [--request 100]
  load relay --target ADDRESS [--listen 127.0.0.1:0]
  load run --scenario SCENARIO --target ADDRESS [--connections N] [--seconds S] [--warmup S] [--patience S]
           [--hello NAME | --names FILE] [--sources N] [--source ADDRESS]
    connect, kept         [--request BYTES] [--late 1] [--rate OPERATIONS_PER_SECOND] [--turns 1]
    http                  [--request minimal|browser] [--path P] [--host NAME] [--fresh 1] [--late 1] [--rate R]
                          [--turns 1] [--requests N] [--tls CERTIFICATE] [--resumed 1] [--announce 1]
    http-idle             [--request minimal|browser] [--path P] [--host NAME] [--tls CERTIFICATE]
    bulk-down, bulk-up    [--bytes TOTAL] [--streams N]
    idle                  [--request BYTES]
    slow-reader           [--bytes EACH | --path P] [--read-rate BYTES_PER_SECOND]
bench/README.md says what each does.";

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Plays the role named first; false when a run had errors.
fn start() -> Result<bool, String> {
    let mut words = std::env::args().skip(1);
    let role = words.next().unwrap_or_default();
    sys::raise_descriptor_limit().map_err(|error| format!("descriptor limit: {error}"))?;
    match role.as_str() {
        "origin" => origin::serve(Args::parse(words)?).map(|()| true),
        "relay" => relay::serve(Args::parse(words)?).map(|()| true),
        "run" => run::run(Args::parse(words)?),
        _ => Err(USAGE.to_owned()),
    }
}
