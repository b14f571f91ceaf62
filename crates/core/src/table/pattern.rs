//! Pattern: one entry's left-hand side, recognised and normalised, or what is wrong with it and what to write
//! instead.
//!
//! `HOST` or `HOST/PATH`: the host is an exact name, a wildcard or `*`, the path a prefix on segment bounds.
//! Owns what a host name is: labels of 1 to 63 letters, digits, hyphens and underscores, 253 bytes in all
//! (RFC 1035, 2.3.4; underscores and hyphens anywhere because real names have them). Must never accept what
//! could never match.

use std::net::{IpAddr, SocketAddr};

use super::PatternError;
use super::resolved::Resolved;

/// Bytes of a host name at most, without the trailing dot (RFC 1035, 2.3.4).
pub(super) const LONGEST_NAME: usize = 253;

/// Bytes of one label at most (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

/// One entry's host and path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrittenEntry {
    pub(super) host: Pattern,
    /// The path prefix as it is compared (see `resolved.rs`), without a slash at the end; None takes every
    /// path.
    pub(super) path: Option<Box<[u8]>>,
}

/// A recognised host; names are in lower case and without a trailing dot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `example.com`.
    Exact(String),
    /// `*.example.org`: the text after `*.`.
    Wildcard(String),
    /// `~regex`: the text after `~`.
    Expression(String),
    /// `*`.
    Any,
}

/// A problem of a pattern: what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternProblem {
    reason: String,
    hint: Option<String>,
}

impl PatternProblem {
    pub(super) fn new(reason: impl Into<String>, hint: Option<String>) -> Self {
        Self { reason: reason.into(), hint }
    }

    pub(super) fn at(self, entry: usize) -> PatternError {
        PatternError { entry, reason: self.reason, hint: self.hint }
    }
}

impl WrittenEntry {
    /// Recognises what the user wrote. A regular expression is not compiled here.
    pub(super) fn parse(written: &str) -> Result<Self, PatternProblem> {
        if let Some(text) = written.strip_prefix('~') {
            return parse_expression(text).map(|host| Self { host, path: None });
        }
        if written != "*" {
            refuse_what_is_no_name(written)?;
        }
        let (host, path) = written.split_at(written.find('/').unwrap_or(written.len()));
        Ok(Self { host: Pattern::parse(host)?, path: parse_path(host, path)? })
    }
}

impl Pattern {
    fn parse(host: &str) -> Result<Self, PatternProblem> {
        if host == "*" {
            return Ok(Self::Any);
        }
        let name = normalise(host);
        let suffix = name.strip_prefix("*.");
        let fixed = suffix.unwrap_or(&name);
        if fixed.contains('*') {
            return Err(misplaced_star(&name));
        }
        check_labels(fixed, &name)?;
        Ok(match suffix {
            Some(suffix) => Self::Wildcard(suffix.to_owned()),
            None => Self::Exact(name),
        })
    }
}

