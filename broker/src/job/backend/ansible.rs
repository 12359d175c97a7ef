//! `ansible`: `bartizan-driver` in the job's sandbox, which plays the playbook with `ansible-playbook`. The arguments become extra
//! variables as one JSON object; keys and the vault's password are the job's secrets.

use super::{Backend, Launch, LaunchError, Right};
use crate::config::{Argument, Backend as Chosen, Kind};
use bartizan_proto::bounded::TooLong;
use bartizan_proto::driver::{Machine, Play, Variable, Work};
use bartizan_proto::script::Verb;
use bartizan_proto::{List, Text, frame};

/// What the driver is called.
const DRIVER: &str = "bartizan-driver";

/// Nothing about it is different from job to job.
pub(super) struct Ansible;

impl Backend for Ansible {
    fn name(&self) -> &'static str {
        "ansible"
    }

    fn submit(&self, right: &Right<'_>) -> Result<Launch, LaunchError> {
        let work =
            Work::Play(Box::new(play(right).map_err(|source| LaunchError::TooLong { what: "its plan", source })?));
        let (program, path) = right.program(DRIVER)?;
        let mut order = right.order()?;
        order.path = Text::new(path).map_err(|source| LaunchError::TooLong { what: "path", source })?;
        order.arguments = List::default();
        // The folder of Bartizan's own programs is nobody's to look into.
        order.alone = true;
        order.sealed = false;
        order.api = true;
        // ssh asks an agent, and ansible shares connections, over sockets in the job's own directory.
        order.sockets = !order.profile.network.is_empty();
        let plan = frame::encode(&work).map_err(|error| LaunchError::Program(error.to_string()))?;
        right.launch_with(order, program.into(), &plan)
    }

    fn events(&self) -> &'static [Verb] {
        &[Verb::Progress, Verb::Attach, Verb::Hosts]
    }
}

pub(super) fn play(right: &Right<'_>) -> Result<Play, TooLong> {
    let (script, config) = (right.script, &right.policy.config);
    let Chosen::Ansible(ansible) = &script.backend else { return Err(TooLong { actual: 1, limit: 0 }) };
    let path = |path: &std::path::Path| Text::new(path.display().to_string());
    let left = right.targets();
    let machine = |target: &&crate::config::Target| {
        Ok(Machine {
            name: Text::new(target.name.as_str())?,
            host: target.host.clone(),
            port: target.port,
            user: Text::new(target.user.as_str())?,
            host_keys: List::new(target.host_keys.iter().map(Text::new).collect::<Result<Vec<_>, _>>()?)?,
        })
    };
    let place =
        |name: &String| left.iter().position(|target| target.name == *name).and_then(|at| u32::try_from(at).ok());
    let groups = config.targets.groups.iter().filter_map(|(group, members)| {
        let places: Vec<u32> = members.iter().filter_map(place).collect();
        (!places.is_empty()).then(|| Ok((Text::new(group.as_str())?, List::new(places)?)))
    });
    Ok(Play {
        program: path(&config.ansible)?,
        playbook: path(&script.path)?,
        sha256: Text::new(right.file.sha256.as_str())?,
        inventory: ansible.inventory.as_deref().map(path).transpose()?,
        targets: List::new(left.iter().map(machine).collect::<Result<Vec<_>, TooLong>>()?)?,
        groups: List::new(groups.collect::<Result<Vec<_>, TooLong>>()?)?,
        limited: left.len() < script.targets.all.len(),
        variables: List::new(variables(right)?)?,
        check: right.dry,
        forks: u16::try_from(ansible.forks).unwrap_or(1),
        keys: List::new(ansible.keys.clone())?,
        vault: ansible.vault.clone(),
    })
}

/// The arguments that were given, or have defaults, as what their schema says. Those that choose targets are no variables of the play.
fn variables(right: &Right<'_>) -> Result<Vec<(Text<{ bartizan_proto::limits::MAX_NAME }>, Variable)>, TooLong> {
    let schema = |name: &str| right.script.arguments.iter().find(|argument| argument.name == name);
    let mut all = Vec::new();
    for value in right.values {
        let Some(argument) = schema(&value.name).filter(|argument| !argument.narrows) else { continue };
        if value.text.is_empty() && !takes_nothing(argument) {
            continue;
        }
        let variable = match argument.kind {
            Kind::Text { .. } | Kind::Enum(_) => Variable::Text(Text::new(value.text.as_str())?),
            Kind::Number { .. } => Variable::Number(Text::new(value.text.as_str())?),
            Kind::Boolean => Variable::Boolean(value.text == "true"),
        };
        all.push((Text::new(value.name.as_str())?, variable));
    }
    Ok(all)
}

/// Whether an empty text is a value of it, and not what stands for one that was not given.
fn takes_nothing(argument: &Argument) -> bool {
    matches!(&argument.kind, Kind::Text { regex: Some(regex), .. } if regex.is_match(""))
}
