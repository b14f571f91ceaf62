//! Page: the text that scrapers read, in two forms: Prometheus' own (0.0.4) and OpenMetrics (1.0).
//!
//! A family that has no sample is left out. Must never write a label that is not escaped.

use std::fmt::Write as _;

use headworks_core::histogram::Distribution;
use headworks_core::time::Millis;
use serde::Deserialize;

use super::table::{Family, MetricKind};

/// The form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsFormat {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    Openmetrics,
}

/// Upper bounds of histograms, as they are written. Each is the end of a bucket, so that counts are exact.
/// Stable: alerts are written by them.
const BOUNDS: [(Millis, &str); 14] = [
    (1, "0.001"),
    (2, "0.002"),
    (4, "0.004"),
    (8, "0.008"),
    (16, "0.016"),
    (32, "0.032"),
    (64, "0.064"),
    (128, "0.128"),
    (256, "0.256"),
    (512, "0.512"),
    (1024, "1.024"),
    (4096, "4.096"),
    (16_384, "16.384"),
    (65_536, "65.536"),
];

/// A text under construction.
#[derive(Debug)]
pub(super) struct Page {
    out: String,
    format: MetricsFormat,
}

/// The samples of one family.
pub(super) struct Samples<'a> {
    page: &'a mut Page,
    family: &'static Family,
    begun: bool,
}

/// Labels as they are written between braces.
pub(super) type Labels = String;

impl Page {
    pub(super) fn new(format: MetricsFormat) -> Self {
        Self { out: String::new(), format }
    }

    /// Begins a family: its samples follow.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        Samples { page: self, family, begun: false }
    }

    /// Returns the whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == MetricsFormat::Openmetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

impl Samples<'_> {
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let Family { name, kind, help, .. } = self.family;
        let open = self.page.format == MetricsFormat::Openmetrics;
        // The name of the metric itself has no `_total` there.
        let name = if open { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let out = &mut self.page.out;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit));
        if let (true, Some(unit)) = (open, unit) {
            let _ = writeln!(out, "# UNIT {name} {unit}");
        }
    }

    fn name(&mut self, ending: &str, labels: &str, more: &[(&str, &str)]) -> &mut String {
        self.begin();
        let out = &mut self.page.out;
        out.push_str(self.family.name);
        out.push_str(ending);
        if !labels.is_empty() || !more.is_empty() {
            out.push('{');
            out.push_str(labels);
            for (nth, (label, value)) in more.iter().enumerate() {
                if nth > 0 || !labels.is_empty() {
                    out.push(',');
                }
                write_label(out, label, value);
            }
            out.push('}');
        }
        out.push(' ');
        out
    }

    /// Adds a sample.
    pub(super) fn put(&mut self, labels: &str, value: u64) {
        self.put_of(labels, &[], value);
    }

    /// Adds a sample that has labels of its own.
    pub(super) fn put_of(&mut self, labels: &str, more: &[(&str, &str)], value: u64) {
        let out = self.name("", labels, more);
        out.push_str(itoa::Buffer::new().format(value));
        out.push('\n');
    }

    /// Adds a sample that is no whole number.
    pub(super) fn put_exact(&mut self, labels: &str, value: f64) {
        let out = self.name("", labels, &[]);
        let _ = writeln!(out, "{value}");
    }

    /// Adds a distribution of milliseconds: a histogram, or what a summary needs of it.
    pub(super) fn put_distribution(&mut self, labels: &str, durations: &Distribution) {
        let count = durations.count();
        if self.family.kind == MetricKind::Histogram {
            let all = [(&"+Inf", count)];
            let below = BOUNDS.iter().map(|(bound, written)| (written, durations.below(*bound)));
            for (bound, count) in below.chain(all) {
                let out = self.name("_bucket", labels, &[("le", bound)]);
                out.push_str(itoa::Buffer::new().format(count));
                out.push('\n');
            }
        }
        let _ = writeln!(self.name("_sum", labels, &[]), "{}", durations.sum as f64 / 1000.0);
        let _ = writeln!(self.name("_count", labels, &[]), "{count}");
    }
}

/// Writes labels as they stand between braces.
pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    let mut out = String::new();
    for (nth, (label, value)) in pairs.iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        write_label(&mut out, label, value);
    }
    out
}

fn write_label(out: &mut String, label: &str, value: &str) {
    out.push_str(label);
    out.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use headworks_core::histogram::Histogram;

    use super::super::table::{L_DURATION, L_OPEN, L_RECEIVED, S_DURATION};
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\\y\"z\nw"), ("b", "\u{e4}")]), "a=\"x\\\\y\\\"z\\nw\",b=\"\u{e4}\"");
    }

    #[test]
    fn a_counter_in_both_forms() {
        for (format, head) in [
            (
                MetricsFormat::Prometheus,
                "# HELP headworks_listener_received_bytes_total Bytes from clients.\n\
                 # TYPE headworks_listener_received_bytes_total counter\n",
            ),
            (
                MetricsFormat::Openmetrics,
                "# HELP headworks_listener_received_bytes Bytes from clients.\n\
                 # TYPE headworks_listener_received_bytes counter\n\
                 # UNIT headworks_listener_received_bytes bytes\n",
            ),
        ] {
            let mut page = Page::new(format);
            page.family(&L_OPEN);
            page.family(&L_RECEIVED).put_of("listener=\"web\"", &[("code", "2xx")], 7);
            let text = page.end();
            let body = text.strip_prefix(head).unwrap();
            let end = if format == MetricsFormat::Openmetrics { "# EOF\n" } else { "" };
            assert_eq!(
                body,
                format!("headworks_listener_received_bytes_total{{listener=\"web\",code=\"2xx\"}} 7\n{end}")
            );
        }
    }

    #[test]
    fn distributions_are_counted_by_their_bounds() {
        let durations = Histogram::new(1);
        for value in [0, 1, 1, 3, 600, 100_000] {
            durations.record(0, value);
        }
        let mut page = Page::new(MetricsFormat::Prometheus);
        page.family(&L_DURATION).put_distribution("", &durations.sum());
        page.family(&S_DURATION).put_distribution("a=\"b\"", &durations.sum());
        let text = page.end();
        let bucket = |bound: &str| {
            let line = format!("headworks_listener_request_duration_seconds_bucket{{le=\"{bound}\"}} ");
            text.lines().find_map(|one| one.strip_prefix(&line)).unwrap().parse::<u64>().unwrap()
        };
        for (bound, count) in
            [("0.001", 1), ("0.002", 3), ("0.004", 4), ("0.512", 4), ("1.024", 5), ("65.536", 5), ("+Inf", 6)]
        {
            assert_eq!(bucket(bound), count, "{bound}");
        }
        assert!(text.contains("headworks_listener_request_duration_seconds_sum 100.605\n"), "{text}");
        assert!(text.ends_with(
            "_seconds_sum{a=\"b\"} 100.605\nheadworks_server_request_duration_seconds_count{a=\"b\"} 6\n"
        ));
    }

    #[test]
    fn bounds_are_ends_of_buckets() {
        for (bound, written) in BOUNDS {
            let durations = Histogram::new(1);
            (0..bound).for_each(|value| durations.record(0, value));
            assert_eq!(durations.sum().below(bound), bound);
            durations.record(0, bound);
            assert_eq!(durations.sum().below(bound), bound);
            assert_eq!(written.parse::<f64>().unwrap() * 1000.0, bound as f64);
        }
    }
}
