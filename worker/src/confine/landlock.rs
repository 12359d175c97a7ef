//! Landlock: every file, TCP port, signal and abstract socket that is not named here is denied by the kernel, whatever
//! the mounts say. In the private root a second net; without one, the only.

use crate::confine::{root, tools};
use crate::order::Job;
use bartizan_confine::files::{self, FilesError, NEWEST};
use bartizan_proto::worker::{InForce, Layer, LayerState};
use landlock::{
    Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use std::path::{Path, PathBuf};

/// What else of the machine's own `/etc` a job may read where it has no private one.
const ETC_WITHOUT_ROOT: [&str; 5] =
    ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/etc/os-release"];

/// Puts the rules in force for this process and all it starts.
///
/// `private` says whether this process is in a root of its own; `scratch` is the job's directory.
pub(crate) fn restrict(job: &Job, private: bool, scratch: &Path) -> Result<[InForce; 3], FilesError> {
    let off = [Layer::LandlockFiles, Layer::LandlockNetwork, Layer::LandlockScope].map(|layer| job.without(layer));
    let [no_files, no_network, no_scope] = off;
    let mut layers = if off == [true; 3] {
        [Layer::LandlockFiles, Layer::LandlockNetwork, Layer::LandlockScope].map(off_on_purpose)
    } else {
        let mut rules = Ruleset::default();
        if !no_files {
            rules = rules.handle_access(AccessFs::from_all(NEWEST))?;
        }
        if !no_network {
            rules = rules.handle_access(AccessNet::BindTcp)?.handle_access(AccessNet::ConnectTcp)?;
        }
        if !no_scope {
            rules = rules.scope(Scope::from_all(NEWEST))?;
        }
        let mut rules = rules.create()?;
        if !no_files {
            rules = allow_files(rules, job, private, scratch)?;
        }
        if !no_network {
            for endpoint in &job.order.profile.network {
                rules = rules.add_rule(NetPort::new(endpoint.port, AccessNet::ConnectTcp))?;
            }
        }
        files::layers(&rules.restrict_self()?)?
    };
    for (line, off) in layers.iter_mut().zip(off) {
        if off {
            *line = off_on_purpose(line.layer);
        }
    }
    if job.network() && layers[1].state == LayerState::On {
        let detail = format!("{}, TCP to the granted ports", layers[1].detail);
        layers[1] = files::in_force(Layer::LandlockNetwork, LayerState::On, &detail);
    }
    Ok(layers)
}

fn off_on_purpose(layer: Layer) -> InForce {
    files::in_force(layer, LayerState::Off, "left off by the order")
}

fn allow_files(
    mut rules: RulesetCreated,
    job: &Job,
    private: bool,
    scratch: &Path,
) -> Result<RulesetCreated, FilesError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    let write = AccessFs::from_all(NEWEST)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::ResolveUnix);

    // Programs and libraries; what they need to find one another; devices.
    for path in root::SYSTEM {
        rules = allow_if_there(rules, path, run)?;
    }
    for path in root::DEVICES {
        rules = allow_if_there(rules, path, AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    if private {
        // All of it is the job's own.
        for path in ["/etc", "/proc"] {
            rules = allow_if_there(rules, path, read)?;
        }
    } else {
        let network = if job.network() { &root::ETC_NETWORK[..] } else { &[] };
        for path in root::ETC.iter().chain(&ETC_WITHOUT_ROOT).chain(network) {
            rules = allow_if_there(rules, path, read)?;
        }
        // Its own process, which exec does not change, for /dev/fd; nobody else's.
        rules = allow_if_there(rules, "/proc/self", read)?;
    }

    // What belongs to the script API.
    if private {
        rules = allow_if_there(rules, root::TOOLS, run)?;
    } else if let Some(bz) = tools::program() {
        rules = allow_if_there(rules, bz, AccessFs::ReadFile | AccessFs::Execute)?;
    }

    // The script, its neighbours, its directory to write in.
    let script = AccessFs::ReadFile | AccessFs::Execute;
    if private {
        rules = allow_if_there(rules, job.order.path.as_str(), script)?;
    } else if !job.in_memory() {
        // (A file in memory is beneath no path: Landlock takes no rule for it, and lets it be.)
        rules = rules.add_rule(PathBeneath::new(&job.script, script))?;
    }
    if !job.order.alone {
        rules = allow_if_there(rules, job.directory(), read)?;
    }
    rules = rules.add_rule(files::beneath(&scratch.to_owned(), write)?)?;

    // What the profile grants. A path that is not there is an error, not a gap.
    let profile = &job.order.profile;
    if let Some(daemon) = &job.order.daemon {
        let ask = read | AccessFs::ResolveUnix;
        rules = rules.add_rule(files::beneath(&PathBuf::from(daemon.folder.as_str()), ask)?)?;
    }
    for (paths, access) in [(&profile.read, read), (&profile.write, read | write), (&profile.exec, run)] {
        for path in paths {
            rules = rules.add_rule(files::beneath(&PathBuf::from(path.as_str()), access)?)?;
        }
    }
    Ok(rules)
}

fn allow_if_there<P: AsRef<Path>>(
    rules: RulesetCreated,
    path: P,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, FilesError> {
    let path = path.as_ref();
    // A link leads into a directory that is on the list itself.
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_symlink() || path.starts_with("/proc") || path.starts_with("/etc") => {
            Ok(rules.add_rule(files::beneath(&path.to_owned(), access)?)?)
        }
        Ok(_) | Err(_) => Ok(rules),
    }
}
