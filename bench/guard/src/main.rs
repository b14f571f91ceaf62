//! The guard's program: does the work of every path of the core so often that instructions per operation can be counted.
//!
//! `bench/instructions.py` runs it under callgrind, which counts inside of [`measured`] only and writes one record each time that
//! returns; so set-up costs nothing. The lines printed say which path each record is of. Must not look at the clock,
//! and no path may depend on anything random but the seed of a hash.

mod paths;

#[path = "../../../crates/core/tests/common/mod.rs"]
mod common;

use paths::Path;

/// One operation; its number is given so that it can be another one each time.
type Operation = Box<dyn FnMut(u32)>;

/// Operations before counting, so that what is made once (a thread's random state, a lazily built automaton) is there.
const WARM_UP: u32 = 100;

/// With words: only the paths whose names contain one of them.
fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for path in paths::all() {
        if wanted.is_empty() || wanted.iter().any(|word| path.name.contains(word.as_str())) {
            count(&path);
        }
    }
}

fn count(path: &Path) {
    let mut operation = (path.make)();
    (0..WARM_UP).for_each(&mut operation);
    measured(&mut operation, path.times);
    println!("{} {}", path.name, path.times);
}

/// Callgrind counts here, by this name.
#[inline(never)]
fn measured(operation: &mut Operation, times: u32) {
    for number in 0..times {
        operation(number);
    }
}
