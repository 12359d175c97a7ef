//! One person's second factor over time: what a code is worth, once, and what it is not.

use super::*;
use crate::config::{Elevate, Elevation, Trust};
use crate::gate::tests::{house, id};
use crate::gate::{self, Clearance, Proofs, file};
use crate::policy::{Place, Requester};
use crate::store::elevation::Elevated;
use bartizan_proto::Text;

const SECRET: &[u8] = b"12345678901234567890";
const START_MS: u64 = 1_700_000_000_000;

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    factors: Factors,
    now: Now,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut store = Store::open(&folder.path().join("state.db")).expect("open");
    let mut factors = Factors::default();
    let now = Now { host_ms: START_MS, server_ms: START_MS };
    assert!(factors.begin(&mut store, id("u"), "u", now).expect("written"));
    Scene { folder, store, factors, now }
}

impl Scene {
    fn enrolled() -> Self {
        let mut scene = scene();
        assert_eq!(scene.give(&scene.code(0)), Checked::Right { first: true });
        scene.later(30);
        scene
    }

    fn later(&mut self, seconds: u64) {
        self.now.host_ms += seconds * 1000;
        self.now.server_ms += seconds * 1000;
    }

    fn code(&self, ahead: i64) -> String {
        totp::code(SECRET, totp::step(self.now.host_ms).saturating_add_signed(ahead))
    }

    fn give(&mut self, code: &str) -> Checked {
        self.factors.check(&mut self.store, id("u"), (SECRET, code), self.now).expect("written")
    }

    fn restart(&mut self) {
        self.store.commit().expect("committed");
        let elsewhere = self.folder.path().join("other.db");
        drop(std::mem::replace(&mut self.store, Store::open(&elsewhere).expect("open")));
        self.store = Store::open(&self.folder.path().join("state.db")).expect("open");
        self.factors = Factors::restore(&self.store).expect("read");
    }

    fn standing(&self, idle: bool) -> Standing {
        let config = Elevation { window: Duration::from_secs(7200), idle, by_direct_message: true };
        self.factors.standing(id("u"), self.now, &config)
    }
}

#[test]
fn row_23_a_code_is_taken_once_also_after_a_restart_and_none_older_than_it() {
    let mut scene = Scene::enrolled();
    let (before, code) = (scene.code(-1), scene.code(0));
    assert_eq!(scene.give(&code), Checked::Right { first: false });
    assert_eq!(scene.give(&code), Checked::Used);
    assert_eq!(scene.give(&before), Checked::Used, "older than one that was used");
    scene.restart();
    assert_eq!(scene.give(&code), Checked::Used, "also after a restart");
    assert_eq!(scene.standing(true), Standing::Closed, "a restart ends the window");
    assert_eq!(scene.give(&scene.code(1)), Checked::Right { first: false }, "the next one");
    assert_eq!(scene.give(&scene.code(0)), Checked::Used);
}

#[test]
fn row_23_a_code_that_others_have_read_is_not_taken() {
    let mut scene = Scene::enrolled();
    let code = scene.code(0);
    let burn = |scene: &mut Scene, code: &str| {
        scene.factors.burn(&mut scene.store, id("u"), (SECRET, code), scene.now).expect("written")
    };
    assert!(!burn(&mut scene, "000000"), "that was none");
    assert!(burn(&mut scene, &code));
    scene.restart();
    assert_eq!(scene.give(&code), Checked::Used);
    assert_eq!(scene.standing(true), Standing::Closed);
}

#[test]
fn row_23_what_one_account_has_proved_counts_for_no_other() {
    let mut scene = Scene::enrolled();
    assert_eq!(scene.give(&scene.code(0)), Checked::Right { first: false });
    let config = Elevation { window: Duration::from_secs(7200), idle: true, by_direct_message: true };
    assert!(matches!(scene.standing(true), Standing::Open(_)));
    assert_eq!(scene.factors.standing(id("v"), scene.now, &config), Standing::None);
    let given = (SECRET, scene.code(1));
    let theirs = scene.factors.check(&mut scene.store, id("v"), (given.0, &given.1), scene.now).expect("read");
    assert_eq!(theirs, Checked::Missing);
    let other = scene.factors.recover(&mut scene.store, id("v"), "abcd-efgh-ijkl-mnop", scene.now).expect("read");
    assert_eq!(other, Checked::Missing);
}

