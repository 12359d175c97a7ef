//! Messages in the wrong phase, of the wrong kind, or no messages at all: from the core they end egress, from the
//! connector they end the connector's sockets.

mod support;

use bartizan_proto::carrier::{Attempt, FromCarrier, ToCarrier};
use bartizan_proto::egress::{Outcome, QuestionId, Subject, ToEgress};
use bartizan_proto::verbs::{FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::{Bytes, Role, Version};
use std::os::fd::OwnedFd;
use support::{Answer, Egress, End, Server, alice, post, setup};

fn usual() -> Server {
    Server::start(|_| Answer::Usual)
}

fn attest() -> ToEgress {
    ToEgress::Attest { question: QuestionId(1), subject: Subject::Post(post()) }
}

fn null() -> OwnedFd {
    std::fs::File::open("/dev/null").expect("null").into()
}

fn ends_with_a_line(mut egress: Egress, said: &str) {
    assert_eq!(egress.wait().code(), Some(1));
    let log = egress.log_at_end();
    assert!(log.contains(said), "{said} is not in {log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn nothing_but_setup_may_come_first() {
    let server = usual();
    for (message, said) in [(attest(), "Attest in phase Setup"), (ToEgress::Attach, "Attach in phase Setup")] {
        let mut egress = Egress::start();
        egress.core.send(&message);
        ends_with_a_line(egress, said);
    }
    assert!(server.all().is_empty());
}

#[test]
fn a_second_setup_ends_egress() {
    let server = usual();
    let mut egress = Egress::ready(&server);
    egress.core.send(&setup(&server.url, b""));
    ends_with_a_line(egress, "Setup in phase Serving");
}

#[test]
fn an_attach_without_its_two_ends_ends_egress() {
    let server = usual();
    for ends in [0, 1, 3, 4] {
        let mut egress = Egress::ready(&server);
        let ends: Vec<_> = (0..ends).map(|_| null()).collect();
        egress.send_with(&ToEgress::Attach, &ends);
        ends_with_a_line(egress, "descriptors instead of 2");
    }
}

#[test]
fn bytes_that_are_no_message_end_egress() {
    let server = usual();
    for bytes in [&[0xff; 64][..], &[1, 0, 0, 0, 77], &[3, 0, 0, 0, 1, 1, 1]] {
        let mut egress = Egress::ready(&server);
        egress.core.write(bytes).expect("egress reads");
        ends_with_a_line(egress, "the core's socket");
        let mut fresh = Egress::start();
        fresh.core.write(bytes).expect("egress reads");
        assert_eq!(fresh.wait().code(), Some(1));
    }
}

/// The other end is closed too, and egress serves the next connector and the core as before.
fn is_dropped(egress: &mut Egress, mut verbs: End, mut carrier: End) {
    assert_eq!(verbs.next::<FromVerbs>(), None);
    assert_eq!(carrier.next::<FromCarrier>(), None);
    assert!(matches!(egress.attest(Subject::User(alice())), Outcome::User(_)));
}

#[test]
fn a_connector_that_speaks_of_a_connection_before_opening_one_is_dropped() {
    let server = usual();
    let mut egress = Egress::ready(&server);
    let data = ToCarrier::Data { attempt: Attempt(1), bytes: Bytes::new(*b"\x8a\x80abcd").expect("short") };
    for message in [data, ToCarrier::Close { attempt: Attempt(1) }] {
        let (verbs, mut carrier) = egress.attach();
        carrier.send(&message);
        is_dropped(&mut egress, verbs, carrier);
    }
}

#[test]
fn a_connector_that_sends_no_messages_or_descriptors_is_dropped() {
    let server = usual();
    let mut egress = Egress::ready(&server);
    for bytes in [&[0xff; 64][..], &[1, 0, 0, 0, 77], &[9, 0, 0, 0, 0, 1, 200, 0, 0, 0, 0, 0, 0]] {
        let (mut verbs, carrier) = egress.attach();
        verbs.write(bytes).expect("egress reads");
        is_dropped(&mut egress, verbs, carrier);
        let (verbs, mut carrier) = egress.attach();
        carrier.write(bytes).expect("egress reads");
        is_dropped(&mut egress, verbs, carrier);
    }
    let (verbs, carrier) = egress.attach();
    let mut channel = bartizan_proto::channel::Channel::from(verbs.socket.try_clone().expect("dup"));
    let call = ToVerbs::Call { request: RequestId(1), verb: Box::new(Verb::Thread { root: post() }) };
    let null = null();
    channel.send_with(&call, &[std::os::fd::AsFd::as_fd(&null)]).expect("egress reads");
    drop(channel);
    is_dropped(&mut egress, verbs, carrier);
    assert!(server.seen().iter().all(|seen| !seen.path().contains("/thread")));
}

#[test]
fn a_connector_of_another_role_or_version_is_dropped() {
    let server = usual();
    let mut egress = Egress::ready(&server);
    for version in [
        Version::of(Role::Worker),
        Version::of(Role::Core),
        Version { protocol: u16::MAX, ..Version::of(Role::Connector) },
    ] {
        let (mut verbs, mut carrier) = egress.attach_silent();
        carrier.greet(Role::Connector);
        verbs.send(&version);
        let _: Option<Version> = verbs.next();
        is_dropped(&mut egress, verbs, carrier);
    }
}

#[test]
fn a_newer_connector_ends_the_older_one() {
    let server = usual();
    let mut egress = Egress::ready(&server);
    let (old_verbs, old_carrier) = egress.attach();
    let (mut verbs, _carrier) = egress.attach();
    is_dropped(&mut egress, old_verbs, old_carrier);
    let answer = support::call(&mut verbs, Verb::Thread { root: post() });
    assert!(matches!(answer, FromVerbs::Answer { status: 404, .. }), "{answer:?}");
}
