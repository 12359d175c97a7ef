//! How often the server may be asked, where it says so: everything that egress asks shares the bot's one budget.
//!
//! A Mattermost server with `RateLimitSettings.Enable` has three headers in every answer (`X-RateLimit-Limit`, `-Remaining`, `-Reset`: how many
//! requests the account has when it has used none, how many it has left, and in how many seconds it has all again), and answers 429 to who
//! asks once too often. Such an account is a bucket that fills up evenly. So who knows what is left waits for a moment
//! instead, and is not refused. A server that says nothing of the kind is never waited for.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as Line;

/// Nothing waits longer than this for its turn: it is asked then, and the server says what it thinks of it.
const LONGEST: Duration = Duration::from_secs(20);
/// The slowest that is believed, in requests a second.
const SLOWEST: f64 = 0.1;
/// The most that is believed, of requests and of seconds.
const MOST: u32 = 1_000_000;

/// The bot's budget. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    shared: Arc<Shared>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What the core asks: no command waits behind replies to other ones.
    Core,
    /// What the connector asks: of its calls only the first in line waits among the core's.
    Connector,
}

#[derive(Debug, Default)]
struct Shared {
    budget: Mutex<Budget>,
    /// First come, first served.
    turns: Line<()>,
    connector: Line<()>,
}

/// What is known of it.
#[derive(Debug, Default)]
struct Budget {
    known: Option<Known>,
    /// Requests that the server has not answered.
    open: u32,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    limit: f64,
    left: f64,
    /// How fast it fills up, per second.
    rate: f64,
    at: Instant,
    /// The server's `Retry-After`: nothing is left before then.
    not_before: Instant,
}

