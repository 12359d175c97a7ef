//! Levels, bans and the changes that are refused.

use super::change::{Actor, Change, Deed, Denied, decide};
use super::*;
use bartizan_proto::Text;
use bartizan_proto::egress::AttestedUser;
use proptest::prelude::*;

fn id(letter: char) -> UserId {
    letter.to_string().repeat(26).parse().expect("26 letters")
}

fn user(letter: char) -> AttestedUser {
    AttestedUser {
        id: id(letter),
        name: Text::cut(letter.to_string()),
        bot: false,
        guest: false,
        deactivated: false,
        remote: false,
        system_admin: false,
    }
}

fn by(letter: char) -> Actor {
    Actor { user: Some(id(letter)), name: letter.to_string() }
}

fn host() -> Actor {
    Actor { user: None, name: "host".to_owned() }
}

/// Makes a change, as the core does.
fn make(people: &mut People, actor: &Actor, target: &AttestedUser, deed: &Deed) -> Result<bool, Denied> {
    match decide(people, actor, target, deed, 1000)? {
        None => return Ok(false),
        Some(Change::Person(person)) => people.put_person(target.id, person),
        Some(Change::Ban(ban)) => people.put_ban(target.id, ban),
    }
    Ok(true)
}

fn with(levels: &[(char, Level)]) -> People {
    let mut people = People::default();
    for (letter, level) in levels {
        assert_eq!(make(&mut people, &host(), &user(*letter), &Deed::Level(*level)), Ok(true));
    }
    people
}

fn flag(name: &str) -> BTreeSet<FlagName> {
    [name.parse().expect("a flag")].into()
}

#[test]
fn who_is_not_listed_is_a_user_and_a_level_is_what_was_given_last() {
    let mut people = with(&[('a', Level::Admin), ('b', Level::Operator)]);
    assert_eq!(people.level(id('z')), Level::User);
    assert_eq!(people.level(id('b')), Level::Operator);
    assert_eq!(make(&mut people, &by('a'), &user('b'), &Deed::Level(Level::Operator)), Ok(false), "nothing changes");
    assert_eq!(make(&mut people, &by('a'), &user('b'), &Deed::Level(Level::User)), Ok(true));
    assert_eq!(people.level(id('b')), Level::User);
    assert_eq!(make(&mut people, &by('a'), &user('b'), &Deed::Remove), Ok(true));
    assert_eq!(make(&mut people, &by('a'), &user('b'), &Deed::Remove), Err(Denied::NotListed("@b".into())));
}

/// A file that is reviewed elsewhere took the last admin's rights away, and nobody could give them back from chat.
#[test]
fn row_74_a_file_does_not_leave_nobody_as_an_admin() {
    for level in [Level::User, Level::Banned] {
        let mut people = with(&[('a', Level::Admin), ('b', Level::Operator)]);
        let before = people.all_admins(1000);
        people.in_file(id('a'), "a", level, BTreeSet::new());
        assert_eq!(people.keep_an_admin(before, 1000), ["a"]);
        assert!(people.is_last_admin(id('a'), 1000));
        people.in_file(id('a'), "a", level, BTreeSet::new());
        people.in_file(id('b'), "b", Level::Admin, BTreeSet::new());
        assert_eq!(people.keep_an_admin(Vec::new(), 1000), [""; 0], "it names another one");
        assert!(people.is_last_admin(id('b'), 1000));
    }
    let mut people = People::default();
    people.in_file(id('c'), "c", Level::Admin, BTreeSet::new());
    let before = people.all_admins(1000);
    assert_eq!(
        People::default().keep_an_admin(before, 1000),
        ["c"],
        "also one who stood there and stands there no more"
    );
    assert_eq!(People::default().keep_an_admin(Vec::new(), 1000), [""; 0], "where there was none there is none");
}

/// Attack row 74.
#[test]
fn row_74_the_last_admin_stays_one_whoever_asks() {
    let mut people = with(&[('a', Level::Admin)]);
    for actor in [host(), by('a')] {
        for deed in [Deed::Level(Level::Operator), Deed::Remove] {
            assert_eq!(make(&mut people, &actor, &user('a'), &deed), Err(Denied::LastAdmin("@a".into())), "{deed:?}");
        }
    }
    let ban = Deed::Ban { reason: "x".into(), until_ms: None };
    assert_eq!(make(&mut people, &host(), &user('a'), &ban), Err(Denied::AdminBan("@a".into())));
    assert_eq!(people.admins(1000), 1);
}

/// Attack row 74: the second of two changes in one turn is decided on what the first one left.
#[test]
fn row_74_two_admins_who_remove_each_other_leave_one() {
    let mut people = with(&[('a', Level::Admin), ('b', Level::Admin)]);
    assert_eq!(make(&mut people, &by('a'), &user('b'), &Deed::Remove), Ok(true));
    assert_eq!(make(&mut people, &by('b'), &user('a'), &Deed::Remove), Err(Denied::LastAdmin("@a".into())));
}

#[test]
fn an_admin_cannot_step_down_alone() {
    let mut people = with(&[('a', Level::Admin), ('b', Level::Admin)]);
    assert_eq!(make(&mut people, &by('a'), &user('a'), &Deed::Level(Level::User)), Err(Denied::OwnDemotion));
    assert_eq!(make(&mut people, &by('b'), &user('a'), &Deed::Level(Level::User)), Ok(true));
}

