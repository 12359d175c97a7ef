//! An SSH agent that does two things: it lists its keys, and it signs log-ins of users that it was told of (draft-ietf-sshm-ssh-agent,
//! OpenSSH's PROTOCOL.agent). A key is in this process's memory alone; who asks gets a signature, never the key, and none of anything
//! but a log-in.
//!
//! Its socket stands in a directory that is its user's alone. It believes nothing of who connects: the bytes are read in bounds, and
//! what is to be signed is read, too, and has to be what RFC 4252 says of a log-in with a public key.

use bartizan_proto::limits::MAX_SECRET;
use ed25519_dalek::{Signer as _, SigningKey};
use rustix::event::{PollFd, PollFlags};
use ssh_key::private::KeypairData;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Largest request that is read, in bytes. One to sign a log-in has a few hundred.
const MAX_REQUEST: usize = 16 * 1024;

/// Connections at once. Each of OpenSSH's clients has one, and closes it when it is logged in.
const MAX_CONNECTIONS: usize = 256;

/// The requests that are answered, and the answers (section 5.1 of the draft).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// SSH_MSG_USERAUTH_REQUEST (RFC 4252).
const USERAUTH_REQUEST: u8 = 50;

/// The one algorithm.
const ALGORITHM: &[u8] = b"ssh-ed25519";

/// Not a key that this agent can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Another form.
    #[error("is not a private key in OpenSSH's form (-----BEGIN OPENSSH PRIVATE KEY-----)")]
    Unreadable,
    /// Locked.
    #[error(
        "is a key with a passphrase; the brain keeps it secret already: take the passphrase off with ssh-keygen -p"
    )]
    Passphrase,
    /// RSA and its like.
    #[error("is a key of another kind; make one with ssh-keygen -t ed25519")]
    Algorithm,
}

/// A private key.
pub struct AgentKey {
    signing: SigningKey,
    blob: Vec<u8>,
}

impl AgentKey {
    /// Reads the text of a file like `id_ed25519`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        if text.len() > MAX_SECRET {
            return Err(KeyError::Unreadable);
        }
        let key = ssh_key::PrivateKey::from_openssh(text.as_slice()).map_err(|_| KeyError::Unreadable)?;
        match key.key_data() {
            KeypairData::Ed25519(pair) => {
                let signing = SigningKey::from_bytes(&pair.private.to_bytes());
                let blob = [&framed(ALGORITHM)[..], &framed(signing.verifying_key().as_bytes())].concat();
                Ok(Self { signing, blob })
            }
            KeypairData::Encrypted(_) => Err(KeyError::Passphrase),
            _another => Err(KeyError::Algorithm),
        }
    }

    /// Its public half as a line of a file like `id_ed25519.pub`: with it, a client asks for this key.
    pub fn public_line(&self) -> String {
        use base64::Engine as _;
        format!("ssh-ed25519 {}\n", base64::engine::general_purpose::STANDARD.encode(&self.blob))
    }
}

impl std::fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.public_line().trim())
    }
}

/// Who may be logged in as. Can grow while the agent serves.
#[derive(Debug, Clone, Default)]
pub struct Users(Arc<Mutex<BTreeSet<String>>>);

impl Users {
    /// One more.
    pub fn allow(&self, user: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_owned());
    }

    fn knows(&self, user: &[u8]) -> bool {
        std::str::from_utf8(user).is_ok_and(|user| self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(user))
    }
}

/// The agent, bound to its socket.
#[derive(Debug)]
pub struct Agent {
    listener: UnixListener,
    keys: Vec<AgentKey>,
    users: Users,
}

