//! Making a brain, opening it, and what is compared before it is believed.

use super::index::Index;
use super::key::{self, Kdf, KeyError, Master};
use super::record::KEY_ID;
use super::seal::{Cipher, SealError, new_key, random};
use super::{Brain, BrainError, Checkpoint, KeySource, Open, State, memory, short};
use crate::config::Trust;
use crate::store::Store;
use crate::store::brain::HeadRow;
use bartizan_proto::brain::Opening;
use bartizan_secret::SecretBytes;
use std::path::PathBuf;

impl Brain {
    /// The brain as it is found at the start: opened where its key is at hand, made where there never was one.
    ///
    /// # Errors
    /// [`BrainError::Store`] only: everything else is a state of the brain.
    pub fn start(
        source: KeySource,
        credentials: Option<PathBuf>,
        trust: Trust,
        known: Option<Checkpoint>,
        store: &mut Store,
    ) -> Result<Self, BrainError> {
        let mut brain = Self {
            source,
            credentials,
            trust,
            known,
            state: State::Absent,
            unrecorded: false,
            remains: false,
            backup: None,
            upload: Vec::new(),
            short: short::ShortTerm::default(),
            checkouts: memory::Checkouts::default(),
        };
        brain.look(store)?;
        // A rekey that was killed has made its new data key, and not yet erased what was there before.
        if store.brain_head()?.is_some_and(|head| head.remains) {
            store.erase_remains(&mut |_| {})?;
        }
        Ok(brain)
    }

    fn look(&mut self, store: &mut Store) -> Result<(), BrainError> {
        let tried = match (store.brain_head()?, self.known) {
            (Some(_), _) => self.unlock(store, &Opening::Configured),
            (None, Some(known)) => {
                let epoch = known.epoch;
                let why = format!(
                    "the audit log knows it at epoch {epoch}, and the database has none: `bartizan brain restore FILE`, \
                     or `bartizan brain init --discard` for an empty one"
                );
                self.state = State::Broken { why, held: None };
                return Ok(());
            }
            (None, None) if self.source == KeySource::Passphrase => return Ok(()),
            (None, None) => self.init(store, &Opening::Configured, false),
        };
        match tried {
            Ok(()) | Err(BrainError::Broken(_)) => Ok(()),
            Err(BrainError::Store(error)) => Err(error.into()),
            Err(BrainError::Key(KeyError::Typed)) => {
                self.lock("it waits for its passphrase: `bartizan brain unlock`".to_owned());
                Ok(())
            }
            Err(error) => {
                self.lock(format!("{error}; then `bartizan brain unlock`"));
                Ok(())
            }
        }
    }

    fn lock(&mut self, why: String) {
        self.state = State::Locked { why };
    }

