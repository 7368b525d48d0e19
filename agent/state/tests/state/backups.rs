//! Backups, their proofs, and what the agent does of its own.

use super::samples::{name, open, reopen};
use serde_json::json;
use wharf_proto::backup::Proof;
use wharf_proto::{AppName, BackupId, JobId, ReleaseId};
use wharf_state::{BackupRecord, ChoreRecord};

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
