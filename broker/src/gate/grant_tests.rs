//! What authorizers and elevators say, and what starts by it.

use super::tests::{House, channel, house, nothing, person};
use super::*;
use crate::command::parse;
use crate::config::Trust;

/// Attack row 20.
#[test]
fn row_20_a_script_with_an_authorizer_starts_only_on_a_grant_that_holds() {
    let House { mut policy, folder } = house();
    let opener = file::Opener::new(Trust::single_user());
    let clear = |policy: &Policy, grant: Option<authorizer::Grant>, line: &str| {
        let command = parse::command(line).expect("readable").expect("not empty");
        let grants: Vec<authorizer::Grant> = grant.into_iter().collect();
        clear(&command, &person("f"), &channel("c"), policy, &opener, Proofs { grants: &grants, ..nothing() })
    };
    let granted = |generation| match authorizer::judge(
        authorizer::Kind::Authorizer,
        "asked",
        authorizer::tests::granting(),
        generation,
        "",
    ) {
        Verdict::Pass(grant) => grant,
        Verdict::Refuse(..) => panic!("granted"),
    };
    let Ok(Clearance::Ask(_, asked)) = clear(&policy, None, "asked x") else { panic!("it is asked first") };
    let values: Vec<&str> = asked.values().iter().map(|value| value.text.as_str()).collect();
    assert_eq!(values, ["asked", "web", "asked", "x"], "script, group, command and arguments");
    let told = |name: &str| asked.environment().iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(told("BARTIZAN_USER_ID"), Some(person("f").user.as_str()));
    assert_eq!((told("BARTIZAN_LEVEL"), told("BARTIZAN_FLAGS")), (Some("user"), Some("deploy")));
    assert!(matches!(clear(&policy, Some(granted(1)), "asked x"), Ok(Clearance::Start(_))));
    policy.generation += 1;
    assert!(matches!(clear(&policy, Some(granted(1)), "asked x"), Ok(Clearance::Ask(..))), "the policy has changed");
    assert!(clear(&policy, Some(granted(2)), "deploy web-app").is_err(), "a grant is no permission");
    std::fs::remove_file(folder.path().join("authorizer")).expect("removed");
    assert!(matches!(clear(&policy, None, "asked x"), Err((Refusal::Unauthorizable { .. }, _))));
    let command = parse::command("asked").expect("readable").expect("not empty");
    let seen = survey(
        &command,
        &person("u"),
        &channel("c"),
        &policy,
        &opener,
        (&rate::Limiter::default(), crate::elevation::Standing::None),
    );
    assert!(
        seen.gates.iter().any(|gate| gate.name == "authorizer" && gate.cause.contains("asker")),
        "named, not called"
    );
}

/// Attack row 23: an elevator's yes is its own, and no other one's; both are wanted where both are named.
#[test]
fn row_23_a_script_with_an_elevator_and_an_authorizer_starts_only_on_both_of_their_grants() {
    use authorizer::Kind;
    let House { mut policy, folder: _folder } = house();
    let opener = file::Opener::new(Trust::single_user());
    let granted =
        |kind, generation| match authorizer::judge(kind, "both", authorizer::tests::granting(), generation, "") {
            Verdict::Pass(grant) => grant,
            Verdict::Refuse(..) => panic!("granted"),
        };
    let asked = |policy: &Policy, grants: &[(Kind, u64)]| {
        let grants: Vec<authorizer::Grant> =
            grants.iter().map(|(kind, generation)| granted(*kind, *generation)).collect();
        let command = parse::command("both").expect("readable").expect("not empty");
        let proofs = Proofs { grants: &grants, ..nothing() };
        match clear(&command, &person("u"), &channel("c"), policy, &opener, proofs) {
            Ok(Clearance::Ask(kind, cleared)) => Some((kind, cleared.script().name.to_string())),
            Ok(Clearance::Start(_)) => None,
            Err((_, cause)) => panic!("{}", cause.0),
        }
    };
    let (elevator, authorizer) =
        (Some((Kind::Elevator, "shows".to_owned())), Some((Kind::Authorizer, "asker".to_owned())));
    assert_eq!(asked(&policy, &[]), elevator);
    assert_eq!(asked(&policy, &[(Kind::Authorizer, 1)]), elevator);
    assert_eq!(asked(&policy, &[(Kind::Elevator, 1)]), authorizer);
    assert_eq!(asked(&policy, &[(Kind::Elevator, 1), (Kind::Elevator, 1)]), authorizer);
    assert_eq!(asked(&policy, &[(Kind::Elevator, 1), (Kind::Authorizer, 1)]), None);
    policy.generation += 1;
    assert_eq!(asked(&policy, &[(Kind::Elevator, 1), (Kind::Authorizer, 2)]), elevator, "the policy has changed");
}
