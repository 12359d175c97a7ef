//! Verifying: every signature, the chain, the numbers, the change of keys, the prunes, and what witnesses saw.
//!
//! The first line that is not what was written is named, and in what way. Signatures are verified many at a time, which is
//! twice as fast; where a batch is not right, one by one.

mod batch;
mod fault;
mod read;
mod witness;

pub use fault::{Fault, Kind};
pub use read::{VerifyError, is_whole, verify_files, verify_opened};
pub use witness::{BadWitness, Witness};

use crate::{CHECKPOINT, Entry, KEY_ROTATION, PRUNE, PRUNED, PublicKey, hash, nothing_before, proof_of_new_key};
use batch::Batch;
use serde::Serialize;

/// What is true of a log without a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Its files.
    pub files: usize,
    /// Its lines, a prune's stub not counted.
    pub lines: u64,
    /// The number of the first line.
    pub first: u64,
    /// The number of the last line.
    pub last: u64,
    /// When the first line was written.
    pub from: String,
    /// When the last one was.
    pub to: String,
    /// The hash of the last line.
    pub head: String,
    /// Everything up to this line was pruned.
    pub pruned_through: Option<u64>,
    /// Every key that signed, the last one last.
    pub keys: Vec<String>,
    /// Whether one of them is the key that the caller knows.
    pub known_key: bool,
    /// Checkpoints in the log.
    pub checkpoints: u64,
    /// Witnesses that agree.
    pub witnesses: usize,
}

/// Takes in a log line by line.
#[derive(Debug)]
pub struct Verifier {
    known: Option<PublicKey>,
    /// Who must have signed the next line; `None` before the first.
    key: Option<PublicKey>,
    /// The number and hash of the line before; `None` before the first.
    before: Option<(u64, String)>,
    /// Whether the log must begin at its beginning.
    whole: bool,
    stub: Option<(u64, String)>,
    stub_told_of: bool,
    witnesses: Vec<Witness>,
    /// Those of them before this one agree.
    agreed: usize,
    batch: Batch,
    report: Report,
    file: String,
    line: u64,
}

impl Verifier {
    /// Expects `known` to be one of the keys that signed, each witness to agree, and a `whole` log to begin at line 1 or
    /// with what a prune left.
    pub fn new(known: Option<PublicKey>, mut witnesses: Vec<Witness>, whole: bool) -> Self {
        witnesses.sort_by_key(|witness| witness.sequence);
        Self {
            known,
            key: None,
            before: None,
            whole,
            stub: None,
            stub_told_of: false,
            witnesses,
            agreed: 0,
            batch: Batch::default(),
            report: Report::default(),
            file: String::new(),
            line: 0,
        }
    }

    /// One more witness must agree, of the line that was read last or of one that is still to come; what it says of older
    /// ones is not heard.
    ///
    /// # Errors
    /// It saw another line than the last one.
    pub fn ask(&mut self, witness: Witness) -> Result<(), Fault> {
        let (last, hash) = match &self.before {
            Some((last, hash)) => (*last, hash.clone()),
            None => (0, String::new()),
        };
        if witness.sequence < last || self.witnesses.last().is_some_and(|known| known.sequence >= witness.sequence) {
            return Ok(());
        }
        if self.agreed == self.witnesses.len() {
            self.witnesses.clear();
            self.agreed = 0;
        }
        let at_the_end = last > 0 && witness.sequence == last;
        self.witnesses.push(witness);
        if at_the_end { self.ask_witnesses(last, &hash) } else { Ok(()) }
    }

    /// What is so until here, where more lines may come: everything that was taken in is verified. Which witnesses are still to
    /// be met stands in [`Verifier::unmet`].
    ///
    /// # Errors
    /// The first fault.
    pub fn so_far(&mut self) -> Result<Report, Fault> {
        self.batch.flush()?;
        self.is_sound()?;
        Ok(Report {
            head: self.before.as_ref().map(|(_, head)| head.clone()).unwrap_or_default(),
            ..self.report.clone()
        })
    }

    /// The number of a line that a witness saw and that has not come.
    pub fn unmet(&self) -> Option<u64> {
        self.witnesses.get(self.agreed..).and_then(<[Witness]>::last).map(|witness| witness.sequence)
    }

    /// The lines that follow are in this file.
    pub fn begin_file(&mut self, name: &str) {
        name.clone_into(&mut self.file);
        self.line = 0;
        self.report.files += 1;
    }

