//! Date: the value of the Date field (RFC 9110 section 6.6.1), written once a second.

use std::time::{Duration, SystemTime};

/// The present second, as text.
#[derive(Debug, Default)]
pub(crate) struct Date {
    second: u64,
    text: String,
}

impl Date {
    /// Returns the text for this time of the wall clock.
    pub(crate) fn at(&mut self, wall: Duration) -> &[u8] {
        if self.second != wall.as_secs() || self.text.is_empty() {
            self.second = wall.as_secs();
            self.text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(self.second));
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_text() {
        let mut date = Date::default();
        assert_eq!(date.at(Duration::from_millis(784_111_777_000)), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(Duration::from_millis(784_111_777_999)), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(Duration::from_millis(784_111_778_000)), b"Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
