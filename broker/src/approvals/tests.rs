//! One request, everything that can happen to it, and the one end that it has.

mod interleavings;
mod signed;

use super::*;
use crate::command::parse;
use crate::config::{Level, Trust};
use crate::gate::tests::{House, house, id};
use crate::gate::{self, Clearance, Proofs, Verdict, file};
use crate::policy::{Place, Requester};
use crate::words::approvals::{Shown, statement};
use std::collections::BTreeSet;

const HOUR_MS: u64 = 3_600_000;
const COMMAND: &str = "guarded production";

/// A house, its database and its files.
struct Scene {
    house: House,
    store: Store,
    approvals: Approvals,
    opener: file::Opener,
    database: std::path::PathBuf,
}

fn scene() -> Scene {
    let mut house = house();
    // `w` is an operator, and a second account of the admin `a`.
    house.policy.people.in_file(id("w"), "w", Level::Operator, BTreeSet::new());
    let database = house.folder.path().join("state.db");
    let store = Store::open(&database).expect("open");
    Scene { house, store, approvals: Approvals::default(), opener: file::Opener::new(Trust::single_user()), database }
}

fn voter(letter: &str) -> Voter {
    Voter { user: id(letter), name: Text::cut(letter), restricted: false, signature: None }
}

fn production() -> crate::argument::Value {
    crate::argument::Value { name: "where".into(), text: "production".into(), sensitive: false }
}

fn intent() -> Intent {
    Intent {
        post: id("p"),
        root: id("p"),
        channel: id("c"),
        channel_name: Text::cut("ops"),
        direct: false,
        private: false,
        user: id("u"),
        user_name: Text::cut("u"),
        restricted: false,
        script: "guarded".parse().expect("a name"),
        command: Text::cut(COMMAND),
        actor: crate::store::jobs::Actor::Person,
        part_of: None,
    }
}

impl Scene {
    /// The request of `u`, who is a user, for `guarded production`: two operators, or who has the flag.
    fn ask(&mut self) -> ApprovalId {
        self.ask_for(intent())
    }

    /// As the core does it, in its turn.
    fn ask_for(&mut self, intent: Intent) -> ApprovalId {
        let script = self.house.policy.config.allowlist.get(&intent.script).expect("on the list").clone();
        let sha256 = self.sha256(&script);
        let value = production();
        let digest = approval::digest(intent.post, intent.user, &script, std::slice::from_ref(&value), &sha256);
        let now = self.house.policy.now_ms();
        let asked = self.approvals.ask(&mut self.store, intent, digest, (now, HOUR_MS));
        let pending = asked.expect("written").expect("new").clone();
        let approval = script.approval.as_ref().expect("it needs one");
        if approval.signed {
            let (wait, values) = (std::time::Duration::from_secs(3600), [value]);
            let shown =
                Shown { script: &script, approval, values: &values, sha256: &sha256, host: "here", wait, prefix: "!" };
            let statement = statement(&pending, &shown);
            self.approvals.state(&mut self.store, pending.id, &statement).expect("written");
        }
        pending.id
    }

    fn sha256(&self, script: &crate::config::Script) -> String {
        match file::check(script, &self.opener) {
            Verdict::Pass(file) => file.sha256,
            Verdict::Refuse(..) => panic!("its file is as it must be"),
        }
    }

    fn digest(&self) -> String {
        let script = self.house.policy.config.allowlist.get(&intent().script).expect("on the list");
        approval::digest(intent().post, intent().user, script, &[production()], &self.sha256(script))
    }

    fn vote(&mut self, approval: ApprovalId, letter: &str, yes: bool) -> Voted {
        self.cast(approval, &voter(letter), yes)
    }

    fn cast(&mut self, approval: ApprovalId, voter: &Voter, yes: bool) -> Voted {
        let policy = &self.house.policy;
        let pending = self.approvals.get(approval);
        let script = pending.and_then(|pending| policy.config.allowlist.get(&pending.intent.script));
        let wanted = (approval, script.and_then(|script| script.approval.as_ref()));
        self.approvals.vote(&mut self.store, policy, wanted, voter, yes).expect("written")
    }

    /// What the gates say when its turn has come.
    fn clears(&self, line: &str, post: PostId) -> Result<(), String> {
        let command = parse::command(line).expect("readable").expect("not empty");
        self.clears_for(&command, id("u"), post)
    }

