//! The generator: what every scenario shares (options, names, sources, the window of time, the tally) and the table
//! of scenarios. A scenario is one file with one function and one line in [`run`].

mod answer;
mod bulk;
mod connect;
mod drive;
mod http;
mod http_idle;
#[cfg(test)]
mod http_over_tls;
mod idle;
mod kept;
mod request;
mod slow_reader;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::hello::HelloMaker;
use crate::histogram::Histogram;
use crate::sys;
use crate::tls::Tls;
use request::{Asking, HOST};

/// What was asked for on the command line.
pub struct Order {
    target: SocketAddrV4,
    connections: usize,
    seconds: f64,
    warmup: f64,
    request: usize,
    bytes: u64,
    late: bool,
    patience: Duration,
    /// Operations a second of an open loop; None: a closed one.
    rate: Option<f64>,
    /// Connections take turns, so that all are used; else whichever was used last begins again.
    turns: bool,
    /// Whether `--seconds` was given.
    timed: bool,
    /// Operations that are begun at most.
    most: u64,
    /// TLS is spoken, as this says.
    tls: Option<Tls>,
    /// All handshakes of the run resume what others before it have begun.
    resumed: bool,
    /// Whoever started us is told when the connections are made, and says when to begin.
    announce: bool,
}

/// The names hellos ask for: one, or drawn at random from many.
pub struct Names {
    list: Vec<String>,
    maker: HelloMaker,
    state: u64,
}

/// Source addresses in turn, so that no port range runs out at high connection rates.
pub struct Sources {
    list: Vec<Ipv4Addr>,
    next: usize,
}

/// What happened: operations within the window and in all, latencies, errors by kind.
pub struct Tally {
    started: Instant,
    opens: Instant,
    closes: Instant,
    elapsed: f64,
    operations: u64,
    operations_all: u64,
    bytes: u64,
    /// Connections opened, where a scenario counts them.
    connects: u64,
    /// Full and resumed handshakes since the run began.
    handshakes: (u64, u64),
    errors: BTreeMap<String, u64>,
    latency: Histogram,
    /// Operations belong to the window they were due in (open loop), not to the one they end in.
    by_due: bool,
    /// CPU seconds that preparation took.
    prepared: f64,
}

/// The scenarios, by name.
const SCENARIOS: &str = "connect, kept, http, http-idle, bulk-down, bulk-up, idle, slow-reader";

/// Runs the scenario asked for and prints its report; false when there was any error.
pub fn run(mut args: Args) -> Result<bool, String> {
    let scenario: String = args.need("scenario")?;
    let mut order = Order::take(&mut args)?;
    let sources = Sources::take(&mut args)?;
    match scenario.as_str() {
        "connect" | "kept" | "http" => {
            order.rate = args.take("rate")?;
            order.turns = args.take_or("turns", 0_u8)? != 0;
        }
        "bulk-down" | "bulk-up" => order.connections = args.take_or("streams", order.connections)?,
        _ => {}
    }
    if matches!(scenario.as_str(), "connect" | "kept" | "idle") {
        order.request = args.take_or("request", order.request)?;
    }
    if matches!(scenario.as_str(), "http" | "http-idle") {
        order.take_http(&mut args)?;
    }
    order.check()?;
    if order.resumed && (order.tls.is_none() || !args.has("fresh")) {
        return Err("--resumed: only with --tls and --fresh".to_owned());
    }
    let asking = match scenario.as_str() {
        "http" | "http-idle" => Some(Asking::take(&mut args)?),
        "slow-reader" => Asking::take_if_path(&mut args)?,
        _ => None,
    };
    let read_rate = if scenario == "slow-reader" { args.take_or("read-rate", 1_000)? } else { 0 };
    let names = Names::take(&mut args)?;
    args.finish()?;
    let mut tally = Tally::new(&order);
    let done = match (scenario.as_str(), asking) {
        ("connect", _) => connect::run(&order, names, sources, &mut tally),
        ("kept", _) => kept::run(&order, names, sources, &mut tally),
        ("http", Some(asking)) => http::run(&order, asking.with(names), sources, &mut tally),
        ("http-idle", Some(asking)) => http_idle::run(&order, asking.with(names), sources, &mut tally),
        ("bulk-down", _) => bulk::run(&order, names, sources, &mut tally, bulk::Direction::Down),
        ("bulk-up", _) => bulk::run(&order, names, sources, &mut tally, bulk::Direction::Up),
        ("idle", _) => idle::run(&order, names, sources, &mut tally),
        ("slow-reader", asking) => {
            let asked = slow_reader::Asked::new(&order, read_rate, asking.map(|asking| asking.with(names)));
            slow_reader::run(&order, asked, sources, &mut tally)
        }
        (other, _) => return Err(format!("--scenario: {other} is none of {SCENARIOS}")),
    };
    done.map_err(|error| error.to_string())?;
    println!("{}", tally.report(&scenario));
    Ok(tally.errors.is_empty())
}

