//! What confinement costs: from spawn to exit of a one-line script, under the full worker and bare; and what each layer
//! has in that. This plays the core at the worker's socket.

use super::numbers::median;
use super::progress::Progress;
use super::side::Programs;
use super::table::{Goal, Table};
use super::{BenchError, Effort, io};
use bartizan_proto::channel::Channel;
use bartizan_proto::ids::JobId;
use bartizan_proto::worker;
use bartizan_proto::worker::{Ending, FromWorker, InForce, Layer, LayerState, Limits, Profile, ToWorker};
use bartizan_proto::{FrameError, List, Role, Text};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What can be left off by itself.
const SINGLE: [Layer; 9] = [
    Layer::Descriptors,
    Layer::Environment,
    Layer::Limits,
    Layer::Capabilities,
    Layer::NoNewPrivileges,
    Layer::LandlockFiles,
    Layer::LandlockNetwork,
    Layer::LandlockScope,
    Layer::Seccomp,
];

/// The namespaces. A worker has prepared all of them before it has an order; for an order that wants other ones it
/// prepares again. So each is measured against orders that want none but the user's.
const NAMESPACES: [Layer; 6] = [
    Layer::UserNamespace,
    Layer::PidNamespace,
    Layer::MountNamespace,
    Layer::NetworkNamespace,
    Layer::IpcNamespace,
    Layer::UtsNamespace,
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

    let mut plain = Vec::new();
    let mut measured: BTreeMap<Order, Vec<Duration>> = BTreeMap::new();
    let orders = Order::all();
    let layers = worker.run(&[], Duration::ZERO)?.layers;
    for number in 0..effort.sandboxes {
        progress.say("sandboxes", number, effort.sandboxes);
        plain.push(bare(&script)?);
        for order in &orders {
            let pause = if *order == Order::Ready { READY } else { Duration::ZERO };
            measured.entry(*order).or_default().push(worker.run(&order.without(), pause)?.took);
        }
    }
    let of = |order: Order| measured.get(&order).map(|took| median(took)).unwrap_or_default();
    let plain = median(&plain);
    table.times("sandbox: spawn to exit of one line of bash", of(Order::Full), plain, Goal::AtMost(2.5));
    table.times("  order to exit, worker started before", of(Order::Ready), plain, Goal::None);
    for layer in SINGLE {
        share(table, layer, of(Order::Full), of(Order::Without(layer)));
    }
    share(table, Layer::UserNamespace, of(Order::OnlyUser), of(Order::NoNamespace));
    for layer in NAMESPACES.into_iter().skip(1) {
        share(table, layer, of(Order::UserAnd(layer)), of(Order::OnlyUser));
    }
    for layer in layers.iter().filter(|layer| layer.state != LayerState::On) {
        let figure = format!("  {} is not in force here", name(layer.layer));
        table.absolute(&figure, layer.detail.to_string(), String::new(), 0.0, Goal::None, "");
    }
    Ok(())
}

/// Until a worker that was started has everything prepared.
const READY: Duration = Duration::from_millis(15);

/// What is ordered, by what is left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Full,
    /// After a while.
    Ready,
    Without(Layer),
    NoNamespace,
    OnlyUser,
    UserAnd(Layer),
}

impl Order {
    fn all() -> Vec<Order> {
        let single = SINGLE.into_iter().map(Order::Without);
        let namespaces = NAMESPACES.into_iter().skip(1).map(Order::UserAnd);
        let fixed = [Order::Full, Order::Ready, Order::NoNamespace, Order::OnlyUser];
        fixed.into_iter().chain(single).chain(namespaces).collect()
    }

    fn without(self) -> Vec<Layer> {
        let but = |kept: &[Layer]| NAMESPACES.into_iter().filter(|layer| !kept.contains(layer)).collect();
        match self {
            Order::Full | Order::Ready => Vec::new(),
            Order::Without(layer) => vec![layer],
            Order::NoNamespace => but(&[]),
            Order::OnlyUser => but(&[Layer::UserNamespace]),
            Order::UserAnd(layer) => but(&[Layer::UserNamespace, layer]),
        }
    }
}

fn share(table: &mut Table, layer: Layer, with: Duration, without: Duration) {
    let share = with.as_secs_f64() - without.as_secs_f64();
    let shown = format!("{:+.2} ms", share * 1000.0);
    table.absolute(&format!("  share of {}", name(layer)), shown, String::new(), share, Goal::None, "");
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
                other @ (FromWorker::Finished { .. }
                | FromWorker::Refused { .. }
                | FromWorker::Inspected { .. }
                | FromWorker::Call { .. }
                | FromWorker::Hangup(_)
                | FromWorker::Misused(_)) => {
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

    fn order(&self, without: &[Layer]) -> worker::Order {
        worker::Order {
            job: JobId(1),
            name: "one-line".parse().expect("a script's name"),
            path: Text::cut(self.script.to_string_lossy()),
            arguments: List::default(),
            environment: List::default(),
            secrets: List::default(),
            alone: false,
            api: false,
            sealed: false,
            sockets: false,
            plan: false,
            daemon: None,
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
