//! A state in a folder of its own, and what is put into it.

use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeMap;
use wharf_proto::event::JobKind;
use wharf_proto::manifest::Chunk;
use wharf_proto::release::PromotedFrom;
use wharf_proto::{
    AppName, AppSpec, BackupId, Digest, Entry, EntryKind, Failure, FailureKind, JobId, Manifest, ReleaseId,
};
use wharf_state::{AppRecord, NewJob, Phase, PhaseEvent, ReleaseImage, ReleaseRecord, ServiceInputs, State};

pub fn open() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("state")).unwrap();
    (dir, state)
}

pub fn reopen(dir: &tempfile::TempDir) -> State {
    State::open(&dir.path().join("state")).unwrap()
}

pub fn raw(dir: &tempfile::TempDir) -> Connection {
    Connection::open(dir.path().join("state/state.sqlite")).unwrap()
}

pub fn name() -> AppName {
    "fitnessapp".parse().unwrap()
}

pub fn spec(path: &str) -> AppSpec {
    serde_json::from_value(json!({"app": "fitnessapp", "path": path, "compose": {"files": ["compose.yml"]}}))
        .unwrap()
}

pub fn app() -> AppRecord {
    AppRecord {
        app: name(),
        path: "/srv/a".into(),
        project: "docker".into(),
        live: None,
        spec: spec("/srv/a"),
    }
}

pub fn release(number: u32) -> ReleaseRecord {
    let digest = Digest::of(&number.to_le_bytes());
    let kind = EntryKind::File {
        mode: 0o644,
        mtime_seconds: 3,
        size_bytes: 4,
        chunks: vec![Chunk { digest, size_bytes: 4 }],
    };
    let image = ReleaseImage {
        reference: "docker-web".into(),
        id: "sha256:1".into(),
        built: true,
        pinned: Some(format!("fitnessapp-web:v{number}")),
    };
    ReleaseRecord {
        app: name(),
        release: ReleaseId(number),
        adopted: number == 0,
        created: "2026-01-02T03:04:05.000006Z".parse().unwrap(),
        created_by: "ann".into(),
        spec: spec("/srv/b"),
        manifest: Manifest::new(vec![Entry { path: "a/b".parse().unwrap(), kind }]).unwrap(),
        images: BTreeMap::from([("web".into(), image)]),
        inputs: BTreeMap::from([(
            "web".into(),
            ServiceInputs { image: digest, mounted: digest, definition: digest, portable: None },
        )]),
        versions: BTreeMap::from([("mobile/app.json".into(), "1.0.2".into())]),
        message: Some("first".into()),
        git_commit: None,
        backup: Some(BackupId("abcdef0123".into())),
        previous: number.checked_sub(1).map(ReleaseId),
        promoted: (number == 1).then(|| PromotedFrom {
            environment: "staging".into(),
            app: "staging".parse().unwrap(),
            release: ReleaseId(12),
            host: None,
        }),
    }
}

pub fn new_job() -> NewJob {
    NewJob {
        app: name(),
        kind: JobKind::Deploy { release: ReleaseId(1) },
        by: "ann".into(),
        from: "10.0.0.1".into(),
        request: json!({"rebuild": true}),
        unless_locked: false,
    }
}

pub fn failure() -> Failure {
    Failure::new(FailureKind::Build, "broken")
}

/// A job that is about to touch production.
pub async fn changing(state: &State) -> JobId {
    let job = state.create_job(new_job()).await.unwrap().job;
    assert_eq!(state.set_phase(job, PhaseEvent::Change).await.unwrap(), Phase::Changing);
    job
}
