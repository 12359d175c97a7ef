//! The secrets of one job: out of the core's pipe, into files of mode 0600 in the job's scratch directory, and into the
//! environment where that was asked for by name.
//!
//! Only the sandbox's init and the script's process ever have the values; the worker's supervisor hands the pipe on. They are
//! files because every program can read one. The scratch directory is memory that belongs to this job alone.

use crate::confine::{ConfineError, Inside};
use crate::order::Job;
use std::ffi::CString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Where they are, in the scratch directory: `NAMESPACE/NAME` each.
pub(crate) const FOLDER: &str = ".secrets";

/// The variable that says where they are.
pub(crate) const VARIABLE: &str = "BARTIZAN_SECRETS";

/// Reads the values and writes the files.
pub(crate) fn take(job: &Job, scratch: &Path) -> Result<Vec<Zeroizing<Vec<u8>>>, ConfineError> {
    let Some(pipe) = &job.secrets else { return Ok(Vec::new()) };
    let failed = |name: &dyn std::fmt::Display| {
        let name = name.to_string();
        |source| ConfineError::Secrets { name, source }
    };
    let mut pipe = File::from(pipe.try_clone().map_err(failed(&"pipe"))?);
    let folder = scratch.join(FOLDER);
    make_folder(&folder).map_err(failed(&FOLDER))?;
    let mut values = Vec::new();
    for slot in &job.order.secrets {
        // All of them stand in the pipe since before the order came.
        let mut value = Zeroizing::new(vec![0; slot.size as usize]);
        pipe.read_exact(&mut value).map_err(failed(&slot.name))?;
        let space = folder.join(slot.name.namespace.as_str());
        make_folder(&space).map_err(failed(&slot.name))?;
        let path = space.join(slot.name.key.as_str());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(&value)).map_err(failed(&slot.name))?;
        values.push(value);
    }
    Ok(values)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Those that go into the environment: the variable, and the whole of `NAME=value`.
pub(crate) fn variables(job: &Job, inside: &Inside) -> Result<Vec<(String, CString)>, ConfineError> {
    let mut all = Vec::new();
    for (slot, value) in job.order.secrets.iter().zip(&inside.secrets) {
        let Some(variable) = &slot.variable else { continue };
        let whole = [variable.as_bytes(), b"=", value].concat();
        let whole = CString::new(whole).map_err(|_| ConfineError::Secrets {
            name: slot.name.to_string(),
            source: io::Error::other("it holds a NUL byte, which no variable can"),
        })?;
        all.push((variable.to_string(), whole));
    }
    Ok(all)
}
