//! The attack catalogue in `docs/privsep.md`: every row has a test whose name begins with its number, or says why not.
//!
//! `UPDATE_DOCUMENTS=1` writes the names of the tests into the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- rows begin -->";
const END: &str = "<!-- rows end -->";

/// The numbers of the catalogue: it has no 11, 17 and 53.
fn catalogue() -> BTreeSet<u32> {
    (1..=85).filter(|row| ![11, 17, 53].contains(row)).collect()
}

/// `row_30_…`, `rows_27_to_29_and_31_…`, `rows_30_37_and_48_…`: the numbers that a test's name begins with.
fn rows_of(name: &str) -> BTreeSet<u32> {
    let mut rows = BTreeSet::new();
    let mut to = None;
    for word in name.split('_').skip(1) {
        match (word, word.parse::<u32>()) {
            (_, Ok(row)) => rows.extend(to.take().unwrap_or(row)..=row),
            ("and", _) => {}
            ("to", _) => to = rows.last().copied(),
            _ => break,
        }
    }
    rows
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !["target", ".git", "node_modules"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Every row with its tests: names, and the files they are in.
fn tests(root: &Path) -> BTreeMap<u32, Vec<(String, String)>> {
    let mut files = Vec::new();
    sources(root, &mut files);
    files.sort();
    let named = regex::Regex::new(r"(?m)^\s*(?:async )?fn (rows?_[0-9][a-z0-9_]*)\(").expect("regex");
    let mut tests: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("text");
        let place = file.strip_prefix(root).expect("below").display().to_string();
        for test in named.captures_iter(&text).map(|found| found[1].to_owned()) {
            for row in rows_of(&test) {
                tests.entry(row).or_default().push((test.clone(), place.clone()));
            }
        }
    }
    tests
}

#[test]
fn every_row_of_the_catalogue_has_a_test_or_a_reason_and_names_no_test_that_is_not_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned();
    let tests = tests(&root);
    assert!(tests.len() > 40, "only {} rows have tests: does the search still work?", tests.len());
    let path = root.join("docs/privsep.md");
    let text = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(BEGIN).expect("a table");
    let (table, after) = rest.split_once(END).expect("its end");
    let update = std::env::var_os("UPDATE_DOCUMENTS").is_some();
    let mut written = String::new();
    let mut listed = BTreeSet::new();
    let mut wrong = Vec::new();
    let known: BTreeSet<&str> = tests.values().flatten().map(|(test, _)| test.as_str()).collect();
    for line in table.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(row) = cells.first().and_then(|cell| cell.trim().parse::<u32>().ok()) else {
            written.push_str(&format!("{line}\n"));
            continue;
        };
        listed.insert(row);
        // What stands before the list of tests is a person's reason; the list is ours.
        let last = cells.get(3).copied().unwrap_or_default().trim_end_matches('|').trim();
        let reason = last.find("`row").map_or(last, |list| last[..list].trim_end_matches([' ', ':'])).to_owned();
        let names: Vec<&str> = last.split('`').filter(|word| word.starts_with("row")).collect();
        wrong.extend(
            names
                .iter()
                .filter(|name| !known.contains(*name))
                .map(|name| format!("row {row}: there is no test {name}")),
        );
        let own = tests.get(&row).map(Vec::as_slice).unwrap_or_default();
        if own.is_empty() && reason.is_empty() {
            wrong.push(format!("row {row} has neither a test nor a reason"));
        }
        let list: Vec<String> = own.iter().map(|(test, place)| format!("`{test}` ({place})")).collect();
        let glue = if list.is_empty() || reason.is_empty() { "" } else { ": " };
        written.push_str(&format!("| {row} | {} | {} | {reason}{glue}{} |\n", cells[1], cells[2], list.join("; ")));
    }
    let missing: Vec<u32> = catalogue().difference(&listed).copied().collect();
    assert!(missing.is_empty(), "rows that the table does not have: {missing:?}");
    if update {
        std::fs::write(&path, format!("{before}{BEGIN}{written}{END}{after}")).expect("written");
        return;
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_DOCUMENTS=1 writes the names anew", wrong.join("\n"));
    let uncounted: Vec<&u32> = tests.keys().filter(|row| !listed.contains(row)).collect();
    assert!(uncounted.is_empty(), "tests of rows that the table does not have: {uncounted:?}");
}

#[test]
fn the_numbers_of_a_name_are_those_that_it_begins_with() {
    let of = |name| rows_of(name).into_iter().collect::<Vec<_>>();
    assert_eq!(of("row_02_a_hostile_environment"), [2]);
    assert_eq!(of("rows_27_to_29_and_31_to_33_and_44_kernel_interfaces"), [27, 28, 29, 31, 32, 33, 44]);
    assert_eq!(of("rows_30_37_40_and_48_a_job_7"), [30, 37, 40, 48]);
    assert_eq!(of("row_85_and_42_a_worker_killed"), [42, 85]);
}
