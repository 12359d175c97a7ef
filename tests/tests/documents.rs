//! Every path that a document names exists, and so does every file that a source file points to.

use regex::Regex;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && !["target", ".git", "node_modules"].contains(&name.as_str()) {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn every_path_that_a_document_names_exists() {
    let root = root();
    let mut found = Vec::new();
    documents(&root, &mut found);
    assert!(found.len() > 5, "documents: {found:?}");
    let folders = "proto|confine|audit|broker|egress|connector|worker|ctl|playground|tests|fuzz|config|migrations|systemd|selinux|docs";
    let quoted = Regex::new(&format!("`((?:{folders})/[A-Za-z0-9_./-]*)`")).expect("regex");
    let linked = Regex::new(r"\]\(([^)#:]+)(?:#[^)]*)?\)").expect("regex");
    let mut missing = Vec::new();
    let mut named = 0;
    for document in found {
        let text = std::fs::read_to_string(&document).expect("text");
        let here = document.parent().expect("folder");
        let paths = quoted
            .captures_iter(&text)
            .map(|c| root.join(&c[1]))
            .chain(linked.captures_iter(&text).map(|c| here.join(&c[1])));
        for path in paths {
            named += 1;
            if !path.exists() {
                missing.push(format!("{}: {}", document.display(), path.display()));
            }
        }
    }
    assert!(named > 50, "only {named} paths were found: does the search still work?");
    assert!(missing.is_empty(), "named and not there:\n{}", missing.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is_and_none_is_too_long() {
    let root = root();
    let mut wrong = Vec::new();
    let mut files = 0;
    for package in [
        "proto",
        "secret",
        "confine",
        "audit",
        "broker",
        "egress",
        "connector",
        "worker",
        "bz",
        "remote",
        "driver",
        "ctl",
        "playground",
        "tests",
        "fuzz",
    ] {
        for path in sources(&root.join(package).join("src")) {
            files += 1;
            let text = std::fs::read_to_string(&path).expect("text");
            if !text.starts_with("//!") {
                wrong.push(format!("{}: does not open with //!", path.display()));
            }
            if text.lines().count() > 400 && !text.lines().take(30).any(|line| line.contains("400 lines")) {
                wrong.push(format!("{}: over 400 lines, and does not say why", path.display()));
            }
        }
    }
    assert!(files > 100, "{files}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
