//! How long to wait before the next try: exponential, with full jitter, so that many bots do not come back at once.
//!
//! In the first half minute a wait is no longer than a second: a server that restarts takes about as long, and is not to be
//! waited for much longer than it takes.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait while this may be a restart, and how long it may be one.
const LONGEST_IN_A_RESTART: Duration = Duration::from_secs(1);
const RESTART: Duration = Duration::from_secs(30);
/// No server's `Retry-After` keeps Bartizan away for longer than this.
const LONGEST_ORDERED: Duration = Duration::from_secs(300);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    since: Option<Instant>,
}

impl Backoff {
    /// The wait before the next try: anything between nothing and 250 ms, 500 ms, 1 s; after 30 s 2 s, 4 s … 30 s; but never less
    /// than `ordered` (the server's `Retry-After`, obeyed up to five minutes).
    pub fn next(&mut self, ordered: Option<Duration>) -> Duration {
        let since = *self.since.get_or_insert_with(Instant::now);
        let jittered = self.ceiling(since.elapsed()).mul_f64(rand::random::<f64>());
        ordered.unwrap_or_default().min(LONGEST_ORDERED).saturating_add(jittered)
    }

    /// One more failure, so long after the first.
    fn ceiling(&mut self, failing_for: Duration) -> Duration {
        let longest = if failing_for < RESTART { LONGEST_IN_A_RESTART } else { LONGEST };
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(10)).min(longest);
        // What was tried in the first half minute does not make the waits after it long at once.
        if ceiling < longest {
            self.failures = self.failures.saturating_add(1);
        }
        ceiling
    }

    /// It worked: the next failure starts from the beginning.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_thirty_seconds_and_not_beyond() {
        let mut backoff = Backoff::default();
        for round in 0..200 {
            let wait = backoff.next(None);
            assert!(wait <= LONGEST, "{round}: {wait:?}");
            assert!(round > 0 || wait <= FIRST, "the first wait is {wait:?}");
        }
    }

    #[test]
    fn a_server_that_restarts_is_asked_every_second_and_one_that_stays_away_less_and_less_often() {
        let mut backoff = Backoff::default();
        let at = |backoff: &mut Backoff, s| backoff.ceiling(Duration::from_secs(s)).as_millis();
        assert_eq!([0, 0, 0, 10, 29].map(|s| at(&mut backoff, s)), [250, 500, 1000, 1000, 1000]);
        assert_eq!([30; 7].map(|s| at(&mut backoff, s)), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(at(&mut backoff, 0), 250);
    }

    #[test]
    fn retry_after_is_the_least_that_is_waited() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert!(backoff.next(Some(Duration::MAX)) <= LONGEST_ORDERED + LONGEST);
    }
}
