//! What nobody else may read, change or forge.

use super::samples::{app, name, open, raw, release, reopen};
use serde_json::json;
use wharf_proto::AppName;
use wharf_proto::release::AuditEntry;
use wharf_state::StateError;

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
