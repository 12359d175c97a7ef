//! The secrets that are attached to a script: which, and into which variable of its environment.

use super::error::Wrong;
use super::{Attached, raw};
use crate::brain::record::RESERVED;
use bartizan_proto::ids::SecretName;
use bartizan_proto::limits::MAX_SECRETS;

/// The secrets of a script, each once, and where one goes into the environment, into a variable of its own. Before them those
/// that its backend needs.
pub(super) fn check(raw: &[raw::Attached], first: Vec<Attached>) -> Result<Vec<Attached>, Wrong> {
    if raw.len() + first.len() > MAX_SECRETS {
        return Err(Wrong::new(format!("more than {MAX_SECRETS} secrets"), "attach fewer").within("secrets"));
    }
    let mut all = first;
    for (i, one) in raw.iter().enumerate() {
        let wrong = |what: String, remedy: &str| Wrong::new(what, remedy).within(i).within("secrets");
        let name: SecretName = one
            .secret
            .parse()
            .map_err(|_| wrong(format!("\"{}\" is not a secret's name", one.secret), "write it as NAMESPACE/NAME"))?;
        if name.namespace.as_str() == RESERVED {
            return Err(wrong("the namespace bot is the bot's own".to_owned(), "name another"));
        }
        if all.iter().any(|other| other.name == name) {
            return Err(wrong(format!("the secret {name} is there twice"), "remove one"));
        }
        let own = |variable: &str| matches!(variable, "PATH" | "HOME" | "TMPDIR" | "LANG" | "TZ" | "USER" | "LOGNAME");
        if let Some(variable) = &one.variable {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let named = variable.chars().all(plain) && variable.len() <= 64;
            let starts = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !named || !starts || own(variable) || variable.starts_with("BARTIZAN_") || variable.starts_with("LD_") {
                return Err(wrong(format!("\"{variable}\" cannot be a secret's variable"), "use a name of your own"));
            }
            if all.iter().any(|other| other.variable.as_ref() == Some(variable)) {
                return Err(wrong(format!("two secrets go into ${variable}"), "name another variable"));
            }
        }
        all.push(Attached { name, variable: one.variable.clone(), file: None });
    }
    Ok(all)
}
