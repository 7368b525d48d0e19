//! What jobs tell, how they end, why they failed, and what manifests list.

use super::{family, messages::app, only, plans, text, variants};
use wharf_proto::event::{JobKind, Level};
use wharf_proto::manifest::{Chunk, LinkTarget};
use wharf_proto::{
    BackupId, Digest, Entry, EntryKind, Event, EventBody, Failure, FailureKind, JobId, Outcome, RelPath,
    ReleaseId, Step,
};

variants!(BODIES, body_variant, EventBody,
    EventBody::Announced { .. } => "announced",
    EventBody::Planned { .. } => "planned",
    EventBody::StepStarted { .. } => "step_started",
    EventBody::StepFinished { .. } => "step_finished",
    EventBody::StepSkipped { .. } => "step_skipped",
    EventBody::StepFailed { .. } => "step_failed",
    EventBody::Note { .. } => "note",
    EventBody::Output { .. } => "output",
    EventBody::BackedUp { .. } => "backed_up",
    EventBody::Finished { .. } => "finished",
    EventBody::Unknown => "unknown",
);
family!(Event, "event", BODIES, |event: &Event| body_variant(&event.body), events());

variants!(OUTCOMES, outcome_variant, Outcome,
    Outcome::Released { .. } => "released",
    Outcome::Failed { .. } => "failed",
    Outcome::PutBack { .. } => "put_back",
    Outcome::NotPutBack { .. } => "not_put_back",
    Outcome::Done { .. } => "done",
    Outcome::Postponed { .. } => "postponed",
    Outcome::Unknown => "unknown",
);
family!(Outcome, "outcome", OUTCOMES, outcome_variant, outcomes());

variants!(JOB_KINDS, job_kind_variant, JobKind,
    JobKind::Deploy { .. } => "deploy",
    JobKind::Rollback { .. } => "rollback",
    JobKind::Backup => "backup",
    JobKind::Restore { .. } => "restore",
    JobKind::Drill { .. } => "drill",
    JobKind::Prune => "prune",
    JobKind::PruneDocker => "prune_docker",
    JobKind::Restart { .. } => "restart",
    JobKind::Scale { .. } => "scale",
    JobKind::MigrateUp => "migrate_up",
    JobKind::MigrateDown { .. } => "migrate_down",
    JobKind::Forget => "forget",
    JobKind::Unknown => "unknown",
);
family!(
    JobKind,
    "job_kind",
    JOB_KINDS,
    job_kind_variant,
    vec![
        only(JobKind::Deploy { release: ReleaseId(4) }),
        only(JobKind::Rollback { from: ReleaseId(4), to: ReleaseId(3) }),
        only(JobKind::Backup),
        only(JobKind::Restore { backup: BackupId("5d6a1c0be4b1f0a9".into()) }),
        only(JobKind::Drill { backup: BackupId("5d6a1c0be4b1f0a9".into()) }),
        only(JobKind::Prune),
        only(JobKind::PruneDocker),
        only(JobKind::Restart { services: vec!["web".into()] }),
        only(JobKind::Scale { services: vec!["web".into()] }),
        only(JobKind::MigrateUp),
        only(JobKind::MigrateDown { names: vec!["0002_notes.sql".into()] }),
        only(JobKind::Forget),
        only(JobKind::Unknown),
    ]
);

variants!(ENTRIES, entry_variant, EntryKind,
    EntryKind::File { .. } => "file",
    EntryKind::Symlink { .. } => "symlink",
    EntryKind::Folder { .. } => "folder",
);
family!(Entry, "entry", ENTRIES, |entry: &Entry| entry_variant(&entry.kind), {
    let mut entries = entries().into_iter();
    let mut next = || entries.next().expect("there are six");
    (0..3).map(|_| [next(), next()]).collect()
});

// A failure is a struct: its kinds are words.
family!(Failure, "failure", &["failure"], |_: &Failure| "failure", vec![[full_failure(), failure()]]);