#[test]
fn five_wrong_codes_lock_for_longer_each_time_and_the_right_one_is_not_looked_at() {
    let mut scene = Scene::enrolled();
    let mut locks = Vec::new();
    for _ in 0..15 {
        match scene.give("000000") {
            Checked::Wrong(None) => {}
            Checked::Wrong(Some(lock)) => {
                locks.push(lock.as_secs());
                assert!(matches!(scene.give(&scene.code(0)), Checked::Locked(_)));
                scene.restart();
                assert!(matches!(scene.give(&scene.code(0)), Checked::Locked(_)), "a restart opens no lock");
                scene.later(lock.as_secs());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(locks, [60, 120, 240]);
    assert_eq!(scene.give(&scene.code(0)), Checked::Right { first: false });
    assert_eq!(scene.factors.get(id("u")).map(|factor| factor.failures), Some(0));
}

#[test]
fn a_window_ends_by_either_clock_and_an_idle_one_goes_on_with_its_use() {
    let mut scene = Scene::enrolled();
    assert_eq!(scene.give(&scene.code(0)), Checked::Right { first: false });
    let config = Elevation { window: Duration::from_secs(7200), idle: true, by_direct_message: true };
    scene.later(7000);
    scene.factors.touch(id("u"), scene.now, &config);
    scene.later(7000);
    assert!(matches!(scene.standing(true), Standing::Open(_)), "it was used");
    assert_eq!(scene.standing(false), Standing::Closed, "absolute: from when the code was given");
    let kept = scene.now;
    scene.now.server_ms += 3_600_000;
    assert_eq!(scene.standing(true), Standing::Closed, "the server's clock");
    scene.now = Now { host_ms: kept.host_ms + 3_600_000, ..kept };
    assert_eq!(scene.standing(true), Standing::Closed, "the host's clock");
    scene.now = Now { host_ms: START_MS, ..kept };
    assert_eq!(scene.standing(true), Standing::Closed, "a clock that was set back");
    scene.now = kept;
    assert!(scene.factors.close(id("u")));
    assert_eq!(scene.standing(true), Standing::Closed);
}

#[test]
fn a_second_factor_counts_from_its_first_code_on_and_is_not_replaced_by_another() {
    let mut scene = scene();
    assert_eq!(scene.standing(true), Standing::Unconfirmed);
    let again = scene.factors.begin(&mut scene.store, id("u"), "u", scene.now).expect("written");
    assert!(again, "it proved nothing yet");
    scene.later(3601);
    assert_eq!(scene.give(&scene.code(0)), Checked::Missing, "too late");
    assert!(scene.factors.begin(&mut scene.store, id("u"), "u", scene.now).expect("written"));
    assert_eq!(scene.give(&scene.code(0)), Checked::Right { first: true });
    assert!(!scene.factors.begin(&mut scene.store, id("u"), "u", scene.now).expect("read"));
    assert!(scene.factors.reset(&mut scene.store, id("u")).expect("written"));
    scene.restart();
    assert_eq!(scene.standing(true), Standing::None);
}

#[test]
fn a_recovery_code_is_good_once() {
    let mut scene = Scene::enrolled();
    let codes = recovery::make().expect("random");
    let hashes: Vec<String> = codes.iter().map(|code| recovery::hash(id::<UserId>("u").as_str(), code)).collect();
    scene.store.put_recovery_codes(id("u"), &hashes).expect("written");
    let give = |scene: &mut Scene, code: &str| {
        scene.factors.recover(&mut scene.store, id("u"), code, scene.now).expect("written")
    };
    assert_eq!(give(&mut scene, &codes[3].to_uppercase()), Checked::Right { first: false });
    assert!(matches!(scene.standing(true), Standing::Open(_)));
    scene.restart();
    assert_eq!(give(&mut scene, &codes[3]), Checked::Wrong(None));
    assert_eq!(scene.store.recovery_codes(id("u")).expect("read"), 9);
}

#[test]
fn row_23_a_job_starts_only_with_what_its_own_author_proved_for_its_own_post() {
    let mut house = house();
    let opener = file::Opener::new(Trust::single_user());
    let clears = |house: &crate::gate::tests::House, elevated| {
        let command = crate::command::parse::command("hello").expect("readable").expect("not empty");
        let requester = Requester { user: id("u"), name: Text::cut("u"), restricted: false };
        let place = Place { channel: id("c"), name: Text::cut("ops"), direct: false, private: false };
        let proofs = Proofs { post: id("p"), elevated, approved: None, glass: None, grants: &[] };
        match gate::clear(&command, &requester, &place, &house.policy, &opener, proofs) {
            Ok(Clearance::Start(_)) => true,
            Ok(Clearance::Ask(..)) => panic!("there is no authorizer"),
            Err(_) => false,
        }
    };
    let by = |letter: &str, alone| Some(Elevated { user: id(letter), alone });
    for (elevate, proofs) in [
        (None, [(None, true), (by("v", true), true), (by("u", false), true), (by("u", true), true)]),
        (Some(Elevate::Window), [(None, false), (by("v", true), false), (by("u", false), true), (by("u", true), true)]),
        (
            Some(Elevate::Always),
            [(None, false), (by("v", true), false), (by("u", false), false), (by("u", true), true)],
        ),
    ] {
        house.policy.config.allowlist.change(&"hello".parse().expect("a name"), |script| script.elevate = elevate);
        for (proof, expected) in proofs {
            assert_eq!(clears(&house, proof), expected, "{elevate:?} with {proof:?}");
        }
    }
    let mut store = Store::open(&house.folder.path().join("state.db")).expect("open");
    store.put_elevated(id("p"), Elevated { user: id("u"), alone: true }).expect("written");
    assert_eq!(store.elevated(id("q")).expect("read"), None, "another post");
    assert_eq!(store.elevated(id("p")).expect("read"), by("u", true));
    Factors::default().reset(&mut store, id("u")).expect("written");
    assert_eq!(store.elevated(id("p")).expect("read"), None, "taken away with the second factor");
}
