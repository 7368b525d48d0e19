//! The child is killed at random moments of backup, prune and copy, 165 times with `--long`: repositories are sound each time, and backups are
//! whole or not there. Show 3 of the data issue.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use rand::{RngExt, SeedableRng};
use scene::{Container, Scene, ask, child, random_file};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wharf_backup::{
    BackupError, BackupInfo, CopyRequest, ForgetRequest, Location, LookRequest, Place, ReadBack,
    RestoreRequest, ThinRequest, recovery_key_file,
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
    let mut rounds = BTreeMap::from([(scene.list().await.backups.remove(0).id, 0)]);
    let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
    for round in 1..=kills() {
        scene.random_file("changing", CHANGING_BYTES, round);
        db.sql("fitness", &format!("UPDATE rows SET filler = md5('{round}') WHERE i % 7 = {round} % 7"));
        let after = whole.mul_f64(random.random_range(0.0..1.1));
        let moment = format!("round {round} after {after:?}");
        let done = killed_after(scene.backup(vec![db.dump("db/fitness")]), "backup", after);
        scene.check(true).await.unwrap_or_else(|error| panic!("{moment}: {error:?}"));
        scene.restic(&["check", "--read-data"]);
        let listed = scene.list().await.backups;
        // One that was killed between its last write and its answer is there, and whole.
        let made = listed.len() == rounds.len() + 1;
        assert!(made || (!done && listed.len() == rounds.len()), "{moment}: {listed:#?}");
        for backup in &listed {
            let made_in = *rounds.entry(backup.id.clone()).or_insert(round);
            restores(&scene, backup, made_in).await.unwrap_or_else(|error| panic!("{moment}: {error:?}"));
        }
        assert_eq!(rounds.len(), listed.len(), "{moment}: an earlier one is gone");
    }
    // And the next one succeeds.
    scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap();
    scene.restic(&["check", "--read-data"]);
}

/// The file that each round of backups has another one of.
const CHANGING_BYTES: usize = 3_000_000;

/// The backup that was made in this round comes back: its own file and its dump, to the byte.
async fn restores(scene: &Scene, backup: &BackupInfo, round: u64) -> Result<(), BackupError> {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("restored");
    let (repo, key_file) = (scene.repo.clone(), scene.key_file.clone());
    let snapshot = backup.id.clone();
    ask(RestoreRequest { repo, key_file, snapshot, path: "/".into(), to: to.clone() }).await?;
    if round > 0 {
        let expected = folder.path().join("expected");
        random_file(&expected, CHANGING_BYTES, round);
        assert!(std::fs::read(to.join("project/changing")).unwrap() == std::fs::read(expected).unwrap());
    }
    let [dump] = &backup.dumps[..] else { panic!("{backup:#?}") };
    let content = std::fs::read(to.join(dump.path.trim_start_matches('/'))).unwrap();
    assert_eq!(hex::encode(Sha256::digest(&content)), dump.sha256, "{}", backup.id);
    Ok(())
}

/// How many backups are kept while others come and go.
const KEPT: usize = 3;

/// A repository of which backups are dropped, and another that they are copied to.
struct Pair {
    scene: Scene,
    disk: tempfile::TempDir,
    /// The seed of each backup's own file; also of those that were dropped here, which the copies may have still.
    seeds: BTreeMap<BackupId, u64>,
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
        self.seeds.insert(made.id.clone(), seed);
        self.order.push(made.id);
    }

    /// Drops the copy of the oldest backup, with what only it needs.
    async fn thin(&self) -> ThinRequest {
        let there = self.copies().await;
        let of_oldest = there.iter().find(|copy| copy.original.as_ref() == self.order.first());
        let ids = of_oldest.or(there.first()).map(|copy| copy.id.clone()).into_iter().collect();
        ThinRequest { at: self.location(false), ids, grace_hours: 0 }
    }

    async fn copies(&self) -> Vec<BackupInfo> {
        ask(LookRequest { from: self.location(false) }).await.unwrap().backups
    }

    /// The backup with this file of its own comes back.
    async fn restores(&self, moment: &str, repo: PathBuf, key_file: PathBuf, id: &BackupId, seed: u64) {
        let to = tempfile::tempdir().unwrap();
        let (snapshot, path) = (id.clone(), "/project/changing".to_owned());
        let restore = RestoreRequest { repo, key_file, snapshot, path, to: to.path().to_owned() };
        ask(restore).await.unwrap_or_else(|error| panic!("{moment}: {error:?}"));
        random_file(&to.path().join("expected"), 1_500_000, seed);
        let read = |name: &str| std::fs::read(to.path().join(name)).unwrap();
        assert!(read("changing") == read("expected"), "{moment}: {id}");
    }

    /// Both are sound by the reference tool, and every backup of either restores.
    async fn check(&mut self, moment: &str) {
        let listed: Vec<BackupId> = self.scene.list().await.backups.into_iter().map(|b| b.id).collect();
        // The one that was being dropped may be gone; no other.
        let oldest = self.order[0].clone();
        if !listed.contains(&oldest) {
            self.order.remove(0);
        }
        assert_eq!(listed.len(), self.order.len(), "{moment}");
        for id in &self.order {
            let (repo, key_file) = (self.scene.repo.clone(), self.scene.key_file.clone());
            self.restores(moment, repo, key_file, id, self.seeds[id]).await;
        }
        self.scene.restic(&["check", "--read-data"]);
        let there = self.disk.path().join("app");
        if self.location(false).key_file.exists() {
            self.scene.restic_at(&there, &["check", "--read-data"]);
            for copy in self.copies().await {
                let (key_file, original) = (self.location(false).key_file, copy.original.unwrap());
                self.restores(moment, there.clone(), key_file, &copy.id, self.seeds[&original]).await;
            }
        } else {
            // It was still being made, and may lack the recovery key. Nothing relies on it yet.
            let snapshots = std::fs::read_dir(there.join("snapshots")).into_iter().flatten().count();
            assert_eq!(snapshots, 0, "{moment}: a backup lies in a repository that is not whole");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_and_copy_killed_at_any_moment_leave_both_repositories_sound() {
    let rounds = if std::env::var_os("WHARF_TEST_LONG").is_some() { 105 } else { 9 };
    let disk = tempfile::tempdir().unwrap();
    let mut pair = Pair { scene: Scene::new(), disk, seeds: BTreeMap::new(), order: Vec::new() };
    for seed in 0..=KEPT as u64 {
        pair.back_up(seed).await;
    }
    let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
    let (mut copy_takes, mut prune_takes) = (Duration::from_secs(2), Duration::from_secs(2));
    let mut thin_takes = Duration::from_secs(2);
    for round in 1..=rounds {
        let part = random.random_range(0.0..1.1);
        if round % 3 == 0 {
            let (after, thin) = (thin_takes.mul_f64(part), pair.thin().await);
            let started = Instant::now();
            if killed_after(thin, "thin", after) {
                thin_takes = started.elapsed();
            }
            pair.check(&format!("round {round}: prune of the copies after {after:?}")).await;
        } else if round % 3 == 1 {
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