    /// Takes in the next line, without its line break.
    ///
    /// # Errors
    /// The first fault.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.line += 1;
        // A fault of this line counts only when the lines before are as they were signed: an edit shows there first.
        match self.judge(line) {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.batch.flush().err().unwrap_or(fault)),
        }
    }

    fn judge(&mut self, line: &[u8]) -> Result<(), Fault> {
        let entry = Entry::read(line).map_err(|error| self.fault(None, Kind::Malformed, error.to_string()))?;
        let key = self.signer(&entry)?;
        let here = self.place(&entry);
        self.batch.add(&entry, &key, here)?;
        match self.before.take() {
            None => self.first(&entry)?,
            Some((sequence, head)) => self.next(&entry, sequence, &head)?,
        }
        self.key = Some(self.next_key(&entry, key)?);
        if entry.event == PRUNED {
            self.before = Some((entry.sequence, entry.previous_hash.into_owned()));
            return Ok(());
        }
        if self.stub.as_ref().is_some_and(|(through, head)| tells_of(&entry, *through, head)) {
            self.stub_told_of = true;
        }
        let hash = hash(line);
        self.ask_witnesses(entry.sequence, &hash)?;
        self.before = Some((entry.sequence, hash));
        if self.report.lines == 0 {
            self.report.first = entry.sequence;
            self.report.from = entry.timestamp.clone().into_owned();
        }
        self.report.lines += 1;
        self.report.last = entry.sequence;
        self.report.checkpoints += u64::from(entry.event == CHECKPOINT);
        if self.report.to != entry.timestamp {
            self.report.to = entry.timestamp.into_owned();
        }
        Ok(())
    }

    /// That it is signed by who must have signed it.
    fn signer(&mut self, entry: &Entry<'_>) -> Result<PublicKey, Fault> {
        if let Some(key) = self.key.as_ref().filter(|key| key.as_str() == entry.public_key) {
            return Ok(key.clone());
        }
        let foreign = |of: &Self, why: String| of.fault(Some(entry.sequence), Kind::ForeignKey, why);
        match &self.key {
            Some(_)
                if !self.report.known_key && self.known.as_ref().is_some_and(|k| k.as_str() == entry.public_key) =>
            {
                let mut fault = foreign(self, "the lines before it are signed by another key than yours".to_owned());
                fault.line = 1;
                fault.sequence = Some(self.report.first);
                Err(fault)
            }
            Some(key) => Err(foreign(self, format!("is signed by {}, not by {key}", entry.public_key))),
            None => {
                let key = entry.public_key.parse().map_err(|error| {
                    self.fault(Some(entry.sequence), Kind::Malformed, format!("its publicKey {error}"))
                })?;
                self.met(&key);
                Ok(key)
            }
        }
    }

    fn met(&mut self, key: &PublicKey) {
        self.report.known_key |= self.known.as_ref() == Some(key);
        if self.report.keys.last().is_none_or(|last| last != key.as_str()) {
            self.report.keys.push(key.as_str().to_owned());
        }
    }

    fn first(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        let at = Some(entry.sequence);
        if entry.event == PRUNED {
            self.stub = Some((entry.sequence, entry.previous_hash.clone().into_owned()));
            self.report.pruned_through = at;
            return Ok(());
        }
        match entry.sequence {
            1 if entry.previous_hash == nothing_before() => Ok(()),
            0 | 1 => Err(self.fault(at, Kind::Edited, "is numbered as the first line and follows another".to_owned())),
            _ if !self.whole && entry.event == crate::ROTATION => Ok(()),
            sequence => Err(self.fault(
                at,
                Kind::Removed,
                format!("the lines from 1 to {} before it are missing", sequence - 1),
            )),
        }
    }

    fn next(&mut self, entry: &Entry<'_>, before: u64, head: &str) -> Result<(), Fault> {
        let (at, wanted) = (Some(entry.sequence), before + 1);
        if entry.event == PRUNED {
            return Err(self.fault(at, Kind::Reordered, "a prune's stub stands in the middle".to_owned()));
        }
        if entry.sequence < wanted {
            let why = format!("line {} stands where line {wanted} must be", entry.sequence);
            return Err(self.fault(at, Kind::Reordered, why));
        }
        if entry.sequence > wanted {
            let why = match entry.sequence - 1 {
                last if last == wanted => format!("line {wanted} before it is missing"),
                last => format!("the lines from {wanted} to {last} before it are missing"),
            };
            return Err(Fault { missing: Some(wanted), ..self.fault(at, Kind::Removed, why) });
        }
        if entry.previous_hash != head {
            let why = "was written after another line than the one before it".to_owned();
            return Err(self.fault(at, Kind::Forked, why));
        }
        Ok(())
    }

    /// Who must sign the line after this one.
    fn next_key(&mut self, entry: &Entry<'_>, key: PublicKey) -> Result<PublicKey, Fault> {
        let field = match &*entry.event {
            KEY_ROTATION => "newPublicKey",
            PRUNED => "nextPublicKey",
            _ => return Ok(key),
        };
        let bad = |of: &Self, why: &str| of.fault(Some(entry.sequence), Kind::Malformed, why.to_owned());
        let text = entry.text(field).ok_or_else(|| bad(self, "does not name the key that signs next"))?;
        let new: PublicKey = text.parse().map_err(|_| bad(self, "names a key that is none"))?;
        if entry.event == KEY_ROTATION {
            let proof = proof_of_new_key(key.as_str(), new.as_str(), entry.sequence);
            if !entry.text("newSignature").is_some_and(|signature| batch::is_signature(&new, &proof, &signature)) {
                return Err(bad(self, "has no proof that whoever changed the key has the new one"));
            }
        }
        self.met(&new);
        Ok(new)
    }

    fn ask_witnesses(&mut self, sequence: u64, hash: &str) -> Result<(), Fault> {
        while let Some(witness) = self.witnesses.get(self.agreed).filter(|w| w.sequence <= sequence) {
            if witness.sequence < sequence {
                let why =
                    format!("{} saw line {}, which was pruned or is in another file", witness.from, witness.sequence);
                return Err(self.fault(Some(sequence), Kind::Removed, why));
            }
            if witness.hash != hash {
                let why = format!("is not the line that {} saw", witness.from);
                return Err(self.fault(Some(sequence), Kind::Forked, why));
            }
            self.agreed += 1;
            self.report.witnesses += 1;
        }
        Ok(())
    }

    /// There are no more lines. `rest` is what follows the last line break.
    ///
    /// # Errors
    /// What only the end shows.
    pub fn finish(mut self, rest: &[u8]) -> Result<Report, Fault> {
        self.batch.flush()?;
        let last = self.before.as_ref().map_or(0, |(sequence, _)| *sequence);
        if !rest.is_empty() {
            self.line += 1;
            return Err(self.fault(None, Kind::Cut, "is cut off in its middle".to_owned()));
        }
        if let Some(witness) = self.witnesses.get(self.agreed..).and_then(<[Witness]>::last) {
            let why = format!("the log ends at line {last}, and {} saw line {}", witness.from, witness.sequence);
            return Err(self.fault(Some(last), Kind::Cut, why));
        }
        self.is_sound()?;
        if let Some((_, head)) = self.before {
            self.report.head = head;
        }
        Ok(self.report)
    }

    /// What only all lines together show.
    fn is_sound(&self) -> Result<(), Fault> {
        if self.stub.is_some() && !self.stub_told_of {
            let why = "the log begins after a prune that no line tells of".to_owned();
            return Err(self.fault(self.report.pruned_through, Kind::Removed, why));
        }
        if let Some(known) = self.known.as_ref().filter(|_| !self.report.known_key && self.report.lines > 0) {
            let mut fault =
                self.fault(Some(self.report.first), Kind::ForeignKey, format!("nothing is signed by {known}"));
            fault.line = 1;
            return Err(fault);
        }
        Ok(())
    }

    fn place(&self, entry: &Entry<'_>) -> Fault {
        self.fault(Some(entry.sequence), Kind::Edited, "its signature does not fit it".to_owned())
    }

    fn fault(&self, sequence: Option<u64>, kind: Kind, why: String) -> Fault {
        Fault { file: self.file.clone(), line: self.line, sequence, kind, why, missing: None }
    }
}

fn tells_of(entry: &Entry<'_>, through: u64, head: &str) -> bool {
    entry.event == PRUNE
        && entry.fields().is_ok_and(|fields| {
            fields.get("through").and_then(serde_json::Value::as_u64) == Some(through)
                && fields.get("headHash").and_then(serde_json::Value::as_str) == Some(head)
        })
}
