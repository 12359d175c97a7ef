//! Attack row 59: what is to be signed is approved by signatures, and by nothing that is said in chat, whoever says it.

use super::*;
use crate::people::keys::Owner;
use bartizan_audit::{PersonKey, sign_as_person};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

/// A person's key for SSH: the file of its private half.
pub fn private(letter: &str) -> String {
    let seed = [letter.as_bytes()[0]; 32];
    let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), letter).expect("a key");
    key.to_openssh(LineEnding::LF).expect("written").to_string()
}

pub fn public(letter: &str) -> PersonKey {
    let key = PrivateKey::from_openssh(private(letter)).expect("a key");
    key.public_key().to_openssh().expect("written").parse().expect("a key")
}

pub fn sealed() -> Intent {
    Intent { script: "sealed".parse().expect("a name"), command: Text::cut("sealed production"), ..intent() }
}

impl Scene {
    pub fn register(&mut self, key: &str, whose: &str) {
        let owner = Owner { user: id(whose), name: whose.to_owned(), added_ms: 1 };
        self.store.put_person_key(&public(key), Some(&owner)).expect("written");
        assert_eq!(self.house.policy.people.keys.add(public(key), owner), Ok(true));
    }

    pub fn unregister(&mut self, key: &str) {
        self.store.put_person_key(&public(key), None).expect("written");
        self.house.policy.people.keys.remove(&public(key));
    }

    /// What a person would have signed who was shown this request.
    pub fn signature(&self, request: ApprovalId, key: &str) -> String {
        let statement = &self.approvals.get(request).expect("it waits").statement;
        sign_as_person(private(key).as_bytes(), statement).expect("signed")
    }

    pub fn sign(&mut self, request: ApprovalId, letter: &str, signature: &str) -> Voted {
        let voter = Voter { signature: Some(signature.to_owned()), ..voter(letter) };
        self.cast(request, &voter, true)
    }
}

fn why(voted: Voted) -> String {
    match voted {
        Voted::Refused(why) => why,
        other => panic!("it counted: {other:?}"),
    }
}

/// Attack row 59: a plugin, a webhook, an administrator of the server or the connector can write and react as an approver.
#[test]
fn row_59_nothing_that_is_said_in_chat_approves_what_is_to_be_signed() {
    let mut scene = scene();
    for letter in ["a", "o", "w"] {
        scene.register(letter, letter);
    }
    let request = scene.ask_for(sealed());
    for letter in ["a", "o", "f", "w"] {
        assert!(why(scene.vote(request, letter, true)).contains("only a signature counts"), "{letter}");
    }
    let (of_a, of_o) = (scene.signature(request, "a"), scene.signature(request, "o"));
    assert!(why(scene.sign(request, "a", "U1NIU0lH")).contains("no signature"));
    assert!(why(scene.sign(request, "f", &scene.signature(request, "f"))).contains("not registered for anybody"));
    assert!(why(scene.sign(request, "o", &of_a)).contains("not registered for you"), "said as another");
    assert_eq!(scene.sign(request, "a", &of_a), Voted::Counted { agreeing: 1, needed: 2 });
    assert_eq!(scene.sign(request, "a", &of_a), Voted::Again);
    let of_w = scene.signature(request, "w");
    assert!(why(scene.sign(request, "w", &of_w)).contains("one person"), "a second account with a key of its own");
    assert!(scene.sealed_clears().is_err());
    assert!(matches!(scene.sign(request, "o", &of_o), Voted::Approved(_)));
    assert_eq!(scene.sealed_clears(), Ok(()));
    scene.restart();
    assert_eq!(scene.sealed_clears(), Ok(()), "the signatures are kept");
}

