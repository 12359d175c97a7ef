//! What the agent signs, and what not; and OpenSSH's own client on its socket.

use super::*;
use proptest::prelude::*;
use std::process::Command;

/// A key as `ssh-keygen -t ed25519 -N ''` makes one; `None` where there is no ssh-keygen.
fn made(passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(&path).status();
    made.is_ok_and(|status| status.success()).then(|| std::fs::read(&path).expect("a key").into())
}

fn key() -> AgentKey {
    let signing = SigningKey::from_bytes(&[7; 32]);
    let blob = [&framed(ALGORITHM)[..], &framed(signing.verifying_key().as_bytes())].concat();
    AgentKey { signing, blob }
}

fn users(names: &[&str]) -> Users {
    let users = Users::default();
    names.iter().for_each(|name| users.allow(name));
    users
}

fn login_of(user: &str, method: &str, key: &AgentKey) -> Vec<u8> {
    let mut data = framed(&[9; 32]);
    data.push(USERAUTH_REQUEST);
    for part in [user, "ssh-connection", method] {
        data.extend(framed(part.as_bytes()));
    }
    data.push(1);
    data.extend(framed(ALGORITHM));
    data.extend(framed(&key.blob));
    data
}

fn request(key: &AgentKey, data: &[u8]) -> Vec<u8> {
    [&[SIGN_REQUEST][..], &framed(&key.blob), &framed(data), &[0; 4]].concat()
}

#[test]
fn a_log_in_of_a_known_user_is_signed_with_a_signature_that_holds() {
    let key = key();
    let bound = [login_of("deploy", "publickey-hostbound-v00@openssh.com", &key), framed(b"a host key")].concat();
    for data in [login_of("deploy", "publickey", &key), bound] {
        let answer = answer(&request(&key, &data), std::slice::from_ref(&key), &users(&["deploy"]));
        assert_eq!(answer[0], SIGN_RESPONSE);
        let mut whole = Reader(&answer[1..]);
        let mut signature = Reader(whole.string().expect("a string"));
        assert_eq!(signature.string(), Some(ALGORITHM));
        let signature = ed25519_dalek::Signature::from_slice(signature.string().expect("a string")).expect("64 bytes");
        key.signing.verifying_key().verify_strict(&data, &signature).expect("it holds");
    }
}

#[test]
fn nothing_but_a_log_in_of_a_known_user_with_this_very_key_is_signed() {
    let key = key();
    let other = AgentKey { blob: [&framed(ALGORITHM)[..], &framed(&[3; 32])].concat(), ..self::key() };
    let right = login_of("deploy", "publickey", &key);
    let signed_text =
        [b"SSHSIG".to_vec(), framed(b"bartizan-approval"), framed(b""), framed(b"sha512"), framed(&[1; 64])];
    for (what, data) in [
        ("another user's", login_of("root", "publickey", &key)),
        ("another method", login_of("deploy", "hostbased", &key)),
        ("of another key", login_of("deploy", "publickey", &other)),
        ("more after it", [&right[..], b"x"].concat()),
        ("less", right[..right.len() - 1].to_vec()),
        ("a signature for a person", signed_text.concat()),
        ("nothing", Vec::new()),
    ] {
        let answer = answer(&request(&key, &data), std::slice::from_ref(&key), &users(&["deploy"]));
        assert_eq!(answer, [FAILURE], "{what}");
    }
    // Adding, removing, locking, extensions: nothing else is answered.
    for number in (0..=255).filter(|number| ![REQUEST_IDENTITIES, SIGN_REQUEST].contains(number)) {
        assert_eq!(answer(&[number], &[self::key()], &users(&[])), [FAILURE], "{number}");
    }
}

#[test]
fn openssh_lists_the_key_and_a_key_with_a_passphrase_is_refused_with_what_to_do() {
    let (Some(plain), Some(locked)) = (made(""), made("secret")) else {
        return eprintln!("skipped: there is no ssh-keygen");
    };
    assert_eq!(AgentKey::parse(&locked).expect_err("locked"), KeyError::Passphrase);
    assert_eq!(AgentKey::parse(&Zeroizing::new(b"no key".to_vec())).expect_err("none"), KeyError::Unreadable);
    let key = AgentKey::parse(&plain).expect("a key");
    let line = key.public_line();
    let directory = tempfile::tempdir().expect("tempdir");
    let socket = directory.path().join("agent");
    let agent = Agent::bind(&socket, vec![key], users(&["deploy"])).expect("binds");
    std::thread::spawn(|| agent.serve());
    let listed = Command::new("ssh-add").arg("-L").env("SSH_AUTH_SOCK", &socket).output().expect("ssh-add");
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), line.trim());
    let added = Command::new("ssh-add").arg("-D").env("SSH_AUTH_SOCK", &socket).output().expect("ssh-add");
    assert!(!added.status.success());
}

proptest! {
    #[test]
    fn whatever_is_asked_it_answers(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let answer = answer(&bytes, &[key()], &users(&["deploy"]));
        prop_assert!(!answer.is_empty() && answer[0] != SIGN_RESPONSE);
    }
}