impl Agent {
    /// Binds the socket; clients can connect from now on, and wait for [`Agent::serve`].
    ///
    /// # Errors
    /// What `bind(2)` gives.
    pub fn bind(path: &Path, keys: Vec<AgentKey>, users: Users) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, keys, users })
    }

    /// Answers for as long as the process lives. For a thread of its own.
    ///
    /// # Errors
    /// When waiting fails. What one client does ends that client's connection only.
    pub fn serve(self) -> io::Result<()> {
        let mut clients: Vec<Client> = Vec::new();
        loop {
            let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
            fds.extend(clients.iter().map(|client| PollFd::new(&client.stream, client.wants())));
            match rustix::event::poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut place = 0;
            clients.retain_mut(|client| {
                place += 1;
                !ready[place] || client.turn(&self.keys, &self.users).is_ok()
            });
            if ready[0]
                && let Ok((stream, _)) = self.listener.accept()
                && clients.len() < MAX_CONNECTIONS
                && stream.set_nonblocking(true).is_ok()
            {
                clients.push(Client { stream, input: Vec::new(), output: Vec::new() });
            }
        }
    }
}

/// One connection.
struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// An answer that is not taken stops the reading.
    fn wants(&self) -> PollFlags {
        if self.output.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// Reads or writes once. An error ends the connection.
    fn turn(&mut self, keys: &[AgentKey], users: &Users) -> io::Result<()> {
        if self.output.is_empty() {
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.input.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        loop {
            if self.output.is_empty() {
                let Some(request) = taken(&mut self.input)? else { return Ok(()) };
                self.output = framed(&answer(&request, keys, users));
            }
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The first whole message, taken off.
fn taken(input: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some((length, rest)) = input.split_first_chunk() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_REQUEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if rest.len() < length {
        return Ok(None);
    }
    let message = rest[..length].to_vec();
    input.drain(..4 + length);
    Ok(Some(message))
}

/// What one message is answered with. Everything that is not a list or a log-in fails.
pub fn answer(request: &[u8], keys: &[AgentKey], users: &Users) -> Vec<u8> {
    let answered = match request.split_first() {
        Some((&REQUEST_IDENTITIES, [])) => {
            let mut list = vec![IDENTITIES_ANSWER];
            list.extend_from_slice(&u32::try_from(keys.len()).unwrap_or(0).to_be_bytes());
            for key in keys {
                list.extend(framed(&key.blob));
                list.extend(framed(b""));
            }
            Some(list)
        }
        Some((&SIGN_REQUEST, rest)) => sign(rest, keys, users),
        Some(_) | None => None,
    };
    answered.unwrap_or_else(|| vec![FAILURE])
}

/// `string key blob, string data, uint32 flags`
fn sign(request: &[u8], keys: &[AgentKey], users: &Users) -> Option<Vec<u8>> {
    let mut request = Reader(request);
    let blob = request.string()?;
    let data = request.string()?;
    // Flags choose among RSA's hashes.
    request.take(4)?;
    request.end()?;
    let key = keys.iter().find(|key| key.blob == blob)?;
    login(data, key, users)?;
    let signature = [&framed(ALGORITHM)[..], &framed(&key.signing.sign(data).to_bytes())].concat();
    Some([&[SIGN_RESPONSE][..], &framed(&signature)].concat())
}

/// Whether this is what a log-in with this key signs (RFC 4252 section 7; OpenSSH's PROTOCOL section 1.6 for the second name), of a
/// user that is known.
fn login(data: &[u8], key: &AgentKey, users: &Users) -> Option<()> {
    let mut data = Reader(data);
    let _session = data.string()?;
    let is = |given: &[u8], wanted: &[u8]| (given == wanted).then_some(());
    is(data.take(1)?, &[USERAUTH_REQUEST])?;
    users.knows(data.string()?).then_some(())?;
    is(data.string()?, b"ssh-connection")?;
    let method = data.string()?;
    is(data.take(1)?, &[1])?;
    is(data.string()?, ALGORITHM)?;
    is(data.string()?, &key.blob)?;
    match method {
        b"publickey" => {}
        b"publickey-hostbound-v00@openssh.com" => drop(data.string()?),
        _other => return None,
    }
    data.end()
}

/// SSH's strings, in bounds.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length: [u8; 4] = self.take(4)?.try_into().ok()?;
        self.take(usize::try_from(u32::from_be_bytes(length)).ok()?)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// With its length before it.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
