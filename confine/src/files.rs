//! Landlock for a daemon: the files, TCP ports, signals and abstract sockets that its role leaves it.
//!
//! Everything that this kernel's ABI knows is handled, so what no rule names is denied. What the ABI does not know is said,
//! never silently skipped: see [`layers`].

use bartizan_proto::Text;
use bartizan_proto::worker::{InForce, Layer, LayerState};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::path::PathBuf;

/// The newest ABI whose rights are asked for; an older kernel gives what it knows.
pub const NEWEST: ABI = ABI::V9;

/// Landlock could not be set up although the kernel has it.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A granted path cannot be opened.
    #[error("cannot grant {path}: {source}")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<landlock::PathFdError>,
    },
    /// The kernel refused the rules.
    #[error("the kernel refused the Landlock rules: {0}")]
    Rules(Box<RulesetError>),
    /// The kernel has Landlock, and yet nothing came into force.
    #[error("Landlock is there but did not come into force")]
    NotInForce,
}

impl From<RulesetError> for FilesError {
    fn from(error: RulesetError) -> Self {
        Self::Rules(Box::new(error))
    }
}

/// What a daemon keeps.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Paths that it may read, with everything beneath.
    pub read: &'a [PathBuf],
    /// Paths beneath which it may also write, create, rename and remove.
    pub write: &'a [PathBuf],
    /// Paths beneath which it may connect to Unix sockets, which newer kernels ask about.
    pub sockets: &'a [PathBuf],
    /// TCP ports that it may connect to.
    pub connect_ports: &'a [u16],
    /// Whether files are handled at all. The launcher leaves them alone: under a Landlock domain that handles files the
    /// kernel refuses every `mount(2)`, and workers, who inherit the domain, need it for their private root.
    pub files: bool,
    /// Whether TCP is handled at all. The launcher leaves it alone: egress, which inherits its domain, connects, and a worker
    /// listens inside its job's own network. Each handles it itself for what it runs.
    pub tcp: bool,
}

/// Puts the rules in force for this thread and what it starts, and says which layers that gives.
///
/// # Errors
/// [`FilesError`]; a kernel without Landlock is not an error but three times [`LayerState::Unavailable`].
pub fn restrict(kept: Kept<'_>) -> Result<[InForce; 3], FilesError> {
    let mut rules = Ruleset::default().scope(Scope::from_all(NEWEST))?;
    if kept.tcp {
        rules = rules.handle_access(AccessNet::BindTcp)?.handle_access(AccessNet::ConnectTcp)?;
    }
    if kept.files {
        rules = rules.handle_access(AccessFs::from_all(NEWEST))?;
    }
    let mut rules = rules.create()?;
    if kept.files {
        // A daemon starts no program, so nothing it keeps is executable.
        let read = AccessFs::from_read(NEWEST) & !AccessFs::Execute;
        let write = AccessFs::from_all(NEWEST) & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
        let connect = AccessFs::ReadDir | AccessFs::ResolveUnix;
        for (paths, access) in [(kept.read, read), (kept.write, write), (kept.sockets, connect)] {
            for path in paths {
                rules = rules.add_rule(beneath(path, access)?)?;
            }
        }
    }
    if kept.tcp {
        for port in kept.connect_ports {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    let status = rules.restrict_self()?;
    // The first ABI that knows anything of what was asked for: on an older kernel nothing of it can be in force.
    let first = match (kept.files, kept.tcp) {
        (true, _) => 1,
        (false, true) => 4,
        (false, false) => 6,
    };
    let mut layers = layers_since(first, &status)?;
    for (line, handled) in layers.iter_mut().zip([kept.files, kept.tcp]) {
        if !handled {
            *line = in_force(line.layer, LayerState::Off, "left to the processes that it starts");
        }
    }
    Ok(layers)
}

/// A rule for a path and everything beneath it; a file takes only the rights that files have.
///
/// # Errors
/// [`FilesError::Path`].
pub fn beneath(path: &PathBuf, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>, FilesError> {
    let fd = PathFd::new(path).map_err(|source| FilesError::Path { path: path.clone(), source: Box::new(source) })?;
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    Ok(PathBeneath::new(fd, access))
}

/// The three layers that Landlock gives, by what the kernel's ABI can do: files from 1, TCP ports from 4, signals and
/// abstract sockets from 6.
///
/// # Errors
/// [`FilesError::NotInForce`].
pub fn layers(status: &RestrictionStatus) -> Result<[InForce; 3], FilesError> {
    layers_since(1, status)
}

fn layers_since(first: i32, status: &RestrictionStatus) -> Result<[InForce; 3], FilesError> {
    let (abi, shown) = match status.landlock {
        LandlockStatus::NotEnabled => (0, "built in, but not enabled at boot (lsm=)".to_owned()),
        LandlockStatus::NotImplemented => (0, "not in this kernel".to_owned()),
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            let effective = effective_abi as i32;
            (effective, format!("ABI {}", kernel_abi.unwrap_or(effective)))
        }
    };
    match status.ruleset {
        // Partly is the rule: rights of a newer ABI than the kernel's were asked for. Which layers that leaves is
        // decided below, one by one.
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {}
        RulesetStatus::NotEnforced if abi < first => {}
        RulesetStatus::NotEnforced => return Err(FilesError::NotInForce),
    }
    Ok([(Layer::LandlockFiles, 1), (Layer::LandlockNetwork, 4), (Layer::LandlockScope, 6)].map(|(layer, from)| {
        let state = if abi >= from { LayerState::On } else { LayerState::Unavailable };
        in_force(layer, state, &shown)
    }))
}

/// One line of a report.
pub fn in_force(layer: Layer, state: LayerState, detail: &str) -> InForce {
    InForce { layer, state, detail: Text::cut(detail) }
}
