//! What clients say and ask.

use super::specs::{bump, full_spec, migrate, minimal_spec};
use super::{answers, events, family, only, operate, terminal, text, variants};
use serde_json::{Value, json};
use wharf_proto::backup::RestoreWhat;
use wharf_proto::log::LogsRequest;
use wharf_proto::message::{
    ClientMessage, DeployRequest, JobOptions, PackEncoding, Promoted, Request, RollbackRequest, Source,
};
use wharf_proto::secret::{DatabasePassword, SecretChange, SecretValue};
use wharf_proto::spec::{
    HookSpec, HookWhen, MigrateSpec, MysqlSpec, PostgresSpec, ProbeSpec, VolumeMode, VolumeSpec,
};
use wharf_proto::version::{Feature, Hello};
use wharf_proto::{BackupId, Digest, JobId, ReleaseId};

variants!(CLIENT, client_variant, ClientMessage,
    ClientMessage::Open { .. } => "open",
    ClientMessage::Manifest { .. } => "manifest",
    ClientMessage::Pack { .. } => "pack",
    ClientMessage::Sent => "sent",
    ClientMessage::Wanted { .. } => "wanted",
    ClientMessage::Resize { .. } => "resize",
    ClientMessage::InputEnd => "input_end",
    ClientMessage::Taken { .. } => "taken",
);
family!(ClientMessage, "client_message", CLIENT, client_variant, client_messages());

variants!(REQUESTS, request_variant, Request,
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
    Request::SecretList { .. } => "secret_list",
    Request::SecretChange(_) => "secret_change",
    Request::DatabasePassword(_) => "database_password",
    Request::Exec(_) => "exec",
    Request::Run(_) => "run",
    Request::DbConsole(_) => "db_console",
    Request::DbStatus { .. } => "db_status",
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
);
family!(Request, "request", REQUESTS, request_variant, requests());

fn client_messages() -> Vec<[ClientMessage; 2]> {
    let open = |hello, person: &str, request| ClientMessage::Open {
        hello: Box::new(hello),
        person: person.into(),
        request,
    };
    let none = Hello { min: 1, current: 1, software: String::new(), encodings: vec![], features: vec![] };
    let ships = vec![
        [
            open(hello("wharf 0.1.0 (linux x86_64)"), "ada@laptop", Request::Releases { app: app() }),
            open(none, "", Request::Status { app: None }),
        ],
        [
            ClientMessage::Manifest { entries: events::entries(), last: false },
            ClientMessage::Manifest { entries: vec![], last: true },
        ],
        only(ClientMessage::Pack { encoding: PackEncoding::Zip, size_bytes: 4_194_304 }),
        only(ClientMessage::Sent),
        [
            ClientMessage::Wanted { digests: vec![Digest::of(b"first"), Digest::of(b"other")], last: false },
            ClientMessage::Wanted { digests: vec![], last: true },
        ],
    ];
    [ships, terminal::client_messages()].concat()
}

