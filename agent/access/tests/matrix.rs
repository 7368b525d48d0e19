//! Role × request × app: every cell.

use wharf_access::{Denied, Grant, authorise};
use wharf_proto::backup::RestoreWhat;
use wharf_proto::key::NewKey;
use wharf_proto::log::LogsRequest;
use wharf_proto::message::{DeployRequest, JobOptions, MigrateDown, Request, RollbackRequest, Source};
use wharf_proto::registry::RegistryLogin;
use wharf_proto::release::PortableImage;
use wharf_proto::secret::{DatabasePassword, SecretChange};
use wharf_proto::terminal::{ConsoleRequest, ExecRequest};
use wharf_proto::{AppName, Apps, BackupId, Digest, JobId, ReleaseId, Role};

fn app(name: &str) -> AppName {
    name.parse().expect("an app name")
}

/// What a request is about, as this test says it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum About {
    OneApp,
    AllApps,
    Server,
}
use About::{AllApps, OneApp, Server};

/// Each request about `name` (or `None`: about all apps), who may make it, and what it is about. Written by hand, and not
/// made from the table that it checks.
fn cells(name: &AppName) -> Vec<(&'static str, Request, &'static str, About)> {
    let spec = serde_json::from_value(serde_json::json!({
        "app": name, "path": "/srv/x", "compose": {"files": ["compose.yml"]}
    }));
    let deploy = DeployRequest {
        spec: spec.expect("a spec"),
        options: JobOptions::default(),
        rebuild: false,
        pull: false,
        versions: Default::default(),
        source: Source::default(),
    };
    let rollback = RollbackRequest { app: name.clone(), to: None, options: JobOptions::default() };
    let logs = LogsRequest {
        app: Some(name.clone()),
        services: Vec::new(),
        follow: false,
        lines: None,
        since: None,
        until: None,
        grep: None,
    };
    let all_logs = LogsRequest { app: None, ..logs.clone() };
    let image = PortableImage {
        service: "api".into(),
        image: Digest::of(b"image"),
        inputs: Digest::of(b"inputs"),
        platform: "linux/amd64".into(),
        layers: vec![],
        size_bytes: 1,
    };
    let a = || name.clone();
    let restore = |what| Request::BackupRestore {
        app: a(),
        backup: BackupId("00ff".into()),
        what,
        lock_wait_seconds: 0,
    };
    let (folder, over, volumes_over) = (
        RestoreWhat::ToFolder { folder: "/root/x".into(), volume: None },
        RestoreWhat::Over { confirmed: String::new() },
        RestoreWhat::VolumesOver { confirmed: String::new(), volumes: vec![] },
    );
    let secrets = SecretChange {
        spec: deploy.spec.clone(),
        set: [].into(),
        unset: vec![],
        import: None,
        restart: true,
        options: JobOptions::default(),
    };
    let password =
        DatabasePassword { app: a(), service: None, password: None, options: JobOptions::default() };
    let exec = ExecRequest { app: a(), service: "web".into(), command: vec![], user: None, terminal: None };
    let console = ConsoleRequest { app: a(), service: None, database: None, terminal: None };
    let verify = Request::BackupVerify { app: a(), backup: None, lock_wait_seconds: 0 };
    let prune = |dry_run| Request::BackupPrune { app: a(), dry_run, lock_wait_seconds: 0 };
    let pin = |pinned| Request::BackupPin { app: a(), backup: BackupId("00ff".into()), pinned };
    let create = Request::BackupCreate { app: a(), message: None, lock_wait_seconds: 0 };
    let restart = Request::Restart { app: a(), services: vec![], lock_wait_seconds: 0 };
    let down = MigrateDown {
        app: a(),
        service: "db".into(),
        database: "app".into(),
        folder: "migrations".parse().expect("a path"),
        names: vec![],
        lock_wait_seconds: 0,
    };
    let key = NewKey {
        public_key: String::new(),
        role: Role::Read,
        apps: Apps::one(a()),
        name: None,
        expires: None,
    };
    let key_add = Request::KeyAdd { key };
    let scale = Request::Scale { app: a(), changes: vec![], lock_wait_seconds: 0 };
    let clean = |dry_run| Request::Prune { app: a(), keep_cache_bytes: 9, dry_run, lock_wait_seconds: 0 };
    let none = wharf_proto::secret::SecretValue::new("");
    let login = RegistryLogin { host: String::new(), user: String::new(), password: none };
    let forget = Request::Forget { app: a(), confirmed: String::new(), lock_wait_seconds: 0 };
    vec![
        ("releases", Request::Releases { app: a() }, "read backup deploy operate admin", OneApp),
        (
            "front_ends",
            Request::FrontEnds { app: a(), rules: vec![] },
            "read backup deploy operate admin",
            OneApp,
        ),
        ("logs", Request::Logs(logs), "read backup deploy operate admin", OneApp),
        ("logs", Request::Logs(all_logs), "read backup deploy operate admin", AllApps),
        ("status", Request::Status { app: Some(a()) }, "read backup deploy operate admin", OneApp),
        ("status", Request::Status { app: None }, "read backup deploy operate admin", AllApps),
        ("jobs", Request::Jobs { app: Some(a()), limit: 9 }, "read backup deploy operate admin", OneApp),
        ("jobs", Request::Jobs { app: None, limit: 9 }, "read backup deploy operate admin", AllApps),
        (
            "attach",
            Request::Attach { job: JobId(1), from_index: 0 },
            "read backup deploy operate admin",
            AllApps,
        ),
        ("backup_list", Request::BackupList { app: a() }, "read backup deploy operate admin", OneApp),
        ("backup_create", create, "backup deploy operate admin", OneApp),
        ("backup_verify", verify, "backup deploy operate admin", OneApp),
        ("secret_list", Request::SecretList { app: a() }, "read backup deploy operate admin", OneApp),
        ("secret_change", Request::SecretChange(Box::new(secrets)), "operate admin", OneApp),
        ("database_password", Request::DatabasePassword(Box::new(password)), "operate admin", OneApp),
        (
            "db_status",
            Request::DbStatus { app: a(), slow_seconds: 1 },
            "read backup deploy operate admin",
            OneApp,
        ),
        ("exec", Request::Exec(exec.clone()), "operate admin", OneApp),
        ("run", Request::Run(exec), "operate admin", OneApp),
        ("db_console", Request::DbConsole(console), "operate admin", OneApp),
        ("deploy", Request::Deploy(Box::new(deploy)), "deploy operate admin", OneApp),
        ("rollback", Request::Rollback(rollback), "deploy operate admin", OneApp),
        (
            "release_source",
            Request::ReleaseSource { app: a(), release: None },
            "deploy operate admin",
            OneApp,
        ),
        (
            "release_content",
            Request::ReleaseContent { app: a(), release: ReleaseId(1) },
            "deploy operate admin",
            OneApp,
        ),
        (
            "release_image",
            Request::ReleaseImage {
                app: a(),
                release: ReleaseId(1),
                image: Digest::of(b"image"),
                without: vec![],
            },
            "deploy operate admin",
            OneApp,
        ),
        (
            "image_load",
            Request::ImageLoad { app: a(), image: Box::new(image) },
            "deploy operate admin",
            OneApp,
        ),
        ("audit", Request::Audit { app: Some(a()), limit: 9 }, "operate admin", OneApp),
        ("audit", Request::Audit { app: None, limit: 9 }, "operate admin", AllApps),
        ("backup_prune", prune(true), "read backup deploy operate admin", OneApp),
        ("backup_prune", prune(false), "operate admin", OneApp),
        ("backup_pin", pin(true), "operate admin", OneApp),
        ("backup_pin", pin(false), "operate admin", OneApp),
        ("backup_restore", restore(RestoreWhat::Unknown), "operate admin", OneApp),
        ("backup_restore", restore(over), "operate admin", OneApp),
        ("backup_restore", restore(volumes_over), "operate admin", OneApp),
        ("backup_restore", restore(folder), "admin", OneApp),
        ("backup_key", Request::BackupKey { app: a(), saved: true }, "admin", OneApp),
        ("backup_key", Request::BackupKey { app: a(), saved: false }, "admin", OneApp),
        ("restart", restart, "operate admin", OneApp),
        ("scales", Request::Scales { app: a() }, "read backup deploy operate admin", OneApp),
        ("scale", scale, "operate admin", OneApp),
        ("migrations", Request::Migrations { app: a() }, "read backup deploy operate admin", OneApp),
        ("migrate_up", Request::MigrateUp { app: a(), lock_wait_seconds: 0 }, "deploy operate admin", OneApp),
        ("migrate_down", Request::MigrateDown(down), "operate admin", OneApp),
        ("keys", Request::Keys, "admin", Server),
        ("key_add", key_add, "admin", Server),
        ("key_remove", Request::KeyRemove { key: "x".into() }, "admin", Server),
        ("prune", clean(true), "read backup deploy operate admin", OneApp),
        ("prune", clean(false), "operate admin", OneApp),
        ("doctor", Request::Doctor { app: Some(a()) }, "read backup deploy operate admin", OneApp),
        ("doctor", Request::Doctor { app: None }, "read backup deploy operate admin", AllApps),
        ("registries", Request::Registries, "admin", Server),
        ("registry_login", Request::RegistryLogin(login), "admin", Server),
        ("registry_logout", Request::RegistryLogout { host: "x.example".into() }, "admin", Server),
        ("forget", forget, "admin", OneApp),
        ("lock", Request::Lock { app: a(), reason: None }, "operate admin", OneApp),
        ("unlock", Request::Unlock { app: a() }, "operate admin", OneApp),
        ("lock_status", Request::LockStatus { app: a() }, "read backup deploy operate admin", OneApp),
        ("unknown", Request::Unknown, "read backup deploy operate admin", AllApps),
    ]
}

