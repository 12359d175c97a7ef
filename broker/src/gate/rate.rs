//! Too fast? Token buckets for people, channels, scripts, and for answers in one thread or channel.
//!
//! Asked first, on what the connector claims and before anything is fetched; on the attested author and channel again, in
//! buckets of their own, so that a lying connector uses up nobody's rights. What is in the buckets is forgotten with a
//! restart. The answer to a refusal names the time to wait, once for each wait: a flood is not answered with another one.

use super::{Cause, Refusal, Verdict};
use crate::config::{Rate, Rates};
use bartizan_proto::ids::{ChannelId, PostId, ScriptName, UserId};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most buckets: several for each of ten thousand people.
const MOST: usize = 60_000;

/// Whose bucket it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Claimed(UserId),
    User(UserId),
    Channel(ChannelId),
    Script(ScriptName),
    Thread(PostId),
    Replies(ChannelId),
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// What was in it then.
    held: f64,
    at: Instant,
    /// Whether the wait that is going on was told.
    told: bool,
    /// It is full again then, and can be forgotten.
    full_at: Instant,
}

/// Every bucket.
#[derive(Debug, Default)]
pub struct Limiter {
    buckets: HashMap<Key, Bucket>,
}

impl Limiter {
    /// On what the connector claims: the author, and the answers that this thread and channel still get.
    pub fn claimed(&mut self, user: UserId, thread: PostId, channel: ChannelId, rates: &Rates) -> Verdict {
        let replies = [(Key::Thread(thread), rates.thread_replies), (Key::Replies(channel), rates.channel_replies)];
        for (key, rate) in replies {
            if let Err((wait, _)) = self.take(key, rate) {
                let cause = format!("enough was answered there; {} s of silence", wait.as_secs() + 1);
                return Verdict::Refuse(Refusal::Silence, Cause(cause));
            }
        }
        self.verdict(Key::Claimed(user), rates.user, "this person (as claimed)")
    }

    /// On the attested author and channel.
    pub fn attested(&mut self, user: UserId, channel: ChannelId, rates: &Rates) -> Verdict {
        match self.verdict(Key::User(user), rates.user, "this person") {
            Verdict::Pass(()) => self.verdict(Key::Channel(channel), rates.channel, "this channel"),
            refused @ Verdict::Refuse(..) => refused,
        }
    }

    /// On a script that everything else has let through: its rate says nothing to those who may not run it.
    pub fn script(&mut self, script: &ScriptName, rate: Option<Rate>) -> Verdict {
        self.verdict(Key::Script(script.clone()), rate, "this script")
    }

    /// The same for an explanation: nothing is used up.
    pub fn look(
        &self,
        user: UserId,
        channel: ChannelId,
        script: Option<(&ScriptName, Option<Rate>)>,
        rates: &Rates,
    ) -> Verdict {
        let script = script.map(|(name, rate)| (Key::Script(name.clone()), rate, "this script"));
        let keys =
            [(Key::User(user), rates.user, "this person"), (Key::Channel(channel), rates.channel, "this channel")];
        for (key, rate, what) in keys.into_iter().chain(script) {
            if let (Some(rate), Some(bucket)) = (rate, self.buckets.get(&key)) {
                let held = bucket.refilled(rate, Instant::now());
                if held < 1.0 {
                    return too_fast(missing(held, rate), true, what);
                }
            }
        }
        Verdict::Pass(())
    }

    /// Forgets the buckets that are full again.
    pub fn forget(&mut self) {
        let now = Instant::now();
        self.buckets.retain(|_, bucket| bucket.full_at > now);
    }

    fn verdict(&mut self, key: Key, rate: Option<Rate>, what: &str) -> Verdict {
        match self.take(key, rate) {
            Ok(()) => Verdict::Pass(()),
            Err((wait, tell)) => too_fast(wait, tell, what),
        }
    }

    /// Takes one out of a bucket; else how long until there is one, and whether that is to be told.
    fn take(&mut self, key: Key, rate: Option<Rate>) -> Result<(), (Duration, bool)> {
        let Some(rate) = rate else { return Ok(()) };
        let now = Instant::now();
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&key) {
            self.forget();
            if self.buckets.len() >= MOST {
                return Err((Duration::from_secs(1), false));
            }
        }
        let full = f64::from(rate.count);
        let bucket = self.buckets.entry(key).or_insert(Bucket { held: full, at: now, told: false, full_at: now });
        bucket.held = bucket.refilled(rate, now);
        bucket.at = now;
        if bucket.held < 1.0 {
            let tell = !std::mem::replace(&mut bucket.told, true);
            return Err((missing(bucket.held, rate), tell));
        }
        bucket.held -= 1.0;
        bucket.told = false;
        bucket.full_at = now + rate.period.mul_f64((full - bucket.held) / full);
        Ok(())
    }
}

