//! How long to wait before the next try: exponential, with full jitter, so that many bots do not come back at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// No server's `Retry-After` keeps Bartizan away for longer than this.
const LONGEST_ORDERED: Duration = Duration::from_secs(300);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next try: anything between nothing and 250 ms, 500 ms, 1 s … 30 s, but never less than
    /// `ordered` (the server's `Retry-After`, obeyed up to five minutes).
    pub fn next(&mut self, ordered: Option<Duration>) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jittered = ceiling.mul_f64(rand::random::<f64>());
        ordered.unwrap_or_default().min(LONGEST_ORDERED).saturating_add(jittered)
    }

    /// It worked: the next failure starts from the beginning.
    pub fn reset(&mut self) {
        self.failures = 0;
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
    fn retry_after_is_the_least_that_is_waited() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert!(backoff.next(Some(Duration::MAX)) <= LONGEST_ORDERED + LONGEST);
    }
}
