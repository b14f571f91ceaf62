//! FieldNames: a set of field names, some of them prefixes, that answers "is this one of them?" for every
//! field of every head.
//!
//! Case does not matter and `_` stands for `-`: servers that hand fields on as variables (CGI, WSGI, FastCGI)
//! cannot tell `X_User` from `X-User`, so a client that may not send the one must not send the other either.
//! Must never allocate when asked.

/// Field names and prefixes of such.
#[derive(Debug, Default, Clone)]
pub(super) struct FieldNames {
    exact: Vec<Box<[u8]>>,
    prefixes: Vec<Box<[u8]>>,
    /// Bit n: there is an exact name of n bytes (the last bit: of 63 or more). Most fields are told from it
    /// alone.
    lengths: u64,
}

impl FieldNames {
    /// Adds a name; one that ends with `*` stands for all that begin so.
    pub(super) fn insert(&mut self, name: &str) {
        match name.strip_suffix('*') {
            Some(prefix) => self.prefixes.push(prefix.as_bytes().into()),
            None => {
                self.lengths |= 1 << name.len().min(63);
                self.exact.push(name.as_bytes().into());
            }
        }
    }

    /// Whether there are none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// Whether `name` is one of them.
    #[inline]
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        (self.lengths >> name.len().min(63) & 1 == 1 && self.exact.iter().any(|known| is(name, known)))
            || (!self.prefixes.is_empty() && self.prefixes.iter().any(|prefix| begins(name, prefix)))
    }
}

/// Whether two names are the same, `_` standing for `-`.
pub(crate) fn is(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && begins(name, known)
}

/// Whether `name` begins with `prefix`, `_` standing for `-`.
pub(super) fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len() && name.iter().zip(prefix).all(|(a, b)| fold(*a) == fold(*b))
}

/// Whether `text` is a token (RFC 9110 section 5.6.2), as field and cookie names are.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_underscores_do_not_matter() {
        let mut names = FieldNames::default();
        for name in ["X-User", "x-internal-*", "Server"] {
            names.insert(name);
        }
        for (name, found) in [
            ("x-user", true),
            ("X_USER", true),
            ("X-Users", false),
            ("X-Use", false),
            ("X-Internal-", true),
            ("x_internal_a", true),
            ("X-Internal", false),
            ("server", true),
            ("", false),
        ] {
            assert_eq!(names.contains(name.as_bytes()), found, "{name}");
        }
    }

    #[test]
    fn names_of_any_length() {
        let mut names = FieldNames::default();
        let long = "a".repeat(300);
        names.insert(&long);
        assert!(names.contains(long.as_bytes()) && !names.contains(&long.as_bytes()[..299]));
    }
}
