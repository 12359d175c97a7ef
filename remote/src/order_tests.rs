//! Every way in which an order is none.

use super::*;
use bartizan_proto::ids::JobId;
use bartizan_proto::worker::{Guarantee, Limits, Profile};
use bartizan_proto::{Bytes, Text};
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000;
const SCRIPT: &[u8] = b"#!/bin/sh\necho hello\n";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn keys(seeds: &[u8]) -> BrokerKeys {
    let lines = seeds.iter().map(|seed| BASE64.encode(key(*seed).verifying_key().as_bytes()));
    BrokerKeys::parse(&lines.collect::<Vec<_>>().join("\n")).expect("keys")
}

fn here() -> TargetName {
    "web-1".parse().expect("a name")
}

fn order() -> RemoteOrder {
    RemoteOrder {
        broker: Text::cut("ops"),
        job: JobId(7),
        digest: [1; 32],
        target: here(),
        expires_s: NOW + 60,
        nonce: [2; 16],
        name: "hello".parse().expect("a name"),
        sha256: Sha256::digest(SCRIPT).into(),
        arguments: List::new([Text::cut("a b"), Text::cut("$(id)")]).expect("few"),
        environment: List::default(),
        profile: Profile {
            read: List::default(),
            write: List::default(),
            exec: List::default(),
            network: List::default(),
            limits: Limits::default(),
        },
        require: List::new([Guarantee::FilesRead]).expect("few"),
        timeout_ms: 1000,
        grace_ms: 0,
        max_output: 1000,
    }
}

fn signed_by(seed: u8, order: &RemoteOrder) -> SignedOrder {
    let bytes = frame::encode(order).expect("small")[frame::HEADER..].to_vec();
    let signature = key(seed).sign(&[DOMAIN, &bytes].concat()).to_bytes();
    SignedOrder {
        format: FORMAT,
        order: Bytes::new(bytes).expect("small"),
        signature: Bytes::new(signature.to_vec()).expect("64"),
    }
}

fn refused(signed: &SignedOrder, script: &[u8]) -> OrderRefused {
    verify(signed, script, &keys(&[1]), &here(), NOW).expect_err("refused")
}

#[test]
fn an_order_of_this_brokers_for_this_target_is_taken_as_it_was_signed() {
    let taken = verify(&signed_by(1, &order()), SCRIPT, &keys(&[1]), &here(), NOW).expect("taken");
    assert_eq!(taken, order());
    let job = for_worker(taken);
    assert_eq!(job.path.as_str(), "/bartizan-script/hello");
    assert_eq!(job.arguments.iter().map(|word| word.as_str()).collect::<Vec<_>>(), ["a b", "$(id)"]);
    assert!(job.alone && job.sealed && !job.api && !job.sockets && !job.plan && job.without.is_empty());
    assert_eq!(&*job.require, [Guarantee::FilesRead]);
}

#[test]
fn one_of_another_broker_is_refused_and_one_of_a_second_key_in_the_file_is_not() {
    let signed = signed_by(2, &order());
    assert_eq!(refused(&signed, SCRIPT), OrderRefused::Signature);
    verify(&signed, SCRIPT, &keys(&[1, 2]), &here(), NOW).expect("taken");
}

#[test]
fn one_for_another_target_is_refused() {
    let there = RemoteOrder { target: "web-2".parse().expect("a name"), ..order() };
    let why = refused(&signed_by(1, &there), SCRIPT);
    assert_eq!(why.to_string(), "the order is for web-2, and this is web-1");
}

#[test]
fn one_that_expired_and_one_that_never_would_are_refused() {
    for expired in [NOW, NOW - 1, 0] {
        let late = RemoteOrder { expires_s: expired, ..order() };
        assert_eq!(refused(&signed_by(1, &late), SCRIPT), OrderRefused::Expired(NOW - expired));
    }
    let for_ever = RemoteOrder { expires_s: u64::MAX, ..order() };
    assert!(matches!(refused(&signed_by(1, &for_ever), SCRIPT), OrderRefused::Lifetime(_)));
}

#[test]
fn another_script_is_refused() {
    assert_eq!(refused(&signed_by(1, &order()), b"#!/bin/sh\necho hello!\n"), OrderRefused::Script);
    assert_eq!(refused(&signed_by(1, &order()), b""), OrderRefused::Script);
}

#[test]
fn a_signature_that_was_made_for_something_else_is_none() {
    let bytes = frame::encode(&order()).expect("small")[frame::HEADER..].to_vec();
    for domain in [&b""[..], b"bartizan receipt 1\0", b"bartizan remote order 2\0"] {
        let signature = key(1).sign(&[domain, &bytes].concat()).to_bytes().to_vec();
        let signed = SignedOrder { signature: Bytes::new(signature).expect("64"), ..signed_by(1, &order()) };
        assert_eq!(refused(&signed, SCRIPT), OrderRefused::Signature, "{domain:?}");
    }
}

#[test]
fn another_format_is_said_before_anything_is_verified() {
    let newer = SignedOrder { format: FORMAT + 1, ..signed_by(1, &order()) };
    assert_eq!(refused(&newer, SCRIPT), OrderRefused::Format(FORMAT + 1));
}

#[test]
fn a_key_file_holds_keys_and_remarks_and_nothing_else() {
    let good = BASE64.encode(key(1).verifying_key().as_bytes());
    BrokerKeys::parse(&format!("# the broker\n\n  {good}  # since May\n")).expect("a key");
    let weak = BASE64.encode([0; 32]);
    let bad = |text: &str| BrokerKeys::parse(text).expect_err("no keys").0;
    assert_eq!((bad(""), bad("# none"), bad("AAAA"), bad(&weak)), (0, 0, 1, 1));
    assert_eq!(bad(&format!("{good}\nssh-ed25519 AAAA")), 2);
}

proptest! {
    /// Whatever is changed in what travels, it is not carried out.
    #[test]
    fn no_changed_order_is_taken(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let signed = signed_by(1, &order());
        let mut travelling = frame::encode(&(signed.order.to_vec(), signed.signature.to_vec())).expect("small");
        let place = place.index(travelling.len() - frame::HEADER) + frame::HEADER;
        travelling[place] ^= 1 << bit;
        if let Ok((order, signature)) = frame::decode::<(Vec<u8>, Vec<u8>)>(&travelling[frame::HEADER..])
            && let (Ok(order), Ok(signature)) = (Bytes::new(order), Bytes::new(signature))
        {
            let changed = SignedOrder { format: FORMAT, order, signature };
            prop_assert!(verify(&changed, SCRIPT, &keys(&[1]), &here(), NOW).is_err());
        }
    }
}
