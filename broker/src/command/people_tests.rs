//! What people type to change rights, and what is said when it cannot be read.

use super::Builtin;
use super::parse::split;
use super::whom::{Whom, Wish};
use crate::config::Level;
use crate::people::change::Deed;
use crate::people::duration::BanTime;
use proptest::prelude::*;
use std::time::Duration;

fn read(builtin: Builtin, line: &str) -> Result<(Whom, Wish), String> {
    builtin.read(&split(line).expect("readable")).expect("about a person")
}

fn bob(wish: Wish) -> Result<(Whom, Wish), String> {
    Ok((Whom::Name("bob".into()), wish))
}

#[test]
fn each_command_is_read_as_it_is_meant() {
    assert_eq!(read(Builtin::Whois, "@bob"), bob(Wish::Show));
    assert_eq!(read(Builtin::Deluser, "bob"), bob(Wish::Change(Deed::Remove)));
    assert_eq!(read(Builtin::Unban, "@Bob"), bob(Wish::Change(Deed::Unban)));
    assert_eq!(read(Builtin::Adduser, "@bob operator"), bob(Wish::Change(Deed::Level(Level::Operator))));
    let flags = Deed::Flags {
        add: ["deploy".parse().expect("flag"), "a-b".parse().expect("flag")].into(),
        remove: ["old".parse().expect("flag")].into(),
    };
    assert_eq!(read(Builtin::Chattr, "@bob +deploy -old +a-b"), bob(Wish::Change(flags)));
    let back = |hours: u64, age: &str| Wish::Recorded { back: Duration::from_secs(hours * 3600), age: age.to_owned() };
    assert_eq!(read(Builtin::Audit, "@bob"), bob(back(24, "24h")));
    assert_eq!(read(Builtin::Audit, "bob 2w"), bob(back(336, "2w")));
    let week = BanTime::For(Duration::from_secs(604_800));
    for line in ["@bob \"too loud\" 1w", "@bob too loud 7d", "@bob 'too loud' 168h"] {
        assert_eq!(read(Builtin::Ban, line), bob(Wish::Ban { reason: "too loud".into(), time: week }), "{line}");
    }
    assert!(matches!(read(Builtin::Adduser, "@bob banned"), Ok((_, Wish::Ban { time: BanTime::Permanent, .. }))));
}

#[test]
fn what_cannot_be_read_is_explained() {
    for (builtin, line, why) in [
        (Builtin::Whois, "", "one person"),
        (Builtin::Whois, "@bob @carol", "one person"),
        (Builtin::Whois, "b\u{f6}b", "not the name of a person"),
        (Builtin::Adduser, "@bob", "a person and a level"),
        (Builtin::Adduser, "@bob Admin", "did you mean admin"),
        (Builtin::Adduser, "@bob emperor", "there are banned, user, operator, admin"),
        (Builtin::Chattr, "@bob", "no flag"),
        (Builtin::Chattr, "@bob deploy", "not +FLAG"),
        (Builtin::Chattr, "@bob +", "not +FLAG"),
        (Builtin::Chattr, "@bob +a -a", "given and taken away"),
        (Builtin::Ban, "@bob", "a person, a reason and a duration"),
        (Builtin::Ban, "@bob 1h", "the reason is missing"),
        (Builtin::Ban, "@bob x 1y", "not a duration"),
        (Builtin::Ban, "@bob x 99999999999999999999w", "longer than ten years"),
        (Builtin::Ban, "@bob x", "not a duration"),
        (Builtin::Audit, "", "a person is wanted"),
        (Builtin::Audit, "@bob 1h 2h", "a person is wanted"),
        (Builtin::Audit, "@bob permanent", "not an age"),
        (Builtin::Audit, "@bob 0h", "not an age"),
    ] {
        let error = read(builtin, line).expect_err(line);
        assert!(error.contains(why), "{line:?}: {error}");
    }
    let long = format!("@bob \"{}\" 1h", "x".repeat(501));
    assert!(read(Builtin::Ban, &long).expect_err("long").contains("500"));
}

proptest! {
    #[test]
    fn no_words_panic(line in "[ -~]{0,60}") {
        let Ok(words) = split(&line) else { return Ok(()) };
        for builtin in Builtin::ALL {
            let _whatever = builtin.read(&words);
        }
    }
}
