//! The part of a service manager: starts the main process, and starts it again when it ends without being asked to.
//!
//! One thread waits for the main process. Exit code 2 is a configuration that cannot work: then it gives up, as it does
//! after five ends in ten seconds.

use super::processes::{Process, below, of_groups, of_role};
use super::{Role, ServiceError};
use nix::sys::signal::Signal;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The main process and the thread that looks after it.
#[derive(Debug)]
pub struct Manager {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The main process, while it runs.
    main: Option<i32>,
    /// The process group of each main process so far.
    groups: Vec<i32>,
    /// It is asked to end: its end is no reason to start it.
    stopping: bool,
    given_up: Option<String>,
}

impl Manager {
    /// Starts `bartizan-broker --config CONFIG`; its log goes to `HOME/log`.
    ///
    /// # Errors
    /// [`ServiceError::Spawn`].
    pub fn start(
        programs: &Path,
        home: &Path,
        config: &Path,
        environment: &[(String, String)],
    ) -> Result<Self, ServiceError> {
        // What is left when the main process is killed comes to us, so that it can be found and ended.
        let _old_kernel = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let unit = Unit {
            program: programs.join("bartizan-broker"),
            home: home.to_owned(),
            config: config.to_owned(),
            environment: environment.to_vec(),
        };
        let child = unit.spawn().map_err(|source| ServiceError::Spawn { path: unit.program.clone(), source })?;
        let shared = Arc::new(Mutex::new(Shared {
            main: Some(number(&child)),
            groups: vec![number(&child)],
            ..Shared::default()
        }));
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || look_after(&unit, child, &theirs));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The processes of a role that run now.
    pub fn processes(&self, role: Role) -> Vec<Process> {
        let main = lock(&self.shared).main;
        match role {
            // The one that egress was started by has the same program, and ends with the service.
            Role::Launcher => main.map(below).unwrap_or_default().into_iter().take(1).collect(),
            Role::Core | Role::Connector | Role::Egress | Role::Worker => {
                main.map(|main| of_role(main, role)).unwrap_or_default()
            }
        }
    }

    /// Why it is not started again, if so.
    pub fn given_up(&self) -> Option<String> {
        lock(&self.shared).given_up.clone()
    }

    /// Ends the service in order, or by force when that takes longer than `patience`. Nothing of it is left then.
    pub fn stop(&mut self, patience: Duration) {
        let Some(thread) = self.thread.take() else { return };
        let all = {
            let mut shared = lock(&self.shared);
            shared.stopping = true;
            let all = shared.main.map(below).unwrap_or_default();
            if let Some(main) = all.first() {
                main.signal(Signal::SIGTERM);
            }
            all
        };
        let end = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let (main, groups) = {
            let shared = lock(&self.shared);
            (shared.main, shared.groups.clone())
        };
        let left = all.into_iter().chain(main.map(below).unwrap_or_default()).chain(of_groups(&groups));
        for process in left.filter(Process::is_alive) {
            process.signal(Signal::SIGKILL);
            if Some(process.pid()) != main {
                process.reap();
            }
        }
        let _panicked = thread.join();
    }
}

#[derive(Debug)]
struct Unit {
    program: PathBuf,
    home: PathBuf,
    config: PathBuf,
    environment: Vec<(String, String)>,
}

impl Unit {
    fn spawn(&self) -> io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.home.join("log"))?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).current_dir(&self.home);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(filter) = std::env::var_os("RUST_LOG") {
            command.env("RUST_LOG", filter);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Ctrl-C at the prompt is for the prompt.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }
}

fn look_after(unit: &Unit, mut child: Child, shared: &Mutex<Shared>) {
    let mut starts = vec![Instant::now()];
    loop {
        let status = child.wait();
        {
            let mut shared = lock(shared);
            shared.main = None;
            starts.retain(|start| start.elapsed() < Duration::from_secs(10));
            let code = status.as_ref().ok().and_then(std::process::ExitStatus::code);
            if shared.stopping {
                return;
            }
            if code == Some(2) || starts.len() >= 5 {
                let end = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                shared.given_up = Some(format!("it ended with {end}"));
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
        let mut shared = lock(shared);
        if shared.stopping {
            return;
        }
        match unit.spawn() {
            Ok(next) => child = next,
            Err(error) => {
                shared.given_up = Some(error.to_string());
                return;
            }
        }
        shared.main = Some(number(&child));
        shared.groups.push(number(&child));
        starts.push(Instant::now());
    }
}

fn number(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or(0)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
