//! Time as core sees it: numbers that the engine hands in, and their dates. Nothing here reads a clock.

/// Milliseconds: a duration, or a moment of the engine's monotonic clock.
pub type Millis = u64;
/// The moment that never comes: what waits for nothing waits for this.
pub const NEVER: Millis = Millis::MAX;

/// Seconds of a day.
pub const DAY: u64 = 86_400;

/// Returns year, month and day of a day number (0 is 1970-01-01), counting in 400-year eras from 1 March.
pub fn civil(day: u64) -> [u64; 3] {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    [year_of_era + era * 400 + u64::from(month <= 2), month, day_of_month]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (day, expected) in [
            (0, [1970, 1, 1]),
            (58, [1970, 2, 28]),
            (59, [1970, 3, 1]),
            (11_016, [2000, 2, 29]),
            (11_017, [2000, 3, 1]),
            (20_785, [2026, 11, 28]),
            (47_540, [2100, 2, 28]),
            (47_541, [2100, 3, 1]),
        ] {
            assert_eq!(civil(day), expected, "{day}");
        }
    }
}
