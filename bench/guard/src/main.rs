//! The guard's program: does the work of paths of the core and of the engine so often that instructions per operation can
//! be counted. `bench/instructions.py` runs it under callgrind.
//!
//! Of the core (`guard core`, with words: the paths whose names contain one of them), callgrind counts inside of [`measured`]
//! only and writes one record each time that returns; so set-up costs nothing. The lines printed say which path each record
//! is of. Of the engine (`guard engine PATH TIMES`), whole
//! threads are counted, one path a run: what one operation costs is the difference between two runs. Must not look at the
//! clock, and no path may depend on anything random but the seed of a hash.

mod http2;
mod paths;
mod served;

#[path = "../../../crates/core/tests/common/mod.rs"]
mod common;

use paths::Path;

/// One operation; its number is given so that it can be another one each time.
type Operation = Box<dyn FnMut(u32)>;

/// Operations before counting, so that what is made once (a thread's random state, a lazily built automaton) is there.
const WARM_UP: u32 = 100;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["core", ref wanted @ ..] => {
            let all = paths::all();
            let is_wanted =
                |path: &&Path| wanted.is_empty() || wanted.iter().any(|word| path.name.contains(word));
            all.iter().filter(is_wanted).for_each(count);
        }
        ["engine"] => served::all().iter().for_each(|path| println!("{} {}", path.name, path.times)),
        ["engine", name, times] => serve(name, times.parse().expect("a number")),
        _ => panic!("usage: guard core [WORD ...] | guard engine [PATH TIMES]"),
    }
}

fn count(path: &Path) {
    let mut operation = (path.make)();
    (0..WARM_UP).for_each(&mut operation);
    measured(&mut operation, path.times);
    println!("{} {}", path.name, path.times);
}

fn serve(name: &str, times: u32) {
    let all = served::all();
    let path = all.iter().find(|path| path.name == name).expect("the name of a path");
    let mut operation = (path.make)();
    (0..WARM_UP + times).for_each(&mut operation);
}

/// Callgrind counts here, by this name.
#[inline(never)]
fn measured(operation: &mut Operation, times: u32) {
    for number in 0..times {
        operation(number);
    }
}
