//! Jobs and their journal.

use super::samples::{changing, failure, name, new_job, open, reopen};
use serde_json::json;
use wharf_proto::event::{JobKind, Outcome};
use wharf_proto::{BackupId, JobId};
use wharf_state::{NewJob, Phase, PhaseEvent, StateError};

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
