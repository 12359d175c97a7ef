//! The brain in the core's loop: its start, and what operators ask of it.

use super::{Core, CoreError, Effect};
use crate::audit::Record;
use crate::brain::{Brain, BrainError, Checkpoint, KeySource, RecordId, unreserved};
use bartizan_proto::brain::{BrainAnswer, BrainRequest, BrainState, Opening};
use bartizan_proto::control::{Answer, Check, CheckVerdict, Refusal};
use bartizan_proto::{Confidential, Text};
use bartizan_secret::protection_here;
use rustix::process::{Resource, getrlimit};
use std::os::unix::fs::MetadataExt as _;
use tokio::sync::oneshot;

/// How an operator's request ended, when the service goes on.
pub(super) type Outcome = Result<BrainAnswer, BrainError>;

impl Core {
    /// Says how the brain is, takes over a token that still is in a file, and has the audit log say what it knows, so that
    /// the next start finds it near the log's end.
    pub(super) fn brain_at_start(&mut self, known: Option<Checkpoint>) -> Result<(), CoreError> {
        if let Some(checkpoint) = self.brain.checkpoint().or(known).filter(|_| !self.store.is_writing()) {
            self.record(&Record::BrainCheckpoint(checkpoint));
        }
        let status = self.brain.status();
        match status.state {
            BrainState::Open => tracing::info!(key = %status.key, records = status.records, "the brain is open"),
            BrainState::Absent | BrainState::Locked => tracing::warn!("brain: {}", status.remedy),
            BrainState::Broken => {
                tracing::error!("brain: {}", status.remedy);
                self.record(&Record::Alert { what: format!("brain: {}", status.remedy) });
            }
        }
        for problem in self.brain.problems() {
            tracing::error!("brain: {problem}");
            self.record(&Record::Alert { what: format!("brain: {problem}") });
        }
        self.adopt_token()
    }

