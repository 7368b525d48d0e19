//! The database through its public face, opened again as after a crash.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by it; the switch in clippy.toml does not reach its helpers"
)]

use rusqlite::Connection;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::backup::Proof;
use wharf_proto::event::{JobKind, Outcome};
use wharf_proto::lock::DeployLock;
use wharf_proto::manifest::Chunk;
use wharf_proto::operate::ServiceScale;
use wharf_proto::release::{AuditEntry, PromotedFrom};
use wharf_proto::{
    AppName, AppSpec, BackupId, Digest, Entry, EntryKind, Failure, FailureKind, JobId, Manifest, ReleaseId,
};
use wharf_state::{
    AppRecord, BackupRecord, ChoreRecord, NewJob, Phase, PhaseEvent, ReleaseImage, ReleaseRecord,
    ServiceInputs, State, StateError,
};

fn open() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("state")).unwrap();
    (dir, state)
}

fn reopen(dir: &tempfile::TempDir) -> State {
    State::open(&dir.path().join("state")).unwrap()
}

fn raw(dir: &tempfile::TempDir) -> Connection {
    Connection::open(dir.path().join("state/state.sqlite")).unwrap()
}

fn name() -> AppName {
    "fitnessapp".parse().unwrap()
}

fn spec(path: &str) -> AppSpec {
    serde_json::from_value(json!({"app": "fitnessapp", "path": path, "compose": {"files": ["compose.yml"]}}))
        .unwrap()
}

fn app() -> AppRecord {
    AppRecord {
        app: name(),
        path: "/srv/a".into(),
        project: "docker".into(),
        live: None,
        spec: spec("/srv/a"),
    }
}

