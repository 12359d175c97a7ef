//! TLS: only the certificates that the core gave count.

mod support;

use bartizan_proto::Role;
use bartizan_proto::egress::{Outcome, Subject};
use std::io::Write;
use support::{Answer, Egress, Server, alice, setup};

#[test]
fn a_server_with_a_leaf_of_the_given_ca_is_accepted() {
    let server = Server::start_tls(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    assert!(matches!(egress.attest(Subject::User(alice())), Outcome::User(_)));
}

#[test]
fn a_server_of_another_ca_is_refused_before_it_sees_a_request() {
    let server = Server::start_tls(|_| Answer::Usual);
    let other = Server::start_tls(|_| Answer::Usual);
    let mut egress = Egress::start();
    egress.core.send(&setup(&server.url, &other.ca));
    let (why, _) = egress.expect_unready();
    assert!(why.contains("certificate"), "{why}");
    assert!(server.all().is_empty());
}

#[test]
fn roots_named_in_the_environment_do_not_count() {
    let server = Server::start_tls(|_| Answer::Usual);
    let other = Server::start_tls(|_| Answer::Usual);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&server.ca).expect("written");
    let path = file.path().to_str().expect("a plain path");
    let mut egress = Egress::start_in(Role::Core, &[("SSL_CERT_FILE", path)]);
    egress.core.send(&setup(&server.url, &other.ca));
    let (why, _) = egress.expect_unready();
    assert!(why.contains("certificate"), "{why}");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let server = Server::start_tls(|_| Answer::Usual);
    let mut egress = Egress::start();
    egress.core.send(&setup(&server.url.replace("127.0.0.1", "localhost"), &server.ca));
    let (why, _) = egress.expect_unready();
    assert!(why.contains("certificate"), "{why}");
    assert!(server.all().is_empty());
}

#[test]
fn plain_http_on_a_tls_address_is_no_server() {
    let server = Server::start(|_| Answer::Usual);
    let authority = Server::start_tls(|_| Answer::Usual);
    let mut egress = Egress::start();
    egress.core.send(&setup(&server.url.replace("http:", "https:"), &authority.ca));
    egress.expect_unready();
    assert!(server.all().is_empty());
}