    /// An operator asks something of the brain.
    pub(super) fn on_brain(
        &mut self,
        request: BrainRequest,
        uid: u32,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), CoreError> {
        // The operators' group may use the brain, and not carry it away or replace it.
        let own = rustix::process::geteuid().as_raw();
        if uid != 0 && uid != own && for_its_owner(&request) {
            let why = "only root may do that (in single-user mode, the user that it runs as)";
            let refused = Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) };
            self.effects.push(Effect::Answer(answer, Box::new(refused)));
            return Ok(());
        }
        let (what, name) = told(&request);
        let outcome = match request {
            BrainRequest::SetToken { token, checked } => return self.change_token(&token, checked, uid, answer),
            other => self.brain_does(other),
        };
        if let (Some(what), false) = (what, matches!(outcome, Err(BrainError::Store(_)))) {
            let error = outcome.as_ref().err().map(ToString::to_string);
            self.record_brain(what, name, format!("uid {uid}"), error);
        }
        self.answer_brain(answer, outcome)?;
        self.wake_egress()
    }

    fn brain_does(&mut self, request: BrainRequest) -> Outcome {
        let (brain, store) = (&mut self.brain, &mut self.store);
        let done = |text: String| BrainAnswer::Done { text: Text::cut(text) };
        Ok(match request {
            BrainRequest::Init { opening, discard } => {
                brain.init(store, &opening, discard)?;
                done(format!(
                    "There is a brain now, opened by {}. {}",
                    opened_by(&opening, brain),
                    foreign(&opening, brain)
                ))
            }
            BrainRequest::Unlock(opening) => {
                brain.unlock(store, &opening)?;
                self.brain_opened()?;
                done("The brain is open.".to_owned())
            }
            BrainRequest::Rekey(opening) => {
                brain.rekey(store, &opening)?;
                let by = opened_by(&opening, brain);
                done(format!(
                    "Everything has a new key, opened by {by}; the old ciphertext is erased. {}",
                    foreign(&opening, brain)
                ))
            }
            BrainRequest::Accept => {
                brain.accept(store)?;
                self.brain_opened()?;
                done("The brain is taken as it is, at a new epoch.".to_owned())
            }
            BrainRequest::Backup { from } => brain.backup_part(store, from)?,
            BrainRequest::Restore { from, part, last } => match (brain.take_part(from, &part, last.is_some())?, last) {
                (Some(backup), Some(opening)) => {
                    let count = brain.restore(store, backup, &opening)?;
                    self.drop_token("the brain was restored");
                    done(format!("{count} records are restored."))
                }
                (_, _) => done("taken".to_owned()),
            },
            BrainRequest::List => BrainAnswer::Records(brain.list()?),
            BrainRequest::Show { namespace, key } => {
                let id = RecordId::memory(&namespace, &key);
                let value = brain.get(store, &id)?;
                let rows = brain.list()?.into_vec().into_iter();
                let row =
                    rows.into_iter().find(|row| row.kind == id.kind && row.namespace == namespace && row.key == key);
                let value = Confidential::copy_of(value.expose()).map_err(|_| BrainError::TooLarge)?;
                BrainAnswer::Record(row.map(|row| Box::new(bartizan_proto::brain::ClearRecord { row, value })))
            }
            BrainRequest::Export { after } => BrainAnswer::Record(brain.nth(store, after)?.map(Box::new)),
            BrainRequest::SetSecret { name, value } => {
                let id = RecordId::secret(&name);
                unreserved(&id)?;
                let there = brain.contains(&id);
                brain.put(store, &id, &value)?;
                done(format!("{name} is {}.", if there { "replaced" } else { "kept" }))
            }
            BrainRequest::RemoveSecret { name } => {
                brain.remove(store, &RecordId::secret(&name))?;
                done(format!("{name} is removed."))
            }
            BrainRequest::SetToken { .. } => {
                return Err(BrainError::CheckedOut("the token has its own way".to_owned()));
            }
        })
    }

    /// It was opened: a token that still is in a file belongs into it.
    fn brain_opened(&mut self) -> Result<(), BrainError> {
        for problem in self.brain.problems() {
            self.record(&Record::Alert { what: format!("brain: {problem}") });
        }
        match self.adopt_token() {
            Ok(()) => Ok(()),
            Err(CoreError::Store(error)) => Err(error.into()),
            Err(other) => Err(BrainError::Broken(other.to_string())),
        }
    }

    pub(super) fn answer_brain(&mut self, answer: oneshot::Sender<Answer>, outcome: Outcome) -> Result<(), CoreError> {
        let told = match outcome {
            Ok(told) => Answer::Brain(told),
            Err(BrainError::Store(error)) => return Err(error.into()),
            Err(error @ BrainError::Missing(_)) => {
                Answer::Refused { refusal: Refusal::NotFound, why: Text::cut(error.to_string()) }
            }
            Err(error) => Answer::Refused { refusal: Refusal::Unavailable, why: Text::cut(error.to_string()) },
        };
        self.effects.push(Effect::Answer(answer, Box::new(told)));
        Ok(())
    }

    pub(crate) fn record_brain(&mut self, what: &'static str, name: Option<String>, by: String, error: Option<String>) {
        tracing::info!(what, name, by, error, "brain");
        self.record_first(&Record::Brain { what, name, by, error });
    }

    /// For `status`: what there is to do.
    pub(super) fn brain_problems(&self) -> Vec<String> {
        let status = self.brain.status();
        let own = (!status.remedy.is_empty()).then(|| format!("brain: {}", status.remedy));
        own.into_iter().chain(self.brain.problems().into_iter().map(|problem| format!("brain: {problem}"))).collect()
    }

    /// For `doctor`: key, memory, limits.
    pub(super) fn brain_checks(&self) -> Vec<Check> {
        let check =
            |what: &str, verdict, detail: String| Check { what: Text::cut(what), verdict, detail: Text::cut(detail) };
        let status = self.brain.status();
        let state = match (status.state, status.remedy.is_empty()) {
            (BrainState::Open, true) => {
                (CheckVerdict::Ok, format!("open, epoch {}, {} records", status.epoch, status.records))
            }
            (BrainState::Open | BrainState::Absent | BrainState::Locked | BrainState::Broken, _) => {
                (CheckVerdict::Fail, status.remedy.to_string())
            }
        };
        let mut checks = vec![check("brain", state.0, state.1), key_check(self.brain.source(), &check)];
        checks.extend(
            self.brain.problems().into_iter().map(|problem| check("brain record", CheckVerdict::Fail, problem)),
        );
        let limit = getrlimit(Resource::Memlock).current;
        let room = limit.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / 1024));
        checks.push(match protection_here() {
            Ok(protection) => {
                let enough = limit.is_none_or(|bytes| bytes >= 1 << 20);
                let verdict = if enough { CheckVerdict::Ok } else { CheckVerdict::Warn };
                let remedy = if enough { "" } else { "; each secret takes 16 KiB: LimitMEMLOCK=1M or more" };
                check("secret memory", verdict, format!("{}, RLIMIT_MEMLOCK {room}{remedy}", protection.as_str()))
            }
            Err(error) => check("secret memory", CheckVerdict::Fail, format!("{error} (RLIMIT_MEMLOCK {room})")),
        });
        checks
    }
}

