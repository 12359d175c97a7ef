//! What the agent signs, and what not; and OpenSSH's own client on its socket.

use super::*;
use proptest::prelude::*;

/// `ssh-keygen -t ed25519 -N secret`
const LOCKED: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
    b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAkKlhOUy\n\
    2i5yz30jl8mYweAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIFA0OAeuReDGW0f8\n\
    dtQUk+TMHDo+9mT7T5gxhO5UHbdBAAAAkGtAxJOCFzanEUbiInE8qmoOUnUt5VqJ8YeWZK\n\
    PqT5ISqHnZoBZQXlof1kwkzGubF6vWSywOTsWp1OJ0A8DS93/WQ1+inIPoWd/Fuk3UsZgg\n\
    lfG8Ak8J1PAPRfv7ScYgClRsjx0/eZiP8JEuA+4/ZwwiR/WVSjOCiGP7rjWotYJ5ydeQi8\n\
    RVMs+BMOtZpMnoiw==\n\
    -----END OPENSSH PRIVATE KEY-----\n";

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
fn a_key_is_read_as_openssh_writes_it_and_one_with_a_passphrase_is_refused_with_what_to_do() {
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
    let private = ssh_key::PrivateKey::new(KeypairData::Ed25519(pair), "somebody").expect("a key");
    let text = private.to_openssh(ssh_key::LineEnding::LF).expect("text");
    let parsed = AgentKey::parse(&Zeroizing::new(text.as_bytes().to_vec())).expect("a key");
    assert_eq!(parsed.public_line(), key().public_line());
    let parse = |text: &str| AgentKey::parse(&Zeroizing::new(text.into())).expect_err("no key");
    assert_eq!(parse(LOCKED), KeyError::Passphrase);
    assert_eq!(parse("no key"), KeyError::Unreadable);
}

#[test]
fn requests_that_come_in_pieces_or_together_are_answered_in_turn_over_its_socket() {
    let directory = tempfile::tempdir().expect("tempdir");
    let socket = directory.path().join("agent");
    let agent = Agent::bind(&socket, vec![key()], users(&["deploy"])).expect("binds");
    std::thread::spawn(|| agent.serve());
    let mut client = UnixStream::connect(&socket).expect("connects");
    let login = framed(&request(&key(), &login_of("deploy", "publickey", &key())));
    let both = [framed(&[REQUEST_IDENTITIES]), login].concat();
    for piece in both.chunks(3) {
        client.write_all(piece).expect("written");
    }
    for kind in [IDENTITIES_ANSWER, SIGN_RESPONSE] {
        let mut length = [0; 4];
        client.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut answer).expect("all of it");
        assert_eq!(answer[0], kind);
    }
    // A length that no request has ends the connection, and the next one is served.
    client.write_all(&u32::MAX.to_be_bytes()).expect("written");
    assert_eq!(client.read(&mut [0; 1]).expect("closed"), 0);
    let mut next = UnixStream::connect(&socket).expect("connects");
    next.write_all(&framed(&[REQUEST_IDENTITIES])).expect("written");
    next.read_exact(&mut [0; 5]).expect("an answer");
}

proptest! {
    #[test]
    fn whatever_is_asked_it_answers(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let answer = answer(&bytes, &[key()], &users(&["deploy"]));
        prop_assert!(!answer.is_empty() && answer[0] != SIGN_RESPONSE);
    }
}
