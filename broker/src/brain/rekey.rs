//! A new data key: everything is encrypted anew in one transaction, then what was there before is erased from the file.
//!
//! Whenever it is killed, the database has either the old key with the old records or the new ones; and as long as the
//! erasing is not done, the head says so, and the next start does it.

use super::key::Kdf;
use super::record::KEY_ID;
use super::seal::{Cipher, new_key, random};
use super::{Brain, BrainError, Open};
use crate::store::Store;
use bartizan_proto::brain::Opening;

impl Brain {
    /// Encrypts everything anew. What was replaced is erased after the commit: [`Store::erase_remains`].
    ///
    /// # Errors
    /// [`BrainError`]; then nothing was changed. With a record that does not authenticate there is no rekey.
    pub fn rekey(&mut self, store: &mut Store, opening: &Opening) -> Result<(), BrainError> {
        self.open()?;
        // 1. What is to wrap the new key.
        let master = self.new_master(opening)?;
        let open = self.open_mut()?;
        // 2. Everything must be readable before anything is written.
        let ids: Vec<_> = open.index.entries.keys().cloned().collect();
        for id in &ids {
            open.get(store, id)?;
        }
        // 3. The new key.
        let key_id = random::<KEY_ID>()?;
        let data_key = new_key()?;
        let mut head = open.head.clone();
        head.kdf = master.kdf.as_ref().map(Kdf::to_string);
        head.wrapped = master.wrap(&key_id, &data_key)?;
        head.remains = true;
        let (cipher, index) = (Cipher::new(&data_key)?, open.index.clone());
        let mut new = Open { cipher, key_id, index, head, strangers: Vec::new() };
        // 4. Every record, in this turn's transaction.
        for id in &ids {
            let value = open.get(store, id)?;
            new.put(store, id, value.expose())?;
        }
        for stranger in store.brain_records()? {
            if !super::index::place_of(&stranger).is_some_and(|id| new.index.entries.contains_key(&id)) {
                store.remove_brain_record(&stranger.kind, &stranger.namespace, &stranger.key)?;
            }
        }
        new.write_index(store)?;
        *open = new;
        open.head.remains = false;
        self.unrecorded = true;
        self.remains = true;
        Ok(())
    }
}
