//! `bartizan-broker --trial NAME ARGUMENT…`: the order that a script's entry makes of these arguments, printed and not carried out.
//! For `bartizan script try`, whose worker runs with the caller's rights and with nothing of the service's.

use super::trust::Trust;
use super::{Backend, Checked, Config, Script};
use crate::argument;
use crate::command::parse::Word;
use bartizan_proto::bounded::TooLong;
use bartizan_proto::ids::{JobId, ScriptName};
use bartizan_proto::text::printable;
use bartizan_proto::trial::Trial;
use bartizan_proto::worker::Order;
use bartizan_proto::{List, Text};
use std::path::Path;

/// Between the polite signal and the kill, in ms; as of a job.
const GRACE_MS: u32 = 5_000;

/// Loads a configuration and says what it makes of a command, as one line of JSON.
pub fn trial(path: &Path, trust: &Trust, words: &[String]) -> Checked {
    match made(path, trust, words) {
        Ok(json) => Checked { code: 0, lines: vec![json] },
        Err(why) => Checked { code: 2, lines: vec![printable(&why)] },
    }
}

fn made(path: &Path, trust: &Trust, words: &[String]) -> Result<String, String> {
    let (name, words) = words.split_first().ok_or("--trial needs a script's name")?;
    let config = Config::load(path, trust).map_err(|error| error.to_string())?;
    let known = name.parse::<ScriptName>().ok().and_then(|name| config.allowlist.get(&name));
    let script = known.ok_or_else(|| format!("there is no script {name:?} in {}", config.allowlist_path.display()))?;
    if script.backend != Backend::Local {
        return Err(format!("{name} runs by the backend {}: there is nothing to try here", script.backend.name()));
    }
    let words: Vec<Word> = words.iter().map(|text| Word { text: text.clone(), bare: text.len() }).collect();
    let values = argument::bind(&script.arguments, &words).map_err(|error| error.to_string())?;
    let trial = order(&config, script, &values).map_err(|error| error.to_string())?;
    serde_json::to_string(&trial).map_err(|error| error.to_string())
}

fn order(config: &Config, script: &Script, values: &[argument::Value]) -> Result<Trial, TooLong> {
    let arguments = values.iter().map(|value| Text::new(value.text.as_str())).collect::<Result<Vec<_>, _>>()?;
    let named = |value: &argument::Value| Ok((Text::new(value.name.as_str())?, Text::new(value.text.as_str())?));
    let order = Order {
        job: JobId(0),
        name: script.name.clone(),
        path: Text::new(script.path.display().to_string())?,
        arguments: List::new(arguments)?,
        environment: List::default(),
        secrets: List::default(),
        alone: config.secrets().any(|secret| script.path.parent().is_some_and(|folder| secret.starts_with(folder))),
        api: !script.api.is_empty(),
        sealed: script.sha256.is_some(),
        sockets: false,
        plan: false,
        daemon: None,
        profile: script.profile.clone(),
        require: List::new(config.require.clone())?,
        timeout_ms: u64::try_from(script.timeout.as_millis()).unwrap_or(u64::MAX),
        grace_ms: GRACE_MS,
        max_output: u64::try_from(config.limits.attachment).unwrap_or(u64::MAX),
        without: List::default(),
    };
    Ok(Trial {
        order,
        parameters: List::new(values.iter().map(named).collect::<Result<Vec<_>, TooLong>>()?)?,
        secrets: List::cut(script.secrets.iter().map(|attached| attached.name.clone())),
        granted: List::cut(script.api.iter().copied()),
        profile: script.profile_name.as_deref().map(Text::cut),
    })
}
