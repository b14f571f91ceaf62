//! Access records: one line a connection, formatted by its worker, written by a thread of its own.
//!
//! A worker collects the lines of a turn and appends them to its bounded shard; the writer takes whole
//! shards. A full disk or a reader of standard error that has stopped blocks the writer alone: shards fill
//! up, and further records are dropped and counted. Must never block a worker.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use headworks_core::close::CloseReason;
use headworks_core::lock::lock;
use headworks_core::time::Millis;

use crate::clock;
use crate::notice::{Notice, Notices};
use crate::record::{ExchangeRecord, Format, Record};
use crate::refusals::{Refusals, Told};
use crate::sys;
use crate::tap::Tap;

/// Bytes of a worker's records that may wait for the writer.
const SHARD: usize = 1 << 20;
/// Time for which the writer gathers lines before it writes.
const GATHER: Duration = Duration::from_millis(20);
/// Time for which the end of the engine waits for the last records.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The log of all workers.
#[derive(Debug)]
pub(crate) struct AccessLog {
    shards: Box<[Mutex<Vec<u8>>]>,
    outlet: Mutex<Outlet>,
    format: Format,
    wake: Mutex<bool>,
    woken: Condvar,
    stopping: AtomicBool,
    finished: Mutex<bool>,
    finish: Condvar,
    dropped: AtomicU64,
}

/// The file or descriptor that lines go to.
#[derive(Debug)]
enum Outlet {
    StandardError,
    File(PathBuf, Arc<File>),
}

impl Outlet {
    fn open(path: &str) -> io::Result<Self> {
        if path == "-" {
            return Ok(Self::StandardError);
        }
        // Where that is a socket, or a pipe without a name, it cannot be opened by its path.
        let opened = match own_descriptor(path) {
            Some(number) => sys::duplicate(number).map(File::from),
            None => OpenOptions::new().append(true).create(true).open(path),
        };
        let file = opened.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot open the access log {path}: {error}"))
        })?;
        Ok(Self::File(path.into(), Arc::new(file)))
    }
}

/// Returns the number of the process's own descriptor that a path stands for.
fn own_descriptor(path: &str) -> Option<RawFd> {
    match path {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(1),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(2),
        _ => None,
    }
}

impl AccessLog {
    /// Opens the log and starts its writer; `off` has neither.
    pub(crate) fn open(
        path: &str,
        format: Format,
        workers: usize,
        notices: Arc<Notices>,
    ) -> io::Result<Option<Arc<Self>>> {
        if path == "off" {
            return Ok(None);
        }
        let log = Arc::new(Self {
            shards: (0..workers).map(|_| Mutex::default()).collect(),
            outlet: Mutex::new(Outlet::open(path)?),
            format,
            wake: Mutex::default(),
            woken: Condvar::new(),
            stopping: AtomicBool::new(false),
            finished: Mutex::default(),
            finish: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writer = Arc::clone(&log);
        let _: JoinHandle<()> = std::thread::Builder::new()
            .name("headworks-log".into())
            .spawn(move || writer.write_until_stopped(&notices))?;
        Ok(Some(log))
    }

    /// Opens the path again, after it was rotated away.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let mut outlet = lock(&self.outlet);
        if let Outlet::File(path, _) = &*outlet {
            *outlet = Outlet::open(&path.to_string_lossy())?;
        }
        Ok(())
    }

    /// Returns the number of records dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Lets the writer finish, within reason: one that is blocked is left behind.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.wake_writer();
        let finished = lock(&self.finished);
        let _ = self.finish.wait_timeout_while(finished, LAST_WORDS, |finished| !*finished);
    }

    /// Takes a worker's lines, or drops them when its shard is full.
    fn append(&self, shard: usize, lines: &[u8], count: u64) {
        let mut waiting = lock(&self.shards[shard]);
        if waiting.len() + lines.len() > SHARD {
            self.dropped.fetch_add(count, Relaxed);
            return;
        }
        let was_empty = waiting.is_empty();
        waiting.extend_from_slice(lines);
        drop(waiting);
        if was_empty {
            self.wake_writer();
        }
    }

    fn wake_writer(&self) {
        *lock(&self.wake) = true;
        self.woken.notify_one();
    }

    fn write_until_stopped(&self, notices: &Notices) {
        let mut lines = Vec::new();
        let mut reported = 0;
        loop {
            self.wait();
            let stopping = self.stopping.load(Relaxed);
            let mut failure = None;
            for shard in &self.shards {
                std::mem::swap(&mut *lock(shard), &mut lines);
                if let Err((error, lost)) = self.write(&lines) {
                    self.dropped.fetch_add(lost, Relaxed);
                    failure = Some(error.to_string());
                }
                lines.clear();
            }
            let dropped = self.dropped();
            if dropped > reported {
                let reason = failure.unwrap_or_else(|| "the log is written more slowly than it fills".into());
                notices.push(Notice::RecordsDropped { dropped: dropped - reported, reason });
                reported = dropped;
            }
            if stopping {
                *lock(&self.finished) = true;
                return self.finish.notify_all();
            }
        }
    }

