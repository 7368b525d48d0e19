//! Apps, their releases, locks, volumes and versions.

use super::samples::{app, changing, name, new_job, open, release, reopen, spec};
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::lock::DeployLock;
use wharf_proto::operate::ServiceScale;
use wharf_proto::{Digest, JobId, ReleaseId};
use wharf_state::{AppRecord, NewJob, Phase, ReleaseRecord, StateError};

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