fn events() -> Vec<[Event; 2]> {
    let step = Step::Build;
    let bodies = vec![
        [
            EventBody::Announced {
                job_kind: JobKind::Deploy { release: ReleaseId(4) },
                app: app(),
                steps: vec![Step::Plan, Step::Backup, Step::Commit],
            },
            EventBody::Announced {
                job_kind: JobKind::Rollback { from: ReleaseId(4), to: ReleaseId(3) },
                app: app(),
                steps: vec![],
            },
        ],
        [
            EventBody::Planned { plan: Box::new(plans::full_plan()) },
            EventBody::Planned { plan: Box::new(plans::minimal_plan()) },
        ],
        only(EventBody::StepStarted { step }),
        only(EventBody::StepFinished { step, duration_ms: 1_234 }),
        only(EventBody::StepSkipped { step, why: "nothing changed".into() }),
        [
            EventBody::StepFailed { step, failure: full_failure() },
            EventBody::StepFailed { step, failure: failure() },
        ],
        [
            EventBody::Note { level: Level::Warning, text: "web has no restart policy".into() },
            EventBody::Note { level: Level::Info, text: String::new() },
        ],
        [
            EventBody::Output { step, service: Some("api".into()), line: "#5 DONE 0.4s".into() },
            EventBody::Output { step, service: None, line: String::new() },
        ],
        only(EventBody::BackedUp {
            backup: BackupId("5d6a1c0be4b1f0a9".into()),
            summary: "1 database, 12 files".into(),
        }),
        [
            EventBody::Finished { outcome: put_back() },
            EventBody::Finished { outcome: Outcome::Released { release: ReleaseId(1) } },
        ],
        only(EventBody::Unknown),
    ];
    bodies.into_iter().map(|forms| forms.map(event)).collect()
}

/// An event with `body`.
pub fn event(body: EventBody) -> Event {
    Event { job: JobId(17), index: 3, at: text("2026-01-02T03:04:05.678Z"), body }
}

fn outcomes() -> Vec<[Outcome; 2]> {
    vec![
        only(Outcome::Released { release: ReleaseId(4) }),
        [Outcome::Failed { failure: full_failure() }, Outcome::Failed { failure: failure() }],
        [put_back(), Outcome::PutBack { failure: failure(), live: None }],
        [
            Outcome::NotPutBack { failure: full_failure(), put_back: full_failure() },
            Outcome::NotPutBack { failure: failure(), put_back: failure() },
        ],
        only(Outcome::Done { summary: "backup 5d6a1c0b: 12 files".into() }),
        [Outcome::Postponed { failure: full_failure() }, Outcome::Postponed { failure: failure() }],
        only(Outcome::Unknown),
    ]
}

fn put_back() -> Outcome {
    Outcome::PutBack { failure: full_failure(), live: Some(ReleaseId(3)) }
}

/// A failure that says everything.
pub fn full_failure() -> Failure {
    Failure::new(FailureKind::Verify, "web is not healthy")
        .cause("its health check exited with 1")
        .cause("connection refused")
        .hint("see its output: wharf logs web")
}

fn failure() -> Failure {
    Failure::new(FailureKind::Internal, "")
}

/// Two entries of each kind: the first says more.
pub fn entries() -> Vec<Entry> {
    let entry = |path: &str, kind| Entry { path: text(path), kind };
    let chunk = |content: &[u8]| Chunk { digest: Digest::of(content), size_bytes: 5 };
    let file = EntryKind::File {
        mode: 0o755,
        mtime_seconds: 1_767_322_800,
        size_bytes: 10,
        chunks: vec![chunk(b"first"), chunk(b"other")],
    };
    let empty = EntryKind::File { mode: 0, mtime_seconds: 0, size_bytes: 0, chunks: vec![] };
    let not_text = RelPath::new(*b"l\xff").expect("any bytes but NUL and '/' are a name");
    vec![
        entry("docker/Dockerfile", file),
        entry("empty", empty),
        Entry { path: not_text, kind: EntryKind::Symlink { target: LinkTarget::new(b"../\xfe") } },
        entry("link", EntryKind::Symlink { target: LinkTarget::new(b"docker") }),
        entry("uploads/avatars", EntryKind::Folder { mode: 0o775 }),
        entry("tmp", EntryKind::Folder { mode: 0 }),
    ]
}