impl Pace {
    /// Waits until there is something left to ask with. What it gives is held until the server has answered.
    pub async fn turn(&self, order: Order) -> Open {
        let end = Instant::now() + LONGEST;
        let taken = self.budget().take(Instant::now());
        if let Err(mut wait) = taken {
            let _first_of_the_connectors = match order {
                Order::Core => None,
                Order::Connector => Some(self.shared.connector.lock().await),
            };
            let _first = self.shared.turns.lock().await;
            while Instant::now() < end {
                tokio::time::sleep(wait.min(end.saturating_duration_since(Instant::now()))).await;
                let taken = self.budget().take(Instant::now());
                match taken {
                    Ok(()) => return Open(self.clone()),
                    Err(longer) => wait = longer,
                }
            }
            self.budget().open += 1;
        }
        Open(self.clone())
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.shared.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that the server has not answered yet.
#[derive(Debug)]
pub struct Open(Pace);

impl Open {
    /// It has: what its headers say counts from now on.
    pub fn answered(self, status: StatusCode, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok().map(|n| n.min(MOST));
        let said = (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), number("x-ratelimit-reset"));
        let refused = (status == StatusCode::TOO_MANY_REQUESTS).then(|| {
            crate::http::retry_after_ms(headers).map_or(Duration::from_secs(1), |ms| Duration::from_millis(ms.into()))
        });
        self.0.budget().learn(said, refused, Instant::now());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut budget = self.0.budget();
        budget.open = budget.open.saturating_sub(1);
    }
}

impl Budget {
    /// Takes one, or says how long to wait.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(known) = &mut self.known {
            let filled = now.saturating_duration_since(known.at).as_secs_f64() * known.rate;
            known.left = (known.left + filled).min(known.limit);
            known.at = now;
            let held = known.not_before.saturating_duration_since(now);
            if !held.is_zero() {
                return Err(held.min(LONGEST));
            }
            if known.left < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - known.left) / known.rate).min(LONGEST));
            }
            known.left -= 1.0;
        }
        self.open += 1;
        Ok(())
    }

    fn learn(&mut self, said: (Option<u32>, Option<u32>, Option<u32>), refused: Option<Duration>, now: Instant) {
        let (Some(limit), Some(remaining), Some(reset)) = said else {
            self.known = None;
            return;
        };
        // Whole seconds, rounded up: what comes of it is never too fast, and best where much was used.
        let seen = f64::from(limit.saturating_sub(remaining)) / f64::from(reset.max(1));
        let before = self.known.filter(|known| known.limit.to_bits() == f64::from(limit).to_bits());
        let rate = before.map_or(seen, |known| known.rate.max(seen)).max(SLOWEST);
        // One that is on its way may be counted already, or not.
        let open = self.open.saturating_sub(1);
        let left = f64::from(remaining) - f64::from(open);
        let known = match refused {
            None => Known { limit: limit.into(), left, rate, at: now, not_before: now },
            // The rate was believed too high: it is learnt anew.
            Some(wait) => {
                Known { limit: limit.into(), left: 0.0, rate: seen.max(SLOWEST), at: now, not_before: now + wait }
            }
        };
        self.known = Some(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn said(limit: u32, remaining: u32, reset: u32) -> (Option<u32>, Option<u32>, Option<u32>) {
        (Some(limit), Some(remaining), Some(reset))
    }

    #[test]
    fn a_server_that_says_nothing_is_never_waited_for() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        for _ in 0..1000 {
            assert_eq!(budget.take(now), Ok(()));
        }
        budget.learn(said(101, 0, 3), None, now);
        assert!(budget.take(now).is_err());
        budget.learn((None, None, None), None, now);
        assert_eq!(budget.take(now), Ok(()), "it was started again without a limit");
    }

    #[test]
    fn what_is_left_is_used_and_then_comes_back_evenly() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        budget.open = 1;
        budget.learn(said(11, 2, 3), None, now);
        assert_eq!((budget.take(now), budget.take(now)), (Ok(()), Ok(())));
        let wait = budget.take(now).expect_err("nothing is left");
        assert!((0.3..0.34).contains(&wait.as_secs_f64()), "nine in three seconds: {wait:?}");
        assert_eq!(budget.take(now + wait + Duration::from_millis(1)), Ok(()));
        assert!(budget.take(now + wait + Duration::from_millis(2)).is_err());
    }

    #[test]
    fn requests_that_are_on_their_way_are_taken_off() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        for _ in 0..5 {
            budget.take(now).expect("nothing is known yet");
        }
        budget.learn(said(11, 5, 1), None, now);
        assert_eq!(budget.take(now), Ok(()), "four of the five are still on their way");
        assert!(budget.take(now).is_err());
    }

    #[test]
    fn a_refusal_is_obeyed_for_as_long_as_it_says() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        budget.learn(said(11, 5, 1), Some(Duration::from_secs(2)), now);
        assert!(budget.take(now + Duration::from_millis(1990)).is_err());
        assert_eq!(budget.take(now + Duration::from_millis(2010)), Ok(()));
    }

    #[test]
    fn nonsense_does_not_stop_anything_for_long() {
        let now = Instant::now();
        for (limit, remaining, reset) in [(0, 0, 0), (u32::MAX, 0, u32::MAX), (5, u32::MAX, 0)] {
            let mut budget = Budget::default();
            budget.learn(said(limit, remaining, reset), None, now);
            for _ in 0..10 {
                if let Err(wait) = budget.take(now) {
                    assert!(wait <= LONGEST, "{wait:?}");
                }
            }
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn of_the_connectors_calls_one_at_most_goes_before_what_the_core_asks() {
        let pace = Pace::default();
        pace.turn(Order::Core).await.answered(StatusCode::OK, &headers(11, 0, 11));
        let (sender, mut came) = tokio::sync::mpsc::unbounded_channel();
        let ask = |order| {
            let (pace, sender) = (pace.clone(), sender.clone());
            tokio::spawn(async move {
                let open = pace.turn(order).await;
                sender.send(order).expect("received");
                drop(open);
            })
        };
        for _ in 0..5 {
            ask(Order::Connector);
        }
        tokio::task::yield_now().await;
        ask(Order::Core);
        drop(sender);
        let first = [came.recv().await, came.recv().await];
        assert!(first.contains(&Some(Order::Core)), "{first:?}");
    }

    fn headers(limit: u32, remaining: u32, reset: u32) -> HeaderMap {
        let pairs = [("x-ratelimit-limit", limit), ("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)];
        pairs.into_iter().map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.into())).collect()
    }
}