/// Named so that a new request does not compile until it has its cells above.
fn title(request: &Request) -> &'static str {
    match request {
        Request::Deploy(_) => "deploy",
        Request::Rollback(_) => "rollback",
        Request::FrontEnds { .. } => "front_ends",
        Request::ReleaseSource { .. } => "release_source",
        Request::ReleaseContent { .. } => "release_content",
        Request::ReleaseImage { .. } => "release_image",
        Request::ImageLoad { .. } => "image_load",
        Request::Attach { .. } => "attach",
        Request::Releases { .. } => "releases",
        Request::Jobs { .. } => "jobs",
        Request::Status { .. } => "status",
        Request::Logs(_) => "logs",
        Request::Audit { .. } => "audit",
        Request::BackupCreate { .. } => "backup_create",
        Request::BackupList { .. } => "backup_list",
        Request::BackupVerify { .. } => "backup_verify",
        Request::BackupRestore { .. } => "backup_restore",
        Request::BackupPrune { .. } => "backup_prune",
        Request::BackupPin { .. } => "backup_pin",
        Request::BackupKey { .. } => "backup_key",
        Request::Exec(_) => "exec",
        Request::Run(_) => "run",
        Request::DbConsole(_) => "db_console",
        Request::DbStatus { .. } => "db_status",
        Request::SecretList { .. } => "secret_list",
        Request::SecretChange(_) => "secret_change",
        Request::DatabasePassword(_) => "database_password",
        Request::Restart { .. } => "restart",
        Request::Scales { .. } => "scales",
        Request::Scale { .. } => "scale",
        Request::Migrations { .. } => "migrations",
        Request::MigrateUp { .. } => "migrate_up",
        Request::MigrateDown(_) => "migrate_down",
        Request::Keys => "keys",
        Request::KeyAdd { .. } => "key_add",
        Request::KeyRemove { .. } => "key_remove",
        Request::Prune { .. } => "prune",
        Request::Doctor { .. } => "doctor",
        Request::Registries => "registries",
        Request::RegistryLogin(_) => "registry_login",
        Request::RegistryLogout { .. } => "registry_logout",
        Request::Forget { .. } => "forget",
        Request::Lock { .. } => "lock",
        Request::Unlock { .. } => "unlock",
        Request::LockStatus { .. } => "lock_status",
        Request::Unknown => "unknown",
    }
}

