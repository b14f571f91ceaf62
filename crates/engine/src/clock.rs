//! The clock: read once per poll turn, handed out as plain numbers.
//!
//! The only place that asks the system for the time. Milliseconds count from the first reading in this
//! process.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headworks_core::time::Millis;

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

/// Appends `2026-01-02T03:04:05.678Z` (RFC 3339).
pub(crate) fn write_rfc3339(wall: Duration, out: &mut Vec<u8>) {
    let seconds = wall.as_secs();
    let (year, month, day) = civil((seconds / 86_400) as i64);
    let of_day = seconds % 86_400;
    pad(out, year as u64, 4);
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

/// Returns year, month and day of a day number (0 is 1970-01-01), counting in 400-year eras from 1 March.
fn civil(day: i64) -> (i64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097) as u64;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era as i64 + era * 400 + i64::from(month <= 2), month, day)
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
