//! The secrets of one job, together in one region of secret memory: on their way to its worker, and for as long as its output
//! is looked through for them.

use super::{Brain, BrainError, RecordId};
use crate::config::Attached;
use crate::gate::file::Opener;
use crate::store::Store;
use bartizan_proto::limits::MAX_SECRETS_SIZE;
use bartizan_secret::SecretBytes;
use std::io;
use std::os::fd::OwnedFd;

/// The values, one after the other.
#[derive(Debug)]
pub struct JobSecrets {
    values: SecretBytes,
    sizes: Vec<usize>,
}

impl JobSecrets {
    /// Fetches them: from the brain, or the one that the configuration names a file for, from there. `None` when there are none
    /// to fetch.
    ///
    /// # Errors
    /// [`BrainError`] for the first that cannot be had.
    pub fn fetch(
        brain: &mut Brain,
        store: &Store,
        attached: &[Attached],
        opener: &Opener,
    ) -> Result<Option<Self>, BrainError> {
        let one = |attached: &Attached| match &attached.file {
            None => brain.get(store, &RecordId::secret(&attached.name)),
            Some(path) => {
                let bytes = opener.read_key(path).map_err(BrainError::KeyFile)?;
                Ok(SecretBytes::new(bytes).map_err(super::seal::SealError::from)?)
            }
        };
        let values: Vec<SecretBytes> = attached.iter().map(one).collect::<Result<_, _>>()?;
        if values.is_empty() {
            return Ok(None);
        }
        let sizes: Vec<usize> = values.iter().map(|value| value.expose().len()).collect();
        let total = sizes.iter().sum();
        if total > MAX_SECRETS_SIZE {
            return Err(BrainError::TooLarge);
        }
        let joined = SecretBytes::build(total, |memory| {
            let mut rest = memory;
            for value in &values {
                let (place, after) = std::mem::take(&mut rest).split_at_mut(value.expose().len());
                place.copy_from_slice(value.expose());
                rest = after;
            }
        });
        Ok(Some(Self { values: joined.map_err(super::seal::SealError::from)?, sizes }))
    }

    /// Bytes of each.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Each value.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.values.expose();
        self.sizes.iter().map(move |size| {
            let (value, after) = rest.split_at(*size);
            rest = after;
            value
        })
    }

    /// The reading end of a pipe with all of them in it: memory of the kernel, of which nothing reaches a disk, and which
    /// only who is handed this descriptor can read, once.
    ///
    /// # Errors
    /// When there is no pipe, or it takes less than it must.
    pub fn pipe(&self) -> io::Result<OwnedFd> {
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
        let values = self.values.expose();
        if rustix::io::write(&writer, values)? != values.len() {
            return Err(io::Error::other("the pipe does not hold the secrets"));
        }
        Ok(reader)
    }
}

#[cfg(test)]
pub(crate) fn secrets(values: &[&[u8]]) -> JobSecrets {
    let joined = values.concat();
    let values_ = SecretBytes::new(bartizan_secret::Zeroizing::new(joined)).expect("memory");
    JobSecrets { values: values_, sizes: values.iter().map(|value| value.len()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Trust;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_pipe_gives_every_value_once_and_ends() {
        let secrets = secrets(&[b"one", &[7; 30_000], b"three"]);
        assert_eq!(secrets.values().map(<[u8]>::len).collect::<Vec<_>>(), [3, 30_000, 5]);
        let mut read = Vec::new();
        std::fs::File::from(secrets.pipe().expect("a pipe")).read_to_end(&mut read).expect("read");
        assert_eq!(read.len(), 30_008);
        assert!(read.starts_with(b"one") && read.ends_with(b"three"));
    }

    #[test]
    fn as_much_as_a_job_may_have_fits_the_pipe() {
        let all = vec![1; MAX_SECRETS_SIZE];
        assert!(secrets(&[&all]).pipe().is_ok());
    }

    /// The seed's form has the key in a file.
    #[test]
    fn a_key_that_is_named_by_its_file_comes_from_there_and_only_while_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(&folder.path().join("state.db")).expect("a store");
        let source = crate::brain::KeySource::Own(folder.path().join("brain.key"));
        let mut brain = Brain::start(source, None, Trust::single_user(), None, &mut store).expect("a brain");
        let kept = RecordId::secret(&"ssh/deploy".parse().expect("a name"));
        brain.put(&mut store, &kept, b"from the brain").expect("put");
        let path = folder.path().join("id_ed25519_bot");
        std::fs::write(&path, "from the file\n").expect("written");
        let attached = [
            Attached { name: "ssh/deploy".parse().expect("a name"), variable: None, file: None },
            Attached { name: "bot/ssh-key-file".parse().expect("a name"), variable: None, file: Some(path.clone()) },
        ];
        let opener = Opener::new(Trust::single_user());
        let close = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        close(0o644);
        let refused = JobSecrets::fetch(&mut brain, &store, &attached, &opener).expect_err("open to others");
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        close(0o600);
        let secrets = JobSecrets::fetch(&mut brain, &store, &attached, &opener).expect("fetched").expect("some");
        assert_eq!(secrets.values().collect::<Vec<_>>(), [&b"from the brain"[..], b"from the file\n"]);
        std::fs::remove_file(&path).expect("removed");
        assert!(JobSecrets::fetch(&mut brain, &store, &attached, &opener).is_err());
    }
}