    fn clears_for(&self, command: &parse::Command, user: UserId, post: PostId) -> Result<(), String> {
        let requester = Requester { user, name: Text::cut("u"), restricted: false };
        let place = Place { channel: id("c"), name: Text::cut("ops"), direct: false, private: false };
        let approved = match self.store.approved(post).expect("read") {
            // Whatever other post is said to have its approval.
            None => self.store.approved(id("p")).expect("read"),
            own => own,
        };
        let proofs = Proofs { post, elevated: None, approved: approved.as_ref(), glass: None, grants: &[] };
        match gate::clear(command, &requester, &place, &self.house.policy, &self.opener, proofs) {
            Ok(Clearance::Start(_)) => Ok(()),
            Ok(Clearance::Ask(..)) => panic!("there is no authorizer"),
            Err((_, cause)) => Err(cause.0),
        }
    }

    fn rewrite_script(&self, text: &str) {
        std::fs::write(self.house.folder.path().join("hello"), format!("#!/bin/sh\n{text}\n")).expect("written");
    }

    fn restart(&mut self) {
        self.store.commit().expect("committed");
        self.crash();
    }

    /// Without what was not committed.
    fn crash(&mut self) {
        let elsewhere = self.house.folder.path().join("other.db");
        drop(std::mem::replace(&mut self.store, Store::open(&elsewhere).expect("open")));
        self.store = Store::open(&self.database).expect("open");
        self.approvals = Approvals::restore(&self.store).expect("read");
    }
}

#[test]
fn two_who_may_agree_and_it_starts_and_nothing_else_does() {
    let mut scene = scene();
    assert!(scene.clears(COMMAND, id("p")).is_err(), "nobody was asked");
    assert!(scene.clears("guarded staging", id("p")).is_ok(), "that needs nobody");
    let request = scene.ask();
    assert_eq!(scene.vote(request, "o", true), Voted::Counted { agreeing: 1, needed: 2 });
    assert_eq!(scene.vote(request, "o", true), Voted::Again);
    assert!(scene.clears(COMMAND, id("p")).is_err(), "one is not two");
    assert!(matches!(scene.vote(request, "f", true), Voted::Approved(_)), "the flag is enough");
    assert_eq!(scene.clears(COMMAND, id("p")), Ok(()));
    assert!(scene.clears(COMMAND, id("q")).is_err(), "another post with the same words");
    assert!(scene.clears("guarded 'production' ", id("p")).is_ok(), "the same arguments");
    assert!(matches!(scene.vote(request, "a", false), Voted::Refused(why) if why.contains("approved already")));
}

#[test]
fn a_broken_glass_is_one_persons_for_one_post_and_only_where_the_script_has_one() {
    let mut scene = scene();
    let clears = |scene: &Scene, post: PostId, glass| {
        let command = parse::command("breakglass guarded production \"the house burns\"").expect("readable");
        let command = crate::command::without_run(command.expect("not empty"));
        let requester = Requester { user: id("u"), name: Text::cut("u"), restricted: false };
        let place = Place { channel: id("c"), name: Text::cut("ops"), direct: false, private: false };
        let proofs = Proofs { post, elevated: None, approved: None, glass, grants: &[] };
        gate::clear(&command, &requester, &place, &scene.house.policy, &scene.opener, proofs).is_ok()
    };
    assert!(!clears(&scene, id("p"), Some(id("u"))), "the script has none");
    let name = intent().script;
    scene.house.policy.config.allowlist.change(&name, |script| {
        if let Some(approval) = &mut script.approval {
            approval.glass = true;
        }
    });
    assert!(clears(&scene, id("p"), Some(id("u"))));
    assert!(!clears(&scene, id("p"), None), "nobody broke it");
    assert!(!clears(&scene, id("p"), Some(id("o"))), "another one did");
    scene.store.break_glass(id("p"), id("u"), "the house burns").expect("written");
    let found = scene.store.broken_glass(id("p")).expect("read");
    assert_eq!(found, Some((id("u"), "the house burns".to_owned())));
    assert_eq!(scene.store.broken_glass(id("q")).expect("read"), None, "another post");
}

/// Attack row 61: what runs is what was approved, whatever was edited meanwhile.
#[test]
fn row_61_a_script_or_profile_edited_after_the_approval_does_not_start() {
    let mut scene = scene();
    let request = scene.ask();
    scene.vote(request, "o", true);
    assert!(matches!(scene.vote(request, "f", true), Voted::Approved(_)));
    scene.rewrite_script("echo another");
    assert!(scene.clears(COMMAND, id("p")).expect_err("refused").contains("would run as"));
    scene.rewrite_script("echo hello");
    assert_eq!(scene.clears(COMMAND, id("p")), Ok(()), "as it was again");
    // The profile that it was approved with is not the one that it would have.
    let digest = scene.digest();
    let mut script = scene.house.policy.config.allowlist.get(&intent().script).expect("on the list").clone();
    script.profile.limits.processes += 1;
    let value = crate::argument::Value { name: "where".into(), text: "production".into(), sensitive: false };
    let sha256 = match file::check(&script, &scene.opener) {
        Verdict::Pass(file) => file.sha256,
        Verdict::Refuse(..) => panic!("its file is as it must be"),
    };
    let other = |value: &crate::argument::Value, script: &crate::config::Script| {
        approval::digest(intent().post, intent().user, script, std::slice::from_ref(value), &sha256)
    };
    assert_ne!(other(&value, &script), digest);
    script.profile.limits.processes -= 1;
    assert_eq!(other(&value, &script), digest);
    assert_ne!(other(&crate::argument::Value { text: "staging".into(), ..value }, &script), digest);
}

