//! OneTimeSessions: sessions that we keep ourselves, each resumed once. Early data needs that: it could be
//! replayed otherwise (RFC 8446, section 8.1).
//!
//! Bounded in number and in time. Must never give one TLS 1.3 session twice, whichever worker asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use headworks_core::lock::lock;
use headworks_core::time::Millis;
use rustls::server::StoresServerSessions;

use super::rotation::Rotating;
use crate::clock;

/// The sessions of one listener, shared by all workers.
///
/// Two generations: a full one or one that has had its time becomes the old one, and the old one is forgotten
/// as a whole.
pub(super) struct OneTimeSessions {
    rotation: Millis,
    sessions: Mutex<Rotating<Sessions>>,
}

/// Keys are made by rustls of random bytes; values are sessions.
type Sessions = HashMap<Vec<u8>, Vec<u8>>;

/// Sessions of one generation at most: with some 300 bytes each, 10 MiB for both.
const MOST: usize = 16 * 1024;

impl OneTimeSessions {
    /// Makes one that keeps sessions for at least `rotation`, unless there are too many, and at most for two.
    pub(super) fn new(rotation: Millis) -> Self {
        let sessions = Rotating::new(Sessions::new(), clock::now().saturating_add(rotation));
        Self { rotation, sessions: Mutex::new(sessions) }
    }

    fn with<R>(&self, now: Millis, act: impl FnOnce(&mut Rotating<Sessions>) -> R) -> R {
        let mut sessions = lock(&self.sessions);
        if !sessions.is_fresh(now) || sessions.current().len() >= MOST {
            sessions.advance(Sessions::new(), now, self.rotation);
        }
        act(&mut sessions)
    }
}

/// Prints no session: they are secrets.
impl fmt::Debug for OneTimeSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTimeSessions").field("rotation", &self.rotation).finish_non_exhaustive()
    }
}

impl StoresServerSessions for OneTimeSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.with(clock::now(), |sessions| sessions.current_mut().insert(key, value));
        true
    }

    /// Returns a session and keeps it: TLS 1.2, which has no early data, may resume it again.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(clock::now(), |sessions| sessions.both().find_map(|some| some.get(key)).cloned())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(clock::now(), |sessions| sessions.both_mut().find_map(|some| some.remove(key)))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_taken_once() {
        let once = OneTimeSessions::new(1_000_000);
        assert!(once.put(vec![1], vec![2]));
        assert_eq!(once.get(&[1]), Some(vec![2]));
        assert_eq!(once.take(&[1]), Some(vec![2]));
        assert_eq!((once.take(&[1]), once.get(&[1])), (None, None));
    }

    #[test]
    fn no_session_is_printed() {
        let once = OneTimeSessions::new(1_000_000);
        once.put(vec![201], vec![202]);
        let printed = format!("{once:?}");
        assert!(!printed.contains("201") && !printed.contains("202"), "{printed}");
    }

    #[test]
    fn many_sessions_push_out_the_oldest() {
        let once = OneTimeSessions::new(1_000_000);
        for number in 0..3 * MOST {
            once.put(number.to_be_bytes().to_vec(), vec![0; 8]);
        }
        let held = lock(&once.sessions).both().map(HashMap::len).sum::<usize>();
        assert!((MOST..=2 * MOST).contains(&held), "{held}");
        assert!(once.get(&(3 * MOST - 1).to_be_bytes()).is_some());
        assert!(once.get(&0_usize.to_be_bytes()).is_none());
    }

    #[test]
    fn sessions_are_forgotten_after_two_periods() {
        let once = OneTimeSessions::new(1_000_000);
        once.put(vec![1], vec![2]);
        let now = clock::now();
        let kept = |now| once.with(now, |sessions| sessions.both().any(|some| some.contains_key(&vec![1])));
        assert!(kept(now + 1_000_000));
        assert!(!kept(now + 2_000_001));
    }
}