impl Bucket {
    fn refilled(&self, rate: Rate, now: Instant) -> f64 {
        let full = f64::from(rate.count);
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.held + since * full / rate.period.as_secs_f64()).min(full)
    }
}

/// How long until there is one.
fn missing(held: f64, rate: Rate) -> Duration {
    rate.period.mul_f64((1.0 - held).clamp(0.0, 1.0) / f64::from(rate.count))
}

fn too_fast(wait: Duration, tell: bool, what: &str) -> Verdict {
    // Rounded up: who waits as long as was said is let through.
    let wait = Duration::from_secs(wait.as_secs() + 1);
    let cause = format!("too fast for {what}; {} s to wait", wait.as_secs());
    Verdict::Refuse(Refusal::TooFast { wait, tell }, Cause(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, seconds: u64) -> Option<Rate> {
        Some(Rate { count, period: Duration::from_secs(seconds) })
    }

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(letter: &str) -> T {
        letter.repeat(26).parse().expect("an id")
    }

    fn rates(user: Option<Rate>) -> Rates {
        Rates { user, channel: None, script: None, thread_replies: None, channel_replies: None }
    }

    #[test]
    fn a_bucket_lets_as_many_through_as_it_holds_and_says_how_long_to_wait_once() {
        let mut limiter = Limiter::default();
        let rates = rates(rate(3, 3600));
        for _ in 0..3 {
            assert_eq!(limiter.attested(id("u"), id("c"), &rates), Verdict::Pass(()));
        }
        let Verdict::Refuse(Refusal::TooFast { wait, tell: true }, _) = limiter.attested(id("u"), id("c"), &rates)
        else {
            panic!("too fast")
        };
        assert!(wait > Duration::from_secs(1100) && wait <= Duration::from_secs(1201), "{wait:?}");
        assert!(matches!(
            limiter.attested(id("u"), id("c"), &rates),
            Verdict::Refuse(Refusal::TooFast { tell: false, .. }, _)
        ));
        assert_eq!(limiter.attested(id("v"), id("c"), &rates), Verdict::Pass(()), "others are not hit");
        assert_eq!(limiter.claimed(id("u"), id("p"), id("c"), &rates), Verdict::Pass(()), "claims have their own");
    }

    #[test]
    fn a_bucket_fills_again_and_is_then_forgotten() {
        let mut limiter = Limiter::default();
        let rates = rates(rate(1, 1));
        assert_eq!(limiter.attested(id("u"), id("c"), &rates), Verdict::Pass(()));
        assert_ne!(limiter.attested(id("u"), id("c"), &rates), Verdict::Pass(()));
        std::thread::sleep(Duration::from_millis(1050));
        limiter.forget();
        assert!(limiter.buckets.is_empty());
        assert_eq!(limiter.attested(id("u"), id("c"), &rates), Verdict::Pass(()));
    }

    #[test]
    fn channels_and_scripts_have_buckets_of_their_own() {
        let mut limiter = Limiter::default();
        let rates = Rates { channel: rate(1, 3600), ..rates(None) };
        assert_eq!(limiter.attested(id("u"), id("c"), &rates), Verdict::Pass(()));
        assert_ne!(limiter.attested(id("v"), id("c"), &rates), Verdict::Pass(()));
        let name: ScriptName = "deploy".parse().expect("a name");
        assert_eq!(limiter.look(id("u"), id("d"), Some((&name, rate(1, 3600))), &rates), Verdict::Pass(()));
        assert_eq!(limiter.script(&name, rate(1, 3600)), Verdict::Pass(()));
        assert_ne!(limiter.script(&name, rate(1, 3600)), Verdict::Pass(()));
        assert_ne!(limiter.look(id("u"), id("d"), Some((&name, rate(1, 3600))), &rates), Verdict::Pass(()));
    }

    /// Attack row 66.
    #[test]
    fn row_66_a_thread_that_was_answered_often_gets_silence() {
        let mut limiter = Limiter::default();
        let rates = Rates { thread_replies: rate(2, 3600), ..rates(None) };
        let mut ask = |thread: &str| limiter.claimed(id("u"), id(thread), id("c"), &rates);
        assert_eq!(ask("p"), Verdict::Pass(()));
        assert_eq!(ask("p"), Verdict::Pass(()));
        assert!(matches!(ask("p"), Verdict::Refuse(Refusal::Silence, _)));
        assert_eq!(ask("q"), Verdict::Pass(()));
    }
}
