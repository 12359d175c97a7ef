//! Where the log is: a file that is named, or the running service's, which hands its files out open.

use crate::ask::{ask, ask_for_file, nobody_listens};
use crate::exit::CtlError;
use bartizan_audit::{PublicKey, Witness, segments};
use bartizan_proto::control::{Answer, Request};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The log of an installed service.
const DEFAULT: &str = "/var/lib/bartizan/audit.jsonl";

/// Most files that a log may have: 64 GiB of lines.
const MAX_FILES: u32 = 1024;

/// A log, and what is known of it apart from itself.
#[derive(Debug)]
pub(super) struct Place {
    /// The file that is written.
    pub(super) path: PathBuf,
    /// The running service's word for who signs.
    pub(super) key: Option<PublicKey>,
    /// The running service's word for how far it is.
    pub(super) witness: Option<Witness>,
    /// Why the file is behind, if it is.
    pub(super) behind: String,
    /// The service's socket, when it hands the files out.
    socket: Option<PathBuf>,
}

impl Place {
    /// `file`, which may be the folder with it, or the running service's.
    pub(super) fn find(file: Option<&Path>, socket: &Path) -> Result<Self, CtlError> {
        let by_itself = |path| Self { path, key: None, witness: None, behind: String::new(), socket: None };
        if let Some(file) = file {
            return Ok(by_itself(if file.is_dir() { file.join("audit.jsonl") } else { file.to_owned() }));
        }
        let head = match ask(socket, &Request::AuditHead) {
            Ok(Answer::AuditHead(head)) => head,
            Ok(_) => return Err(CtlError::WrongAnswer),
            Err(error) if nobody_listens(&error) && Path::new(DEFAULT).exists() => {
                return Ok(by_itself(DEFAULT.into()));
            }
            Err(error) => return Err(error),
        };
        let witness = (head.sequence > 0 && !head.hash.is_empty() && head.behind.is_empty()).then(|| Witness {
            sequence: head.sequence,
            hash: head.hash.to_string(),
            from: "the running service".to_owned(),
        });
        Ok(Self {
            path: PathBuf::from(&*head.path),
            key: head.public_key.parse().ok(),
            witness,
            behind: head.behind.to_string(),
            socket: Some(socket.to_owned()),
        })
    }

    /// Its files, open, in the order of their lines.
    pub(super) fn files(&self) -> Result<Vec<(PathBuf, File)>, CtlError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| CtlError::AuditFile { path, error }
        };
        let mut files = Vec::new();
        let Some(socket) = &self.socket else {
            for segment in segments(&self.path).map_err(failed(&self.path))? {
                let file = File::open(&segment.path).map_err(failed(&segment.path))?;
                files.push((segment.path, file));
            }
            return Ok(files);
        };
        for number in 0..MAX_FILES {
            let (Answer::AuditFile { path, more }, file) = ask_for_file(socket, &Request::AuditFile { number })? else {
                return Err(CtlError::WrongAnswer);
            };
            files.push((PathBuf::from(&*path), file));
            if !more {
                break;
            }
        }
        Ok(files)
    }

    /// The one that is written.
    pub(super) fn written(&self) -> Result<File, CtlError> {
        let last = self.files()?.pop();
        last.map(|(_, file)| file).ok_or(CtlError::WrongAnswer)
    }
}
