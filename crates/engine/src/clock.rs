//! The clock: read once per poll turn, handed out as plain numbers.
//!
//! The only place that asks the system for the time. Milliseconds count from the first reading in this
//! process.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headworks_core::time::{DAY, Millis, civil};

/// Returns the milliseconds since the process first asked; they start at 1000 so that "0" can mean "never".
#[expect(clippy::disallowed_methods, reason = "this module is the clock")]
pub(crate) fn now() -> Millis {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    1000 + start.elapsed().as_millis() as Millis
}

/// Returns the time of the wall clock, since 1970.
#[expect(clippy::disallowed_methods, reason = "this module is the clock")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns this very moment, for what is shorter than a turn.
#[expect(clippy::disallowed_methods, reason = "this module is the clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Appends `2026-01-02T03:04:05.678Z` (RFC 3339).
pub(crate) fn write_rfc3339(wall: Duration, out: &mut Vec<u8>) {
    let seconds = wall.as_secs();
    let [year, month, day] = civil(seconds / DAY);
    let of_day = seconds % DAY;
    pad(out, year, 4);
    for (mark, number) in [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60)] {
        out.push(mark);
        pad(out, number, 2);
    }
    out.push(b':');
    pad(out, of_day % 60, 2);
    out.push(b'.');
    pad(out, u64::from(wall.subsec_millis()), 3);
    out.push(b'Z');
}

fn pad(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = itoa::Buffer::new();
    let text = digits.format(number).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seconds: u64, millis: u64) -> String {
        let mut out = Vec::new();
        write_rfc3339(Duration::from_millis(seconds * 1000 + millis), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_around_leap_days() {
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(shown(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(shown(1_709_251_199, 50), "2024-02-29T23:59:59.050Z");
        assert_eq!(shown(4_107_542_399, 0), "2100-02-28T23:59:59.000Z");
        assert_eq!(shown(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }
}
