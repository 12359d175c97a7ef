//! The server, asked by `bartizan-egress`: started as the core starts it, with the core's protocol at the other end. So what
//! setup finds is what the service will find, with the same TLS, the same limits and the same confinement.
//!
//! Egress runs as no root: started by root it becomes the installation's own user, else nobody.

use super::SetupError;
use crate::exit::CtlError;
use crate::siblings;
use bartizan_proto::channel::Channel;
use bartizan_proto::egress::{
    AttestedChannel, AttestedUser, ChannelKind, ClientCertificate, FromEgress, Outcome, QuestionId, Ready, Setup,
    Subject, ToEgress,
};
use bartizan_proto::installation::SYSTEM_CA_BUNDLES;
use bartizan_proto::limits::MAX_CA_BUNDLE;
use bartizan_proto::text::printable;
use bartizan_proto::version::Role;
use bartizan_proto::{Bytes, Confidential, Text};
use bartizan_secret::Zeroizing;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Over the time that egress gives one request.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long an egress that has closed its channel may take to end.
const TO_END: Duration = Duration::from_secs(5);
/// Stands in for a token that was not typed yet: the server must refuse it.
const NO_TOKEN: &[u8] = b"no-token-was-typed-yet";
/// Stands in for a team that was not named yet.
const NO_TEAM: &str = "bartizan";

/// One question.
pub struct Asked<'a> {
    /// The flag that answers it.
    pub flag: &'static str,
    /// As it is asked.
    pub what: &'a str,
    /// As it was answered on the command line.
    pub given: Option<&'a str>,
}

/// How a server is reached.
pub struct Server {
    program: PathBuf,
    user: Option<(u32, u32)>,
    ca_file: Option<PathBuf>,
    proxy: Option<String>,
    client: Option<(PathBuf, PathBuf)>,
}

/// An egress that has found the server, the bot and the team.
pub struct Session {
    egress: Egress,
    ready: Ready,
    questions: u64,
    /// The team's name.
    pub team: String,
}

impl Server {
    /// By the `bartizan-egress` beside this program.
    pub fn beside(
        ca_file: Option<&Path>,
        proxy: Option<&str>,
        client: Option<(&Path, &Path)>,
    ) -> Result<Self, CtlError> {
        let found =
            |name: &str| siblings::beside(name).map_err(|error| CtlError::Sibling { program: name.into(), error });
        let program = found("bartizan-egress")?;
        let user = siblings::unprivileged();
        let client = client.map(|(certificate, key)| (certificate.to_owned(), key.to_owned()));
        Ok(Self { program, user, ca_file: ca_file.map(Path::to_owned), proxy: proxy.map(str::to_owned), client })
    }

    /// The server is a Mattermost server: it refuses a token that is none.
    pub fn answers(&self, url: &str) -> Result<(), SetupError> {
        match self.begin(url, NO_TOKEN, NO_TEAM)?.1 {
            Ok(_) => Ok(()),
            Err(why) if is_token(&why) => Ok(()),
            Err(why) => Err(unusable(url, &why)),
        }
    }

    /// The server knows this token; about the team nothing is said yet.
    pub fn knows(&self, url: &str, token: &[u8]) -> Result<(), SetupError> {
        match self.begin(url, token, NO_TEAM)?.1 {
            Ok(_) => Ok(()),
            Err(why) if is_token(&why) => Err(SetupError::Token),
            Err(why) if why.contains("team") => Ok(()),
            Err(why) => Err(unusable(url, &why)),
        }
    }

    /// The team is there, and the bot in it.
    pub fn open(&self, url: &str, token: &[u8], team: &str) -> Result<Session, SetupError> {
        let team = team.trim().to_lowercase();
        match self.begin(url, token, &team)? {
            (egress, Ok(ready)) => Ok(Session { egress, ready, questions: 0, team }),
            (_, Err(why)) if is_token(&why) => Err(SetupError::Token),
            (_, Err(why)) if why.contains("team") => Err(SetupError::Team(printable(&team))),
            (_, Err(why)) => Err(unusable(url, &why)),
        }
    }

