//! The table: which requests a lock keeps back.

use wharf_proto::AppName;
use wharf_proto::backup::RestoreWhat;
use wharf_proto::message::Request;

/// The app that a request changes, where a lock on it keeps the request back.
///
/// What runs, what it is configured with and what is in its live database stay as they are under a lock. Looking, backups and
/// drills go on, and so do dry runs, which change nothing. Programs that a person starts in a container (`exec`, `run`,
/// `db console`) go on too: whoever locked an app to look into it needs them. Every request is named, so that a new one must
/// find its place.
pub fn kept_back(request: &Request) -> Option<&AppName> {
    match request {
        Request::Deploy(deploy) => changes(&deploy.spec.app, deploy.options.dry_run),
        Request::Rollback(rollback) => changes(&rollback.app, rollback.options.dry_run),
        Request::SecretChange(change) => changes(&change.spec.app, change.options.dry_run),
        Request::DatabasePassword(change) => changes(&change.app, change.options.dry_run),
        Request::Restart { app, .. }
        | Request::Scale { app, .. }
        | Request::MigrateUp { app, .. }
        // A deploy of it would follow, and be kept back.
        | Request::ImageLoad { app, .. }
        | Request::Forget { app, .. } => Some(app),
        Request::MigrateDown(down) => Some(&down.app),
        Request::BackupRestore { app, what, .. } => restores_over(what).then_some(app),

        Request::BackupCreate { .. }
        | Request::BackupList { .. }
        | Request::BackupVerify { .. }
        | Request::BackupPrune { .. }
        | Request::BackupPin { .. }
        | Request::BackupKey { .. }
        | Request::Prune { .. }
        | Request::FrontEnds { .. }
        | Request::Attach { .. }
        | Request::Releases { .. }
        | Request::Jobs { .. }
        | Request::Status { .. }
        | Request::Logs(_)
        | Request::Audit { .. }
        | Request::SecretList { .. }
        | Request::Exec(_)
        | Request::Run(_)
        | Request::DbConsole(_)
        | Request::DbStatus { .. }
        | Request::Scales { .. }
        | Request::Migrations { .. }
        | Request::Keys
        | Request::KeyAdd { .. }
        | Request::KeyRemove { .. }
        | Request::Doctor { .. }
        | Request::ReleaseSource { .. }
        | Request::ReleaseContent { .. }
        | Request::ReleaseImage { .. }
        | Request::Registries
        | Request::RegistryLogin(_)
        | Request::RegistryLogout { .. }
        | Request::Lock { .. }
        | Request::Unlock { .. }
        | Request::LockStatus { .. }
        | Request::Unknown => None,
    }
}

/// Whether a restore takes the place of something that serves.
pub fn restores_over(what: &RestoreWhat) -> bool {
    match what {
        RestoreWhat::Over { .. } | RestoreWhat::VolumesOver { .. } => true,
        RestoreWhat::ToFolder { .. } | RestoreWhat::Volume { .. } | RestoreWhat::Beside { .. } => false,
        // It is refused anyway.
        RestoreWhat::Unknown => false,
    }
}

fn changes(app: &AppName, dry_run: bool) -> Option<&AppName> {
    (!dry_run).then_some(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_changes_the_app_is_kept_back_and_what_looks_is_not() {
        let spec = json!({"app": "shop", "path": "/srv/shop", "compose": {"files": ["c.yml"]}});
        let options = |dry_run| json!({ "dry_run": dry_run });
        let deploy = |dry| json!({"request": "deploy", "spec": spec, "options": options(dry), "source": {}});
        let secrets = |dry| {
            json!({
                "request": "secret_change", "spec": spec, "options": options(dry), "set": {}, "unset": [],
                "import": null, "restart": true,
            })
        };
        let restore = |what: Value| {
            json!({
                "request": "backup_restore", "app": "shop", "backup": "00ff", "what": what
            })
        };
        let of_app = |request: &str| json!({"request": request, "app": "shop"});
        for (request, expected) in [
            (deploy(false), true),
            (deploy(true), false),
            (secrets(false), true),
            (secrets(true), false),
            (json!({"request": "rollback", "app": "shop", "to": null, "options": {}}), true),
            (of_app("restart"), true),
            (json!({"request": "scale", "app": "shop", "changes": []}), true),
            (of_app("migrate_up"), true),
            (json!({"request": "forget", "app": "shop", "confirmed": "shop"}), true),
            (restore(json!({"to": "over", "confirmed": "shop"})), true),
            (restore(json!({"to": "volumes_over", "confirmed": "shop", "volumes": ["media"]})), true),
            (restore(json!({"to": "beside", "database": "d", "as_name": "s"})), false),
            (of_app("backup_create"), false),
            (of_app("backup_verify"), false),
            (of_app("status"), false),
            (json!({"request": "prune", "app": "shop", "keep_cache_bytes": 0}), false),
            (of_app("lock"), false),
            (of_app("unlock"), false),
        ] {
            let read: Request = serde_json::from_value(request.clone()).expect("a request");
            assert_ne!(read, Request::Unknown, "{request}");
            assert_eq!(kept_back(&read).is_some(), expected, "{request}");
        }
    }
}