    /// Makes a brain. One that was there is only thrown away when that is said.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn init(&mut self, store: &mut Store, opening: &Opening, discard: bool) -> Result<(), BrainError> {
        let there = store.brain_head()?.map(|head| head.epoch);
        if (there.is_some() || self.known.is_some()) && !discard {
            return Err(BrainError::Exists);
        }
        let master = self.new_master(opening)?;
        let key_id = random::<KEY_ID>()?;
        let data_key = new_key()?;
        let head = HeadRow {
            key_id: key_id.to_vec(),
            kdf: master.kdf.as_ref().map(Kdf::to_string),
            wrapped: master.wrap(&key_id, &data_key)?,
            epoch: 0,
            sealed_index: Vec::new(),
            remains: there.is_some(),
        };
        let epoch = there.unwrap_or(0).max(self.known.map_or(0, |known| known.epoch));
        let index = Index { epoch, ..Index::default() };
        let mut open = Open { cipher: Cipher::new(&data_key)?, key_id, index, head, strangers: Vec::new() };
        store.remove_brain_records()?;
        open.write_index(store)?;
        self.remains |= std::mem::take(&mut open.head.remains);
        self.state = State::Open(Box::new(open));
        self.unrecorded = true;
        Ok(())
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`BrainError`]; it stays as it was unless it is found to be broken.
    pub fn unlock(&mut self, store: &Store, opening: &Opening) -> Result<(), BrainError> {
        if self.is_open() {
            return Ok(());
        }
        let head = store.brain_head()?.ok_or(BrainError::Absent)?;
        let opened = match opening {
            Opening::Configured if head.kdf.is_some() => return Err(KeyError::Typed.into()),
            Opening::Configured => {
                let first = self.configured().and_then(|key| self.believe(store, &head, &Master::of_key(key)));
                match (first, self.next_key()) {
                    // A new key file that lies ready beside the old one: a rekey was cut short before it was moved.
                    (Err(BrainError::WrongKey | BrainError::Key(_)), Some(next)) => {
                        self.believe(store, &head, &Master::of_key(next))
                    }
                    (first, _) => first,
                }
            }
            Opening::Passphrase(passphrase) => {
                let kdf = Kdf::parse(head.kdf.as_deref().ok_or(BrainError::WrongKey)?)?;
                let key = kdf.key(passphrase)?;
                self.believe(store, &head, &Master { key, kdf: Some(kdf) })
            }
            Opening::Key(key) => self.believe(store, &head, &Master::of_key(given(key)?)),
        };
        match opened {
            Ok(open) => {
                self.state = State::Open(Box::new(open));
                Ok(())
            }
            Err(BrainError::Broken(why)) => {
                if !matches!(self.state, State::Broken { .. }) {
                    self.state = State::Broken { why: why.clone(), held: None };
                }
                Err(BrainError::Broken(why))
            }
            Err(other) => Err(other),
        }
    }

    /// Decrypts the index, and compares it with the rows and with the audit log.
    fn believe(&mut self, store: &Store, head: &HeadRow, master: &Master) -> Result<Open, BrainError> {
        let key_id: [u8; KEY_ID] = head
            .key_id
            .as_slice()
            .try_into()
            .map_err(|_| BrainError::Broken("its key's name is damaged; restore a backup".to_owned()))?;
        let data_key = match master.unwrap(&key_id, head.kdf.as_deref(), &head.wrapped) {
            Err(SealError::Authentic) => return Err(BrainError::WrongKey),
            other => other?,
        };
        let cipher = Cipher::new(&data_key)?;
        let index = cipher.open(&Index::about(&key_id, head.epoch), &head.sealed_index);
        let index = index.ok().and_then(|bytes| Index::parse(bytes.expose())).filter(|i| i.epoch == head.epoch);
        let Some(mut index) = index else {
            return Err(BrainError::Broken("its index does not authenticate; restore a backup".to_owned()));
        };
        let checkpoint = index.checkpoint();
        let strangers = index.compare(&store.brain_records()?);
        let open = Open { cipher, key_id, index, head: head.clone(), strangers };
        match self.known {
            Some(known) if checkpoint.epoch < known.epoch => {
                let why = format!(
                    "it is at epoch {}, and the audit log has it at {}: an older database was put back. Restore the newest \
                     backup (`bartizan brain restore FILE`), or take it as it is (`bartizan brain accept`)",
                    checkpoint.epoch, known.epoch
                );
                self.state = State::Broken { why: why.clone(), held: Some(Box::new(open)) };
                Err(BrainError::Broken(why))
            }
            Some(known) if checkpoint.epoch == known.epoch && checkpoint.root != known.root => {
                let why = format!(
                    "at epoch {} it is not what the audit log has: another database was put here. Restore a backup \
                     (`bartizan brain restore FILE`), or take it as it is (`bartizan brain accept`)",
                    checkpoint.epoch
                );
                self.state = State::Broken { why: why.clone(), held: Some(Box::new(open)) };
                Err(BrainError::Broken(why))
            }
            Some(_) | None => Ok(open),
        }
    }

    /// Takes a brain that is older than the audit log says, at a newer epoch than any.
    ///
    /// # Errors
    /// [`BrainError`] when there is nothing that could be taken.
    pub fn accept(&mut self, store: &mut Store) -> Result<(), BrainError> {
        let State::Broken { held, why } = &mut self.state else {
            self.open()?;
            return Ok(());
        };
        let mut open = held.take().ok_or_else(|| BrainError::Broken(why.clone()))?;
        open.index.epoch = open.index.epoch.max(self.known.map_or(0, |known| known.epoch));
        open.write_index(store)?;
        self.state = State::Open(open);
        self.unrecorded = true;
        Ok(())
    }

    /// The configured key.
    pub(super) fn configured(&self) -> Result<SecretBytes, BrainError> {
        Ok(key::configured(&self.source, self.credentials.as_deref(), &self.trust)?)
    }

    fn next_key(&self) -> Option<SecretBytes> {
        let KeySource::File(path) = &self.source else { return None };
        let mut next = path.clone().into_os_string();
        next.push(".new");
        key::read(&PathBuf::from(next), &self.trust).ok()
    }

    /// The master key that a brain is to have from now on.
    pub(super) fn new_master(&self, opening: &Opening) -> Result<Master, BrainError> {
        Ok(match opening {
            Opening::Configured => Master::of_key(self.configured()?),
            Opening::Passphrase(passphrase) => Master::of_passphrase(passphrase)?,
            Opening::Key(key) => Master::of_key(given(key)?),
        })
    }
}

/// A key that came over the control socket.
pub(super) fn given(key: &[u8]) -> Result<SecretBytes, BrainError> {
    if key.len() != super::seal::KEY {
        return Err(BrainError::WrongKey);
    }
    Ok(SecretBytes::build(key.len(), |memory| memory.copy_from_slice(key)).map_err(SealError::from)?)
}