    /// Starts egress, and waits for what it finds.
    fn begin(&self, url: &str, token: &[u8], team: &str) -> Result<(Egress, Result<Ready, String>), SetupError> {
        let failed = |why: String| SetupError::Server { url: printable(url), why };
        let token = Confidential::new(Zeroizing::new(token.to_vec())).map_err(|_| SetupError::Token)?;
        let setup = Setup {
            url: Text::new(url).map_err(|_| failed("the address is too long".to_owned()))?,
            token,
            ca: Bytes::new(self.ca(url)?).map_err(|error| failed(format!("the CA certificates: {error}")))?,
            team: Text::new(team).map_err(|_| SetupError::Team(printable(team)))?,
            proxy: match &self.proxy {
                None => None,
                Some(proxy) => {
                    Some(Text::new(proxy).map_err(|_| failed("the proxy's address is too long".to_owned()))?)
                }
            },
            client: self.client().map_err(failed)?,
        };
        let mut egress =
            Egress::start(&self.program, self.user).map_err(|error| failed(format!("bartizan-egress: {error}")))?;
        let found = match egress.find(Box::new(setup)) {
            Some(FromEgress::Ready(ready)) => Ok(*ready),
            Some(FromEgress::Unready { why, .. }) => Err(printable(&why)),
            Some(_) | None => return Err(failed(egress.last_words())),
        };
        Ok((egress, found))
    }

    /// Our own certificate and its key.
    fn client(&self) -> Result<Option<ClientCertificate>, String> {
        let Some((certificate, key)) = &self.client else { return Ok(None) };
        let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let chain = std::fs::read(certificate).map_err(|error| failed(certificate, &error))?;
        let secret = std::fs::read(key).map(Zeroizing::new).map_err(|error| failed(key, &error))?;
        Ok(Some(ClientCertificate {
            chain: Bytes::new(chain).map_err(|error| failed(certificate, &error))?,
            key: Confidential::new(secret).map_err(|error| failed(key, &error))?,
        }))
    }

    fn ca(&self, url: &str) -> Result<Vec<u8>, SetupError> {
        let path = match (&self.ca_file, url.starts_with("https:")) {
            (_, false) => return Ok(Vec::new()),
            (Some(path), true) => path.clone(),
            (None, true) => match SYSTEM_CA_BUNDLES.iter().map(Path::new).find(|path| path.exists()) {
                Some(path) => path.to_owned(),
                None => {
                    let why =
                        "this machine has no CA certificates: install ca-certificates, or give --ca-file".to_owned();
                    return Err(SetupError::Server { url: printable(url), why });
                }
            },
        };
        let mut pem = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_CA_BUNDLE as u64 + 1).read_to_end(&mut pem)) {
            Ok(_) => Ok(pem),
            Err(error) => Err(SetupError::Server { url: printable(url), why: format!("{}: {error}", path.display()) }),
        }
    }
}

impl Session {
    /// The bot's name.
    pub fn bot(&self) -> &str {
        &self.ready.bot.name
    }

    /// Whether it has more rights than it needs.
    pub fn bot_is_admin(&self) -> bool {
        self.ready.bot.system_admin
    }

