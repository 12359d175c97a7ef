//! What is said of many measurements.

use std::time::Duration;

/// The value that `percent` of the measurements do not exceed; zero of none.
pub(super) fn percentile(measured: &[Duration], percent: usize) -> Duration {
    let mut sorted = measured.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

/// Half of the measurements are below.
pub(super) fn median(measured: &[Duration]) -> Duration {
    percentile(measured, 50)
}

/// In milliseconds, for people.
pub(super) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred_of_one_and_of_none() {
        let hundred: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&hundred), Duration::from_millis(51));
        assert_eq!(percentile(&hundred, 95), Duration::from_millis(96));
        assert_eq!(percentile(&hundred, 100), Duration::from_millis(100));
        assert_eq!(median(&hundred[..1]), Duration::from_millis(100));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
