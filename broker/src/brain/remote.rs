//! The key that signs orders for other machines, which is in the brain and, while it signs, in secret memory; and what of the keys that
//! log in there may be shown: their public halves.

use super::seal::new_key;
use super::{Brain, BrainError, RecordId};
use crate::store::Store;
use bartizan_audit::SealingKey;
use bartizan_proto::ids::SecretName;
use bartizan_proto::targets::Rotate;
use ssh_key::PrivateKey;
use ssh_key::private::KeypairData;

impl Brain {
    /// The key, where there is one.
    ///
    /// # Errors
    /// [`BrainError`]: locked, damaged.
    pub fn remote_key(&mut self, store: &Store) -> Result<Option<SealingKey>, BrainError> {
        self.signing_key(store, &RecordId::remote_key())
    }

    /// The one that waits to take its place.
    ///
    /// # Errors
    /// [`BrainError`]: locked, damaged.
    pub fn next_remote_key(&mut self, store: &Store) -> Result<Option<SealingKey>, BrainError> {
        self.signing_key(store, &RecordId::next_remote_key())
    }

    fn signing_key(&mut self, store: &Store, id: &RecordId) -> Result<Option<SealingKey>, BrainError> {
        if self.open()?.index.entries.contains_key(id) {
            let seed = self.get(store, id)?;
            return Ok(Some(SealingKey::of(&seed).map_err(super::seal::SealError::from)?));
        }
        Ok(None)
    }

    /// A step of the exchange; whether it changed anything.
    ///
    /// # Errors
    /// [`BrainError`]; [`BrainError::NoKey`] where there is no key to exchange, or no next one.
    pub fn rotate_remote_key(&mut self, store: &mut Store, step: Rotate) -> Result<bool, BrainError> {
        let (now, next) = (RecordId::remote_key(), RecordId::next_remote_key());
        let open = self.open()?;
        let (is_there, waits) = (open.index.entries.contains_key(&now), open.index.entries.contains_key(&next));
        if !is_there {
            return Err(BrainError::NoKey("no key signs orders yet: `bartizan remote enroll` makes it"));
        }
        match (step, waits) {
            (Rotate::Announce, true) => return Ok(false),
            (Rotate::Announce, false) => {
                let seed = new_key()?;
                self.put(store, &next, seed.expose())?;
            }
            (Rotate::Switch | Rotate::Withdraw, false) => {
                return Err(BrainError::NoKey("no other key waits: `bartizan remote rotate-key` makes one"));
            }
            // Both in the turn's one transaction.
            (Rotate::Switch, true) => {
                let seed = self.get(store, &next)?;
                self.put(store, &now, seed.expose())?;
                self.remove(store, &next)?;
            }
            (Rotate::Withdraw, true) => self.remove(store, &next)?,
        }
        Ok(true)
    }

    /// The key, made if there is none. Whether it was.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn remote_key_made(&mut self, store: &mut Store) -> Result<(SealingKey, bool), BrainError> {
        if let Some(key) = self.remote_key(store)? {
            return Ok((key, false));
        }
        let seed = new_key()?;
        self.put(store, &RecordId::remote_key(), seed.expose())?;
        Ok((SealingKey::of(&seed).map_err(super::seal::SealError::from)?, true))
    }

    /// The public half of a key that logs in: `ssh-ed25519 AAAA…`.
    ///
    /// # Errors
    /// [`BrainError`]; [`BrainError::NotALogin`] where the secret is something else.
    pub fn login_key(&mut self, store: &Store, name: &SecretName) -> Result<String, BrainError> {
        let secret = self.get(store, &RecordId::secret(name))?;
        let not = |why: &str| BrainError::NotALogin(format!("{name} {why}"));
        let key = PrivateKey::from_openssh(secret.expose())
            .map_err(|_| not("is not a private key in OpenSSH's form (-----BEGIN OPENSSH PRIVATE KEY-----)"))?;
        match key.key_data() {
            KeypairData::Ed25519(_) => {}
            KeypairData::Encrypted(_) => return Err(not("has a passphrase; take it off with ssh-keygen -p")),
            _another => return Err(not("is of another kind; make one with ssh-keygen -t ed25519")),
        }
        let public = key.public_key().key_data().clone();
        let line = ssh_key::PublicKey::new(public, "").to_openssh().map_err(|_| not("has no public half"))?;
        Ok(line.trim().to_owned())
    }
}
