//! The allowlist's file, entry by entry: a name that is there twice, or one mistake, and none of it counts.

use super::error::Wrong;
use super::source::Source;
use super::{Allowlist, ConfigError, raw, schedule, script, steps, trigger};

/// Checks all of it.
pub(super) fn read(
    source: &Source,
    raw: &raw::Allowlist,
    around: &script::Surroundings<'_>,
) -> Result<Allowlist, ConfigError> {
    let mut allowlist = Allowlist::default();
    for (i, raw) in raw.authorizers.iter().enumerate() {
        let place = |wrong: Wrong| source.place(wrong.within(i).within("authorizers"));
        let script = script::authorizer(raw, around).map_err(place)?;
        allowlist.insert_authorizer(script).map_err(|twice| {
            let what = format!("the authorizer \"{}\" is there twice", twice.name);
            place(Wrong::new(what, "rename or remove one of them").within("name"))
        })?;
    }
    for (i, raw) in raw.elevators.iter().enumerate() {
        let place = |wrong: Wrong| source.place(wrong.within(i).within("elevators"));
        let script = script::elevator(raw, around).map_err(place)?;
        allowlist.insert_elevator(script).map_err(|twice| {
            let what = format!("the elevator \"{}\" is there twice", twice.name);
            place(Wrong::new(what, "rename or remove one of them").within("name"))
        })?;
    }
    for (i, raw) in raw.scripts.iter().enumerate() {
        let place = |wrong: Wrong| source.place(wrong.within(i).within("scripts"));
        let script = script::check(raw, around).map_err(place)?;
        allowlist.insert(script).map_err(|twice| {
            let what = format!("the script \"{}\" is there twice", twice.name);
            place(Wrong::new(what, "rename or remove one of them").within("name"))
        })?;
    }
    for (i, raw) in raw.scripts.iter().enumerate() {
        let place =
            |wrong: Wrong| source.place(wrong.about(&format!("script \"{}\"", raw.name)).within(i).within("scripts"));
        if let Some(script) = raw.name.parse().ok().and_then(|name| allowlist.get(&name)) {
            steps::check(script, &allowlist).map_err(place)?;
        }
    }
    for (i, raw) in raw.schedules.iter().enumerate() {
        let place = |wrong: Wrong| source.place(wrong.within(i).within("schedules"));
        if i == schedule::MOST {
            let what = format!("more than {} schedules", schedule::MOST);
            return Err(place(Wrong::new(what, "remove some").within("name")));
        }
        let schedule = schedule::check(raw, &allowlist).map_err(place)?;
        allowlist.insert_schedule(schedule).map_err(|twice| {
            let what = format!("the schedule \"{}\" is there twice", twice.name);
            place(Wrong::new(what, "rename or remove one of them").within("name"))
        })?;
    }
    for (i, raw) in raw.triggers.iter().enumerate() {
        let place = |wrong: Wrong| source.place(wrong.within(i).within("triggers"));
        if i == trigger::MOST {
            let what = format!("more than {} triggers", trigger::MOST);
            return Err(place(Wrong::new(what, "remove some").within("name")));
        }
        let trigger = trigger::check(raw, &allowlist).map_err(place)?;
        allowlist.insert_trigger(trigger).map_err(|twice| {
            let what = format!("the trigger \"{}\" is there twice", twice.name);
            place(Wrong::new(what, "rename or remove one of them").within("name"))
        })?;
    }
    Ok(allowlist)
}
