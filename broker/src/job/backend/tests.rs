//! What a right becomes: the network of the targets that the arguments leave, and a play's variables.

use super::*;
use crate::command::{is_dry, parse, without_run};
use crate::config::{Ansible, Argument, Kind, Targets};
use crate::gate::tests::{House, channel, house, nothing, person};
use crate::gate::{self, Clearance, Interactive, Refusal};
use bartizan_proto::driver::Variable;
use std::net::IpAddr;

fn post() -> PostId {
    "p".repeat(26).parse().expect("an id")
}

fn target(name: &str, host: &str) -> Target {
    Target {
        name: name.to_owned(),
        host: Text::cut(host),
        port: 22,
        user: "deploy".to_owned(),
        host_keys: vec!["ssh-ed25519 AAAA".to_owned()],
        key: None,
    }
}

/// `deploy SERVICE [WHERE] [COUNT]` of the ansible backend, on two targets; its profile grants a host besides.
fn with_targets() -> House {
    let mut house = house();
    let own = |name: &str, kind: Kind, narrows: bool, base: &Argument| Argument {
        name: name.to_owned(),
        kind,
        required: false,
        narrows,
        ..base.clone()
    };
    house.policy.config.allowlist.change(&"deploy".parse().expect("a name"), |script| {
        let all = vec![target("web1", "10.0.0.1"), target("web2", "web2.example.com")];
        let one = |name: &str| (name.to_owned(), vec![name.to_owned()]);
        script.targets = Targets { all, words: vec![one("web1"), one("web2")] };
        let ansible = Ansible { inventory: None, keys: Vec::new(), vault: None, forks: 5, check: true };
        script.backend = Chosen::Ansible(ansible);
        let endpoint = |host: &str, port| Endpoint { host: Text::cut(host), port, addresses: List::default() };
        let hosts = [endpoint("mirror.example.com", 443), endpoint("10.0.0.1", 22), endpoint("web2.example.com", 22)];
        script.profile.network = List::cut(hosts);
        let base = script.arguments[0].clone();
        let words = Kind::Enum(vec!["web1".to_owned(), "web2".to_owned()]);
        script.arguments.push(own("where", words, true, &base));
        script.arguments.push(own("count", Kind::Number { min: None, max: None }, false, &base));
        script.arguments.push(own("loud", Kind::Boolean, false, &base));
    });
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    house.policy.config.addresses.insert("web2.example.com".to_owned(), vec![address("192.0.2.2")]);
    house.policy.config.addresses.insert("10.0.0.1".to_owned(), vec![address("10.0.0.1")]);
    house
}

fn cleared(line: &str, policy: &Policy) -> Result<Box<Cleared<Interactive>>, Refusal> {
    let opener = Opener::new(crate::config::Trust::single_user());
    let command = without_run(parse::command(line).expect("readable").expect("not empty"));
    match gate::clear(&command, &person("o"), &channel("c"), policy, &opener, nothing()) {
        Ok(Clearance::Start(cleared)) => Ok(cleared),
        Ok(Clearance::Ask(..)) => panic!("nobody is asked"),
        Err((refusal, _)) => Err(refusal),
    }
}

#[test]
fn a_job_may_reach_the_targets_that_its_arguments_leave_and_what_its_profile_grants() {
    let House { policy, folder: _folder } = with_targets();
    let opener = Opener::new(crate::config::Trust::single_user());
    let reached = |line: &str| {
        let cleared = cleared(line, &policy).expect("let through");
        let order = Right::of((JobId(1), post()), &cleared, &policy, None, &opener, None).order().expect("an order");
        let network = order.profile.network.iter();
        network.map(|to| format!("{}:{} {:?}", to.host, to.port, &*to.addresses)).collect::<Vec<_>>()
    };
    assert_eq!(
        reached("deploy api-server"),
        ["mirror.example.com:443 []", "10.0.0.1:22 [10.0.0.1]", "web2.example.com:22 [192.0.2.2]"]
    );
    assert_eq!(reached("deploy api-server web2"), ["mirror.example.com:443 []", "web2.example.com:22 [192.0.2.2]"]);
}

#[test]
fn arguments_become_variables_of_their_kinds_and_those_that_choose_targets_none() {
    let House { policy, folder: _folder } = with_targets();
    let opener = Opener::new(crate::config::Trust::single_user());
    let cleared = cleared("dry-run deploy web-app where=web1 loud=yes", &policy).expect("let through");
    let play = ansible::play(&Right::of((JobId(1), post()), &cleared, &policy, None, &opener, None)).expect("a play");
    assert!(play.check && play.limited);
    assert_eq!(play.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["web1"]);
    let variables: Vec<(&str, &Variable)> = play.variables.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(
        variables,
        [("service", &Variable::Text(Text::cut("web-app"))), ("loud", &Variable::Boolean(true))],
        "what was not given is not there"
    );
}

#[test]
fn a_dry_run_is_refused_where_the_backend_has_none_and_stays_one_when_its_line_is_written_again() {
    let House { policy, folder: _folder } = with_targets();
    assert!(matches!(cleared("dry-run hello", &policy), Err(Refusal::Denied(_))));
    assert!(!cleared("deploy api-server", &policy).expect("let through").is_dry());
    let command = without_run(parse::command("dry-run deploy api-server").expect("readable").expect("not empty"));
    let line = crate::context::line(&command).expect("a line");
    assert!(is_dry(&line), "{line}");
    assert!(!is_dry("deploy dry-run") && !is_dry("run dry-run deploy"));
}

#[test]
fn the_key_of_a_job_is_its_own_and_the_same_each_time() {
    let House { policy, folder: _folder } = with_targets();
    let opener = Opener::new(crate::config::Trust::single_user());
    let cleared = cleared("deploy api-server", &policy).expect("let through");
    let key = |job: u64, post: &str| {
        let post = post.repeat(26).parse().expect("an id");
        Right::of((JobId(job), post), &cleared, &policy, None, &opener, None).key()
    };
    assert_eq!(key(1, "p"), key(1, "p"));
    assert_eq!(key(1, "p").len(), 32);
    assert!(key(1, "p").bytes().all(|byte| byte.is_ascii_hexdigit()));
    // A backup that comes back counts jobs again, and posts have other ids then.
    assert!(key(1, "p") != key(2, "p") && key(1, "p") != key(1, "q"));
}

#[test]
fn only_what_goes_on_by_itself_can_be_followed_again() {
    let House { policy, folder: _folder } = with_targets();
    let opener = Opener::new(crate::config::Trust::single_user());
    let cleared = cleared("deploy api-server", &policy).expect("let through");
    let right = Right::of((JobId(1), post()), &cleared, &policy, None, &opener, None);
    let all: [&dyn Backend; 4] = [&local::Local, &ansible::Ansible, &ssh::Ssh, &slurm::Slurm];
    for backend in all {
        let name = backend.name();
        assert_eq!(backend.outlives(), name == "slurm");
        assert_eq!(backend.cancel().is_zero(), name != "slurm", "{name}");
        if name != "slurm" {
            assert!(backend.reattach(&right, 0, true).expect("asked").is_none(), "{name}");
        }
    }
}
