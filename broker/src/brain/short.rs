//! Short-term memories: what was said a moment ago, by user, channel and thread, or shared by all. Never written down.
//!
//! Lifetimes are Gopherbot's: 14 minutes in a channel, 7 days in a thread or a direct message. When there is no room, what
//! would have gone first goes first.

use bartizan_proto::ids::{ChannelId, MemoryKey, Namespace, PostId, UserId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// In a channel.
pub const IN_CHANNEL: Duration = Duration::from_secs(14 * 60);
/// In a thread or a direct message.
pub const IN_THREAD: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most of them.
pub const MAX_MEMORIES: usize = 4096;
/// Most of one script: it makes nobody else's go.
pub const MAX_OF_ONE: usize = 512;
/// Most bytes of one.
pub const MAX_VALUE: usize = 4096;

/// Where a memory belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A channel, outside of its threads.
    Channel(ChannelId),
    /// A thread.
    Thread(ChannelId, PostId),
    /// A direct message.
    Direct(ChannelId),
}

/// What a memory is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortKey {
    /// Whose script's.
    pub namespace: Namespace,
    /// Where.
    pub place: Place,
    /// Of whom; `None` for one that everybody there shares.
    pub user: Option<UserId>,
    /// Its name.
    pub key: MemoryKey,
}

/// All of them.
#[derive(Debug, Default)]
pub struct ShortTerm {
    memories: BTreeMap<ShortKey, (String, Instant)>,
}

/// It is too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a short-term memory has at most {MAX_VALUE} bytes")]
pub struct TooLong;

impl ShortTerm {
    /// Remembers something; with nothing in it, it is forgotten.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn remember(&mut self, key: ShortKey, value: &str, now: Instant) -> Result<(), TooLong> {
        if value.len() > MAX_VALUE {
            return Err(TooLong);
        }
        self.memories.retain(|_, (_, until)| *until > now);
        if value.is_empty() {
            self.memories.remove(&key);
            return Ok(());
        }
        if !self.memories.contains_key(&key) {
            let of_one = |other: &ShortKey| other.namespace == key.namespace;
            if self.memories.keys().filter(|other| of_one(other)).count() >= MAX_OF_ONE {
                self.forget_first(of_one);
            } else if self.memories.len() >= MAX_MEMORIES {
                self.forget_first(|_| true);
            }
        }
        let lifetime = match key.place {
            Place::Channel(_) => IN_CHANNEL,
            Place::Thread(..) | Place::Direct(_) => IN_THREAD,
        };
        self.memories.insert(key, (value.to_owned(), now + lifetime));
        Ok(())
    }

    /// The one of these that would go first goes.
    fn forget_first(&mut self, which: impl Fn(&ShortKey) -> bool) {
        let first = self.memories.iter().filter(|(key, _)| which(key)).min_by_key(|(_, (_, until))| *until);
        if let Some(first) = first.map(|(key, _)| key.clone()) {
            self.memories.remove(&first);
        }
    }

    /// What was remembered, if it is not too long ago.
    pub fn recall(&self, key: &ShortKey, now: Instant) -> Option<&str> {
        self.memories.get(key).filter(|(_, until)| *until > now).map(|(value, _)| value.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.memories.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.memories.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: std::str::FromStr>(letter: char) -> T
    where
        T::Err: std::fmt::Debug,
    {
        letter.to_string().repeat(26).parse().expect("an id")
    }

    fn key(place: Place, user: Option<char>, name: &str) -> ShortKey {
        ShortKey {
            namespace: "deploy".parse().expect("a name"),
            place,
            user: user.map(id),
            key: name.parse().expect("a name"),
        }
    }

    #[test]
    fn it_is_known_to_its_user_in_its_place_only_unless_it_is_shared() {
        let mut short = ShortTerm::default();
        let now = Instant::now();
        let (ops, thread) = (Place::Channel(id('o')), Place::Thread(id('o'), id('t')));
        short.remember(key(ops.clone(), Some('a'), "it"), "server", now).expect("short");
        assert_eq!(short.recall(&key(ops.clone(), Some('a'), "it"), now), Some("server"));
        assert_eq!(short.recall(&key(ops.clone(), Some('b'), "it"), now), None);
        assert_eq!(short.recall(&key(thread, Some('a'), "it"), now), None);
        assert_eq!(short.recall(&key(Place::Channel(id('x')), Some('a'), "it"), now), None);
        assert_eq!(short.recall(&key(ops.clone(), None, "it"), now), None);
        short.remember(key(ops.clone(), None, "it"), "shared", now).expect("short");
        assert_eq!(short.recall(&key(ops, None, "it"), now), Some("shared"));
    }

    #[test]
    fn it_lasts_14_minutes_in_a_channel_and_7_days_in_a_thread_or_a_direct_message() {
        let mut short = ShortTerm::default();
        let now = Instant::now();
        for (place, lifetime) in [
            (Place::Channel(id('o')), Duration::from_secs(840)),
            (Place::Thread(id('o'), id('t')), Duration::from_secs(604_800)),
            (Place::Direct(id('d')), Duration::from_secs(604_800)),
        ] {
            let key = key(place, Some('a'), "it");
            short.remember(key.clone(), "x", now).expect("short");
            assert_eq!(short.recall(&key, now + lifetime - Duration::from_secs(1)), Some("x"));
            assert_eq!(short.recall(&key, now + lifetime), None);
        }
    }

    #[test]
    fn there_are_never_more_than_so_many_and_the_one_that_would_go_first_goes() {
        let mut short = ShortTerm::default();
        let now = Instant::now();
        let thread = Place::Thread(id('o'), id('t'));
        let first = key(Place::Channel(id('o')), None, "first");
        let of = |script: usize, name: &str| ShortKey {
            namespace: format!("script-{script}").parse().expect("a name"),
            ..key(thread.clone(), None, name)
        };
        short.remember(first.clone(), "x", now).expect("short");
        // One script alone has only its own to lose.
        for i in 0..MAX_MEMORIES {
            short.remember(of(0, &format!("k{i}")), "x", now).expect("short");
        }
        assert_eq!((short.len(), short.recall(&first, now)), (MAX_OF_ONE + 1, Some("x")));
        assert_eq!(short.recall(&of(0, "k0"), now), None);
        for i in 0..MAX_MEMORIES {
            short.remember(of(1 + i % 20, &format!("k{i}")), "x", now).expect("short");
        }
        assert_eq!((short.len(), short.recall(&first, now)), (MAX_MEMORIES, None));
        assert_eq!(short.remember(key(thread, None, "k"), &"x".repeat(MAX_VALUE + 1), now), Err(TooLong));
    }
}
