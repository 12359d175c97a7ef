//! What comes to another machine over SSH (`remote/src/order.rs`): nothing is taken but what the pinned key signed; and what a client asks
//! of the agent (`remote/src/agent.rs`).

use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::ids::{JobId, TargetName};
use bartizan_proto::remote::{DOMAIN, FORMAT, RemoteOrder, SignedOrder, ToRemote};
use bartizan_proto::worker::{Limits, Profile};
use bartizan_proto::{Bytes, List, Text};
use bartizan_remote::agent::{Users, answer};
use bartizan_remote::order::{BrokerKeys, for_worker, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

const SCRIPT: &[u8] = b"#!/bin/sh\necho hello\n";
const NOW: u64 = 1_800_000_000;

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn here() -> TargetName {
    "web-1".parse().expect("a name")
}

fn order() -> RemoteOrder {
    RemoteOrder {
        broker: Text::cut("ops"),
        job: JobId(1),
        digest: [3; 32],
        target: here(),
        expires_s: NOW + 60,
        nonce: [4; 16],
        name: "hello".parse().expect("a name"),
        sha256: Sha256::digest(SCRIPT).into(),
        arguments: List::cut([Text::cut("world")]),
        environment: List::cut([(Text::cut("LEVEL"), Text::cut("1"))]),
        profile: Profile {
            read: List::cut([Text::cut("/srv/data")]),
            write: List::default(),
            exec: List::default(),
            network: List::default(),
            limits: Limits::default(),
        },
        require: List::default(),
        timeout_ms: 10_000,
        grace_ms: 5_000,
        max_output: 1 << 20,
    }
}

/// # Panics
/// When an order is taken that was not signed so, or the agent signs without a key.
pub fn target(data: &[u8]) {
    let keys = BrokerKeys::parse(&BASE64.encode(signing().verifying_key().as_bytes())).expect("a key");
    if let Ok(ToRemote::Order { order: signed, script }) = frame::decode::<ToRemote>(data)
        && let Ok(taken) = verify(&signed, &script, &keys, &here(), NOW)
    {
        assert_eq!((&taken, &*script), (&order(), SCRIPT), "nobody else has the key");
        assert!(for_worker(taken).path.starts_with("/bartizan-script/"));
    }
    let _text = std::str::from_utf8(data).map(BrokerKeys::parse);
    assert!(answer(data, &[], &Users::default()).first().is_some_and(|kind| [5, 12].contains(kind)));
}

/// An order as the core signs it, and what may follow it.
pub fn corpus() -> Vec<Vec<u8>> {
    let bytes = frame::encode(&order()).unwrap_or_default().split_off(HEADER);
    let signature = signing().sign(&[DOMAIN, &bytes].concat()).to_bytes().to_vec();
    let signed = SignedOrder {
        format: FORMAT,
        order: Bytes::new(bytes).unwrap_or_default(),
        signature: Bytes::new(signature).unwrap_or_default(),
    };
    let whole = ToRemote::Order { order: signed, script: Bytes::new(SCRIPT).unwrap_or_default() };
    let messages = [whole, ToRemote::Alive];
    let mut all: Vec<Vec<u8>> =
        messages.iter().filter_map(|message| Some(frame::encode(message).ok()?.split_off(HEADER))).collect();
    all.push(vec![11]);
    all
}