impl Order {
    fn take(args: &mut Args) -> Result<Self, String> {
        let seconds: Option<f64> = args.take("seconds")?;
        Ok(Self {
            target: args.need("target")?,
            connections: args.take_or("connections", 32)?,
            seconds: seconds.unwrap_or(3.0),
            warmup: args.take_or("warmup", 0.0)?,
            request: 100,
            bytes: args.take_or("bytes", 1 << 30)?,
            late: args.take_or("late", 0u8)? != 0,
            patience: Duration::from_secs_f64(args.take_or("patience", 10.0)?),
            rate: None,
            turns: false,
            timed: seconds.is_some(),
            most: u64::MAX,
            tls: None,
            resumed: false,
            announce: false,
        })
    }

    /// Takes what the scenarios of HTTP know besides. With `--requests` they end when these are done, so the window is as
    /// long as patience.
    fn take_http(&mut self, args: &mut Args) -> Result<(), String> {
        if let Some(most) = args.take("requests")? {
            self.most = most;
            self.seconds = self.patience.as_secs_f64();
        }
        if let Some(file) = args.take::<PathBuf>("tls")? {
            self.tls = Some(Tls::new(&file, HOST)?);
        }
        self.resumed = args.take_or("resumed", 0u8)? != 0;
        self.announce = args.take_or("announce", 0u8)? != 0;
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.connections == 0 {
            return Err("--connections: at least one is needed".to_owned());
        }
        match self.rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                Err(format!("--rate: {rate} is no rate: operations per second, above 0"))
            }
            _ => Ok(()),
        }
    }
}

impl Names {
    /// `None` when no hello is wanted.
    fn take(args: &mut Args) -> Result<Option<Self>, String> {
        let one: Option<String> = args.take("hello")?.or(args.take("host")?);
        let file: Option<String> = args.take("names")?;
        let list: Vec<String> = match (one, file) {
            (None, None) => return Ok(None),
            (Some(name), None) => vec![name],
            (None, Some(file)) => std::fs::read_to_string(&file)
                .map_err(|error| format!("{file}: {error}"))?
                .lines()
                .map(str::to_owned)
                .collect(),
            (Some(_), Some(_)) => return Err("--hello and --names exclude each other".to_owned()),
        };
        let first = list.first().ok_or("--names: the file is empty")?;
        let maker = HelloMaker::new(first);
        Ok(Some(Self { list, maker, state: 0x9e37_79b9_7f4a_7c15 }))
    }

    /// The hello for the next name.
    fn next_hello(&mut self) -> &[u8] {
        let index = self.draw();
        self.maker.for_name(&self.list[index])
    }

    /// The next name.
    fn next_name(&mut self) -> &str {
        let index = self.draw();
        &self.list[index]
    }

    /// Draws one; the order is the same in every run.
    fn draw(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % self.list.len() as u64) as usize
    }
}

impl Sources {
    /// `--sources N` addresses from 127.0.0.2 on (254 at most, 0: let the kernel choose), or one `--source`.
    fn take(args: &mut Args) -> Result<Self, String> {
        let count: u8 = args.take_or("sources", 253)?;
        let one: Option<Ipv4Addr> = args.take("source")?;
        let many = (2..=254).map(|last| Ipv4Addr::new(127, 0, 0, last)).take(usize::from(count));
        Ok(Self { list: one.map_or_else(|| many.collect(), |one| vec![one]), next: 0 })
    }

