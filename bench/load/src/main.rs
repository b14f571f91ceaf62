//! The benchmarks' two ends: `load origin` answers, `load run` asks and measures. Both are one thread and one epoll
//! loop each, small enough that neither is the bottleneck. `load relay` is the floor that proxies are held against. What a proxy costs is worked out by the callers.

mod args;
mod hello;
mod histogram;
mod listen;
mod origin;
mod relay;
mod run;
mod sys;
mod wire;

use std::process::ExitCode;

use args::Args;

const USAGE: &str = "usage:
  load origin --mode close|answer|source|sink|hold [--listen 127.0.0.1:0] [--request 100]
  load relay --target ADDRESS [--listen 127.0.0.1:0]
  load run --scenario connect|kept|bulk-down|bulk-up|idle --target ADDRESS [--connections N] [--seconds S]
           [--warmup S] [--hello NAME | --names FILE] [--late 1] [--request BYTES] [--bytes TOTAL] [--sources N]
           [--source ADDRESS] [--patience S]
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