/// Attack row 62: nobody approves their own command, neither as themselves nor as another account of theirs.
#[test]
fn row_62_neither_the_one_who_asks_nor_a_second_account_of_anybody_counts() {
    let mut scene = scene();
    scene.house.policy.people.in_file(id("u"), "u", Level::Admin, BTreeSet::new());
    let request = scene.ask();
    assert!(matches!(scene.vote(request, "u", true), Voted::Refused(why) if why.contains("yourself")));
    for stranger in ["m", "x"] {
        assert!(matches!(scene.vote(request, stranger, true), Voted::Refused(_)), "{stranger}");
        assert!(matches!(scene.vote(request, stranger, false), Voted::Refused(_)), "{stranger} cannot deny, either");
    }
    assert_eq!(scene.vote(request, "a", true), Voted::Counted { agreeing: 1, needed: 2 });
    assert!(matches!(scene.vote(request, "w", true), Voted::Refused(why) if why.contains("one person")), "a = w");
    // And where the one who asks is the second account.
    let now = scene.house.policy.now_ms();
    let other = Intent { post: id("q"), user: id("w"), ..intent() };
    let asked = scene.approvals.ask(&mut scene.store, other, "x".into(), (now, HOUR_MS));
    let second = asked.expect("written").expect("new").id;
    assert!(matches!(scene.vote(second, "a", true), Voted::Refused(why) if why.contains("one person")));
}

/// Attack row 74: who lost the right to approve has not approved any more.
#[test]
fn row_74_an_approver_or_requester_who_lost_the_right_before_the_start_does_not_count() {
    let mut scene = scene();
    let request = scene.ask();
    scene.vote(request, "o", true);
    assert!(matches!(scene.vote(request, "f", true), Voted::Approved(_)));
    let mut demoted = Level::User;
    for (level, starts) in [(Level::User, false), (Level::Operator, true)] {
        scene.house.policy.people.in_file(id("o"), "o", level, BTreeSet::new());
        assert_eq!(scene.clears(COMMAND, id("p")).is_ok(), starts, "{level}");
        demoted = level;
    }
    assert_eq!(demoted, Level::Operator);
    scene.house.policy.people.in_file(id("u"), "u", Level::Banned, BTreeSet::new());
    assert!(scene.clears(COMMAND, id("p")).is_err(), "the one who asked is banned");
}

#[test]
fn a_request_ends_once_by_whoever_is_first_and_is_the_same_after_a_restart() {
    for (first, second, end) in
        [("no", "yes", End::Denied), ("time", "yes", End::Expired), ("back", "yes", End::Withdrawn)]
    {
        let mut scene = scene();
        let request = scene.ask();
        scene.vote(request, "o", true);
        scene.restart();
        assert_eq!(scene.approvals.get(request).expect("it waits").voters, [voter("o")]);
        match first {
            "no" => assert!(matches!(scene.vote(request, "a", false), Voted::Denied(_))),
            "back" => assert!(matches!(scene.vote(request, "u", false), Voted::Withdrawn(_))),
            _time => {
                scene.house.policy.server_ahead_ms += i64::try_from(HOUR_MS).expect("small");
                assert_eq!(scene.approvals.overdue(scene.house.policy.now_ms()), [request]);
                assert!(matches!(scene.vote(request, "f", true), Voted::Expired(_)));
            }
        }
        scene.restart();
        let late = scene.vote(request, "f", second == "yes");
        assert!(matches!(late, Voted::Refused(why) if why.contains(end.as_str())), "{first}");
        assert!(scene.clears(COMMAND, id("p")).is_err());
        assert!(scene.store.approved(id("p")).expect("read").is_none());
    }
}

#[test]
fn a_number_is_read_as_it_is_written_and_nothing_else_is_one() {
    assert_eq!("a3".parse(), Ok(ApprovalId(3)));
    assert_eq!(ApprovalId(3).to_string(), "a3");
    for bad in ["", "a", "3", "b3", "a-3", "a+3", "a3 ", "a99999999999999999999"] {
        assert!(bad.parse::<ApprovalId>().is_err(), "{bad:?}");
    }
}