fn requests() -> Vec<[Request; 2]> {
    let (some, none) = (Some(app()), None);
    let mut requests = vec![
        [deploy(), minimal_deploy()],
        [
            Request::Rollback(RollbackRequest {
                app: app(),
                to: Some(ReleaseId(3)),
                options: full_options(),
            }),
            Request::Rollback(RollbackRequest { app: app(), to: None, options: JobOptions::default() }),
        ],
        [
            Request::FrontEnds { app: app(), rules: vec![bump()] },
            Request::FrontEnds { app: app(), rules: vec![] },
        ],
        [
            Request::ReleaseSource { app: app(), release: Some(ReleaseId(12)) },
            Request::ReleaseSource { app: app(), release: None },
        ],
        only(Request::ReleaseContent { app: app(), release: ReleaseId(12) }),
        [
            Request::ReleaseImage {
                app: app(),
                release: ReleaseId(12),
                image: Digest::of(b"image"),
                without: vec![Digest::of(b"layer")],
            },
            Request::ReleaseImage {
                app: app(),
                release: ReleaseId(1),
                image: Digest::of(b"image"),
                without: vec![],
            },
        ],
        only(Request::ImageLoad { app: app(), image: Box::new(answers::portable_image()) }),
        only(Request::Attach { job: JobId(17), from_index: 42 }),
        only(Request::Releases { app: app() }),
        [Request::Jobs { app: some.clone(), limit: 20 }, Request::Jobs { app: none.clone(), limit: 0 }],
        [Request::Status { app: some.clone() }, Request::Status { app: none.clone() }],
        [Request::Logs(full_logs()), Request::Logs(minimal_logs())],
        [Request::Audit { app: some, limit: 100 }, Request::Audit { app: none, limit: 0 }],
        [
            Request::BackupCreate {
                app: app(),
                message: Some("before the move".into()),
                lock_wait_seconds: 30,
            },
            Request::BackupCreate { app: app(), message: None, lock_wait_seconds: 0 },
        ],
        only(Request::BackupList { app: app() }),
        [
            Request::BackupVerify { app: app(), backup: Some(backup()), lock_wait_seconds: 30 },
            Request::BackupVerify { app: app(), backup: None, lock_wait_seconds: 0 },
        ],
        [
            restore(RestoreWhat::Beside { database: "fitness".into(), as_name: "scratch".into() }, 30),
            restore(RestoreWhat::Over { confirmed: "fitnessapp".into() }, 0),
        ],
        [
            Request::BackupPrune { app: app(), dry_run: true, lock_wait_seconds: 30 },
            Request::BackupPrune { app: app(), dry_run: false, lock_wait_seconds: 0 },
        ],
        only(Request::BackupPin { app: app(), backup: backup(), pinned: true }),
        only(Request::BackupKey { app: app(), saved: true }),
        only(Request::SecretList { app: app() }),
        secret_changes(),
        [
            database_password(Some("db"), Some("correct horse"), full_options()),
            database_password(None, None, JobOptions::default()),
        ],
    ];
    requests.extend(terminal::requests());
    requests.extend(operate::requests());
    requests.push(only(Request::Unknown));
    requests
}

fn database_password(service: Option<&str>, password: Option<&str>, options: JobOptions) -> Request {
    Request::DatabasePassword(Box::new(DatabasePassword {
        app: app(),
        service: service.map(str::to_owned),
        password: password.map(SecretValue::new),
        options,
    }))
}

fn secret_changes() -> [Request; 2] {
    let change = |set, unset, import, restart, options| {
        let Request::Deploy(deploy) = minimal_deploy() else { unreachable!("it is a deploy") };
        Request::SecretChange(Box::new(SecretChange {
            spec: deploy.spec,
            set,
            unset,
            import,
            restart,
            options,
        }))
    };
    let value = SecretValue::new("correct horse");
    [
        change(
            [("SECRET_KEY".to_owned(), value.clone())].into(),
            vec!["OLD_KEY".into()],
            Some(value),
            true,
            full_options(),
        ),
        change([].into(), vec![], None, false, JobOptions::default()),
    ]
}

fn backup() -> BackupId {
    BackupId("5d6a1c0b".into())
}

fn restore(what: RestoreWhat, lock_wait_seconds: u32) -> Request {
    Request::BackupRestore { app: app(), backup: backup(), what, lock_wait_seconds }
}

variants!(RESTORES, restore_variant, RestoreWhat,
    RestoreWhat::ToFolder { .. } => "to_folder",
    RestoreWhat::Volume { .. } => "volume",
    RestoreWhat::Beside { .. } => "beside",
    RestoreWhat::Over { .. } => "over",
    RestoreWhat::VolumesOver { .. } => "volumes_over",
    RestoreWhat::Unknown => "unknown",
);
family!(
    RestoreWhat,
    "restore_what",
    RESTORES,
    restore_variant,
    vec![
        [
            RestoreWhat::ToFolder { folder: "/srv/looked-at".into(), volume: Some("uploads".into()) },
            RestoreWhat::ToFolder { folder: "/srv/looked-at".into(), volume: None },
        ],
        only(RestoreWhat::Volume { volume: "uploads".into(), as_name: "looked_at".into() }),
        only(RestoreWhat::Beside { database: "fitness".into(), as_name: "scratch".into() }),
        only(RestoreWhat::Over { confirmed: "fitnessapp".into() }),
        only(RestoreWhat::VolumesOver {
            confirmed: "fitnessapp".into(),
            volumes: vec!["uploads".into(), "media".into()],
        }),
        only(RestoreWhat::Unknown),
    ]
);

