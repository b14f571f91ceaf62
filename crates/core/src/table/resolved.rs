//! Resolved: a request's path as the most eager reader would read it, so that no spelling gets round an
//! entry.
//!
//! | in the request | read as |
//! |---|---|
//! | `/a?x`, `/a#x` | `/a`: entries name paths, not queries |
//! | `/%61dmin`, `/a%2Fb` | `/admin`, `/a/b`: decoded once; `%25` is `%`; `%2` and `%zz` stay as they are |
//! | `//a`, `/a//b` | `/a`, `/a/b` |
//! | `/a/./b`, `/a/../b`, `/a/%2e%2E/b` | `/a/b`, `/b`, `/b` (RFC 3986, 5.2.4); nothing is above `/` |
//! | an empty path | `/`, as in an absolute target (RFC 9112, 3.2.1) |
//!
//! A resolved path is for finding an entry alone: what is passed on is what the client sent. A server that
//! reads less eagerly finds an odd path where it answers 404; one that reads as eagerly cannot be reached
//! round an entry. Must never be used to write a request.

use std::ops::Deref;

use smallvec::SmallVec;

/// A resolved path.
#[derive(Debug)]
pub(super) enum Resolved<'a> {
    /// The path was resolved already: ordinary paths, which are not copied.
    Same(&'a [u8]),
    /// The path had to be written anew; on the stack up to a length that most paths keep to.
    Written(SmallVec<[u8; 128]>),
}

impl<'a> Resolved<'a> {
    /// Resolves `path`, with or without a query.
    pub(super) fn of(path: &'a [u8]) -> Self {
        // "Plain" may err on the side of no (`/.well-known`).
        let headworks_scan::Path { end, plain } = headworks_scan::path(path);
        match &path[..end] {
            [] => Self::Same(b"/"),
            same if plain => Self::Same(same),
            other => Self::Written(resolve(other)),
        }
    }
}

impl Deref for Resolved<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Same(path) => path,
            Self::Written(path) => path,
        }
    }
}

fn resolve(path: &[u8]) -> SmallVec<[u8; 128]> {
    let mut written = SmallVec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = decoded(rest) {
        rest = after;
        if byte == b'/' {
            end_segment(&mut written);
            if written.last() == Some(&b'/') {
                continue;
            }
        }
        written.push(byte);
    }
    end_segment(&mut written);
    if written.is_empty() {
        written.push(b'/');
    }
    written
}

/// Takes back what a dot segment at the end of `written` undoes; a `/` before it stays.
fn end_segment(written: &mut SmallVec<[u8; 128]>) {
    let start = written.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    match &written[start..] {
        b"." if start > 0 => written.truncate(start),
        b".." if start > 0 => {
            let parent = written[..start - 1].iter().rposition(|byte| *byte == b'/');
            written.truncate(parent.map_or(start, |slash| slash + 1));
        }
        _ => {}
    }
}

/// Returns the first byte of `text`, decoded when it is percent-encoded, and what follows.
fn decoded(text: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = text
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Some((high << 4 | low, rest));
    }
    text.split_first().map(|(first, rest)| (*first, rest))
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(path: &str) -> String {
        String::from_utf8_lossy(&Resolved::of(path.as_bytes())).into_owned()
    }

    #[test]
    fn every_spelling_of_a_path_is_one() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("?x", "/"),
            ("*", "*"),
            ("/api?x=/../y", "/api"),
            ("/api#x", "/api"),
            ("/%61pi", "/api"),
            ("/a%2fb%2F", "/a/b/"),
            ("/a%3Fb", "/a?b"),
            ("/%2561pi", "/%61pi"),
            ("/%zz%2", "/%zz%2"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/.", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/../", "/a/"),
            ("/a/b/%2e%2E/c", "/a/c"),
            ("/a/.%2e/.%2fc", "/c"),
            ("/../../etc", "/etc"),
            ("/..", "/"),
            ("/.", "/"),
            ("/a//../b", "/b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/..b/...", "/a/..b/..."),
            ("..", ".."),
        ] {
            assert_eq!(resolved(path), expected, "{path}");
        }
    }

    #[test]
    fn ordinary_paths_are_not_copied() {
        for path in ["/", "/index.html", "/a/b.c/d?q=%20//", "/a-b_c~d/..."] {
            let same = matches!(Resolved::of(path.as_bytes()), Resolved::Same(_));
            assert_eq!(same, !path.ends_with("..."), "{path}");
        }
    }

    #[test]
    fn a_resolved_path_resolves_to_itself_unless_it_has_percent_signs() {
        let parts = ["/", ".", "..", "a", "%2e", "%2f", "b", "//"];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut path = "/".to_owned();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                path.push_str(parts[(state >> 60) as usize % parts.len()]);
            }
            let once = resolved(&path);
            assert_eq!(resolved(&once), once, "{path}");
            assert!(once.starts_with('/') && !once.contains("//"), "{path}: {once}");
            assert!(once.split('/').all(|segment| !matches!(segment, "." | "..")), "{path}: {once}");
        }
    }

    #[test]
    fn the_longest_path_costs_no_more_than_its_length_allows() {
        let deep = "/a".repeat(8000) + &"/..".repeat(8000);
        assert_eq!(resolved(&deep), "/");
    }
}
