//! Users and channels as the server had them a moment ago, so that an attested post costs one request and not three.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long an entry is believed.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(60);
/// Most entries.
pub const CAPACITY: usize = 1024;

/// Entries by id, the oldest given up first.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: HashMap<K, (Instant, V)>,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Eq + Hash + Copy, V: Clone> Cache<K, V> {
    /// What was put in less than [`TIME_TO_LIVE`] before `now`.
    pub fn find(&self, key: K, now: Instant) -> Option<V> {
        let (stored, value) = self.entries.get(&key)?;
        (now.saturating_duration_since(*stored) < TIME_TO_LIVE).then(|| value.clone())
    }

    /// Puts an entry in; when there are [`CAPACITY`] already, the outdated ones or else the oldest make room.
    pub fn store(&mut self, key: K, value: V, now: Instant) {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(&key) {
            self.entries.retain(|_, (stored, _)| now.saturating_duration_since(*stored) < TIME_TO_LIVE);
        }
        if self.entries.len() >= CAPACITY
            && !self.entries.contains_key(&key)
            && let Some(oldest) = self.entries.iter().min_by_key(|(_, (stored, _))| *stored).map(|(key, _)| *key)
        {
            self.entries.remove(&oldest);
        }
        self.entries.insert(key, (now, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_forgotten_after_its_time() {
        let mut cache = Cache::default();
        let start = Instant::now();
        cache.store(1, "alice", start);
        assert_eq!(cache.find(1, start + TIME_TO_LIVE / 2), Some("alice"));
        assert_eq!(cache.find(1, start + TIME_TO_LIVE), None);
    }

    #[test]
    fn a_full_cache_gives_up_its_oldest_entry_and_never_grows() {
        let mut cache = Cache::default();
        let start = Instant::now();
        let at = |n: usize| start + Duration::from_millis(u64::try_from(n).unwrap_or(0));
        for n in 0..=CAPACITY {
            cache.store(n, n, at(n));
        }
        assert_eq!(cache.entries.len(), CAPACITY);
        assert_eq!(cache.find(0, at(CAPACITY)), None);
        assert_eq!(cache.find(CAPACITY, at(CAPACITY)), Some(CAPACITY));
    }
}
