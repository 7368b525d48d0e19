//! The wire format, frozen: one golden file for each variant of what crosses the wire, filled in full and as empty as it
//! may be.
//!
//! **The format freezes with the first release.** From then on a file in `golden/v1` is never edited and never removed: a
//! variant or field that is added gets a new file, and what cannot be read from the old ones is protocol version 2 with a
//! folder of its own. Until that release the files may be made anew:
//!
//! ```sh
//! UPDATE_GOLDENS=1 cargo test -p wharf-proto --test golden
//! ```
//!
//! The samples come from `golden/samples`. The lists of variants there are total matches: a variant that is added does not
//! compile until it is listed, and does not pass until it has a sample and a file.

#[path = "golden/samples/mod.rs"]
mod samples;

use samples::{Family, events, messages, words};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use wharf_proto::backup::RestoreWhat;
use wharf_proto::manifest::LinkTarget;
use wharf_proto::message::{ClientMessage, Reply, Request, ServerMessage};
use wharf_proto::{Entry, EntryKind, Event, EventBody, Failure, Outcome, event::JobKind};

/// Objects whose keys are data and not fields, or that name one of several: a stranger in there is no unknown field.
const MAPS: &[&str] = &["set", "versions", "apps", "kept"];

/// The name of a field that no version has.
const STRANGER: &str = "from_the_future";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

/// The golden file called `name`; made from `now` first where goldens are being made anew.
fn golden(name: &str, now: &Value) -> Value {
    let path = folder().join(name);
    if updating() {
        let text = serde_json::to_string_pretty(now).expect("a value is JSON") + "\n";
        fs::write(&path, text).expect("the folder of the goldens can be written");
    }
    // A variant without a golden ends here.
    assert!(path.is_file(), "there is no {name}; see the head of golden.rs");
    let text = fs::read_to_string(&path).expect("a golden can be read");
    serde_json::from_str(&text).expect("a golden is JSON")
}

/// The names and values of a family's goldens: `request.deploy.full.json`.
fn files<F: Family>() -> Vec<(String, F)> {
    let mut files = Vec::new();
    for [full, minimal] in F::samples() {
        let name = |form: &str| format!("{}.{}.{form}.json", F::TITLE, full.variant());
        assert_eq!(full.variant(), minimal.variant(), "the forms of one sample");
        if full != minimal {
            files.push((name("full"), full.clone()));
        }
        files.push((name("minimal"), minimal));
    }
    files
}

/// Every variant has its samples, each golden is read as its sample and written as it was, and fields that nobody knows
/// yet change nothing.
fn check<F: Family>() {
    let sampled: Vec<&str> = F::samples().iter().map(|[full, _]| full.variant()).collect();
    assert_eq!(sampled, F::VARIANTS, "{}: one sample for each variant, in order", F::TITLE);
    for (name, sample) in files::<F>() {
        let golden = golden(&name, &serde_json::to_value(&sample).expect("a sample is JSON"));
        let read: F = serde_json::from_value(golden.clone()).expect(&name);
        assert_eq!(read, sample, "{name}: read as");
        assert_eq!(serde_json::to_value(&read).expect(&name), golden, "{name}: written as");
        let strange = with_strangers(&golden, None);
        assert_ne!(strange, golden, "{name}");
        assert_eq!(serde_json::from_value::<F>(strange).expect(&name), sample, "{name}: unknown fields");
    }
}

/// `value` with a field that no version knows in each object that is not a map.
fn with_strangers(value: &Value, key: Option<&str>) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), with_strangers(value, Some(key)))).collect();
            if !key.is_some_and(|key| MAPS.contains(&key)) {
                fields.insert(STRANGER.into(), json!({"a": [1, null]}));
            }
            Value::Object(fields)
        }
        // An element of a list that is called as a map is, is no map.
        Value::Array(items) => Value::Array(items.iter().map(|item| with_strangers(item, None)).collect()),
        other => other.clone(),
    }
}

#[test]
fn what_clients_say() {
    check::<ClientMessage>();
}

#[test]
fn what_clients_ask() {
    check::<Request>();
}

#[test]
fn what_agents_say() {
    check::<ServerMessage>();
}

#[test]
fn what_agents_answer() {
    check::<Reply>();
}

#[test]
fn what_jobs_tell() {
    check::<Event>();
}

#[test]
fn how_jobs_end() {
    check::<Outcome>();
}

#[test]
fn what_sort_of_job_it_is() {
    check::<JobKind>();
}

#[test]
fn what_is_restored() {
    check::<RestoreWhat>();
}

#[test]
fn what_failed() {
    check::<Failure>();
}

#[test]
fn what_manifests_list() {
    check::<Entry>();
}

