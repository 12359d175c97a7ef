//! What confinement costs: from spawn to exit of a one-line script, under the full worker and bare; and what each layer
//! has in that, by leaving it off. This plays the core at the worker's socket.

use super::numbers::{median, ms};
use super::progress::Progress;
use super::side::Programs;
use super::table::{Goal, Table};
use super::{BenchError, Effort, io};
use bartizan_proto::channel::Channel;
use bartizan_proto::ids::JobId;
use bartizan_proto::worker::{Ending, FromWorker, InForce, Layer, LayerState, Limits, Order, Profile, ToWorker};
use bartizan_proto::{FrameError, List, Role, Text};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LAYERS: [Layer; 16] = [
    Layer::Descriptors,
    Layer::Environment,
    Layer::Limits,
    Layer::Capabilities,
    Layer::NoNewPrivileges,
    Layer::UserNamespace,
    Layer::PidNamespace,
    Layer::MountNamespace,
    Layer::NetworkNamespace,
    Layer::IpcNamespace,
    Layer::UtsNamespace,
    Layer::LandlockFiles,
    Layer::LandlockNetwork,
    Layer::LandlockScope,
    Layer::Seccomp,
    Layer::OwnUser,
];

/// Bare, full, ready beforehand, without any layer, and without each one.
pub(super) fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let folder = tempfile::Builder::new().prefix("bartizan-").tempdir().map_err(io("a directory"))?;
    let script = folder.path().join("one-line");
    std::fs::write(&script, "#!/bin/bash\necho hello\n").map_err(io("a script"))?;
    std::fs::set_permissions(&script, Permissions::from_mode(0o755)).map_err(io("a script"))?;
    let worker = Worker { program: programs.folder.join("bartizan-worker"), script: script.clone() };

    let layers = worker.run(&[], Duration::ZERO)?.layers;
    let on: Vec<Layer> = layers.iter().filter(|layer| layer.state == LayerState::On).map(|layer| layer.layer).collect();
    let on: Vec<Layer> = LAYERS.into_iter().filter(|layer| on.contains(layer)).collect();
    let (mut plain, mut full, mut ready, mut none) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut without: BTreeMap<Layer, Vec<Duration>> = BTreeMap::new();
    for number in 0..effort.sandboxes {
        progress.say("sandboxes", number, effort.sandboxes);
        plain.push(bare(&script)?);
        full.push(worker.run(&[], Duration::ZERO)?.took);
        ready.push(worker.run(&[], Duration::from_millis(10))?.took);
        none.push(worker.run(&on, Duration::ZERO)?.took);
        for layer in &on {
            without.entry(*layer).or_default().push(worker.run(&[*layer], Duration::ZERO)?.took);
        }
    }
    table.times("sandbox: spawn to exit of one line of bash", median(&full), median(&plain), Goal::AtMost(2.5));
    table.times("  order to exit, worker started before", median(&ready), median(&plain), Goal::None);
    table.times("  worker without any layer", median(&none), median(&plain), Goal::None);
    for layer in &on {
        let took = without.get(layer).map(|took| median(took)).unwrap_or_default();
        let share = median(&full).as_secs_f64() - took.as_secs_f64();
        let shown = format!("{:+.2} ms", share * 1000.0);
        table.absolute(&format!("  share of {}", name(*layer)), shown, String::new(), share, Goal::None, "");
    }
    let off = layers.iter().filter(|layer| layer.state != LayerState::On);
    for layer in off {
        let figure = format!("  {} is not in force here: {}", name(layer.layer), layer.detail);
        table.absolute(&figure, ms(Duration::ZERO), String::new(), 0.0, Goal::None, "");
    }
    Ok(())
}

fn name(layer: Layer) -> String {
    serde_json::to_value(layer).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

fn bare(script: &Path) -> Result<Duration, BenchError> {
    let begun = Instant::now();
    let output = Command::new(script).env_clear().stdin(Stdio::null()).output().map_err(io("the bare script"))?;
    let took = begun.elapsed();
    if output.stdout == b"hello\n" { Ok(took) } else { Err(BenchError::Missing(format!("bare: {output:?}"))) }
}

#[derive(Debug)]
struct Worker {
    program: PathBuf,
    script: PathBuf,
}

/// What came of one order.
#[derive(Debug)]
struct Ran {
    took: Duration,
    layers: Vec<InForce>,
}

impl Worker {
    /// One worker, one order. With a pause before the order, only what comes after it is counted.
    fn run(&self, without: &[Layer], pause: Duration) -> Result<Ran, BenchError> {
        let order = ToWorker::Order(Box::new(self.order(without)));
        let mut begun = Instant::now();
        let (mut channel, theirs) = Channel::pair().map_err(io("a socket pair"))?;
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir("/").stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let mut child = command.spawn().map_err(io("bartizan-worker"))?;
        // The command holds the other end of the socket; without this, the worker's end would never be seen.
        drop(command);
        let said = self.talk(&mut channel, &mut child, &order, pause, &mut begun);
        let said = said.map_err(|error| BenchError::Missing(format!("the worker: {error}")))?;
        let took = begun.elapsed();
        let mut layers = None;
        let mut printed = Vec::new();
        let mut ended = false;
        for message in said {
            match message {
                FromWorker::Running { layers: seen, .. } => layers = Some(seen.into_vec()),
                FromWorker::Output(bytes) => printed.extend_from_slice(&bytes),
                FromWorker::Finished { ending: Ending::Ended(_), .. } => ended = true,
                other @ (FromWorker::Finished { .. } | FromWorker::Refused { .. } | FromWorker::Inspected { .. }) => {
                    return Err(BenchError::Missing(format!("a script that runs, without {without:?}: {other:?}")));
                }
            }
        }
        match layers {
            Some(layers) if ended && printed == b"hello\n" => Ok(Ran { took, layers }),
            _ => Err(BenchError::Missing(format!("the script's output, without {without:?}"))),
        }
    }

    fn talk(
        &self,
        channel: &mut Channel,
        child: &mut Child,
        order: &ToWorker,
        pause: Duration,
        begun: &mut Instant,
    ) -> Result<Vec<FromWorker>, FrameError> {
        channel.greet(Role::Core, Role::Worker)?;
        if !pause.is_zero() {
            std::thread::sleep(pause);
            *begun = Instant::now();
        }
        channel.send_with(order, &[File::open(&self.script)?.as_fd()])?;
        let mut said = Vec::new();
        while let Some(message) = channel.receive()? {
            said.push(message);
        }
        child.wait()?;
        Ok(said)
    }

    fn order(&self, without: &[Layer]) -> Order {
        Order {
            job: JobId(1),
            name: "one-line".parse().expect("a script's name"),
            path: Text::cut(self.script.to_string_lossy()),
            arguments: List::default(),
            environment: List::default(),
            sealed: false,
            profile: Profile {
                read: List::default(),
                write: List::default(),
                exec: List::default(),
                network: List::default(),
                limits: Limits::default(),
            },
            require: List::default(),
            timeout_ms: 10_000,
            grace_ms: 0,
            max_output: 4096,
            without: List::cut(without.iter().copied()),
        }
    }
}
