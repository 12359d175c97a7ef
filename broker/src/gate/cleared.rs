//! The right that the gates come to: [`Cleared`], which [`crate::job::launch`] wants. It has no public field, and one constructor, which
//! only the gates can call: [`super::clear`], and the `clear` of [`super::automatic`], [`super::authorizer`] and [`super::follow`].

use super::file::ScriptFile;
use crate::argument::Value;
use crate::config::Script;
use crate::policy::Policy;
use std::marker::PhantomData;

/// Nobody is in charge of a job: the configuration has it begun.
#[derive(Debug)]
pub struct Automatic;

/// A person is in charge of a job.
#[derive(Debug)]
pub struct Interactive;

/// It was let through when it was begun, and is only followed.
#[derive(Debug)]
pub struct Followed;

/// Whoever is in charge of the job that is to be authorized.
#[derive(Debug)]
pub struct Authorizer;

/// The right to start one job once. Only the gates make one, at the moment it is used.
#[derive(Debug)]
pub struct Cleared<K> {
    script: Script,
    values: Vec<Value>,
    environment: Vec<(String, String)>,
    file: ScriptFile,
    dry: bool,
    generation: u64,
    kind: PhantomData<K>,
}

impl<K> Cleared<K> {
    /// Of a script whose gates have passed, with the file that they looked at.
    pub(super) fn of(script: &Script, values: Vec<Value>, file: ScriptFile, dry: bool, policy: &Policy) -> Self {
        let (script, environment, generation) = (script.clone(), Vec::new(), policy.generation);
        Self { script, values, environment, file, dry, generation, kind: PhantomData }
    }

    /// The same with these variables.
    pub(super) fn with_environment(self, environment: Vec<(String, String)>) -> Self {
        Self { environment, ..self }
    }

    /// The script, as the allowlist has it now.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Its arguments.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// What it finds in its environment besides.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The open file: what was checked is what runs.
    pub fn file(&self) -> &ScriptFile {
        &self.file
    }

    /// Whether it may only say what it would do.
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// The policy's generation that it was cleared under.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}
