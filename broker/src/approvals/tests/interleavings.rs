//! Everything that can happen to requests, in any order, against a model that knows nothing of the code.

use super::signed::{public, sealed};
use super::*;
use crate::command::without_run;
use crate::people::People;
use crate::store::jobs::Unfinished;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeMap;

/// Who there is: an admin, two operators (of whom `w` is the admin's second account), one with the flag, who asks, a banned
/// one and a stranger.
const PEOPLE: [&str; 7] = ["a", "o", "w", "f", "u", "m", "x"];

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    /// In chat, to the request of that number.
    Say(usize, &'static str, bool),
    /// With the key of somebody, over the request of that number: given to the first for the first.
    Sign(usize, &'static str, &'static str, usize),
    /// Half an hour.
    Wait,
    /// The clock's turn.
    Overdue,
    /// All is written, and begins anew.
    Restart,
    /// This step happens, and the machine goes down before any of it is durable.
    Lost(Box<Step>),
    /// The script's file, another or as it was.
    Edit(bool),
    Level(&'static str, Level),
    /// A key is taken away, or comes back.
    Key(&'static str, bool),
    /// The queue's turn.
    Start,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop::sample::select(PEOPLE.to_vec());
    let key = || prop::sample::select(vec!["a", "o", "w", "f"]);
    let request = || 0..3usize;
    let said = (request(), who(), prop::bool::weighted(0.85)).prop_map(|(to, who, yes)| Step::Say(to, who, yes));
    // Mostly as it is meant; sometimes of another request, or with another's key.
    let own = (request(), key()).prop_map(|(to, who)| Step::Sign(to, who, who, to));
    let other = (request(), who(), key(), request()).prop_map(|(to, who, key, of)| Step::Sign(to, who, key, of));
    let levels = prop::sample::select(vec![Level::Banned, Level::User, Level::Operator, Level::Operator]);
    let vote = prop_oneof![6 => said, 6 => own, 2 => other].boxed();
    let lost = vote.clone().prop_map(|step| Step::Lost(Box::new(step)));
    prop_oneof![
        14 => vote,
        1 => lost,
        1 => Just(Step::Wait),
        1 => Just(Step::Overdue),
        2 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Edit),
        2 => (prop::sample::select(vec!["o", "w", "u"]), levels).prop_map(|(who, level)| Step::Level(who, level)),
        2 => (key(), any::<bool>()).prop_map(|(key, there)| Step::Key(key, there)),
        4 => Just(Step::Start),
    ]
}

/// A request, as somebody would tell its story who watched.
#[derive(Debug, Clone, Default)]
struct Told {
    signed: bool,
    agreed: BTreeSet<&'static str>,
    over: bool,
    approved: bool,
    queued: usize,
    ran: usize,
}

/// What is so, as far as it was said aloud.
#[derive(Debug, Clone)]
struct World {
    levels: BTreeMap<&'static str, Level>,
    keys: BTreeSet<&'static str>,
    edited: bool,
    elapsed_ms: u64,
    requests: Vec<Told>,
}

impl World {
    fn may(&self, who: &str) -> bool {
        matches!(who, "a" | "f") || self.levels.get(who) == Some(&Level::Operator)
    }

    fn is_banned(&self, who: &str) -> bool {
        who == "m" || self.levels.get(who) == Some(&Level::Banned)
    }
}

struct Play {
    scene: Scene,
    ids: Vec<ApprovalId>,
    statements: Vec<String>,
    world: World,
}

fn play() -> Play {
    let mut scene = scene();
    for key in ["a", "o", "w", "f"] {
        scene.register(key, key);
    }
    // Two that are to be signed, so that a signature of one can be tried for the other.
    let intents = [intent(), Intent { post: id("q"), ..sealed() }, Intent { post: id("r"), ..sealed() }];
    let ids: Vec<ApprovalId> = intents.into_iter().map(|intent| scene.ask_for(intent)).collect();
    scene.store.commit().expect("committed");
    let statements = ids.iter().map(|id| scene.approvals.get(*id).expect("it waits").statement.clone()).collect();
    let told = |signed| Told { signed, ..Told::default() };
    let world = World {
        levels: BTreeMap::from([("o", Level::Operator), ("w", Level::Operator), ("u", Level::User)]),
        keys: ["a", "o", "w", "f"].into(),
        edited: false,
        elapsed_ms: 0,
        requests: vec![told(false), told(true), told(true)],
    };
    Play { scene, ids, statements, world }
}

impl Play {
    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.turn(step)?;
        self.scene.store.commit().expect("committed");
        Ok(())
    }

    /// What is written in it is durable when it is over, or never was.
    fn turn(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Say(to, who, yes) => {
                let voted = self.scene.vote(self.ids[to], who, yes);
                let counts = !self.world.requests[to].signed;
                self.voted(to, who, yes, counts, voted)?;
            }
            Step::Sign(to, who, key, of) => {
                let private = super::signed::private(key);
                let signature = bartizan_audit::sign_as_person(private.as_bytes(), &self.statements[of]);
                let voted = self.scene.sign(self.ids[to], who, &signature.expect("signed"));
                let right = who == key && to == of && self.world.keys.contains(key);
                // Where none is asked for, it is a yes like any other.
                let counts = right || !self.world.requests[to].signed;
                self.voted(to, who, true, counts, voted)?;
            }
            Step::Wait => {
                self.scene.house.policy.server_ahead_ms += i64::try_from(HOUR_MS / 2).expect("small");
                self.world.elapsed_ms += HOUR_MS / 2;
            }
            Step::Overdue => {
                for late in self.scene.approvals.overdue(self.scene.house.policy.now_ms()) {
                    let ended = self.scene.approvals.end(&mut self.scene.store, late, End::Expired);
                    prop_assert!(ended.expect("written").is_some());
                    let told =
                        &mut self.world.requests[self.ids.iter().position(|id| *id == late).expect("one of them")];
                    prop_assert!(!told.over);
                    told.over = true;
                }
            }
            Step::Restart => self.scene.restart(),
            Step::Lost(step) => {
                let before = self.world.clone();
                self.turn(*step)?;
                self.scene.crash();
                self.world = before;
            }
            Step::Edit(other) => {
                self.world.edited = other;
                self.scene.rewrite_script(if other { "echo another" } else { "echo hello" });
            }
            Step::Level(who, level) => {
                self.world.levels.insert(who, level);
                self.relist();
            }
            Step::Key(key, there) => {
                if self.world.keys.remove(key) {
                    self.scene.unregister(key);
                }
                if there {
                    self.scene.register(key, key);
                    self.world.keys.insert(key);
                }
            }
            Step::Start => self.start()?,
        }
        Ok(())
    }

    fn voted(
        &mut self,
        to: usize,
        who: &'static str,
        yes: bool,
        counts: bool,
        voted: Voted,
    ) -> Result<(), TestCaseError> {
        let (may, late) = (self.world.may(who), self.world.elapsed_ms >= HOUR_MS);
        let own_no = who == "u" && !yes && !self.world.is_banned("u");
        let told = &mut self.world.requests[to];
        match voted {
            Voted::Approved(pending) => {
                prop_assert!(may && yes && counts && !late && !told.over, "{who}");
                told.agreed.insert(who);
                (told.over, told.approved) = (true, true);
                let queued = self.scene.store.queue_job(&pending.intent).expect("written");
                told.queued += usize::from(queued.is_some());
            }
            Voted::Counted { .. } => {
                prop_assert!(may && yes && counts && !late && !told.over, "{who}");
                told.agreed.insert(who);
            }
            Voted::Denied(_) => {
                prop_assert!(may && !yes && !late && !told.over);
                told.over = true;
            }
            Voted::Withdrawn(_) => {
                prop_assert!(own_no && !late && !told.over);
                told.over = true;
            }
            Voted::Expired(_) => {
                prop_assert!(late && !told.over);
                told.over = true;
            }
            Voted::Again => prop_assert!(yes && told.agreed.contains(who) && !told.over),
            // A no of those who may say it, and a withdrawal, always end what waits.
            Voted::Refused(why) => {
                prop_assert!(told.over || late || yes || !(may || own_no), "{who}: {why}");
            }
        }
        Ok(())
    }

    /// The queue's turn: jobs that are stored as queued, and what the gates say of each.
    fn start(&mut self) -> Result<(), TestCaseError> {
        for Unfinished { job, intent, .. } in self.scene.store.unfinished_jobs().expect("read") {
            let command = without_run(parse::command(&intent.command).expect("readable").expect("not empty"));
            let clears = self.scene.clears_for(&command, intent.user, intent.post).is_ok();
            self.scene.store.job_done(job, "whatever").expect("written");
            if !clears {
                continue;
            }
            let which = ["p", "q", "r"].iter().position(|post| id::<PostId>(post) == intent.post).expect("one of them");
            let World { levels, keys, edited, requests, .. } = &mut self.world;
            let told = &mut requests[which];
            told.ran += 1;
            let still = |who: &&str| {
                let may = matches!(*who, "a" | "f") || levels.get(*who) == Some(&Level::Operator);
                may && (!told.signed || keys.contains(who))
            };
            let people: BTreeSet<&str> =
                told.agreed.iter().copied().filter(still).map(|who| if who == "w" { "a" } else { who }).collect();
            prop_assert!(told.approved, "nobody decided that");
            prop_assert!(people.len() >= 2, "{told:?} {levels:?} {keys:?}");
            prop_assert!(!*edited);
            prop_assert!(levels.get("u") != Some(&Level::Banned));
        }
        Ok(())
    }

    /// Levels as they were given last.
    fn relist(&mut self) {
        let people = &mut self.scene.house.policy.people;
        let keys = people.keys.clone();
        *people = People::default();
        people.keys = keys;
        let flags = BTreeSet::from(["deploy".parse().expect("a flag")]);
        people.in_file(id("a"), "a", Level::Admin, BTreeSet::new());
        people.in_file(id("f"), "f", Level::User, flags);
        people.in_file(id("m"), "m", Level::Banned, BTreeSet::new());
        for (who, level) in &self.world.levels {
            people.in_file(id(who), who, *level, BTreeSet::new());
        }
    }
}