fn release(number: u32) -> ReleaseRecord {
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

fn new_job() -> NewJob {
    NewJob {
        app: name(),
        kind: JobKind::Deploy { release: ReleaseId(1) },
        by: "ann".into(),
        from: "10.0.0.1".into(),
        request: json!({"rebuild": true}),
        unless_locked: false,
    }
}

fn failure() -> Failure {
    Failure::new(FailureKind::Build, "broken")
}

/// A job that is about to touch production.
async fn changing(state: &State) -> JobId {
    let job = state.create_job(new_job()).await.unwrap().job;
    assert_eq!(state.set_phase(job, PhaseEvent::Change).await.unwrap(), Phase::Changing);
    job
}

#[tokio::test]
async fn apps_releases_and_what_is_live_come_back_as_they_were() {
    let (dir, state) = open();
    state.adopt(app(), release(0)).await.unwrap();
    let job = changing(&state).await;
    state.commit_live(job, release(1)).await.unwrap();

    let state = reopen(&dir);
    let expected =
        AppRecord { live: Some(ReleaseId(1)), path: "/srv/b".into(), spec: spec("/srv/b"), ..app() };
    assert_eq!(state.app(&name()).await.unwrap(), Some(expected.clone()));
    assert_eq!(state.apps().await.unwrap(), [expected]);
    assert_eq!(state.releases(&name()).await.unwrap(), [release(0), release(1)]);
    assert_eq!(state.release(&name(), ReleaseId(1)).await.unwrap(), Some(release(1)));
    assert_eq!(state.release(&name(), ReleaseId(2)).await.unwrap(), None);
    assert_eq!(state.job(job).await.unwrap().unwrap().phase, Phase::Committed);
    let infos = state.release_infos(&name()).await.unwrap();
    let promoted: Vec<_> = infos.iter().map(|info| info.promoted.as_ref().map(ToString::to_string)).collect();
    assert_eq!(promoted, [Some("staging v12".to_owned()), None]);
    assert_eq!(
        infos.iter().map(|i| (i.release.0, i.live, i.adopted)).collect::<Vec<_>>(),
        [(1, true, false), (0, false, true)]
    );
    let digests = [0u32, 1].map(|number| Digest::of(&number.to_le_bytes()));
    assert_eq!(state.chunks_in_use().await.unwrap(), digests.into());
}

#[tokio::test]
async fn a_commit_that_cannot_be_changes_nothing() {
    let (_dir, state) = open();
    state.adopt(app(), release(0)).await.unwrap();
    // A job that never changed anything, one of an app that is not known, and no job at all.
    let preparing = state.create_job(new_job()).await.unwrap().job;
    assert!(matches!(state.commit_live(preparing, release(1)).await, Err(StateError::Phase(_))));
    let job = changing(&state).await;
    let strange = ReleaseRecord { app: "other".parse().unwrap(), ..release(1) };
    assert!(matches!(state.commit_live(job, strange).await, Err(StateError::NoSuchApp(_))));
    assert!(matches!(state.commit_live(JobId(99), release(1)).await, Err(StateError::NoSuchJob(_))));

    assert_eq!(state.job(job).await.unwrap().unwrap().phase, Phase::Changing);
    assert_eq!(state.app(&name()).await.unwrap().unwrap().live, Some(ReleaseId(0)));
    assert_eq!(state.releases(&name()).await.unwrap(), [release(0)]);
}

#[tokio::test]
async fn release_numbers_are_never_used_again() {
    let (dir, state) = open();
    state.adopt(app(), release(0)).await.unwrap();
    assert_eq!(state.next_release(&name()).await.unwrap(), ReleaseId(1));
    // Release 1 failed and was never recorded; 2 is recorded and pruned; the app is forgotten and comes again.
    assert_eq!(state.next_release(&name()).await.unwrap(), ReleaseId(2));
    state.insert_release(release(2)).await.unwrap();
    state.delete_release(&name(), ReleaseId(2)).await.unwrap();
    let state = reopen(&dir);
    assert_eq!(state.next_release(&name()).await.unwrap(), ReleaseId(3));
    let job = state.create_job(new_job()).await.unwrap().job;
    state.forget_app(&name(), job).await.unwrap();
    state.upsert_app(app()).await.unwrap();
    assert_eq!(state.next_release(&name()).await.unwrap(), ReleaseId(4));
    // One that somebody recorded without asking is skipped.
    state.insert_release(release(9)).await.unwrap();
    assert_eq!(state.next_release(&name()).await.unwrap(), ReleaseId(10));
    assert_eq!(state.next_release(&"other".parse().unwrap()).await.unwrap(), ReleaseId(1));
}

#[tokio::test]
async fn what_is_live_stays_recorded() {
    let (_dir, state) = open();
    assert!(matches!(state.insert_release(release(1)).await, Err(StateError::NoSuchApp(_))));
    state.adopt(app(), release(0)).await.unwrap();
    let error = state.delete_release(&name(), ReleaseId(0)).await.unwrap_err();
    assert!(matches!(error, StateError::Live { .. }), "{error}");
    assert!(matches!(
        state.set_live(&name(), Some(ReleaseId(5))).await,
        Err(StateError::NoSuchRelease { .. })
    ));
    // Describing an app anew does not move what is live.
    state.upsert_app(app()).await.unwrap();
    assert_eq!(state.app(&name()).await.unwrap().unwrap().live, Some(ReleaseId(0)));
}

#[tokio::test]
async fn a_lock_keeps_back_the_jobs_that_it_is_for() {
    let (_dir, state) = open();
    state.adopt(app(), release(0)).await.unwrap();
    let lock = DeployLock { by: "ada".into(), at: jiff::Timestamp::UNIX_EPOCH, reason: None };
    let changes = || NewJob { unless_locked: true, ..new_job() };
    let before = state.create_job(changes()).await.unwrap().job;
    state.lock(&name(), lock.clone()).await.unwrap();
    let refused = state.create_job(changes()).await;
    assert!(
        matches!(&refused, Err(StateError::Locked { app, lock: held }) if *app == name() && *held == lock)
    );
    let looks = state.create_job(new_job()).await.unwrap().job;
    let unfinished = state.unfinished_jobs().await.unwrap();
    assert_eq!(Vec::from_iter(unfinished.iter().map(|job| job.job)), [before, looks], "nothing is recorded");
    state.unlock(&name()).await.unwrap();
    state.create_job(changes()).await.unwrap();
}

#[tokio::test]
async fn forgetting_an_app_keeps_its_history() {
    let (_dir, state) = open();
    state.adopt(app(), release(0)).await.unwrap();
    state.add_volumes(&name(), ["docker_pgdata".into()]).await.unwrap();
    let versions = BTreeMap::from([("app.json".to_owned(), "1.0.2".to_owned())]);
    state.record_versions(&name(), versions.clone()).await.unwrap();
    let job = state.create_job(new_job()).await.unwrap().job;
    let scale = ServiceScale { service: "web".into(), replicas: Some(2), memory_bytes: None };
    state.set_scales(&name(), vec![scale]).await.unwrap();
    let lock = DeployLock { by: "ada".into(), at: jiff::Timestamp::UNIX_EPOCH, reason: None };
    assert_eq!(state.lock(&name(), lock.clone()).await.unwrap(), None);
    let other = DeployLock { by: "bob".into(), ..lock.clone() };
    assert_eq!(state.lock(&name(), other).await.unwrap(), Some(lock), "the first one holds");
    state.forget_app(&name(), job).await.unwrap();
    assert_eq!(state.job(job).await.unwrap().unwrap().phase, Phase::Committed);
    assert!(matches!(state.forget_app(&name(), job).await, Err(StateError::Phase(_))));
    let another = state.create_job(new_job()).await.unwrap().job;
    assert!(matches!(state.forget_app(&name(), another).await, Err(StateError::NoSuchApp(_))));
    assert_eq!(state.job(another).await.unwrap().unwrap().phase, Phase::Preparing, "all or nothing");
    assert!(state.scales(&name()).await.unwrap().is_empty());
    assert_eq!(state.lock_of(&name()).await.unwrap(), None);
    assert_eq!(state.app(&name()).await.unwrap(), None);
    assert!(state.releases(&name()).await.unwrap().is_empty());
    assert!(state.volumes(&name()).await.unwrap().is_empty());
    assert_eq!(state.highest_versions(&name()).await.unwrap(), versions);
    assert!(state.job(job).await.unwrap().is_some());
}

#[tokio::test]
async fn volumes_and_versions_accumulate() {
    let (_dir, state) = open();
    assert!(state.add_volumes(&name(), ["x".into()]).await.is_err(), "no such app");
    state.upsert_app(app()).await.unwrap();
    state.add_volumes(&name(), ["b".into(), "a".into()]).await.unwrap();
    state.add_volumes(&name(), ["b".into(), "c".into()]).await.unwrap();
    assert_eq!(state.volumes(&name()).await.unwrap(), BTreeSet::from(["a", "b", "c"].map(String::from)));
    for (file, version) in [("x", "1"), ("y", "1"), ("x", "2")] {
        state.record_versions(&name(), BTreeMap::from([(file.into(), version.into())])).await.unwrap();
    }
    let expected = BTreeMap::from([("x", "2"), ("y", "1")].map(|(f, v)| (f.to_owned(), v.to_owned())));
    assert_eq!(state.highest_versions(&name()).await.unwrap(), expected);
}

#[tokio::test]
async fn the_journal_keeps_its_order_across_crashes() {
    let (dir, state) = open();
    let job = state.create_job(new_job()).await.unwrap().job;
    let other = changing(&state).await;
    state.record_undo(job, ["tag".to_owned()]).await.unwrap();
    state.set_phase(job, PhaseEvent::Change).await.unwrap();
    state.record_undo(other, ["theirs".to_owned()]).await.unwrap();
    state.record_undo(job, (0..20).map(|n| format!("file {n}"))).await.unwrap();

    // The process is gone without a word; another one finds the job.
    let after = reopen(&dir);
    assert_eq!(after.unfinished_jobs().await.unwrap().len(), 2);
    let entries = after.undo_entries::<String>(job).await.unwrap();
    let expected: Vec<_> =
        std::iter::once("tag".to_owned()).chain((0..20).map(|n| format!("file {n}"))).collect();
    assert_eq!(entries.iter().map(|entry| entry.undo.clone()).collect::<Vec<_>>(), expected);
    assert!(entries.windows(2).all(|pair| pair[0].seq < pair[1].seq));

    after.set_phase(job, PhaseEvent::PutBack).await.unwrap();
    let late = after.record_undo(job, ["late".to_owned()]).await.unwrap_err();
    assert!(matches!(late, StateError::NotUndoable { phase: Phase::PuttingBack, .. }));
    after.clear_undo(job).await.unwrap();
    assert!(after.undo_entries::<String>(job).await.unwrap().is_empty());
    assert_eq!(after.undo_entries::<String>(other).await.unwrap().len(), 1);
    assert!(matches!(after.record_undo(JobId(99), ["x"]).await, Err(StateError::NoSuchJob(_))));
}

/// Entries of several tasks may mix, but none is lost and those of one call stay together.
#[tokio::test(flavor = "multi_thread")]
async fn entries_of_one_call_stay_together() {
    let (_dir, state) = open();
    let job = changing(&state).await;
    let tasks: Vec<_> = (0..20u32)
        .map(|task| {
            let state = state.clone();
            tokio::spawn(async move { state.record_undo(job, [(task, 0u32), (task, 1)]).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let entries = state.undo_entries::<(u32, u32)>(job).await.unwrap();
    assert_eq!(entries.len(), 40);
    for pair in entries.chunks(2) {
        assert_eq!((pair[0].undo.0, pair[0].undo.1, pair[1].undo.1), (pair[1].undo.0, 0, 1));
    }
}

#[tokio::test]
async fn jobs_end_only_where_they_may() {
    let (_dir, state) = open();
    let refused = state.create_job(new_job()).await.unwrap();
    assert_eq!((refused.phase, refused.outcome.clone()), (Phase::Preparing, None));
    let failed = Outcome::Failed { failure: failure() };
    state.finish_job(refused.job, failed.clone()).await.unwrap();
    assert!(matches!(state.finish_job(refused.job, failed.clone()).await, Err(StateError::Phase(_))));

    let job = changing(&state).await;
    assert!(matches!(state.finish_job(job, failed.clone()).await, Err(StateError::Phase(_))));
    for event in [PhaseEvent::Commit, PhaseEvent::End, PhaseEvent::Change] {
        assert!(matches!(state.set_phase(job, event).await, Err(StateError::Phase(_))), "{event}");
    }
    state.record_undo(job, ["x"]).await.unwrap();
    state.set_phase(job, PhaseEvent::PutBack).await.unwrap();
    let broken = Outcome::NotPutBack { failure: failure(), put_back: failure() };
    state.finish_job(job, broken.clone()).await.unwrap();
    assert_eq!(state.undo_entries::<String>(job).await.unwrap().len(), 1, "for whoever repairs it");

    let back = changing(&state).await;
    state.record_undo(back, ["x"]).await.unwrap();
    assert!(matches!(state.delete_job(back).await, Err(StateError::NoSuchJob(_))), "it runs");
    state.set_phase(back, PhaseEvent::PutBack).await.unwrap();
    state.finish_job(back, Outcome::PutBack { failure: failure(), live: None }).await.unwrap();
    assert!(state.undo_entries::<String>(back).await.unwrap().is_empty());

    assert!(state.unfinished_jobs().await.unwrap().is_empty());
    let ended = state.job(job).await.unwrap().unwrap();
    assert_eq!((ended.phase, ended.outcome.clone()), (Phase::Done, Some(broken)));
    assert!(ended.finished.is_some());
    assert_eq!(ended.request, json!({"rebuild": true}));
    let jobs = state.jobs(Some(&name()), 2).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.job).collect::<Vec<_>>(), [back, job]);
    assert_eq!(state.jobs(None, 10).await.unwrap().len(), 3);
    state.delete_job(back).await.unwrap();
    assert!(state.create_job(new_job()).await.unwrap().job > back, "numbers are not used again");
}

fn entry(app: Option<AppName>, action: &str) -> AuditEntry {
    AuditEntry {
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        app,
        by: "ann".into(),
        from: "10.0.0.1".into(),
        action: action.into(),
        outcome: "done".into(),
    }
}

#[tokio::test]
async fn nobody_edits_the_audit() {
    let (dir, state) = open();
    state.audit(entry(Some(name()), "deploy")).await.unwrap();
    state.audit(entry(None, "status")).await.unwrap();
    // A connection of somebody else's, with SQLite's defaults.
    let db = raw(&dir);
    for statement in [
        "UPDATE audit SET by = 'eve'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "INSERT OR REPLACE INTO audit (id, at, by, \"from\", action, outcome) VALUES (1, '', 'eve', '', '', '')",
        "UPDATE OR REPLACE audit SET id = 2 WHERE id = 1",
    ] {
        let error = db.execute(statement, []).unwrap_err().to_string();
        assert!(error.contains("only ever appended"), "{statement}: {error}");
    }
    assert_eq!(state.audits(None, 10).await.unwrap(), [entry(None, "status"), entry(Some(name()), "deploy")]);
    assert_eq!(state.audits(Some(&name()), 10).await.unwrap(), [entry(Some(name()), "deploy")]);
    assert_eq!(state.audits(None, 1).await.unwrap(), [entry(None, "status")]);
}

#[tokio::test]
async fn backups_are_listed_newest_first() {
    let (_dir, state) = open();
    assert_eq!(state.last_backup(&name()).await.unwrap(), None);
    let backup = |id: &str, rows: u32| BackupRecord {
        id: BackupId(id.into()),
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        job: Some(JobId(3)),
        release: Some(ReleaseId(1)),
        report: json!({"rows": rows}),
        message: (rows > 1).then(|| format!("{rows} rows")),
        proof: Proof::Unproven,
        pinned: false,
    };
    for record in [backup("a", 1), backup("b", 2), backup("a", 3)] {
        state.record_backup(&name(), record).await.unwrap();
    }
    assert_eq!(state.backups(&name()).await.unwrap(), [backup("b", 2), backup("a", 3)]);
    assert_eq!(state.last_backup(&name()).await.unwrap(), Some(backup("b", 2)));
}

#[tokio::test]
async fn a_proof_stays_with_its_backup() {
    let (_dir, state) = open();
    let backup = BackupRecord {
        id: BackupId("a".into()),
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        job: None,
        release: None,
        report: json!({}),
        message: None,
        proof: Proof::Unproven,
        pinned: false,
    };
    state.record_backup(&name(), backup.clone()).await.unwrap();
    let at = "2026-01-03T03:04:05Z".parse().unwrap();
    for proof in [Proof::Failed { at, why: "a table is missing".into() }, Proof::Proven { at }] {
        state.record_proof(&name(), &backup.id, proof.clone()).await.unwrap();
        // Recording the backup once more does not unprove it.
        state.record_backup(&name(), backup.clone()).await.unwrap();
        assert_eq!(state.last_backup(&name()).await.unwrap().unwrap().proof, proof);
    }
    state.pin_backup(&name(), &backup.id, true).await.unwrap();
    state.record_backup(&name(), backup.clone()).await.unwrap();
    assert!(state.last_backup(&name()).await.unwrap().unwrap().pinned, "nor does it unpin it");
    state.record_proof(&name(), &BackupId("unknown".into()), Proof::Proven { at }).await.unwrap();
    assert_eq!(state.backups(&name()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whether_a_recovery_key_is_saved_is_remembered() {
    let (_dir, state) = open();
    assert_eq!(state.key_saved(&name()).await.unwrap(), None);
    let at = "2026-01-03T03:04:05Z".parse().unwrap();
    state.set_key_saved(&name(), Some(at)).await.unwrap();
    assert_eq!(state.key_saved(&name()).await.unwrap(), Some(at));
    state.set_key_saved(&name(), None).await.unwrap();
    assert_eq!(state.key_saved(&name()).await.unwrap(), None);
}

#[tokio::test]
async fn a_job_that_makes_no_release_is_done_without_one() {
    let (_dir, state) = open();
    let new = NewJob {
        app: name(),
        kind: JobKind::Restore { backup: BackupId("a".into()) },
        by: "a@b".into(),
        from: "local".into(),
        request: json!({}),
        unless_locked: false,
    };
    let job = state.create_job(new).await.unwrap().job;
    assert!(state.commit_job(job).await.is_err(), "nothing was changed yet");
    state.set_phase(job, PhaseEvent::Change).await.unwrap();
    state.record_undo(job, [json!({"swap": 1})]).await.unwrap();
    state.commit_job(job).await.unwrap();
    let done = Outcome::Done { summary: "restored".into() };
    state.finish_job(job, done.clone()).await.unwrap();
    assert_eq!(state.job(job).await.unwrap().unwrap().outcome, Some(done));
    assert!(state.undo_entries::<serde_json::Value>(job).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_secret_key_is_made_once_and_the_state_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, state) = open();
    let key = state.secret_key();
    assert_ne!(key, [0; 32]);
    assert_eq!(reopen(&dir).secret_key(), key);
    assert_ne!(open().1.secret_key(), key);
    assert_eq!(format!("{state:?}"), "State");
    state.upsert_app(app()).await.unwrap();
    let mode = |path: &str| std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state"), 0o700);
    for file in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        assert_eq!(mode(&format!("state/{file}")), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_forged_manifest_is_not_read() {
    let (dir, state) = open();
    state.adopt(app(), release(0)).await.unwrap();
    let forged = json!([
        {"path": "a", "kind": "symlink", "target": "/etc"},
        {"path": "a/b", "kind": "folder", "mode": 493}
    ]);
    let packed = zstd::encode_all(forged.to_string().as_bytes(), 1).unwrap();
    raw(&dir).execute("UPDATE releases SET manifest = ?1", [packed]).unwrap();
    let error = state.releases(&name()).await.unwrap_err();
    assert!(matches!(error, StateError::Corrupt { what: "manifest", .. }), "{error}");
}

#[tokio::test]
async fn backups_that_are_gone_are_forgotten_and_those_of_others_stay() {
    let (_dir, state) = open();
    let backup = |id: &str| BackupRecord {
        id: BackupId(id.into()),
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        job: None,
        release: None,
        report: json!({}),
        message: None,
        proof: Proof::Unproven,
        pinned: false,
    };
    let other: AppName = "other".parse().unwrap();
    for (app, id) in [(&name(), "a"), (&name(), "b"), (&other, "a")] {
        state.record_backup(app, backup(id)).await.unwrap();
    }
    state.retain_backups(&name(), [BackupId("b".into()), BackupId("c".into())].into()).await.unwrap();
    assert_eq!(state.backups(&name()).await.unwrap(), [backup("b")]);
    assert_eq!(state.backups(&other).await.unwrap(), [backup("a")]);
}

#[tokio::test]
async fn chores_are_remembered_until_they_are_forgotten() {
    let (dir, state) = open();
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    let fresh = ChoreRecord::new("backup", at);
    let failed = ChoreRecord {
        last_run: Some(at),
        failures: 3,
        why: Some("the disk is full".into()),
        job: Some(JobId(7)),
        ..fresh.clone()
    };
    for record in [fresh, failed.clone()] {
        state.record_chore(&name(), record).await.unwrap();
    }
    drop(state);
    let state = reopen(&dir);
    assert_eq!(state.chores(&name()).await.unwrap(), [failed]);
    state.forget_chore(&name(), "backup").await.unwrap();
    assert_eq!(state.chores(&name()).await.unwrap(), []);
}