    fn next(&mut self) -> Option<Ipv4Addr> {
        let source = self.list.get(self.next).copied();
        self.next = (self.next + 1) % self.list.len().max(1);
        source
    }
}

impl Tally {
    fn new(order: &Order) -> Self {
        let started = Instant::now();
        let opens = started + Duration::from_secs_f64(order.warmup);
        Self {
            started,
            opens,
            closes: opens + Duration::from_secs_f64(order.seconds),
            elapsed: 0.0,
            operations: 0,
            operations_all: 0,
            bytes: 0,
            connects: 0,
            handshakes: (0, 0),
            errors: BTreeMap::new(),
            latency: Histogram::new(),
            by_due: order.rate.is_some(),
            prepared: 0.0,
        }
    }

    /// The window begins anew: until now it was preparation.
    fn restart(&mut self, order: &Order) {
        *self = Self { prepared: sys::cpu_seconds(), ..Self::new(order) };
    }

    /// Counts one finished operation that began (or was due) then. In a closed loop those that end within the window
    /// make the rate. In an open one all count that were due in it, and a window that is over before they end is longer:
    /// a proxy that cannot keep up has a rate below the one asked for.
    fn finished(&mut self, began: Instant, now: Instant, bytes: usize) {
        self.operations_all += 1;
        let counted = if self.by_due { began } else { now };
        if counted >= self.opens && counted < self.closes {
            self.operations += 1;
            self.bytes += bytes as u64;
            self.latency.record((now - began).as_nanos() as u64);
            if now > self.closes {
                self.took(now - self.opens);
            }
        }
    }

    fn failed(&mut self, kind: &str) {
        *self.errors.entry(kind.to_owned()).or_default() += 1;
    }

    fn failed_with(&mut self, stage: &str, error: &io::Error) {
        self.failed(&said(stage, error));
    }

    /// Whether what is still unfinished at `now` has been waited for long enough.
    fn out_of_patience(&self, now: Instant, order: &Order) -> bool {
        now >= self.closes + order.patience
    }

    /// Ends the window of a scenario that ends by itself.
    fn took(&mut self, elapsed: Duration) {
        self.elapsed = elapsed.as_secs_f64();
    }

    fn report(&self, scenario: &str) -> String {
        let window = (self.closes - self.opens).as_secs_f64();
        let seconds = if self.elapsed > 0.0 { self.elapsed } else { window };
        let micros = |share| self.latency.quantile(share) as f64 / 1e3;
        let errors: Vec<String> =
            self.errors.iter().map(|(kind, count)| format!("\"{kind}\": {count}")).collect();
        format!(
            "{{\"scenario\": \"{scenario}\", \"operations\": {}, \"operations_all\": {}, \"seconds\": {seconds:.6}, \
             \"rate\": {:.3}, \"bytes\": {}, \"connects\": {}, \
             \"handshakes\": {{\"full\": {}, \"resumed\": {}}}, \"errors\": {{{}}}, \"latency_us\": {{\"p50\": {:.1}, \
             \"p90\": {:.1}, \"p99\": {:.1}, \"p99.9\": {:.1}, \"max\": {:.1}}}, \"cpu_seconds\": {:.6}, \"total_seconds\": {:.6}}}",
            self.operations,
            self.operations_all,
            self.operations as f64 / seconds,
            self.bytes,
            self.connects,
            self.handshakes.0,
            self.handshakes.1,
            errors.join(", "),
            micros(0.5),
            micros(0.9),
            micros(0.99),
            micros(0.999),
            self.latency.largest() as f64 / 1e3,
            sys::cpu_seconds() - self.prepared,
            self.started.elapsed().as_secs_f64(),
        )
    }
}

/// An error in words for the report: its own, or those of its kind.
fn said(stage: &str, error: &io::Error) -> String {
    match error.get_ref() {
        Some(own) => format!("{stage}: {}", own.to_string().replace(['"', '\\'], "'")),
        None => format!("{stage}: {:?}", error.kind()),
    }
}

/// What an error of a non-blocking call means to a scenario.
fn would_block(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted
    )
}
