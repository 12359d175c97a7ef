//! What may be asked at which socket: reading and commanding are different authorities.
//!
//! At `read.sock` only what changes nothing in the service, and gives no secret value away. Each verb stands here by its
//! name, so that a new one is on one side or the other because somebody said so.

use crate::peer::Permit;
use crate::peer::access::Authority;
use bartizan_proto::brain::BrainRequest;
use bartizan_proto::control::Request;
use bartizan_proto::people::{FactorAct, PeopleRequest};
use bartizan_proto::targets::TargetsRequest;

/// The table.
pub fn permits(authority: Authority, request: &Request) -> Permit {
    match authority {
        Authority::Command => Permit::Allow,
        Authority::Read => reading(request),
    }
}

fn reading(request: &Request) -> Permit {
    match request {
        Request::Status
        | Request::Ps
        | Request::Inspect { job: _ }
        | Request::History { script: _ }
        | Request::Schedule
        | Request::Log { job: _ }
        | Request::Receipt { job: _ }
        | Request::CheckConfig
        | Request::Doctor
        | Request::AuditHead
        | Request::AuditFile { number: _ }
        | Request::Metrics => Permit::Allow,
        Request::Kill { job: _ }
        | Request::Restart { now: _ }
        | Request::Reload
        | Request::AuditPrune { older_than_s: _ }
        | Request::AuditRotateKey
        | Request::Lockdown { reason: _, kill: _ }
        | Request::EndLockdown
        | Request::Pause { reason: _ }
        | Request::Resume => Permit::Deny,
        Request::People(request) => people(request),
        Request::Brain(request) => brain(request),
        Request::Targets(request) => targets(request),
    }
}

fn people(request: &PeopleRequest) -> Permit {
    match request {
        PeopleRequest::List { after: _ }
        | PeopleRequest::Show { who: _ }
        | PeopleRequest::Bans { after: _ }
        | PeopleRequest::Keys
        | PeopleRequest::Explain { who: _, channel: _, command: _ }
        | PeopleRequest::Factor { who: _, act: FactorAct::Status } => Permit::Allow,
        PeopleRequest::Set { who: _, level: _, add: _, remove: _ }
        | PeopleRequest::Remove { who: _ }
        | PeopleRequest::Ban { who: _, reason: _, duration: _ }
        | PeopleRequest::Unban { who: _ }
        | PeopleRequest::Bootstrap { who: _, again: _ }
        | PeopleRequest::Factor { who: _, act: FactorAct::Enrol | FactorAct::Reset }
        | PeopleRequest::AddKey { who: _, key: _ }
        | PeopleRequest::RemoveKey { key: _ } => Permit::Deny,
    }
}

fn brain(request: &BrainRequest) -> Permit {
    match request {
        // Names only.
        BrainRequest::List => Permit::Allow,
        BrainRequest::Init { opening: _, discard: _ }
        | BrainRequest::Unlock(_)
        | BrainRequest::Rekey(_)
        | BrainRequest::Accept
        | BrainRequest::Backup { from: _ }
        | BrainRequest::Restore { from: _, part: _, last: _ }
        | BrainRequest::Show { namespace: _, key: _ }
        | BrainRequest::Export { after: _ }
        | BrainRequest::SetSecret { name: _, value: _ }
        | BrainRequest::RemoveSecret { name: _ }
        | BrainRequest::SetToken { token: _, checked: _ } => Permit::Deny,
    }
}

