//! Priority: the order in which streams are sent (RFC 9218): by urgency, then by number; those that are of
//! use in parts take turns.
//!
//! The tree of RFC 7540 is not followed: it cost more than it gave. Must never refuse a message for what it
//! says of its priority.

/// The priority of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    /// From 0, the most urgent, to 7.
    pub urgency: u8,
    /// Parts of the response are of use before the rest is there.
    pub incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self { urgency: 3, incremental: false }
    }
}

impl Priority {
    /// Reads a Priority field, `u=1, i`. What is not understood is passed over; None: nothing was.
    pub fn read(value: &[u8]) -> Option<Self> {
        let (mut priority, mut understood) = (Self::default(), false);
        for item in value.split(|byte| *byte == b',') {
            // Parameters of an item mean nothing here.
            let item = item.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            match item {
                [b'u', b'=', urgency @ b'0'..=b'7'] => priority.urgency = urgency - b'0',
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => continue,
            }
            understood = true;
        }
        understood.then_some(priority)
    }

    /// Returns the rank of a stream: the least is sent first. `turns`: how often it was sent.
    #[inline]
    pub fn rank(self, stream: u32, turns: u32) -> (u8, u32, u32) {
        (self.urgency, if self.incremental { turns } else { 0 }, stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let priority = |urgency, incremental| Some(Priority { urgency, incremental });
        for (value, expected) in [
            ("u=1, i", priority(1, true)),
            ("i", priority(3, true)),
            ("u=7", priority(7, false)),
            ("u=0;x=1,i=?0", priority(0, false)),
            ("u=0, u=5", priority(5, false)),
            ("i=?1,u=2,x", priority(2, true)),
            ("u=8", None),
            ("u=-1", None),
            ("u=1.0", None),
            ("", None),
            ("U=1", None),
        ] {
            assert_eq!(Priority::read(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn the_urgent_come_first_and_parts_take_turns() {
        let (plain, urgent) = (Priority::default(), Priority { urgency: 0, incremental: false });
        let parts = Priority { incremental: true, ..plain };
        assert!(urgent.rank(9, 0) < plain.rank(1, 0));
        assert!(plain.rank(1, 7) < plain.rank(3, 0));
        assert!(parts.rank(3, 0) < parts.rank(1, 1));
    }
}