    /// By which roles it may have a whole channel notified; nothing where the server does not say.
    pub fn may_mention_channels(&mut self) -> Vec<String> {
        match self.attest(Subject::OwnRights) {
            Some(Outcome::OwnRights(rights)) => rights.mention_channels.iter().map(|role| printable(role)).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        &self.ready.server_version
    }

    /// A person who may be an admin, by the name that the server has for them.
    pub fn person(&mut self, name: &str) -> Result<String, SetupError> {
        let name = name.trim().trim_start_matches('@').to_lowercase();
        let wrong = |why: &str| Err(SetupError::Admin { name: printable(&name), why: why.to_owned() });
        if name.is_empty() {
            return wrong("name somebody");
        }
        let Ok(asked) = Text::new(name.as_str()) else { return wrong("the name is too long") };
        match self.attest(Subject::UserNamed(asked)) {
            Some(Outcome::User(AttestedUser { bot: true, .. })) => wrong("it is a bot"),
            Some(Outcome::User(AttestedUser { deactivated: true, .. })) => wrong("the account is deactivated"),
            Some(Outcome::User(AttestedUser { guest: true, .. })) => wrong("the account is a guest's"),
            Some(Outcome::User(AttestedUser { remote: true, .. })) => wrong("the account is another server's"),
            Some(Outcome::User(user)) => Ok(user.name.to_string()),
            Some(Outcome::NotFound) => wrong("the server knows no user of that name"),
            Some(Outcome::Unavailable { why }) => wrong(&printable(&why)),
            Some(_) | None => wrong(&self.egress.last_words()),
        }
    }

    /// A channel of the team that the bot sees, by the name that the server has for it.
    pub fn channel(&mut self, name: &str) -> Result<String, SetupError> {
        let name = name.trim().trim_start_matches(['#', '~']).to_lowercase();
        let wrong = |why: String| Err(SetupError::Channel { name: printable(&name), why });
        let Ok(asked) = Text::new(name.as_str()) else { return wrong("the name is too long".to_owned()) };
        match self.attest(Subject::ChannelNamed(asked)) {
            Some(Outcome::Channel(AttestedChannel { archived: true, .. })) => {
                wrong("the channel is archived".to_owned())
            }
            Some(Outcome::Channel(AttestedChannel { kind: ChannelKind::Direct | ChannelKind::Group, .. })) => {
                wrong("these are direct messages, not a channel".to_owned())
            }
            Some(Outcome::Channel(channel)) => Ok(channel.name.to_string()),
            Some(Outcome::NotFound) => wrong(format!(
                "the bot sees no such channel in {}: use the name in its address, and say there: /invite @{}",
                printable(&self.team),
                printable(self.bot())
            )),
            Some(Outcome::Unavailable { why }) => wrong(printable(&why)),
            Some(_) | None => wrong(self.egress.last_words()),
        }
    }

    fn attest(&mut self, subject: Subject) -> Option<Outcome> {
        self.questions += 1;
        let asked = QuestionId(self.questions);
        self.egress.channel.send(&ToEgress::Attest { question: asked, subject }).ok()?;
        loop {
            match self.egress.channel.receive().ok()?? {
                FromEgress::Attested { question, outcome } if question == asked => return Some(outcome),
                // The state of the server may be told anew at any time.
                _ => {}
            }
        }
    }
}

/// The process. It ends when this is dropped: its channel closes.
struct Egress {
    child: Child,
    channel: Channel,
}

impl Egress {
    fn start(program: &Path, user: Option<(u32, u32)>) -> std::io::Result<Self> {
        let (own, theirs) = UnixStream::pair()?;
        own.set_read_timeout(Some(PATIENCE))?;
        own.set_write_timeout(Some(PATIENCE))?;
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some((uid, gid)) = user {
            // Root's further groups go with it.
            command.uid(uid).gid(gid);
        }
        Ok(Self { child: command.spawn()?, channel: own.into() })
    }

    /// Says who is here and where the server is; what egress says first.
    fn find(&mut self, setup: Box<Setup>) -> Option<FromEgress> {
        self.channel.greet(Role::Core, Role::Egress).ok()?;
        self.channel.send(&ToEgress::Setup(setup)).ok()?;
        self.channel.receive().ok()?
    }

    /// The last line of its log, where it ended instead of answering.
    fn last_words(&mut self) -> String {
        // It closes its channel first, and says why afterwards.
        let end = Instant::now() + TO_END;
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ended = self.child.kill();
        let mut log = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _what_there_was = stderr.take(64 * 1024).read_to_end(&mut log);
        }
        let log = String::from_utf8_lossy(&log);
        match log.lines().last() {
            Some(line) => printable(line.split_once("startup: ").map_or(line, |(_, why)| why)),
            None => "bartizan-egress gave no answer".to_owned(),
        }
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// As egress words it for a 401.
fn is_token(why: &str) -> bool {
    why.contains("(401)")
}

fn unusable(url: &str, why: &str) -> SetupError {
    let remedy = match why {
        why if why.contains("UnknownIssuer") => "; give the server's CA with --ca-file",
        why if why.contains("answered") => "; is it the address of a Mattermost server?",
        _ => "",
    };
    SetupError::Server { url: printable(url), why: format!("{why}{remedy}") }
}

/// Whether nobody else sees plain http to it.
pub fn is_loopback(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["127.", "localhost", "[::1]"].iter().any(|own| host.starts_with(own))
}