fn targets(request: &TargetsRequest) -> Permit {
    match request {
        TargetsRequest::List => Permit::Allow,
        // It makes the key where there is none yet.
        TargetsRequest::Keys { login: _ } | TargetsRequest::Rotate(_) => Permit::Deny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::bounded::{Bytes, List, Text};
    use bartizan_proto::brain::Opening;
    use bartizan_proto::confidential::Confidential;
    use bartizan_proto::ids::JobId;

    /// Every verb, and whether it is for reading. A verb that is missing here makes the count below wrong.
    fn verbs() -> Vec<(Request, bool)> {
        let job = JobId(1);
        let who = || Text::cut("alice");
        let mut verbs = vec![
            (Request::Status, true),
            (Request::Ps, true),
            (Request::Inspect { job }, true),
            (Request::Kill { job }, false),
            (Request::History { script: None }, true),
            (Request::Schedule, true),
            (Request::Log { job }, true),
            (Request::Receipt { job }, true),
            (Request::Restart { now: true }, false),
            (Request::CheckConfig, true),
            (Request::Reload, false),
            (Request::Doctor, true),
            (Request::AuditHead, true),
            (Request::AuditFile { number: 0 }, true),
            (Request::AuditPrune { older_than_s: 0 }, false),
            (Request::AuditRotateKey, false),
            (Request::Lockdown { reason: Text::cut("x"), kill: false }, false),
            (Request::EndLockdown, false),
            (Request::Pause { reason: Text::cut("x") }, false),
            (Request::Resume, false),
            (Request::Metrics, true),
        ];
        let people = [
            (PeopleRequest::List { after: None }, true),
            (PeopleRequest::Show { who: who() }, true),
            (PeopleRequest::Set { who: who(), level: None, add: List::default(), remove: List::default() }, false),
            (PeopleRequest::Remove { who: who() }, false),
            (PeopleRequest::Bans { after: None }, true),
            (PeopleRequest::Ban { who: who(), reason: Text::cut("x"), duration: Text::cut("1h") }, false),
            (PeopleRequest::Unban { who: who() }, false),
            (PeopleRequest::Bootstrap { who: who(), again: false }, false),
            (PeopleRequest::Factor { who: who(), act: FactorAct::Status }, true),
            (PeopleRequest::Factor { who: who(), act: FactorAct::Enrol }, false),
            (PeopleRequest::Factor { who: who(), act: FactorAct::Reset }, false),
            (PeopleRequest::Keys, true),
            (PeopleRequest::AddKey { who: who(), key: Text::cut("k") }, false),
            (PeopleRequest::RemoveKey { key: Text::cut("k") }, false),
            (PeopleRequest::Explain { who: who(), channel: None, command: Text::cut("x") }, true),
        ];
        verbs.extend(people.map(|(request, reads)| (Request::People(request), reads)));
        let brain = [
            (BrainRequest::Init { opening: Opening::Configured, discard: true }, false),
            (BrainRequest::Unlock(Opening::Configured), false),
            (BrainRequest::Rekey(Opening::Configured), false),
            (BrainRequest::Accept, false),
            (BrainRequest::Backup { from: 0 }, false),
            (BrainRequest::Restore { from: 0, part: Bytes::new([]).expect("short"), last: None }, false),
            (BrainRequest::List, true),
            (BrainRequest::Show { namespace: "n".parse().expect("a name"), key: "k".parse().expect("a key") }, false),
            (BrainRequest::Export { after: 0 }, false),
            (
                BrainRequest::SetSecret {
                    name: "n/k".parse().expect("a name"),
                    value: Confidential::copy_of(b"x").expect("short"),
                },
                false,
            ),
            (BrainRequest::RemoveSecret { name: "n/k".parse().expect("a name") }, false),
        ];
        verbs.extend(brain.map(|(request, reads)| (Request::Brain(Box::new(request)), reads)));
        let token = Confidential::copy_of(b"x").expect("short");
        verbs.push((Request::Brain(Box::new(BrainRequest::SetToken { token, checked: true })), false));
        verbs.push((Request::Targets(TargetsRequest::List), true));
        verbs.push((Request::Targets(TargetsRequest::Keys { login: None }), false));
        verbs.push((Request::Targets(TargetsRequest::Rotate(bartizan_proto::targets::Rotate::Switch)), false));
        verbs
    }

    #[test]
    fn the_read_socket_takes_each_verb_that_reads_and_no_other() {
        for (request, reads) in verbs() {
            let expected = if reads { Permit::Allow } else { Permit::Deny };
            assert_eq!(permits(Authority::Read, &request), expected, "{request:?}");
            assert_eq!(permits(Authority::Command, &request), Permit::Allow, "{request:?}");
        }
    }

    #[test]
    fn no_verb_is_left_out_of_that_test() {
        // The table above names each variant; so many it has. Whoever adds one sees the compiler stop in `reading`, and this.
        let source = include_str!("permits.rs");
        let table = source.split("#[cfg(test)]").next().unwrap_or_default();
        let named = table.matches("Request::").count()
            - table.matches("Request::People(").count()
            - table.matches("Request::Brain(").count()
            - table.matches("Request::Targets(").count();
        // `Factor` stands there once for reading and once for two acts that are tried one by one.
        assert_eq!(verbs().len(), named + 1, "a verb of the table is not tried");
    }
}
