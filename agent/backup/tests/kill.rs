//! The child is killed at random moments of backup, prune and copy: repositories are sound each time, and backups are
//! whole or not there. Show 3 of the data issue.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use rand::{RngExt, SeedableRng};
use scene::{Container, Scene, ask, child};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wharf_backup::{
    CopyRequest, ForgetRequest, Location, Place, ReadBack, RestoreRequest, recovery_key_file,
};
use wharf_proto::BackupId;

const SEED: u64 = 20_260_102;

fn kills() -> u64 {
    if std::env::var_os("WHARF_TEST_LONG").is_some() { 60 } else { 8 }
}

/// Asks a child for something and kills it after a while. Returns whether it came to its end.
fn killed_after(request: impl Serialize, kind: &str, after: Duration) -> bool {
    let mut request = serde_json::to_value(request).unwrap();
    request["request"] = kind.into();
    let mut process =
        Command::new(child().program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(format!("{request}\n").as_bytes()).unwrap();
    // A moment is what this test is about; there is no event to wait for.
    std::thread::sleep(after);
    process.kill().unwrap();
    let mut said = String::new();
    process.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    process.wait().unwrap();
    said.contains("\"line\":\"done\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_whole_backups_only() {
    let scene = Scene::new();
    let db = Container::postgres();
    db.fill(5_000);
    scene.random_file("base", 4_000_000, 0);
    let started = Instant::now();
    scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap();
    let whole = started.elapsed();
    let mut backups = 1;
    let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
    for round in 1..=kills() {
        scene.random_file("changing", 3_000_000, round);
        db.sql("fitness", &format!("UPDATE rows SET filler = md5('{round}') WHERE i % 7 = {round} % 7"));
        let after = whole.mul_f64(random.random_range(0.0..1.1));
        let done = killed_after(scene.backup(vec![db.dump("db/fitness")]), "backup", after);
        scene.check(true).await.unwrap_or_else(|error| panic!("round {round} after {after:?}: {error:?}"));
        let listed = scene.list().await.backups;
        // One that was killed between its last write and its answer is there, and whole.
        assert!(
            listed.len() == backups + 1 || (!done && listed.len() == backups),
            "round {round} after {after:?}"
        );
        backups = listed.len();
        // The first holds one file less. All bear the same time, so their order says nothing.
        let first = listed.iter().map(|backup| backup.files).min().unwrap();
        assert!(listed.iter().all(|backup| backup.dumps.len() == 1), "round {round}: {listed:#?}");
        assert_eq!(
            listed.iter().filter(|backup| backup.files == first).count(),
            1,
            "round {round}: {listed:#?}"
        );
        assert!(listed.iter().all(|backup| backup.files <= first + 1), "round {round}: {listed:#?}");
    }
    // And the next one succeeds.
    scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap();
    scene.restic(&["check", "--read-data"]);
}

/// How many backups are kept while others come and go.
const KEPT: usize = 3;

/// A repository of which backups are dropped, and another that they are copied to.
struct Pair {
    scene: Scene,
    disk: tempfile::TempDir,
    /// The seed of each backup's own file.
    backups: BTreeMap<BackupId, u64>,
    order: Vec<BackupId>,
}

impl Pair {
    fn location(&self, own: bool) -> Location {
        let folder = self.scene.folder.path();
        Location {
            place: Place::Folder(if own { self.scene.repo.clone() } else { self.disk.path().join("app") }),
            key_file: if own { self.scene.key_file.clone() } else { folder.join("state/there.key") },
            password_file: recovery_key_file(&self.scene.key_file),
            own,
        }
    }

    fn copy(&self) -> CopyRequest {
        let (from, to) = (self.location(true), self.location(false));
        CopyRequest { from, to, only: vec![], newest: None, read_back: ReadBack::Sizes }
    }

    fn prune(&self) -> ForgetRequest {
        let (repo, key_file) = (self.scene.repo.clone(), self.scene.key_file.clone());
        ForgetRequest { repo, key_file, ids: vec![self.order[0].clone()], prune: true }
    }

    async fn back_up(&mut self, seed: u64) {
        self.scene.random_file("changing", 1_500_000, seed);
        self.scene.random_file(&format!("slow{}", seed % 2), 700_000, seed);
        let made = self.scene.make_backup(vec![]).await.unwrap();
        self.backups.insert(made.id.clone(), seed);
        self.order.push(made.id);
    }

    /// Both are sound by the reference tool, and every backup of the first restores.
    async fn check(&mut self, moment: &str) {
        let listed: Vec<BackupId> = self.scene.list().await.backups.into_iter().map(|b| b.id).collect();
        // The one that was being dropped may be gone; no other.
        let oldest = self.order[0].clone();
        if !listed.contains(&oldest) {
            self.order.remove(0);
            self.backups.remove(&oldest);
        }
        assert_eq!(listed.len(), self.order.len(), "{moment}");
        for (id, seed) in &self.backups {
            let to = tempfile::tempdir().unwrap();
            let (repo, key_file) = (self.scene.repo.clone(), self.scene.key_file.clone());
            let (snapshot, path) = (id.clone(), "/project/changing".to_owned());
            let restore = RestoreRequest { repo, key_file, snapshot, path, to: to.path().to_owned() };
            ask(restore).await.unwrap_or_else(|error| panic!("{moment}: {error:?}"));
            self.scene.random_file("expected", 1_500_000, *seed);
            let expected = self.scene.project.join("expected");
            let same =
                std::fs::read(to.path().join("changing")).unwrap() == std::fs::read(&expected).unwrap();
            std::fs::remove_file(expected).unwrap();
            assert!(same, "{moment}: {id}");
        }
        self.scene.restic(&["check", "--read-data"]);
        let there = self.disk.path().join("app");
        if self.location(false).key_file.exists() {
            self.scene.restic_at(&there, &["check", "--read-data"]);
        } else {
            // It was still being made, and may lack the recovery key. Nothing relies on it yet.
            let snapshots = std::fs::read_dir(there.join("snapshots")).into_iter().flatten().count();
            assert_eq!(snapshots, 0, "{moment}: a backup lies in a repository that is not whole");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_and_copy_killed_at_any_moment_leave_both_repositories_sound() {
    let rounds = if std::env::var_os("WHARF_TEST_LONG").is_some() { 70 } else { 8 };
    let disk = tempfile::tempdir().unwrap();
    let mut pair = Pair { scene: Scene::new(), disk, backups: BTreeMap::new(), order: Vec::new() };
    for seed in 0..=KEPT as u64 {
        pair.back_up(seed).await;
    }
    let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
    let (mut copy_takes, mut prune_takes) = (Duration::from_secs(2), Duration::from_secs(2));
    for round in 1..=rounds {
        let part = random.random_range(0.0..1.1);
        if round % 2 == 1 {
            let after = copy_takes.mul_f64(part);
            let done = killed_after(pair.copy(), "copy", after);
            pair.check(&format!("round {round}: copy after {after:?}, done: {done}")).await;
            // It goes on to its end.
            let started = Instant::now();
            ask(pair.copy()).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            copy_takes = started.elapsed();
            pair.scene.restic_at(&pair.disk.path().join("app"), &["check", "--read-data"]);
        } else {
            let after = prune_takes.mul_f64(part);
            let started = Instant::now();
            if killed_after(pair.prune(), "forget", after) {
                prune_takes = started.elapsed();
            }
            pair.check(&format!("round {round}: prune after {after:?}")).await;
        }
        if pair.order.len() <= KEPT {
            pair.back_up(1000 + round).await;
        }
    }
}
