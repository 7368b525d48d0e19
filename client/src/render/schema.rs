//! What `--json` prints, held against `docs/JSON.md`, which scripts are written by.
//!
//! - Every line that a test of this crate prints has only fields that stand there ([`check`]).
//! - Every type that the source prints stands there, and the other way round.
//! - The goldens of the wire, in which every field is filled in, have exactly the fields that stand there.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const DOC: &str = include_str!("../../../docs/JSON.md");

type Words = BTreeSet<String>;

/// The rows of the tables that have this column and one of `fields`: its word, and the fields.
fn rows(column: &str) -> BTreeMap<String, Words> {
    let mut rows: BTreeMap<String, Words> = BTreeMap::new();
    let mut columns: Option<(usize, usize)> = None;
    for line in DOC.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            if !line.starts_with("|-") {
                columns = None;
            }
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").collect();
        let at = |name: &str| cells.iter().position(|cell| *cell == name);
        match columns {
            None => columns = at(column).zip(at("fields")),
            Some((key, fields)) => {
                let Some(name) = words(cells[key], usize::MAX).pop() else { continue };
                rows.entry(name).or_default().extend(words(cells[fields], 0));
            }
        }
    }
    rows
}

/// The names in backticks that stand in at most so many parentheses.
fn words(text: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = 0_usize;
    for (at, piece) in text.split('`').enumerate() {
        if at % 2 == 1 {
            if is_name(piece) && open <= depth {
                found.push(piece.to_owned());
            }
        } else {
            open = (open + piece.matches('(').count()).saturating_sub(piece.matches(')').count());
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The fields that a line of this type may have.
fn allowed(kind: &str, line: &Value) -> Option<Words> {
    let mut fields = rows("type").remove(kind)?;
    match kind {
        "event" => fields.extend(rows("event").remove(line["event"].as_str()?)?),
        "result" => fields.extend(outcomes()),
        _ => {}
    }
    Some(fields)
}

/// The fields of the outcomes, which stand in a list.
fn outcomes() -> Words {
    let (_, list) = DOC.split_once("An outcome's `result` is one of").expect("the list of outcomes");
    let (list, _) = list.split_once("### A plan").expect("what comes after it");
    words(list, usize::MAX).into_iter().collect()
}

fn keys(value: &Value) -> Words {
    value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// # Panics
/// Where the line has a type or a field that `docs/JSON.md` does not have.
pub fn check(kind: &str, line: &str) {
    let line: Value = serde_json::from_str(line).expect("a line is JSON");
    let Some(allowed) = allowed(kind, &line) else {
        panic!("docs/JSON.md has no lines like {line}");
    };
    let others: Vec<_> =
        keys(&line).into_iter().filter(|key| key != "type" && !allowed.contains(key)).collect();
    assert!(others.is_empty(), "docs/JSON.md has no fields {others:?} of {kind}");
}

/// Golden replies whose parts are printed as they are: the type, the file, and where in it the objects are.
const REPLIES: &[(&str, &str, &str)] = &[
    ("audit", "audit", "/entries"),
    ("backup", "backups", "/backups"),
    ("backup_key", "backup_key", ""),
    ("database", "db_status", "/databases"),
    ("docker_prune_plan", "docker_prune_plan", "/plan"),
    ("job", "jobs", "/jobs"),
    ("key", "keys", "/keys"),
    ("lock", "lock", ""),
    ("migrations", "migrations", "/folders"),
    ("plan", "plan", ""),
    ("prune_plan", "prune_plan", "/plan"),
    ("registry", "registries", "/registries"),
    ("release", "releases", "/releases"),
    ("scale", "scales", "/scales"),
    ("secrets", "secrets", "/list"),
    ("status", "status", "/apps"),
];
/// What the client adds to them.
const ADDED: &[(&str, &str)] = &[("backup_key", "app"), ("lock", "app"), ("lock", "locked")];

fn golden(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/golden/v1");
    let text = std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).expect("a golden is JSON")
}

#[test]
fn what_is_documented_is_what_is_printed() {
    let rows = rows("type");
    for (kind, file, at) in REPLIES {
        let reply = golden(&format!("reply.{file}.full.json"));
        let part = reply.pointer(at).unwrap_or_else(|| panic!("{file} has no {at}"));
        let objects = part.as_array().cloned().unwrap_or_else(|| vec![part.clone()]);
        let mut printed: Words = objects.iter().flat_map(keys).filter(|key| key != "reply").collect();
        printed.extend(ADDED.iter().filter(|(of, _)| of == kind).map(|(_, key)| (*key).to_owned()));
        assert_eq!(Some(&printed), rows.get(*kind), "{kind}: left what is printed, right what is documented");
    }
}

#[test]
fn every_name_within_a_field_is_documented_somewhere() {
    // Names that people gave are no names of fields.
    fn names(value: &Value, found: &mut Words) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    found.insert(key.clone());
                    if key != "versions" {
                        names(value, found);
                    }
                }
            }
            Value::Array(parts) => parts.iter().for_each(|part| names(part, found)),
            _ => {}
        }
    }
    let mut found = Words::new();
    for (_, file, at) in REPLIES {
        let reply = golden(&format!("reply.{file}.full.json"));
        names(reply.pointer(at).unwrap_or(&Value::Null), &mut found);
    }
    // Examples and lists of values have names that a plain look at backticks does not see.
    let unknown: Vec<_> = found.into_iter().filter(|name| name != "reply" && !is_in_the_doc(name)).collect();
    assert_eq!(unknown, Vec::<String>::new(), "docs/JSON.md has none of these");
}

fn is_in_the_doc(name: &str) -> bool {
    DOC.contains(&format!("`{name}`")) || DOC.contains(&format!("\"{name}\":"))
}

#[test]
fn every_event_has_the_fields_of_its_row() {
    let events = rows("event");
    assert!(events.len() > 8, "{events:?}");
    for (event, fields) in &events {
        let full = format!("event.{event}.full.json");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/golden/v1");
        let file = if folder.join(&full).exists() { full } else { format!("event.{event}.minimal.json") };
        let mut printed = keys(&golden(&file));
        // What every event has stands above the table.
        ["job", "index", "at", "event"]
            .iter()
            .for_each(|key| assert!(printed.remove(*key), "{event}: {key}"));
        assert_eq!(&printed, fields, "{event}: left what is printed, right what is documented");
    }
}

#[test]
fn every_type_is_documented_and_printed() {
    fn look(folder: &Path, found: &mut Words) {
        for entry in std::fs::read_dir(folder).expect("the source") {
            let path = entry.expect("an entry of the source").path();
            if path.is_dir() {
                look(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("the source is text");
                let calls = [".object(", ".list("].into_iter().flat_map(|call| text.split(call).skip(1));
                let told = calls.filter_map(|rest| rest.trim_start().strip_prefix('"'));
                let kinds = told.filter_map(|rest| rest.split_once('"')).map(|(kind, _)| kind.to_owned());
                found.extend(kinds.filter(|kind| is_name(kind)));
            }
        }
    }
    let mut printed = Words::new();
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut printed);
    let documented: Words = rows("type").into_keys().collect();
    assert_eq!(printed, documented, "left what the source prints, right what is documented");
}
