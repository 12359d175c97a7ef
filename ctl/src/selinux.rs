//! What `bartizan doctor` finds of SELinux: is it there, does it enforce, is the policy loaded, and is each process of the service in
//! the domain of its program (`selinux/README.md`). Read from the kernel alone; nothing where the kernel has no SELinux.

use bartizan_proto::bounded::Text;
use bartizan_proto::control::{Check, CheckVerdict};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Where the kernel shows it.
const MOUNTED: &str = "/sys/fs/selinux";

/// A context that only the policy gives a meaning.
const OF_THE_POLICY: &str = "system_u:system_r:bartizan_core_t:s0";

/// How the policy is loaded.
const LOAD: &str = "load the policy: semodule -i bartizan.pp (selinux/README.md says how it is built)";

/// Programs by the names that the kernel keeps of them (15 bytes), and their domains.
const DOMAINS: [(&str, &str); 5] = [
    ("bartizan-broker", "bartizan_core_t"),
    ("bartizan-launch", "bartizan_launcher_t"),
    ("bartizan-egress", "bartizan_egress_t"),
    ("bartizan-connec", "bartizan_connector_t"),
    ("bartizan-worker", "bartizan_worker_t"),
];

/// One line about the kernel and the policy, and one about the processes where there are any. A machine without SELinux is no
/// fault: then there is nothing to say.
pub fn check() -> Vec<Check> {
    let enforce = match fs::read_to_string(Path::new(MOUNTED).join("enforce")) {
        Ok(enforce) => enforce,
        Err(_) => return Vec::new(),
    };
    let mut checks = vec![kernel(enforce.trim() == "1", is_loaded())];
    checks.extend(processes(&running()));
    checks
}

/// Whether the kernel knows a context of the policy; `None` where this user may not ask.
fn is_loaded() -> Option<bool> {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(Path::new(MOUNTED).join("context")).ok()?;
    let context = [OF_THE_POLICY.as_bytes(), b"\0"].concat();
    match file.write_all(&context) {
        Ok(()) => Some(true),
        Err(error) if error.kind() == ErrorKind::InvalidInput => Some(false),
        Err(_) => None,
    }
}

fn kernel(enforces: bool, loaded: Option<bool>) -> Check {
    let (verdict, detail) = match (enforces, loaded) {
        (_, Some(false)) => (CheckVerdict::Warn, format!("it is here, and Bartizan's policy is not loaded; {LOAD}")),
        (false, _) => (CheckVerdict::Warn, "permissive: it denies nothing; setenforce 1".to_owned()),
        (true, Some(true)) => (CheckVerdict::Ok, "enforcing, with Bartizan's policy".to_owned()),
        (true, None) => (
            CheckVerdict::Ok,
            "enforcing; whether the policy is loaded root may ask: run `bartizan doctor` as root".to_owned(),
        ),
    };
    check_of(verdict, detail)
}

/// A process of the service: its program's name, and the type in its context.
type Running = (String, String);

/// What runs of the service, as far as this user may see it. A process that ends meanwhile is passed over.
fn running() -> Vec<Running> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let name = first(&entry.path().join("comm"))?;
        DOMAINS.iter().find(|(program, _)| *program == name)?;
        let context = first(&entry.path().join("attr/current"))?;
        Some((name, domain(&context)?.to_owned()))
    };
    entries.filter_map(of).collect()
}

/// The first line of a small file.
fn first(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text.trim_end_matches(['\0', '\n']).to_owned())
}

/// `user:role:TYPE:level`.
fn domain(context: &str) -> Option<&str> {
    context.split(':').nth(2)
}

fn processes(running: &[Running]) -> Option<Check> {
    let right = |(name, found): &&Running| DOMAINS.iter().any(|(program, domain)| program == name && domain == found);
    let wrong = running.iter().find(|process| !right(process));
    Some(match (running.len(), wrong) {
        (0, _) => return None,
        (_, Some((name, found))) => {
            let remedy =
                "restorecon -RF /usr/libexec/bartizan /usr/local/libexec/bartizan, then systemctl restart bartizan";
            check_of(CheckVerdict::Warn, format!("{name} runs in {found}, not in a domain of its own: {remedy}"))
        }
        (count, None) => check_of(CheckVerdict::Ok, format!("{count} processes, each in the domain of its program")),
    })
}

fn check_of(verdict: CheckVerdict, detail: String) -> Check {
    Check { what: Text::cut("SELinux"), verdict, detail: Text::cut(detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_it_should_be_is_told_with_what_mends_it() {
        assert_eq!(kernel(true, Some(true)).verdict, CheckVerdict::Ok);
        assert_eq!(kernel(true, None).verdict, CheckVerdict::Ok);
        let unloaded = kernel(true, Some(false));
        assert!(unloaded.verdict == CheckVerdict::Warn && unloaded.detail.contains("semodule -i"), "{unloaded:?}");
        let permissive = kernel(false, Some(true));
        assert!(
            permissive.verdict == CheckVerdict::Warn && permissive.detail.contains("setenforce 1"),
            "{permissive:?}"
        );
    }

    #[test]
    fn a_process_outside_of_its_domain_is_named() {
        let of = |name: &str, domain: &str| (name.to_owned(), domain.to_owned());
        assert_eq!(processes(&[]), None);
        let good = [of("bartizan-broker", "bartizan_core_t"), of("bartizan-connec", "bartizan_connector_t")];
        assert_eq!(processes(&good).expect("a line").verdict, CheckVerdict::Ok);
        for bad in [of("bartizan-worker", "initrc_t"), of("bartizan-egress", "bartizan_core_t")] {
            let said = processes(&[good[0].clone(), bad.clone()]).expect("a line");
            assert!(said.verdict == CheckVerdict::Warn && said.detail.contains(&bad.0), "{said:?}");
            assert!(said.detail.contains(&bad.1) && said.detail.contains("restorecon"), "{said:?}");
        }
        assert_eq!(domain("system_u:system_r:bartizan_core_t:s0-s0:c0.c3"), Some("bartizan_core_t"));
        assert_eq!(domain("unconfined"), None);
    }
}
