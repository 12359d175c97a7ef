//! What an argument may be: from its schema as it is written.

use super::error::{Wrong, not_one_of};
use super::{Kind, Targets, pattern, raw, settings};
use bartizan_proto::limits::MAX_ARGUMENT;

/// One of the script's targets, or of their groups that it names.
pub(super) const TARGET: &str = "target";

/// Checks one.
pub(super) fn kind(raw: &raw::Argument, targets: &Targets) -> Result<Kind, Wrong> {
    let given = [
        ("regex", raw.regex.is_some(), "string"),
        ("length", raw.length.is_some(), "string"),
        ("min", raw.min.is_some(), "number"),
        ("max", raw.max.is_some(), "number"),
        ("values", raw.values.is_some(), "enum"),
    ];
    let known = ["string", "number", "boolean", "enum", TARGET];
    if !known.contains(&raw.kind.as_str()) {
        return Err(not_one_of("there is no type", &raw.kind, &known).within("type"));
    }
    if let Some((key, _, kind)) = given.into_iter().find(|(_, given, kind)| *given && *kind != raw.kind) {
        let what = format!("{key} means nothing for a {}", raw.kind);
        return Err(Wrong::new(what, format!("remove it, or make the type \"{kind}\"")).within(key));
    }
    match raw.kind.as_str() {
        "boolean" => Ok(Kind::Boolean),
        "number" => numbers(raw.min, raw.max),
        TARGET if targets.is_empty() => {
            let what = "an argument of type target, and the entry has no targets";
            Err(Wrong::new(what, "name them: targets = [\"NAME\"]").within("type"))
        }
        TARGET => Ok(Kind::Enum(targets.words.iter().map(|(word, _)| word.clone()).collect())),
        "enum" => values(raw.values.as_deref().unwrap_or_default()).map_err(|wrong| wrong.within("values")),
        _ => text(raw.regex.as_deref(), raw.length),
    }
}

fn text(regex: Option<&str>, length: Option<u64>) -> Result<Kind, Wrong> {
    let regex = regex.map(pattern::compile).transpose().map_err(|wrong| wrong.within("regex"))?;
    let length = match length.map(usize::try_from) {
        None => None,
        Some(Ok(length)) if (1..=MAX_ARGUMENT).contains(&length) => Some(length),
        Some(_) => {
            let what = "length is out of range";
            return Err(Wrong::new(what, format!("give a number from 1 to {MAX_ARGUMENT}")).within("length"));
        }
    };
    Ok(Kind::Text { regex, length })
}

fn numbers(min: Option<f64>, max: Option<f64>) -> Result<Kind, Wrong> {
    for (key, bound) in [("min", min), ("max", max)] {
        if bound.is_some_and(|bound| !bound.is_finite()) {
            return Err(Wrong::new(format!("{key} is not a number"), "write a plain number").within(key));
        }
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(Wrong::new("min is greater than max", "exchange them").within("min"));
    }
    Ok(Kind::Number { min, max })
}

fn values(values: &[String]) -> Result<Kind, Wrong> {
    if values.is_empty() {
        return Err(Wrong::new("an enum without values", "list them in values"));
    }
    for (i, value) in values.iter().enumerate() {
        settings::visible("a value", value).map_err(|mut wrong| {
            wrong.at = vec![i.into()];
            wrong
        })?;
        if value.is_empty() || value.len() > MAX_ARGUMENT {
            return Err(Wrong::new("a value is empty or too long", "remove it").within(i));
        }
        if values[..i].contains(value) {
            return Err(Wrong::new(format!("the value \"{value}\" is there twice"), "keep one of them").within(i));
        }
    }
    Ok(Kind::Enum(values.to_vec()))
}
