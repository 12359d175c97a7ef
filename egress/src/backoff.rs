//! How long to wait before trying again: twice as long each time, with jitter, up to a limit.

use std::time::Duration;

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(500);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Counts the failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: between half of the step and all of it, at random.
    pub fn next_wait(&mut self) -> Duration {
        let step = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + random_share() / 2.0)
    }

    /// It worked: the next failure waits the shortest time again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// 0 ≤ share < 1. Where the kernel gives no randomness yet, the middle serves.
fn random_share() -> f64 {
    let mut byte = [0u8; 2];
    match rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(2) => f64::from(u16::from_le_bytes(byte)) / 65_536.0,
        _ => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_up_to_the_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        for step_ms in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let wait = backoff.next_wait();
            let step = Duration::from_millis(step_ms);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} is not within {step:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= SHORTEST);
    }
}
