//! What the system says of this process: time, memory, descriptors.
//!
//! Read from `/proc` when somebody asks. What cannot be read is left out.

use std::fs;

use crate::sys;

/// The system's account of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Seconds of processors used.
    pub(super) cpu: f64,
    /// Seconds since 1970 at which it began.
    pub(super) started: f64,
    /// Bytes of memory in use.
    pub(super) resident: u64,
    /// Bytes of addresses taken.
    pub(super) virtual_size: u64,
}

impl Process {
    /// Reads it; None where there is no `/proc`.
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let booted = fs::read_to_string("/proc/stat").ok()?;
        Self::parse(&stat, &booted, sys::clock_ticks() as f64, sys::page_size() as u64)
    }

    /// Reads `/proc/self/stat` (proc(5)) and the line `btime` of `/proc/stat`.
    fn parse(stat: &str, booted: &str, ticks: f64, page: u64) -> Option<Self> {
        // The name of the program stands in parentheses and may have spaces and parentheses of its own.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // The first field here is the third of the file.
        let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
        let booted =
            booted.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
        Some(Self {
            cpu: (number(14)? + number(15)?) as f64 / ticks,
            started: booted + number(22)? as f64 / ticks,
            virtual_size: number(23)?,
            resident: number(24)? * page,
        })
    }
}

/// Returns how many descriptors are open.
pub(super) fn open_descriptors() -> Option<u64> {
    const PLACE: &str = "/proc/self/fd";
    // Newer kernels say it as the size of the folder; counting tens of thousands of entries takes its time.
    let size = fs::metadata(PLACE).ok()?.len();
    if size > 0 { Some(size) } else { Some(fs::read_dir(PLACE).ok()?.count() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        let stat =
            "7 (a) b (c)) S 1 1 1 0 -1 4194560 10 0 0 0 150 50 0 0 20 0 4 0 1000 4096 3 18446744073709551615";
        let read = Process::parse(stat, "cpu 1\nbtime 1700000000\n", 100.0, 4096);
        let expected = Process { cpu: 2.0, started: 1_700_000_010.0, virtual_size: 4096, resident: 12_288 };
        assert_eq!(read, Some(expected));
        assert_eq!(Process::parse("7 (a) S 1", "btime 1\n", 100.0, 4096), None);
        assert_eq!(Process::parse(stat, "", 100.0, 4096), None);
    }

    #[test]
    fn this_process_is_read() {
        let read = Process::read().unwrap();
        assert!(read.resident > 0 && read.virtual_size >= read.resident && read.started > 1e9);
        assert!(open_descriptors().unwrap() >= 3);
    }
}