#[test]
fn every_cell_of_role_request_and_app() {
    let (ours, other) = (app("ours"), app("other"));
    let grants = [Apps::All, Apps::one(ours.clone()), Apps::Named([].into())];
    let mut looked_at = 0;
    for about in [&ours, &other] {
        for (name, request, may, reach) in cells(about) {
            assert_eq!(title(&request), name);
            for role in Role::ALL {
                for apps in &grants {
                    let grant = Grant { role, apps: apps.clone() };
                    let named = match reach {
                        OneApp => apps.include(about),
                        AllApps => true,
                        Server => *apps == Apps::All,
                    };
                    let expected = named && may.split(' ').any(|r| r == role.as_str());
                    let decided = authorise(&grant, &request);
                    assert_eq!(decided.is_ok(), expected, "{role} for {apps}: {request:?}");
                    looked_at += 1;
                    let Ok(permit) = decided else { continue };
                    let sees = |app| apps.include(app) && (reach != OneApp || app == about);
                    assert_eq!((permit.covers(&ours), permit.covers(&other)), (sees(&ours), sees(&other)));
                    let reaches = (permit.reaches(&ours), permit.reaches(&other));
                    assert_eq!(reaches, (apps.include(&ours), apps.include(&other)));
                }
            }
        }
    }
    assert_eq!(looked_at, 2 * cells(&ours).len() * 5 * 3);
}

/// The words do not depend on the request, nor on the role: nothing is learnt by trying.
#[test]
fn an_app_that_the_key_is_not_for_is_answered_alike_whatever_is_asked() {
    let other = app("other");
    for role in Role::ALL {
        let grant = Grant { role, apps: Apps::one(app("ours")) };
        for (_, request, _, reach) in cells(&other) {
            if reach == OneApp {
                assert_eq!(authorise(&grant, &request), Err(Denied::App(other.clone())));
            }
        }
    }
}

#[test]
fn what_is_refused_is_said_in_words() {
    let request = Request::BackupKey { app: app("ours"), saved: false };
    let told = |role, name| {
        let grant = Grant { role, apps: Apps::one(app(name)) };
        let failure = authorise(&grant, &request).unwrap_err().failure();
        format!("{} | {}", failure.message, failure.hints.join(" | "))
    };
    insta::assert_snapshot!(told(Role::Deploy, "ours"), @"this key may not do that: it has the role deploy, and admin is needed | use a key with the role admin");
    insta::assert_snapshot!(told(Role::Admin, "other"), @"this key may do nothing with an app called ours | see what it is for: wharf status --all");
}