#[test]
fn guests_remote_deactivated_and_bot_accounts_get_no_more_than_a_user_has() {
    type Change = fn(&mut AttestedUser);
    let kinds: [(Change, Denied); 4] = [
        (|user| user.guest = true, Denied::Restricted("@g".into())),
        (|user| user.remote = true, Denied::Restricted("@g".into())),
        (|user| user.deactivated = true, Denied::Deactivated("@g".into())),
        (|user| user.bot = true, Denied::Bot("@g".into())),
    ];
    for (kind, denied) in kinds {
        let mut people = with(&[('a', Level::Admin)]);
        let mut target = user('g');
        kind(&mut target);
        for deed in [Deed::Level(Level::Operator), Deed::Flags { add: flag("x"), remove: BTreeSet::new() }] {
            assert_eq!(make(&mut people, &by('a'), &target, &deed), Err(denied.clone()));
        }
        assert_eq!(make(&mut People::default(), &host(), &target, &Deed::Bootstrap { again: true }), Err(denied));
    }
}

#[test]
fn a_file_is_stronger_than_the_database_and_is_not_changed_from_here() {
    let mut people = with(&[('a', Level::Admin), ('b', Level::Admin)]);
    people.in_file(id('b'), "b", Level::User, flag("x"));
    people.in_file(id('m'), "m", Level::Banned, BTreeSet::new());
    assert_eq!(people.level(id('b')), Level::User);
    assert!(people.has_flag(id('b'), &"x".parse().expect("a flag")));
    assert_eq!(people.admins(1000), 1, "b's row in the database does not count");
    for deed in [Deed::Level(Level::Admin), Deed::Remove, Deed::Flags { add: flag("y"), remove: flag("x") }] {
        assert_eq!(make(&mut people, &by('a'), &user('b'), &deed), Err(Denied::InFile("@b".into())));
    }
    assert!(people.ban(id('m'), u64::MAX).is_some());
    assert_eq!(make(&mut people, &by('a'), &user('m'), &Deed::Unban), Err(Denied::InFile("@m".into())));
    let ban = Deed::Ban { reason: "x".into(), until_ms: Some(2000) };
    assert_eq!(make(&mut people, &by('a'), &user('m'), &ban), Err(Denied::InFile("@m".into())));
}

#[test]
fn a_ban_ends_by_itself_to_the_millisecond() {
    let mut people = with(&[('a', Level::Admin)]);
    let ban = Deed::Ban { reason: "x".into(), until_ms: Some(2000) };
    assert_eq!(make(&mut people, &by('a'), &user('c'), &ban), Ok(true));
    assert!(people.ban(id('c'), 1999).is_some() && people.ban(id('c'), 2000).is_none());
    assert_eq!(people.next_expiry(), Some(2000));
    assert_eq!((people.expired(1999).len(), people.expired(2000).len()), (0, 1));
    assert_eq!(people.banned(1999).count(), 1);
    assert_eq!(people.banned(2000).count(), 0);
}

#[test]
fn the_first_admin_is_made_once_unless_it_is_said_again_and_never_of_a_banned_person() {
    let mut people = People::default();
    let ban = Deed::Ban { reason: "x".into(), until_ms: None };
    assert_eq!(make(&mut people, &host(), &user('m'), &ban), Ok(true));
    let first = Deed::Bootstrap { again: false };
    assert_eq!(make(&mut people, &host(), &user('m'), &first), Err(Denied::Banned("@m".into())));
    assert_eq!(make(&mut people, &host(), &user('a'), &first), Ok(true));
    assert_eq!(make(&mut people, &host(), &user('b'), &first), Err(Denied::AdminExists));
    assert_eq!(make(&mut people, &host(), &user('b'), &Deed::Bootstrap { again: true }), Ok(true));
}

#[test]
fn flags_are_given_and_taken_away_and_survive_another_level() {
    let mut people = with(&[('a', Level::Admin)]);
    let deed = Deed::Flags { add: flag("deploy"), remove: flag("gone") };
    assert_eq!(make(&mut people, &by('a'), &user('c'), &deed), Ok(true));
    assert_eq!(make(&mut people, &by('a'), &user('c'), &deed), Ok(false));
    assert_eq!(make(&mut people, &by('a'), &user('c'), &Deed::Level(Level::Operator)), Ok(true));
    assert!(people.has_flag(id('c'), &"deploy".parse().expect("a flag")));
    let back = Deed::Flags { add: BTreeSet::new(), remove: flag("deploy") };
    assert_eq!(make(&mut people, &by('a'), &user('c'), &back), Ok(true));
    assert!(!people.has_flag(id('c'), &"deploy".parse().expect("a flag")));
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        Just(Deed::Level(Level::User)),
        Just(Deed::Level(Level::Operator)),
        Just(Deed::Level(Level::Admin)),
        Just(Deed::Remove),
        Just(Deed::Ban { reason: "x".into(), until_ms: None }),
        Just(Deed::Unban),
        Just(Deed::Bootstrap { again: false }),
        Just(Deed::Flags { add: flag("x"), remove: BTreeSet::new() }),
    ]
}

proptest! {
    #[test]
    fn where_there_was_an_admin_there_is_one_after_whatever_is_done(
        deeds in prop::collection::vec((0..5_usize, 0..5_usize, deed()), 0..60)
    ) {
        let mut people = with(&[('a', Level::Admin), ('b', Level::Admin)]);
        for (actor, target, deed) in deeds {
            let (actor, target) = (['a', 'b', 'c', 'd', 'e'][actor], ['a', 'b', 'c', 'd', 'e'][target]);
            let _refused_or_not = make(&mut people, &by(actor), &user(target), &deed);
            prop_assert!(people.admins(1000) >= 1);
        }
    }
}
