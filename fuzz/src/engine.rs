//! Runs one target on mutated inputs until its time is over. Every input follows from one number, which is printed when
//! it fails and repeats it.

use crate::mutate::mutate;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Seconds for each target unless `FUZZ_SECONDS` says otherwise.
const SECONDS: f64 = 2.0;

/// Memory per byte of input that any reader may take.
const PER_BYTE: u64 = 64;

/// A reader under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its module's name.
    pub name: &'static str,
    /// Takes any bytes; panics when something is not as promised.
    pub run: fn(&[u8]),
    /// Inputs to begin from; most of them valid.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Most bytes that one input may take at once, beside 64 for each byte of the input.
    pub memory: u64,
}

/// Runs a target: on its corpus as it is, then on mutations. Returns how many inputs it got.
///
/// # Panics
/// When the target does, or when it takes more memory than it may.
pub fn fuzz(target: &Target) -> u64 {
    let corpus = (target.corpus)();
    if let Some(seed) = number("FUZZ_SEED") {
        attempt(target, &input(&corpus, seed), seed);
        return 1;
    }
    for (place, input) in corpus.iter().enumerate() {
        attempt(target, input, u64::try_from(place).unwrap_or(0));
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    // Above the corpus' own numbers, so that each number stands for one input.
    let first: u64 = rand::random::<u64>() | 1 << 63;
    let mut seed = first;
    while Instant::now() < end {
        attempt(target, &input(&corpus, seed), seed);
        seed = seed.wrapping_add(1) | 1 << 63;
    }
    seed.wrapping_sub(first)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The input that a number stands for: below the corpus' length one of those, else a mutation.
fn input(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    match usize::try_from(seed).ok().and_then(|place| corpus.get(place)) {
        Some(whole) => whole.clone(),
        None => mutate(corpus, &mut StdRng::seed_from_u64(seed)),
    }
}

fn attempt(target: &Target, input: &[u8], seed: u64) {
    let mut outcome = Ok(());
    let taken = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    let most = target.memory + PER_BYTE * u64::try_from(input.len()).unwrap_or(u64::MAX);
    if let Err(panic) = outcome {
        report(target, input, seed);
        resume_unwind(panic);
    }
    if taken.bytes_max > most {
        report(target, input, seed);
        panic!(
            "{} took {} bytes for {} bytes of input; at most {most} are allowed",
            target.name,
            taken.bytes_max,
            input.len()
        );
    }
}

fn report(target: &Target, input: &[u8], seed: u64) {
    let shown: String = input.iter().take(2000).map(|byte| std::ascii::escape_default(*byte).to_string()).collect();
    eprintln!("target {}: repeat with FUZZ_SEED={seed}; {} bytes of input:\n{shown}", target.name, input.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: fn() -> Vec<Vec<u8>> = || vec![b"abc".to_vec()];

    #[test]
    fn a_number_stands_for_one_input() {
        let corpus = CORPUS();
        assert_eq!(input(&corpus, 0), b"abc");
        let seed = 1 << 63 | 4711;
        assert_eq!(input(&corpus, seed), input(&corpus, seed));
        let different = (0..100).map(|more| input(&corpus, seed + more)).collect::<std::collections::HashSet<_>>();
        assert!(different.len() > 50);
    }

    #[test]
    fn a_target_that_panics_or_takes_too_much_fails() {
        let panics = Target { name: "panics", run: |_| panic!("as it should"), corpus: CORPUS, memory: 0 };
        assert!(catch_unwind(|| attempt(&panics, b"", 0)).is_err());
        let greedy = Target { name: "greedy", run: |_| drop(vec![0_u8; 1 << 20]), corpus: CORPUS, memory: 1000 };
        assert!(catch_unwind(|| attempt(&greedy, b"", 0)).is_err());
        let modest = Target { name: "modest", run: |_| drop(vec![0_u8; 900]), corpus: CORPUS, memory: 1000 };
        attempt(&modest, b"", 0);
    }
}