fn key_check(source: &KeySource, check: &dyn Fn(&str, CheckVerdict, String) -> Check) -> Check {
    let seen = |path: &std::path::Path| match path.metadata() {
        Ok(metadata) if metadata.mode() & 0o377 == 0 => (CheckVerdict::Ok, format!("{}, mode 0400", path.display())),
        Ok(metadata) => {
            let mode = metadata.mode() & 0o7777;
            (CheckVerdict::Warn, format!("{} has mode {mode:04o}; chmod 400 {}", path.display(), path.display()))
        }
        Err(error) => (CheckVerdict::Fail, format!("{}: {error}", path.display())),
    };
    let (verdict, detail) = match source {
        KeySource::File(path) => seen(path),
        KeySource::Own(path) => match seen(path) {
            (CheckVerdict::Ok, detail) => (
                CheckVerdict::Ok,
                format!("{detail}; it lies beside what it opens: [brain] key-file names another place"),
            ),
            other => other,
        },
        KeySource::Credential(_) | KeySource::Passphrase => (CheckVerdict::Ok, source.to_string()),
    };
    check("brain key", verdict, detail)
}

/// What a member of the operators' group may not ask: it would carry the brain away, or put another in its place.
fn for_its_owner(request: &BrainRequest) -> bool {
    match request {
        BrainRequest::Init { .. }
        | BrainRequest::Rekey(_)
        | BrainRequest::Accept
        | BrainRequest::Backup { .. }
        | BrainRequest::Restore { .. }
        | BrainRequest::Show { .. }
        | BrainRequest::Export { .. } => true,
        BrainRequest::Unlock(_)
        | BrainRequest::List
        | BrainRequest::SetSecret { .. }
        | BrainRequest::RemoveSecret { .. }
        | BrainRequest::SetToken { .. } => false,
    }
}

/// What is recorded of a request, and about which record. Reading names records nothing, but for what leaves in clear.
fn told(request: &BrainRequest) -> (Option<&'static str>, Option<String>) {
    match request {
        BrainRequest::Init { discard: false, .. } => (Some("init"), None),
        BrainRequest::Init { discard: true, .. } => (Some("init-discard"), None),
        BrainRequest::Unlock(_) => (Some("unlock"), None),
        BrainRequest::Rekey(_) => (Some("rekey"), None),
        BrainRequest::Accept => (Some("accept"), None),
        BrainRequest::Backup { from: 0 } => (Some("backup"), None),
        BrainRequest::Restore { last: Some(_), .. } => (Some("restore"), None),
        BrainRequest::Show { namespace, key } => (Some("show"), Some(format!("{namespace}/{key}"))),
        BrainRequest::Export { after: 0 } => (Some("export"), None),
        BrainRequest::SetSecret { name, .. } => (Some("secret-set"), Some(name.to_string())),
        BrainRequest::RemoveSecret { name } => (Some("secret-removed"), Some(name.to_string())),
        BrainRequest::Backup { .. }
        | BrainRequest::Restore { .. }
        | BrainRequest::List
        | BrainRequest::Export { .. }
        | BrainRequest::SetToken { .. } => (None, None),
    }
}

fn opened_by(opening: &Opening, brain: &Brain) -> String {
    match opening {
        Opening::Configured => brain.source().to_string(),
        Opening::Passphrase(_) => "the passphrase that was typed".to_owned(),
        Opening::Key(_) => "the key that was given".to_owned(),
    }
}

/// What has to be done where the brain opens with something else than the configuration names.
fn foreign(opening: &Opening, brain: &Brain) -> String {
    match (opening, brain.source()) {
        (Opening::Configured, _) | (Opening::Passphrase(_), KeySource::Passphrase) => String::new(),
        (Opening::Key(_), KeySource::File(path)) => {
            format!("Now move the new key to {} before the service starts again.", path.display())
        }
        (Opening::Passphrase(_) | Opening::Key(_), source) => {
            format!(
                "The configuration names {source}: change [brain], or every start waits for `bartizan brain unlock`."
            )
        }
    }
}