fn cases(count: u32) -> ProptestConfig {
    // The same ones everywhere, unless others are asked for: PROPTEST_CASES, PROPTEST_RNG_SEED.
    let asked = ProptestConfig::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { count };
    ProptestConfig { cases, rng_seed, ..asked }
}

proptest! {
    #![proptest_config(cases(128))]

    /// What runs was agreed to by two different people who may still, each by a signature with a key that is still theirs where
    /// that is asked for; is what they agreed to; was neither denied nor withdrawn nor overdue before; and runs once.
    #[test]
    fn no_interleaving_runs_anything_unapproved_or_twice(steps in prop::collection::vec(step(), 1..48)) {
        let mut play = play();
        for step in steps {
            play.step(step)?;
        }
        for told in &play.world.requests {
            prop_assert!(told.queued <= 1 && told.ran <= 1, "{told:?}");
        }
    }
}

/// A property that nothing ever reaches holds of everything: some of what is tried does run, of either kind.
#[test]
fn what_is_approved_in_order_does_run() {
    for (steps, which) in [
        (vec![Step::Say(0, "a", true), Step::Restart, Step::Say(0, "o", true)], 0),
        (vec![Step::Sign(1, "a", "a", 1), Step::Restart, Step::Sign(1, "f", "f", 1), Step::Restart], 1),
        (
            vec![
                Step::Lost(Box::new(Step::Sign(2, "o", "o", 2))),
                Step::Sign(2, "o", "o", 2),
                Step::Sign(2, "a", "a", 2),
            ],
            2,
        ),
    ] {
        let mut play = play();
        for step in steps.into_iter().chain([Step::Start, Step::Restart, Step::Start]) {
            play.step(step).expect("as the model has it");
        }
        assert_eq!(play.world.requests[which].ran, 1, "{which}");
    }
    assert_ne!(public("a"), public("o"));
}
