//! Damage is noticed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use scene::Scene;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use wharf_backup::BackupError;

fn assert_damaged<T: std::fmt::Debug>(result: &Result<T, BackupError>) {
    let Err(BackupError::Damaged { findings, .. }) = result else { panic!("{result:?}") };
    assert!(!findings.is_empty());
}

#[tokio::test]
async fn a_truncated_pack_is_noticed() {
    let scene = Scene::new();
    scene.random_file("large", 1_000_000, 1);
    scene.make_backup(vec![]).await.unwrap();
    let pack = OpenOptions::new().write(true).open(&scene.packs()[0]).unwrap();
    pack.set_len(pack.metadata().unwrap().len() - 10).unwrap();
    assert_damaged(&scene.check(false).await);
    assert_damaged(&scene.make_backup(vec![]).await);
    assert_eq!(scene.list().await.backups.len(), 1);
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_and_nothing_is_built_on_it() {
    let scene = Scene::new();
    scene.random_file("large", 1_000_000, 1);
    scene.make_backup(vec![]).await.unwrap();
    let pack = OpenOptions::new().read(true).write(true).open(&scene.packs()[0]).unwrap();
    let mut byte = [0];
    pack.read_exact_at(&mut byte, 1000).unwrap();
    pack.write_all_at(&[byte[0] ^ 1], 1000).unwrap();
    // That is why reading back is not left to a structural check.
    scene.check(false).await.unwrap();
    assert_damaged(&scene.check(true).await);
    // The file has not changed, so that a second backup would name the damaged pack.
    assert_damaged(&scene.make_backup(vec![]).await);
    assert_eq!(scene.list().await.backups.len(), 1);
}

#[tokio::test]
async fn a_missing_pack_is_noticed() {
    let scene = Scene::new();
    scene.random_file("large", 1_000_000, 1);
    scene.make_backup(vec![]).await.unwrap();
    std::fs::remove_file(&scene.packs()[0]).unwrap();
    assert_damaged(&scene.check(false).await);
    assert_damaged(&scene.make_backup(vec![]).await);
}
