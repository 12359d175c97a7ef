//! The core's first steps: log, files, sockets, then giving up everything that it does not need any more.

use super::{Core, CoreError, Ended, Input, MAX_INPUTS, Topic};
use crate::audit::{Audit, Record};
use crate::brain::{Brain, BrainError, KeySource};
use crate::config::Config;
use crate::gate::file::Opener;
use crate::job::Jobs;
use crate::peer::Link;
use crate::peer::access::{Access, Authority};
use crate::peer::control;
use crate::peer::launcher::Which;
use crate::startup::{CoreStart, Groups};
use crate::store::Store;
use crate::supervise::Supervisor;
use bartizan_confine::daemon::{Confinement, confine};
use bartizan_proto::Role;
use bartizan_proto::control::Mode;
use bartizan_proto::worker::{Layer, LayerState};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::sync::mpsc;

/// Logs to standard error, one line an event. The journal adds time and priority; so do we for other readers.
pub(crate) fn log() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .init();
}

/// Runs the loop on this one thread.
pub(crate) fn runtime(start: CoreStart) -> Result<Ended, CoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CoreError::Start(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let (core, inputs) = assemble(start)?;
        core.serve(inputs).await
    })
}

/// Opens everything, in order.
fn assemble(start: CoreStart) -> Result<(Core, mpsc::Receiver<Input>), CoreError> {
    let CoreStart { config, mode, workers, groups, launcher, egress_launcher, lock, trust, credentials, managed } =
        start;
    let failed = |what: &str, error: &dyn std::fmt::Display| CoreError::Start(format!("{what}: {error}"));

    if mode == Mode::SingleUser {
        tracing::warn!(
            "SINGLE-USER MODE, for development: one user runs everything; `bartizan doctor` says what that leaves off"
        );
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }

    // 1. Nobody else looks into this process.
    bartizan_confine::process::harden().map_err(|error| failed("hardening", &error))?;
    crate::system::signals::ignore_file_size().map_err(|error| failed("signals", &error))?;

    // 2. Database and audit log; the brain, which is compared with what the log says of it.
    let mut store = Store::open(&config.state.join("state.db"))?;
    let remembered = store.remembered_lines()?;
    let audit = Audit::open(&config.state, &remembered)?;
    let new_database = remembered.is_empty() && audit.head().0 > 0;
    let known = audit.last_brain()?;
    let source = config.brain.key.clone();
    let brain = match Brain::start(source, credentials.clone(), trust, known, &mut store) {
        Ok(brain) => brain,
        Err(BrainError::Store(error)) => return Err(error.into()),
        Err(other) => return Err(failed("brain", &other)),
    };

    let approvals = super::approvals::Waiting::restored(&store)?;
    let subscriptions = super::subscriptions::Subscriptions::restored(&store)?;
    let lockdown = store.lockdown()?;
    if let Some(lockdown) = &lockdown {
        tracing::warn!(by = lockdown.by_name, reason = lockdown.reason, "locked down: nothing is started");
    }
    let paused = store.service_pause()?;
    if let Some(pause) = &paused {
        tracing::warn!(by = pause.by_name, reason = pause.reason, "paused: what is asked for waits");
    }
    let elevation = super::elevation::Elevations::restored(&store)?;
    let schedules = super::schedules::Schedules::restored(&store)?;

    // 3. The control sockets, each in its private directory.
    let open = |folder: &Path, name: &str, group: Option<u32>| {
        let (listener, path) = control::bind(folder, name, group.is_some()).map_err(|error| failed(name, &error))?;
        tracing::info!(path = %path.display(), "control socket");
        tokio::net::UnixListener::from_std(listener).map_err(|error| failed(name, &error))
    };
    let commands = open(&config.control, control::COMMAND, groups.operators)?;
    let reading = open(&config.read, control::READ, groups.readers.or(groups.operators))?;

    // 4. The launchers.
    let (inputs, received) = mpsc::channel(MAX_INPUTS);
    let link = |channel, which: Which| {
        Link::open(channel, Role::Launcher, inputs.clone(), move |event| Input::Launcher(which, event))
            .map_err(|error| failed("launcher", &error))
    };
    let supervisor = Supervisor::new(link(launcher, Which::Service)?, link(egress_launcher, Which::Egress)?);

    let has_bz = std::env::current_exe().is_ok_and(|own| own.with_file_name("bz").is_file());

    // 5. From here on: no program is executed, no process made, no socket opened, no other file touched.
    confine_core(&config, mode, credentials.as_deref())?;
    let service = rustix::process::geteuid().as_raw();
    let Groups { operators, readers } = groups;
    let access = Access { mode, service, workers: workers.as_raw(), operators, readers };
    for (listener, authority) in [(commands, Authority::Command), (reading, Authority::Read)] {
        tokio::spawn(control::serve(listener, (access, authority), audit.path().into(), inputs.clone()));
    }

    #[cfg(debug_assertions)]
    let faults = super::fault::Faults::read(&config.state, mode);
    #[cfg(not(debug_assertions))]
    let faults = super::fault::Faults::default();
    let mut core = Core {
        mode,
        workers: workers.as_raw(),
        policy: None,
        roster: super::roster::Roster::default(),
        groups: super::groups::Groups::default(),
        rights: super::rights::Rights::default(),
        store,
        audit,
        brain,
        new_token: None,
        opener: Opener::new(trust),
        supervisor,
        jobs: Jobs::default(),
        stop_votes: super::stop_votes::StopVotes::default(),
        schedules,
        approvals,
        elevation,
        posts: super::posts::Posts::default(),
        questions: super::questions::Questions::default(),
        careful: super::careful::Careful::default(),
        wanted: super::wanted::Wanted::default(),
        contexts: super::contexts::Contexts::default(),
        subscriptions,
        lookups: super::people::Lookups::default(),
        limiter: crate::gate::rate::Limiter::default(),
        metrics: crate::metrics::Metrics::default(),
        lockdown,
        paused,
        server_ahead_ms: 0,
        outbox: super::deliver::Outbox::default(),
        protected: super::protected::Protected::default(),
        alerts: super::alert::Alerts::default(),
        unposted_checkpoint: None,
        timers: super::timers::Timers::default(),
        quiet_soon: false,
        effects: Vec::new(),
        inputs,
        started: Instant::now(),
        refused: 0,
        layers: Vec::new(),
        given: Vec::new(),
        stopping: None,
        manager: managed.map(super::manager::Manager::new),
        has_bz,
        faults,
        config,
        _lock: lock,
    };

    // 6. What was left over, then the first worker; the peers wait until it has said what the sandbox gives.
    core.tell_of_audit_alarms()?;
    core.record_first(&Record::Start { mode: mode_name(mode) });
    if new_database {
        let what = "the database is new, and the audit log is not: the people and bans of before are gone; if that is a mistake, stop and put state.db back";
        core.alert(Topic::Audit, what)?;
    }
    core.look_back()?;
    core.brain_at_start(known)?;
    core.housekeeping()?;
    core.outbox = super::deliver::Outbox::restored(core.store.last_delivery()?);
    core.protected = super::protected::Protected::restored(core.store.last_protected()?);
    core.recover()?;
    core.restore_wanted()?;
    core.questions_left()?;
    core.remember_people()?;
    core.try_sandbox()?;
    core.manager_begins()?;
    core.finish_turn()?;
    Ok((core, received))
}

