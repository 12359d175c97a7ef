//! The hosts that an INI inventory names, for an entry that names no targets: each must be a target of `bartizan.toml`, which
//! has its address and its keys. Nothing else of an inventory is read here; ansible reads it whole, in the job's sandbox.

use super::super::error::Wrong;
use super::super::script::Surroundings;
use super::Targets;
use super::target::{Known, of_script};
use std::path::Path;

/// Largest inventory that is read, in bytes.
const MAX_INVENTORY: usize = 1 << 20;

/// The targets of all hosts in it.
pub(super) fn targets(path: &Path, around: &Surroundings<'_>) -> Result<Targets, Wrong> {
    let say = "name them in this entry: targets = [\"NAME\"]";
    let yaml = path.extension().is_some_and(|end| ["yml", "yaml", "json"].iter().any(|known| end == *known));
    if yaml || path.is_dir() {
        let what = format!("only of an INI file it is seen which hosts it has, and {} is none", path.display());
        return Err(Wrong::new(what, say));
    }
    around.trust.open_shared(path)?;
    let text = around.trust.read(path, MAX_INVENTORY)?;
    let mut names = Vec::new();
    for (line, name) in hosts(&text) {
        let name = named(&name, around.targets).ok_or_else(|| {
            let what = format!("{}:{line}: \"{name}\" is no target", path.display());
            Wrong::new(what, format!("define it in bartizan.toml as [[target]], with its host key, or {say}"))
        })?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    of_script(&names, around.targets)
}

/// The target of this name, or with this host.
fn named(host: &str, known: &Known) -> Option<String> {
    let by_host = || known.targets.values().find(|target| target.host.as_str() == host);
    known.targets.get(host).or_else(by_host).map(|target| target.name.clone())
}

/// The names of its hosts, each with its line: the first words of lines outside of `:vars` and `:children` sections. Ranges
/// (`web[1:3]`) stand for what they say. This machine is left out.
fn hosts(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut has_hosts = true;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) =
            text.strip_prefix('[').and_then(|rest| rest.split_once(']')).filter(|_| !text.starts_with("[["))
        {
            has_hosts = !section.0.ends_with(":vars") && !section.0.ends_with(":children");
            continue;
        }
        let word = text.split_whitespace().next().unwrap_or_default();
        let local = text.split_whitespace().any(|word| word == "ansible_connection=local");
        if has_hosts && !local && !matches!(word, "localhost" | "127.0.0.1" | "::1") {
            out.extend(expanded(word).into_iter().map(|name| (line, name)));
        }
    }
    out
}

/// `web[01:03]` is web01, web02, web03. What is no such range stays as it is, and is then no target.
fn expanded(word: &str) -> Vec<String> {
    let range = || {
        let (before, rest) = word.split_once('[')?;
        let (inside, after) = rest.split_once(']')?;
        let (from, to) = inside.split_once(':')?;
        let (first, last): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        let width = if from.starts_with('0') { from.len() } else { 0 };
        let count = last.checked_sub(first).filter(|count| *count < 1024)?;
        Some((0..=count).map(|i| format!("{before}{:0width$}{after}", first + i)).collect::<Vec<_>>())
    };
    range().unwrap_or_else(|| vec![word.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_of_an_inventory_are_its_first_words_outside_of_variables_and_children() {
        let text = "bare ansible_host=10.0.0.1\n\n# no\n[web]\nweb[01:03].example.com\nlocalhost ansible_connection=local\n\
                    [web:vars]\nuser=x\n[all:children]\nweb\n; no\n[db]\n  db1\n";
        let found: Vec<(usize, String)> = hosts(text);
        let expected =
            [(1, "bare"), (5, "web01.example.com"), (5, "web02.example.com"), (5, "web03.example.com"), (13, "db1")];
        assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
    }

    #[test]
    fn what_is_no_range_stays_and_a_range_has_an_end() {
        assert_eq!(expanded("web[a:c]"), ["web[a:c]"]);
        assert_eq!(expanded("web[1:999999]"), ["web[1:999999]"]);
        assert_eq!(expanded("web[3:1]"), ["web[3:1]"]);
        assert_eq!(expanded("n[8:10]"), ["n8", "n9", "n10"]);
    }
}
