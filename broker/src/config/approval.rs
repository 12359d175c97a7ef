//! Who must agree before a script runs: `approvals` of a script, `[approval]` and `[identities]` of `bartizan.toml`.

use super::error::Wrong;
use super::script::{Surroundings, flags, level};
use super::{Argument, Level, raw, settings};
use crate::argument::{self, Value};
use bartizan_proto::ids::FlagName;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Most approvals that one script can ask for.
const MOST: u64 = 8;

/// What a script asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// `approvals`: how many people must agree.
    pub count: u8,
    /// `approver-level`: who has it may approve; admins where nothing is said of level, flags and groups.
    pub level: Option<Level>,
    /// `approver-flags`: who has one of them may, too.
    pub flags: Vec<FlagName>,
    /// `approver-groups`: who is in one of them may, too.
    pub groups: Vec<String>,
    /// `self-approval`: the requester's own approval counts.
    pub own: bool,
    /// `break-glass`: one person may run it alone with `breakglass`, which the admins are told.
    pub glass: bool,
    /// `approval = "signed"`: only a signature made outside of chat counts as a yes.
    pub signed: bool,
    /// `approval-when`: needed only where one of these arguments has one of these values; always where it is empty.
    pub when: BTreeMap<String, Vec<String>>,
}

/// `[approval]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// `expires-after`: how long a request waits.
    pub expires_after: Duration,
    /// `channel`: where requests from direct messages are posted; to those who may approve when absent.
    pub channel: Option<String>,
}

impl Approval {
    /// Whether it is needed with these arguments.
    pub fn is_needed(&self, values: &[Value]) -> bool {
        let is_one = |(name, listed): (&String, &Vec<String>)| {
            values.iter().any(|value| value.name == *name && listed.contains(&value.text))
        };
        self.when.is_empty() || self.when.iter().any(is_one)
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} by {:?} {:?} {:?}, own {}, break-glass {}, signed {}, when {:?}",
            self.count, self.level, self.flags, self.groups, self.own, self.glass, self.signed, self.when
        )
    }
}

/// What one entry of the allowlist says of it.
pub(super) fn check(
    raw: &raw::Script,
    arguments: &[Argument],
    around: &Surroundings<'_>,
) -> Result<Option<Approval>, Wrong> {
    let further = [
        ("approval", raw.approval.is_some()),
        ("approver-level", raw.approver_level.is_some()),
        ("approver-flags", !raw.approver_flags.is_empty()),
        ("approver-groups", !raw.approver_groups.is_empty()),
        ("self-approval", raw.self_approval),
        ("break-glass", raw.break_glass),
        ("approval-when", !raw.approval_when.is_empty()),
    ];
    if raw.approvals == 0 {
        return match further.iter().find(|(_, given)| *given) {
            Some((key, _)) => {
                let what = format!("{key} without approvals");
                Err(Wrong::new(what, "say how many: approvals = 1").within(*key))
            }
            None => Ok(None),
        };
    }
    let count = u8::try_from(raw.approvals).ok().filter(|_| raw.approvals <= MOST).ok_or_else(|| {
        Wrong::new(format!("approvals is {}", raw.approvals), format!("give a number from 0 to {MOST}"))
            .within("approvals")
    })?;
    let signed = match raw.approval.as_deref() {
        None | Some("chat") => false,
        Some("signed") => true,
        Some(word) => {
            let what = format!("approval is \"{word}\"");
            return Err(Wrong::new(what, "give \"chat\" or \"signed\"").within("approval"));
        }
    };
    if signed && raw.break_glass {
        let what =
            "break-glass where signatures are asked for: whoever can write as a person on the server could run it";
        return Err(Wrong::new(what, "take one of the two away").within("break-glass"));
    }
    let flags = flags(&raw.approver_flags).map_err(|wrong| wrong.within("approver-flags"))?;
    if let Some(i) = raw.approver_groups.iter().position(|group| !around.groups.contains_key(group)) {
        let what = format!("there is no group \"{}\"", raw.approver_groups[i]);
        return Err(Wrong::new(what, "define it in bartizan.toml under [groups]").within(i).within("approver-groups"));
    }
    let level = match &raw.approver_level {
        Some(word) => Some(level(word).map_err(|wrong| wrong.within("approver-level"))?),
        None if flags.is_empty() && raw.approver_groups.is_empty() => Some(Level::Admin),
        None => None,
    };
    let when = when(&raw.approval_when, arguments).map_err(|wrong| wrong.within("approval-when"))?;
    Ok(Some(Approval {
        count,
        level,
        flags,
        groups: raw.approver_groups.clone(),
        own: raw.self_approval,
        glass: raw.break_glass,
        signed,
        when,
    }))
}

/// The values as the script would get them.
fn when(
    raw: &BTreeMap<String, Vec<raw::Scalar>>,
    arguments: &[Argument],
) -> Result<BTreeMap<String, Vec<String>>, Wrong> {
    let mut out = BTreeMap::new();
    for (name, values) in raw {
        let argument = arguments.iter().find(|argument| argument.name == *name).ok_or_else(|| {
            Wrong::new(format!("there is no argument \"{name}\""), "name one of the script's").within(name.as_str())
        })?;
        let one = |raw::Scalar(text): &raw::Scalar| {
            argument::check(argument, text).map_err(|mismatch| {
                let what = format!("the value \"{text}\" {mismatch}");
                Wrong::new(what, "correct the value or the schema").within(name.as_str())
            })
        };
        let values = values.iter().map(one).collect::<Result<Vec<String>, Wrong>>()?;
        if values.is_empty() {
            return Err(Wrong::new("no values", "list those that need approval").within(name.as_str()));
        }
        out.insert(name.clone(), values);
    }
    Ok(out)
}

/// `[approval]`.
pub(super) fn settings(raw: &raw::Approval) -> Result<Approvals, Wrong> {
    let expires_after = settings::time("expires-after", raw.expires_after.as_ref(), 15 * 60, 10, 7 * 24 * 3600)?;
    if let Some(channel) = &raw.channel {
        settings::channels(std::slice::from_ref(channel)).map_err(|wrong| wrong.within("channel"))?;
    }
    Ok(Approvals { expires_after, channel: raw.channel.clone() })
}

/// `[identities]`.
pub(super) fn identities(raw: &BTreeMap<String, Vec<String>>) -> Result<BTreeMap<String, Vec<String>>, Wrong> {
    for (name, accounts) in raw {
        settings::visible("a name", name).map_err(|wrong| wrong.within(name.as_str()))?;
        if accounts.len() < 2 {
            return Err(Wrong::new("a person with one account", "list two or more").within(name.as_str()));
        }
        settings::names(accounts).map_err(|wrong| wrong.within(name.as_str()))?;
    }
    Ok(raw.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_is_needed_where_one_of_the_named_arguments_has_a_named_value() {
        let value = |name: &str, text: &str| Value { name: name.into(), text: text.into(), sensitive: false };
        let when = [("where".to_owned(), vec!["production".to_owned()])].into();
        let always = Approval {
            count: 1,
            level: None,
            flags: vec![],
            groups: vec![],
            own: false,
            glass: false,
            signed: false,
            when: BTreeMap::new(),
        };
        let some = Approval { when, ..always.clone() };
        assert!(always.is_needed(&[]));
        assert!(some.is_needed(&[value("what", "x"), value("where", "production")]));
        assert!(!some.is_needed(&[value("what", "production"), value("where", "staging")]));
    }
}