/// Turns a name to lower case, without one trailing dot.
pub(super) fn normalise(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn parse_expression(text: &str) -> Result<Pattern, PatternProblem> {
    if text.trim().is_empty() {
        return Err(PatternProblem::new("the regular expression is empty", write("*")));
    }
    if !text.is_ascii() {
        return Err(PatternProblem::new("names arrive in ASCII, so this never matches", punycode()));
    }
    if let Some(rest) = text.strip_prefix('*') {
        let hint = format!("case never matters, so write \"~{}\"", rest.trim_start());
        return Err(PatternProblem::new("a regular expression cannot begin with *", Some(hint)));
    }
    Ok(Pattern::Expression(text.to_owned()))
}

/// Refuses things that people write where a host name belongs.
fn refuse_what_is_no_name(written: &str) -> Result<(), PatternProblem> {
    if written.trim().is_empty() {
        return Err(PatternProblem::new("the pattern is empty", Some("write \"*\" for any name".into())));
    }
    if let Some((scheme, rest)) = written.split_once("://") {
        let reason = format!("a table lists host names; \"{scheme}://\" does not belong here");
        return Err(PatternProblem::new(reason, write(host_of(rest))));
    }
    let host = host_of(written);
    if is_ip_literal(written) || is_ip_literal(host) {
        let hint = "clients that give no name take \"*\" or the listener's fallback".into();
        return Err(PatternProblem::new(
            "an IP address is never sent as a name (RFC 6066, section 3)",
            Some(hint),
        ));
    }
    if let Some(end) = written.find(['?', '#']) {
        return Err(PatternProblem::new("an entry names a path, not a query", write(&written[..end])));
    }
    let (authority, path) = written.split_at(written.find('/').unwrap_or(written.len()));
    if authority.is_empty() {
        let hint = write(&format!("*{path}"));
        return Err(PatternProblem::new("a path follows a host; \"*\" is every host", hint));
    }
    if host.len() < authority.len() {
        let hint = write(&format!("{host}{path}"));
        return Err(PatternProblem::new("the port belongs to the listener, not to the name", hint));
    }
    if !authority.is_ascii() {
        return Err(PatternProblem::new("names arrive in ASCII, so this never matches", punycode()));
    }
    Ok(())
}

/// Reads the prefix in `path`, which is empty or begins with `/`.
fn parse_path(host: &str, path: &str) -> Result<Option<Box<[u8]>>, PatternProblem> {
    if let Some(odd) = path.chars().find(|c| c.is_whitespace() || c.is_control()) {
        let hint = write(&format!("{host}{}", path.replace(' ', "%20"))).filter(|_| odd == ' ');
        return Err(PatternProblem::new(format!("{odd:?} cannot be in a path"), hint));
    }
    let resolved = Resolved::of(path.as_bytes());
    // Percent-encoding is another spelling; dots and empty segments are more likely a mistake.
    if path.contains("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        let hint = write(&format!("{host}{}", String::from_utf8_lossy(&resolved)));
        return Err(PatternProblem::new("requests are compared without \"//\", \"/./\" and \"/../\"", hint));
    }
    let prefix = resolved.strip_suffix(b"/").unwrap_or(&resolved);
    Ok((!prefix.is_empty()).then(|| prefix.into()))
}

/// Returns the host in `host:port/path`.
fn host_of(text: &str) -> &str {
    let authority = text.split(['/', '?', '#']).next().unwrap_or(text);
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_ip_literal(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inside.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

/// Returns the problem of `a.*.com` and `*foo.com`, which need a regular expression; it is spelled out here.
fn misplaced_star(name: &str) -> PatternProblem {
    let reason = "\"*\" stands only for whole labels at the start (\"*.example.org\") or alone";
    if name == "*" {
        return PatternProblem::new(reason, write("*"));
    }
    let labels = name.split('.').map(|label| match label {
        "*" => "[^.]+".to_owned(),
        other => other.replace('*', "[^.]*"),
    });
    PatternProblem::new(reason, write(&format!("~^{}$", labels.collect::<Vec<_>>().join("\\."))))
}

fn check_labels(fixed: &str, name: &str) -> Result<(), PatternProblem> {
    if let Some(odd) = name.trim_start_matches("*.").chars().find(|c| !is_name_character(*c)) {
        return Err(odd_character(odd, name));
    }
    if let Some(apex) = name.strip_prefix('.').filter(|apex| !apex.is_empty()) {
        let hint = format!("write \"{apex}\" and \"*.{apex}\"");
        return Err(PatternProblem::new("a name does not begin with a dot", Some(hint)));
    }
    if fixed.split('.').any(str::is_empty) {
        return Err(PatternProblem::new("there is nothing between two dots", None));
    }
    if let Some(long) = fixed.split('.').find(|label| label.len() > LONGEST_LABEL) {
        let reason = format!("a label has {} bytes; at most {LONGEST_LABEL} are possible", long.len());
        return Err(PatternProblem::new(reason, None));
    }
    if name.len() > LONGEST_NAME {
        let reason = format!("the name has {} bytes; at most {LONGEST_NAME} are possible", name.len());
        return Err(PatternProblem::new(reason, None));
    }
    Ok(())
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn odd_character(odd: char, name: &str) -> PatternProblem {
    let hint = match odd {
        '^' | '$' | '(' | '[' | '\\' | '|' | '+' => {
            Some(format!("a regular expression begins with ~: \"~{name}\""))
        }
        _ if odd.is_whitespace() => Some("one entry names one host; remove the space".to_owned()),
        _ => None,
    };
    PatternProblem::new(format!("{odd:?} cannot be in a host name"), hint)
}

fn write(pattern: &str) -> Option<String> {
    (!pattern.is_empty()).then(|| format!("write \"{pattern}\""))
}

fn punycode() -> Option<String> {
    Some(
        "write the name's punycode form, for example \"xn--bcher-kva.example\" for \"bücher.example\"".into(),
    )
}