/// Landlock and seccomp around the core. Reads: the configuration, the scripts, the CA certificates.
fn confine_core(config: &Config, mode: Mode, credentials: Option<&Path>) -> Result<(), CoreError> {
    let read = readable(config, credentials);
    let write = [config.state.clone(), config.control.clone(), config.read.clone()];
    let confinement = Confinement { role: Role::Core, read: &read, write: &write, connect_ports: &[] };
    let layers = confine(&confinement).map_err(|error| CoreError::Start(format!("confining the core: {error}")))?;
    for layer in layers {
        match layer.state {
            LayerState::On => tracing::debug!(layer = ?layer.layer, detail = %layer.detail, "core: in force"),
            // Under setuid egress has the core's user: without this layer it could read what the core keeps in files.
            LayerState::Unavailable | LayerState::Off
                if mode == Mode::Setuid && layer.layer == Layer::LandlockFiles =>
            {
                return Err(CoreError::Start(format!(
                    "Landlock is needed where egress and core share a user, and it is {}; start Linux 5.13 or newer with lsm=landlock",
                    layer.detail
                )));
            }
            LayerState::Unavailable | LayerState::Off => {
                tracing::warn!(layer = ?layer.layer, detail = %layer.detail, "core: not in force");
            }
        }
    }
    Ok(())
}

/// Everything that the core reads after its start, as folders and files that exist.
fn readable(config: &Config, credentials: Option<&Path>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut add = |path: Option<&std::path::Path>| paths.extend(path.map(std::path::Path::to_owned));
    add(config.path.parent());
    add(config.allowlist_path.parent());
    add(config.bot.token_file.as_deref());
    match &config.brain.key {
        KeySource::File(path) => add(path.parent()),
        KeySource::Credential(_) => add(credentials),
        KeySource::Own(_) | KeySource::Passphrase => {}
    }
    add(config.server.ca_file.as_deref());
    if let Some((certificate, key)) = &config.server.client {
        add(Some(certificate));
        add(Some(key));
    }
    for script in config.allowlist.programs() {
        add(script.path.parent());
        for secret in &script.secrets {
            add(secret.file.as_deref());
        }
    }
    // What backends have run; the folder, because an upgrade puts other files there.
    add(std::env::current_exe().unwrap_or_default().parent());
    for bundle in bartizan_proto::installation::SYSTEM_CA_BUNDLES {
        add(Some(std::path::Path::new(bundle)));
    }
    paths.retain(|path| path.exists());
    paths.sort();
    paths.dedup();
    paths
}

/// The mode as the audit log writes it.
pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::SingleUser => "single-user",
        Mode::Setuid => "setuid",
        Mode::Systemd => "systemd",
    }
}