/// The enums that are single words: every word is there and means the same.
#[test]
fn words_stay_what_they_are() {
    let now: BTreeMap<&str, Vec<Value>> = words::all();
    let now = serde_json::to_value(now).expect("words are JSON");
    assert_eq!(golden("words.json", &now), now);
}

/// What an older peer left out is what it always meant.
#[test]
fn fields_with_a_default_may_be_left_out() {
    for (name, full, sparse) in messages::sparse() {
        let read: Request = serde_json::from_value(golden(&name, &sparse)).expect(&name);
        assert_eq!(read, full, "{name}");
    }
}

/// What a newer peer says in words that this build lacks is known to be unknown, where it can be.
#[test]
fn words_of_the_future_are_unknown() {
    let request: Request =
        serde_json::from_value(json!({"request": "teleport", "to": {"planet": 4}})).unwrap();
    assert_eq!(request, Request::Unknown);
    let failure: Failure = serde_json::from_value(json!({"kind": "eclipse", "message": "dark"})).unwrap();
    assert_eq!(failure.kind, wharf_proto::FailureKind::Unknown);
    let pack = json!({"type": "pack", "encoding": "brotli", "size_bytes": 1});
    let pack: ClientMessage = serde_json::from_value(pack).unwrap();
    let encoding = wharf_proto::message::PackEncoding::Unknown;
    assert_eq!(pack, ClientMessage::Pack { encoding, size_bytes: 1 });
}

/// A watcher goes on to a job's last event, whatever a newer agent tells on the way.
#[test]
fn what_a_newer_agent_tells_is_skipped() {
    let event = |body: Value| -> EventBody {
        let mut event = json!({"job": 17, "index": 3, "at": "2026-01-02T03:04:05Z"});
        event.as_object_mut().unwrap().append(&mut body.as_object().unwrap().clone());
        serde_json::from_value::<Event>(event).unwrap().body
    };
    let unknown = wharf_proto::Step::Unknown;
    assert_eq!(event(json!({"event": "weather", "sky": {"clouds": 4}})), EventBody::Unknown);
    assert_eq!(
        event(json!({"event": "step_started", "step": "levitate"})),
        EventBody::StepStarted { step: unknown }
    );
    let kind = json!({"name": "teleport", "to": "moon"});
    let announced = json!({"event": "announced", "job_kind": kind, "app": "fit", "steps": ["levitate"]});
    assert_eq!(
        event(announced),
        EventBody::Announced {
            job_kind: JobKind::Unknown,
            app: "fit".parse().unwrap(),
            steps: vec![unknown],
        }
    );
    let level = wharf_proto::event::Level::Unknown;
    let note = json!({"event": "note", "level": "whisper", "text": "psst"});
    assert_eq!(event(note), EventBody::Note { level, text: "psst".into() });
    let finished = event(json!({"event": "finished", "outcome": {"result": "promoted", "to": "staging"}}));
    assert_eq!(finished, EventBody::Finished { outcome: Outcome::Unknown });
    assert_eq!(
        Outcome::Unknown.exit_code(),
        4,
        "whoever does not know how it ended does not call it a success"
    );
}

/// A golden that nothing checks is one that somebody forgot.
#[test]
fn every_golden_is_of_a_sample() {
    let mut known = BTreeSet::from(["words.json".to_owned()]);
    known.extend(messages::sparse().into_iter().map(|(name, _, _)| name));
    let mut claim = |names: Vec<String>| known.extend(names);
    claim(names::<ClientMessage>());
    claim(names::<Request>());
    claim(names::<ServerMessage>());
    claim(names::<Reply>());
    claim(names::<Event>());
    claim(names::<Outcome>());
    claim(names::<JobKind>());
    claim(names::<RestoreWhat>());
    claim(names::<Failure>());
    claim(names::<Entry>());
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name} has no sample");
    }
}

fn names<F: Family>() -> Vec<String> {
    files::<F>().into_iter().map(|(name, _)| name).collect()
}

/// A name that is not UTF-8 travels as hexadecimal digits.
#[test]
fn bytes_that_are_no_text_travel_as_digits() {
    let entry = events::entries().into_iter().find_map(|entry| match entry.kind {
        EntryKind::Symlink { target: target @ LinkTarget::Bytes { .. } } => Some((entry.path, target)),
        _ => None,
    });
    let (path, target) = entry.expect("one sample has a name that is no text");
    assert_eq!(serde_json::to_value(path).unwrap(), json!({"bytes": "6cff"}));
    assert_eq!(serde_json::to_value(target).unwrap(), json!({"bytes": "2e2e2ffe"}));
}

/// An event's body lies flat in the event.
#[test]
fn every_body_is_in_an_event() {
    assert_eq!(<Event as Family>::VARIANTS, events::BODIES);
    let body = EventBody::StepStarted { step: wharf_proto::Step::Plan };
    assert_eq!(serde_json::to_value(body).unwrap(), json!({"event": "step_started", "step": "plan"}));
}
