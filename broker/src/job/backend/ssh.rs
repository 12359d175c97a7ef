//! `ssh`: the script itself, on each target, in the same sandbox there. What runs here is `bartizan-remote`, with a plan: for each
//! target an order that only this core can sign, and that only this target carries out, once, soon (`proto/src/remote.rs`).
//!
//! The orders are signed in the turn in which the job's intent is recorded, with a key of the brain's that never leaves this process.

use super::{Backend, Launch, LaunchError, Right, contents};
use crate::audit::hex;
use crate::config::{Backend as Chosen, Ssh as Settings, Target};
use bartizan_audit::SealingKey;
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::remote::{DOMAIN, FORMAT, MAX_LIFETIME_S, Plan, PlannedTarget, RemoteOrder, SignedOrder};
use bartizan_proto::script::Verb;
use bartizan_proto::worker::{Endpoint, Limits, Order, Profile};
use bartizan_proto::{Bytes, List, Text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// The program.
const PROGRAM: &str = "bartizan-remote";

/// An order may be begun for so long after its job could have ended at the latest, in seconds: clocks differ.
const CLOCKS_S: u64 = 120;

/// Most output of one target, in bytes.
const MAX_OUTPUT: u64 = 64 * 1024;

/// What `bartizan-remote` and the clients that it starts need here: processes and descriptors for each target that is worked on.
fn limits(fanout: usize) -> Limits {
    let fanout = u64::try_from(fanout).unwrap_or(u64::MAX);
    let usual = Limits::default();
    Limits { processes: 100 + 4 * fanout, files: 256 + 8 * fanout, memory: 4 << 30, ..usual }
}

/// Nothing about it is different from job to job.
pub(super) struct Ssh;

impl Backend for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn submit(&self, right: &Right<'_>) -> Result<Launch, LaunchError> {
        let Chosen::Ssh(settings) = &right.script.backend else {
            return Err(LaunchError::Program("it is another backend's".to_owned()));
        };
        let signing = right.signing.ok_or_else(|| {
            LaunchError::Program(
                "no key signs orders yet: run `bartizan remote enroll`, and install what it prints".to_owned(),
            )
        })?;
        let targets = right.targets();
        if targets.is_empty() {
            return Err(LaunchError::Program("its arguments leave no target".to_owned()));
        }
        // 1. What would run here runs there, without what it is given here only.
        let there = right.order()?;
        let (program, path) = right.program(PROGRAM)?;
        let is_target = |to: &Endpoint| targets.iter().any(|target| target.host == to.host && target.port == to.port);
        let (near, far): (Vec<Endpoint>, Vec<Endpoint>) =
            there.profile.network.clone().into_vec().into_iter().partition(is_target);
        let far = Profile { network: List::cut(far), ..there.profile.clone() };

        // 2. The plan: the script, and an order for each target.
        let plan = plan(right, settings, &targets, &there, &far, signing)?;

        // 3. And here the program that brings them there, with network to them and nothing else.
        let too_long = |what| move |source| LaunchError::TooLong { what, source };
        let order = Order {
            path: Text::new(path).map_err(too_long("path"))?,
            arguments: List::cut([Text::cut("run")]),
            environment: List::default(),
            alone: true,
            api: true,
            sealed: false,
            sockets: true,
            plan: true,
            profile: Profile {
                read: List::default(),
                write: List::default(),
                exec: List::default(),
                network: List::cut(near),
                limits: limits(settings.fanout),
            },
            ..there
        };
        right.launch_with(order, program.into(), &plan)
    }

    fn events(&self) -> &'static [Verb] {
        &[Verb::Progress, Verb::Table, Verb::Hosts]
    }
}

fn plan(
    right: &Right<'_>,
    settings: &Settings,
    targets: &[&Target],
    there: &Order,
    far: &Profile,
    signing: &SealingKey,
) -> Result<Vec<u8>, LaunchError> {
    let odd = |error: &dyn std::fmt::Display| LaunchError::Program(error.to_string());
    let script = contents(&right.file.fd)?;
    let sha256: [u8; 32] = Sha256::digest(&script).into();
    if hex(&sha256) != right.file.sha256 {
        return Err(LaunchError::Program("its script changed while it was read".to_owned()));
    }
    let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let plan = Plan {
        targets: u32::try_from(targets.len()).unwrap_or(u32::MAX),
        fanout: small(settings.fanout),
        canary: small(settings.canary),
        stop_after: small(settings.stop_after),
        max_output: MAX_OUTPUT.min(there.max_output),
        script: Bytes::new(script).map_err(|error| odd(&error))?,
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let lifetime_s = (there.timeout_ms / 1000).saturating_add(CLOCKS_S).min(MAX_LIFETIME_S);
    let mut bytes = frame::encode(&plan).map_err(|error| odd(&error))?;
    let digest = digest(right, &sha256);
    for target in targets {
        let name = target.name.parse().map_err(|error| odd(&error))?;
        let order = RemoteOrder {
            broker: Text::cut(right.policy.config.server.url.as_str()),
            job: right.job,
            digest,
            target: name,
            expires_s: now_s.saturating_add(lifetime_s),
            nonce: rand::random(),
            name: there.name.clone(),
            sha256,
            arguments: there.arguments.clone(),
            environment: there.environment.clone(),
            profile: far.clone(),
            require: there.require.clone(),
            timeout_ms: there.timeout_ms,
            grace_ms: there.grace_ms,
            max_output: plan.max_output,
        };
        let key = target.key.clone().ok_or_else(|| odd(&"a target without a key"))?;
        let planned = PlannedTarget {
            name: order.target.clone(),
            host: target.host.clone(),
            port: target.port,
            user: Text::new(target.user.as_str()).map_err(|error| odd(&error))?,
            key,
            host_keys: List::cut(target.host_keys.iter().map(|key| Text::cut(key.as_str()))),
            order: signed(&order, signing)?,
        };
        bytes.extend(frame::encode(&planned).map_err(|error| odd(&error))?);
    }
    Ok(bytes)
}

fn signed(order: &RemoteOrder, signing: &SealingKey) -> Result<SignedOrder, LaunchError> {
    let odd = |error: &dyn std::fmt::Display| LaunchError::Program(format!("the order for {}: {error}", order.target));
    let bytes = frame::encode(order).map_err(|error| odd(&error))?.split_off(HEADER);
    let signature = BASE64.decode(signing.sign(&[DOMAIN, &bytes].concat())).map_err(|error| odd(&error))?;
    Ok(SignedOrder {
        format: FORMAT,
        order: Bytes::new(bytes).map_err(|error| odd(&error))?,
        signature: Bytes::new(signature).map_err(|error| odd(&error))?,
    })
}

/// What was decided, each part with its length before it.
fn digest(right: &Right<'_>, sha256: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"bartizan remote command 1\0");
    let mut part = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(bytes);
    };
    part(right.script.name.as_str().as_bytes());
    part(sha256);
    for value in right.values {
        part(value.name.as_bytes());
        part(value.text.as_bytes());
    }
    hasher.finalize().into()
}
