//! The reference pages of steps say what the configuration knows: `docs/steps` has a page for each kind of step, and each page
//! all keys of its kind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hookswitch::config::fault::Fault;
use hookswitch::config::{Config, Problem};

/// What every page tells, in this order.
const HEADINGS: [&str; 4] = ["Keys", "Result", "Errors", "Example"];

/// Keys of every step.
const COMMON: [&str; 2] = ["save", "on_error"];

/// Kinds whose value is a table of keys; that of `set` has names of one's own.
const RECORDS: [&str; 7] = ["email", "freeswitch", "http", "log", "publish", "queue_info", "sql"];

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/steps")
}

fn page(kind: &str) -> String {
    fs::read_to_string(pages().join(kind).with_extension("md")).expect("a page")
}

/// What is wrong with a flow of that one step.
fn faults(step: &str) -> Vec<Fault> {
    let text = format!("[flows.f]\nsteps = [{step}]\n");
    let problems = Config::from_toml("step.toml", &text).expect_err("is wrong");
    problems.iter().map(|Problem { fault, .. }| fault.clone()).collect()
}

/// The kinds that the configuration knows.
fn kinds() -> BTreeSet<String> {
    let faults = faults("{}");
    let choices = faults.iter().find_map(|fault| match fault {
        Fault::NotOne { choices, .. } => Some(*choices),
        _ => None,
    });
    choices.expect("names them").split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys of which the page's table tells.
fn told(page: &str) -> BTreeSet<String> {
    let keys = page.split("\n## ").find(|section| section.starts_with("Keys")).expect("has keys");
    let rows = keys.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

/// The keys that the configuration names when it meets one that it does not know.
fn named(kind: &str) -> BTreeSet<String> {
    let faults = faults(&format!("{{ {kind} = {{ zzzzzzzz = 1 }} }}"));
    let unknown = faults.iter().find(|fault| matches!(fault, Fault::UnknownKey { key, .. } if key == "zzzzzzzz"));
    let remedy = unknown.expect("is not known").remedy();
    let keys = remedy.strip_prefix("there are: ").expect("names them");
    assert!(!keys.ends_with('…'), "{kind} has more keys than are named");
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn each_kind_of_step_has_a_page_that_tells_all_of_it() {
    let files = fs::read_dir(pages()).expect("is there").map(|entry| entry.expect("an entry").path());
    let told: BTreeSet<String> = files.map(|file| file.file_stem().expect("a name").display().to_string()).collect();
    assert_eq!(told, kinds());
    for kind in kinds() {
        let page = page(&kind);
        assert!(page.starts_with(&format!("# `{kind}`: ")), "{kind}");
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let wanted: Vec<&str> = sections.iter().copied().filter(|section| HEADINGS.contains(section)).collect();
        assert_eq!(wanted, HEADINGS, "{kind}");
        assert!(page.split("## Example").nth(1).is_some_and(|example| example.contains("```toml")), "{kind}");
        let overview = fs::read_to_string(pages().join("../configuration.md")).expect("reads");
        assert!(
            overview.contains(&format!("[`{kind}`](steps/{kind}.md)")),
            "docs/configuration.md does not lead to {kind}"
        );
    }
}

#[test]
fn every_key_is_told_of() {
    for kind in RECORDS {
        let untold: Vec<String> = named(kind).difference(&told(&page(kind))).cloned().collect();
        assert!(untold.is_empty(), "docs/steps/{kind}.md does not tell of {untold:?}");
    }
}

#[test]
fn every_key_that_is_told_of_is_known() {
    for kind in kinds() {
        for key in told(&page(&kind)).into_iter().filter(|key| *key != kind && !COMMON.contains(&key.as_str())) {
            let step = match RECORDS.contains(&kind.as_str()) {
                // A text's type stands beside the text.
                true if key == "content_type" => format!("{{ {kind} = {{ body = 1, {key} = 1 }} }}"),
                true => format!("{{ {kind} = {{ {key} = 1 }} }}"),
                false => format!("{{ {kind} = 1, {key} = 1 }}"),
            };
            let is_unknown = |fault: &Fault| matches!(fault, Fault::UnknownKey { key: unknown, .. } if *unknown == key);
            assert!(!faults(&step).iter().any(is_unknown), "docs/steps/{kind}.md tells of `{key}`");
        }
    }
}
