//! The child is killed at random moments: the repository is sound each time, and backups are whole or not there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use rand::{RngExt, SeedableRng};
use scene::{Container, Scene, child};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SEED: u64 = 20_260_102;

fn kills() -> u64 {
    if std::env::var_os("WHARF_TEST_LONG").is_some() { 60 } else { 8 }
}

/// Runs a backup and kills it after a while. Returns whether it came to its end.
fn killed_after(scene: &Scene, db: &Container, after: Duration) -> bool {
    let mut request = serde_json::to_value(scene.backup(vec![db.dump("db/fitness")])).unwrap();
    request["request"] = "backup".into();
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
        let done = killed_after(&scene, &db, after);
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