    /// Waits for the first line and then a little for more.
    fn wait(&self) {
        let wake = lock(&self.wake);
        let mut wake = self.woken.wait_while(wake, |wake| !*wake).unwrap_or_else(PoisonError::into_inner);
        *wake = false;
        if !self.stopping.load(Relaxed) {
            let stopping = |_: &mut bool| !self.stopping.load(Relaxed);
            let _ = self.woken.wait_timeout_while(wake, GATHER, stopping);
        }
    }

    /// Writes whole lines; the error says how many were lost.
    fn write(&self, lines: &[u8]) -> Result<(), (io::Error, u64)> {
        let (fd, _open) = self.descriptor();
        let mut left = lines;
        while !left.is_empty() {
            match sys::write(fd, left) {
                Ok(n) => left = &left[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let lost = left.iter().filter(|&&byte| byte == b'\n').count() as u64;
                    return Err((error, lost));
                }
            }
        }
        Ok(())
    }

    /// Returns the descriptor to write to; the file stays open while it is held.
    fn descriptor(&self) -> (RawFd, Option<Arc<File>>) {
        match &*lock(&self.outlet) {
            Outlet::StandardError => (2, None),
            Outlet::File(_, file) => (file.as_raw_fd(), Some(Arc::clone(file))),
        }
    }
}

/// A worker's end of the log and of the tap.
#[derive(Debug)]
pub(crate) struct Recorder {
    log: Option<Arc<AccessLog>>,
    tap: Arc<Tap>,
    shard: usize,
    logged: Lines,
    tapped: Lines,
    stamp: Stamp,
    refusals: Refusals,
}

/// The records of one turn.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u64,
}

impl Lines {
    fn clear(&mut self) {
        self.text.clear();
        self.count = 0;
    }
}

/// The time as text, made once a turn of the worker and used for all of its records.
#[derive(Debug, Default)]
struct Stamp {
    /// The turn, as the engine's clock has it; 0: none yet.
    turn: Millis,
    text: Vec<u8>,
}

impl Stamp {
    fn at(&mut self, now: Millis) -> &[u8] {
        if self.turn != now {
            self.turn = now;
            self.text.clear();
            clock::write_rfc3339(clock::wall(), &mut self.text);
        }
        &self.text
    }
}

impl Recorder {
    /// Returns the recorder of worker number `shard`.
    pub(crate) fn new(log: Option<Arc<AccessLog>>, tap: Arc<Tap>, shard: usize) -> Self {
        let (logged, tapped) = (Lines::default(), Lines::default());
        Self { log, tap, shard, logged, tapped, stamp: Stamp::default(), refusals: Refusals::default() }
    }

    /// Records the end of a connection, or of a client that never became one.
    pub(crate) fn record(&mut self, record: &Record<'_>, now: Millis) {
        if record.end.is_refusal() {
            let write = |stamp: &[u8], out: &mut Vec<u8>, all: bool| {
                let shorter = Record { findings: record.findings.filter(|_| all), ..*record };
                shorter.write(Format::Json, stamp, out);
            };
            self.refused(now, record.end, record.first_bytes, write);
        }
        self.put(now, |format, stamp, out| record.write(format, stamp, out));
    }

    /// Whether the record of such an end is kept by anybody: one that nobody reads need not be made.
    #[inline]
    pub(crate) fn wants(&self, end: CloseReason) -> bool {
        self.log.is_some() || self.tap.is_open() || end.is_refusal()
    }

    /// Records the end of an exchange.
    pub(crate) fn exchange(&mut self, record: &ExchangeRecord<'_>, now: Millis) {
        if record.end.is_refusal() {
            self.refused(now, record.end, &[], |stamp, out, all| {
                record.shortened(all).write(Format::Json, stamp, out);
            });
        }
        self.put(now, |format, stamp, out| record.write(format, stamp, out));
    }

    /// Remembers a refusal.
    #[cold]
    fn refused(
        &mut self,
        now: Millis,
        end: CloseReason,
        first_bytes: &[u8],
        write: impl Fn(&[u8], &mut Vec<u8>, bool),
    ) {
        let stamp = self.stamp.at(now);
        self.refusals.put(now, end, first_bytes, |out, all| write(stamp, out, all));
    }

    /// Tells the last refusals of this worker, oldest first.
    pub(crate) fn told_refusals(&self) -> Vec<Told> {
        self.refusals.told()
    }

    /// Takes over what another recorder of this worker remembers.
    pub(crate) fn remember(&mut self, before: &mut Self) {
        self.refusals = std::mem::take(&mut before.refusals);
    }

    /// Writes a record for everybody who reads it.
    #[inline]
    fn put(&mut self, now: Millis, write: impl Fn(Format, &[u8], &mut Vec<u8>)) {
        if let Some(log) = &self.log {
            write(log.format, self.stamp.at(now), &mut self.logged.text);
            self.logged.count += 1;
        }
        if self.tap.is_open() {
            write(Format::Json, self.stamp.at(now), &mut self.tapped.text);
            self.tapped.count += 1;
        }
    }

    /// Hands over what was recorded.
    pub(crate) fn flush(&mut self) {
        if let (Some(log), false) = (&self.log, self.logged.text.is_empty()) {
            log.append(self.shard, &self.logged.text, self.logged.count);
            self.logged.clear();
        }
        if !self.tapped.text.is_empty() {
            self.tap.append(&self.tapped.text, self.tapped.count);
            self.tapped.clear();
        }
    }
}