/// Attack row 59: what was signed for one request, or for what a changed post showed, approves nothing else.
#[test]
fn row_59_a_signature_of_anything_else_than_this_request_does_not_count() {
    let mut scene = scene();
    scene.register("a", "a");
    let first = scene.ask_for(sealed());
    let second = scene.ask_for(Intent { post: id("q"), ..sealed() });
    let for_first = scene.signature(first, "a");
    assert!(why(scene.sign(second, "a", &for_first)).contains("not a signature of this request"));
    let statement = scene.approvals.get(second).expect("it waits").statement.clone();
    for part in ["production", "sealed", "here", "no network", "expires", id::<UserId>("u").as_str()] {
        let shown = statement.replace(part, "staging");
        assert_ne!(shown, statement, "{part} is in it");
        let signature = sign_as_person(private("a").as_bytes(), &shown).expect("signed");
        assert!(why(scene.sign(second, "a", &signature)).contains("not a signature of this request"), "{part}");
    }
    let cut = &statement[..statement.len() - 1];
    let signature = sign_as_person(private("a").as_bytes(), cut).expect("signed");
    assert!(matches!(scene.sign(second, "a", &signature), Voted::Refused(_)));
    let pasted = sign_as_person(private("a").as_bytes(), &format!("{statement}\n")).expect("signed");
    assert_eq!(scene.sign(second, "a", &pasted), Voted::Counted { agreeing: 1, needed: 2 });
}

/// Attack row 62: neither the one who asks nor another account of theirs, with whatever key.
#[test]
fn row_62_a_key_of_the_one_who_asks_does_not_sign_for_them() {
    let mut scene = scene();
    scene.house.policy.people.in_file(id("u"), "u", Level::Admin, BTreeSet::new());
    for letter in ["u", "a", "w"] {
        scene.register(letter, letter);
    }
    let request = scene.ask_for(sealed());
    let own = scene.signature(request, "u");
    assert!(why(scene.sign(request, "u", &own)).contains("yourself"));
    assert!(why(scene.sign(request, "a", &own)).contains("not registered for you"), "lent to another");
    let second = scene.ask_for(Intent { post: id("q"), user: id("w"), ..sealed() });
    let of_a = scene.signature(second, "a");
    assert!(why(scene.sign(second, "a", &of_a)).contains("one person"));
}

/// Attack row 74: a key that was taken away has not signed any more; another one of that person may.
#[test]
fn row_74_a_key_that_was_taken_away_before_the_start_does_not_count() {
    let mut scene = scene();
    for (key, whose) in [("a", "a"), ("o", "o")] {
        scene.register(key, whose);
    }
    let request = scene.ask_for(sealed());
    let (of_a, of_o) = (scene.signature(request, "a"), scene.signature(request, "o"));
    assert_eq!(scene.sign(request, "a", &of_a), Voted::Counted { agreeing: 1, needed: 2 });
    scene.unregister("a");
    assert_eq!(scene.sign(request, "o", &of_o), Voted::Counted { agreeing: 1, needed: 2 });
    scene.register("z", "a");
    let other = scene.signature(request, "z");
    assert!(matches!(scene.sign(request, "a", &other), Voted::Approved(_)));
    assert_eq!(scene.sealed_clears(), Ok(()));
    scene.unregister("o");
    assert!(scene.sealed_clears().expect_err("refused").contains("1 of 2"));
}

#[test]
fn a_no_needs_no_signature() {
    let mut scene = scene();
    let request = scene.ask_for(sealed());
    assert!(matches!(scene.vote(request, "o", false), Voted::Denied(_)));
}

/// Signatures were not asked for when it was, and there was nothing to sign.
#[test]
fn a_signature_of_nothing_counts_for_nothing() {
    let mut scene = scene();
    scene.register("a", "a");
    let request = scene.ask();
    let signature = sign_as_person(private("a").as_bytes(), "").expect("signed");
    scene.house.policy.config.allowlist.change(&intent().script, |script| {
        if let Some(approval) = &mut script.approval {
            approval.signed = true;
        }
    });
    assert!(why(scene.sign(request, "a", &signature)).contains("not a signature of this request"));
}

impl Scene {
    fn sealed_clears(&self) -> Result<(), String> {
        self.clears("sealed production", id("p"))
    }
}

/// Attack row 59: an administrator of the server keeps a signature back, lets the server's clock stand still meanwhile, and hands it on
/// days later.
#[test]
fn row_59_a_server_whose_clock_stands_still_keeps_no_request_open() {
    let mut scene = scene();
    scene.register("a", "a");
    let now = scene.house.policy.now_ms();
    let asked = scene.approvals.ask(&mut scene.store, sealed(), "x".into(), (now, 0)).expect("written");
    let request = asked.expect("new").id;
    scene.house.policy.server_ahead_ms = -i64::try_from(HOUR_MS).expect("small");
    assert_eq!(scene.approvals.overdue(scene.house.policy.now_ms()), [request]);
    scene.restart();
    assert!(matches!(scene.vote(request, "a", true), Voted::Expired(_)));
}