/// A deploy that uses every key there is.
pub fn deploy() -> Request {
    Request::Deploy(Box::new(DeployRequest {
        spec: full_spec(),
        options: full_options(),
        rebuild: true,
        pull: true,
        versions: [(text("mobile/app.json"), "1.4.0".to_owned())].into(),
        source: Source {
            git_commit: Some("9fceb02d0ae598e95dc970b74767f19372d61af8".into()),
            git_branch: Some("main".into()),
            git_dirty: true,
            checks_skipped: true,
            promoted: Some(Promoted {
                from: answers::promoted(),
                agent: "0011223344556677".into(),
                images: Some(answers::offered_images()),
            }),
        },
    }))
}

fn minimal_deploy() -> Request {
    Request::Deploy(Box::new(DeployRequest {
        spec: minimal_spec(),
        options: JobOptions::default(),
        rebuild: false,
        pull: false,
        versions: [].into(),
        source: Source::default(),
    }))
}

/// JSON without the fields that have a default, as an older client sends it, and what it means.
pub fn sparse() -> Vec<(String, Request, Value)> {
    let deploy = json!({
        "request": "deploy",
        "spec": {"app": "fitnessapp", "path": "/srv/fitnessapp", "compose": {"files": ["compose.yml"]}},
        "options": {},
        "source": {},
    });
    let mut spec = minimal_spec();
    spec.migrate = vec![MigrateSpec { command: vec!["up".into()], ..migrate("api") }];
    spec.hook =
        vec![HookSpec { when: HookWhen::BeforeDeploy, command: vec!["up".into()], timeout_seconds: 600 }];
    spec.postgres = vec![PostgresSpec { service: "db".into(), ..PostgresSpec::default() }];
    spec.mysql = vec![MysqlSpec { service: "maria".into(), user: None, database: None }];
    spec.volume = vec![VolumeSpec { name: Some("media".into()), path: None, mode: VolumeMode::Pause }];
    spec.health = vec![ProbeSpec {
        url: "http://127.0.0.1/".into(),
        status: 200,
        timeout_seconds: 5,
        within_seconds: 30,
    }];
    let Request::Deploy(minimal) = minimal_deploy() else { unreachable!("minimal_deploy makes a deploy") };
    let with_parts = Request::Deploy(Box::new(DeployRequest { spec, ..*minimal }));
    let mut parts = deploy.clone();
    parts["spec"]["hook"] = json!([{"when": "before-deploy", "command": ["up"]}]);
    parts["spec"]["migrate"] = json!([{"service": "api", "command": ["up"]}]);
    parts["spec"]["postgres"] = json!([{"service": "db"}]);
    parts["spec"]["mysql"] = json!([{"service": "maria"}]);
    parts["spec"]["volume"] = json!([{"name": "media"}]);
    parts["spec"]["health"] = json!([{"url": "http://127.0.0.1/"}]);
    parts["spec"]["verify"] = json!({});
    parts["spec"]["secrets"] = json!({});
    let logs = json!({"request": "logs", "services": [], "follow": false});
    vec![
        ("request.deploy.sparse.json".into(), minimal_deploy(), deploy),
        ("request.deploy.sparse_parts.json".into(), with_parts, parts),
        ("request.logs.sparse.json".into(), Request::Logs(minimal_logs()), logs),
    ]
}

pub fn app() -> wharf_proto::AppName {
    text("fitnessapp")
}

pub fn hello(software: &str) -> Hello {
    Hello {
        min: 1,
        current: 1,
        software: software.into(),
        encodings: vec![PackEncoding::Zip],
        features: vec![Feature::Dumps],
    }
}

fn full_options() -> JobOptions {
    JobOptions {
        dry_run: true,
        accept_detach: vec!["fitnessapp_cache".into()],
        accept_volume: vec!["fitnessapp_pgdata".into()],
        accept_schema: true,
        cold_backup: true,
        lock_wait_seconds: 30,
        message: Some("faster login".into()),
    }
}

fn full_logs() -> LogsRequest {
    LogsRequest {
        app: Some(app()),
        services: vec!["web".into(), "api".into()],
        follow: true,
        lines: Some(100),
        since: Some("10m".into()),
        until: Some("2026-01-02T03:04:05Z".into()),
        grep: Some("(?i)error".into()),
    }
}

fn minimal_logs() -> LogsRequest {
    LogsRequest {
        app: None,
        services: vec![],
        follow: false,
        lines: None,
        since: None,
        until: None,
        grep: None,
    }
}
