//! Operating what runs.

use super::messages::app;
use super::{only, text};
use wharf_proto::key::{KeyInfo, NewKey};
use wharf_proto::lock::DeployLock;
use wharf_proto::message::{MigrateDown, Reply, Request};
use wharf_proto::migration::{MigrationFolder, MigrationInfo, MigrationState};
use wharf_proto::operate::{DockerPrunePlan, ScaleChange, ServiceScale, UnneededImage};
use wharf_proto::registry::{RegistryInfo, RegistryLogin};
use wharf_proto::secret::SecretValue;
use wharf_proto::{Apps, Role};

pub fn requests() -> Vec<[Request; 2]> {
    let restart = |services, lock_wait_seconds| Request::Restart { app: app(), services, lock_wait_seconds };
    let scale = |changes, lock_wait_seconds| Request::Scale { app: app(), changes, lock_wait_seconds };
    let down = |names, lock_wait_seconds| {
        Request::MigrateDown(MigrateDown {
            app: app(),
            service: "db".into(),
            database: "app".into(),
            folder: text("migrations"),
            names,
            lock_wait_seconds,
        })
    };
    let change = ScaleChange {
        service: "web".into(),
        reset: true,
        replicas: Some(3),
        memory_bytes: Some(536_870_912),
    };
    let none = ScaleChange { service: "web".into(), ..ScaleChange::default() };
    vec![
        [restart(vec!["web".into()], 30), restart(vec![], 0)],
        only(Request::Scales { app: app() }),
        [scale(vec![change], 30), scale(vec![none], 0)],
        only(Request::Migrations { app: app() }),
        [
            Request::MigrateUp { app: app(), lock_wait_seconds: 30 },
            Request::MigrateUp { app: app(), lock_wait_seconds: 0 },
        ],
        [down(vec!["0002_notes.sql".into(), "0001_users.sql".into()], 30), down(vec![], 0)],
        only(Request::Keys),
        [
            Request::KeyAdd {
                key: NewKey {
                    public_key: "ssh-ed25519 AAAA ci@github".into(),
                    role: Role::Deploy,
                    apps: Apps::one(app()),
                    name: Some("ci".into()),
                    expires: Some(text("2027-01-02T03:04:05Z")),
                },
            },
            Request::KeyAdd {
                key: NewKey {
                    public_key: String::new(),
                    role: Role::Read,
                    apps: Apps::All,
                    name: None,
                    expires: None,
                },
            },
        ],
        only(Request::KeyRemove { key: "SHA256:abc".into() }),
        [
            Request::Prune {
                app: app(),
                keep_cache_bytes: 2_000_000_000,
                dry_run: true,
                lock_wait_seconds: 30,
            },
            Request::Prune { app: app(), keep_cache_bytes: 0, dry_run: false, lock_wait_seconds: 0 },
        ],
        [Request::Doctor { app: Some(app()) }, Request::Doctor { app: None }],
        only(Request::Registries),
        only(Request::RegistryLogin(RegistryLogin {
            host: "registry.example:5000".into(),
            user: "ada".into(),
            password: SecretValue::new("correct horse"),
        })),
        only(Request::RegistryLogout { host: "registry.example:5000".into() }),
        [
            Request::Forget { app: app(), confirmed: "fitnessapp".into(), lock_wait_seconds: 30 },
            Request::Forget { app: app(), confirmed: String::new(), lock_wait_seconds: 0 },
        ],
        [
            Request::Lock { app: app(), reason: Some("a sale until Monday".into()) },
            Request::Lock { app: app(), reason: None },
        ],
        only(Request::Unlock { app: app() }),
        only(Request::LockStatus { app: app() }),
    ]
}

pub fn docker_prune_plan() -> [Reply; 2] {
    let image = UnneededImage {
        id: "sha256:5d6a1c0b".into(),
        name: Some("fitnessapp-web:v1".into()),
        size_bytes: 12_345_678,
        why: "v1 is no longer listed".into(),
    };
    let nameless = UnneededImage { name: None, ..image.clone() };
    let full =
        DockerPrunePlan { images: vec![image, nameless], cache_bytes: 3_000_000_000, keep_cache_bytes: 2 };
    [full, DockerPrunePlan::default()].map(|plan| Reply::DockerPrunePlan { plan })
}

pub fn registries() -> [Reply; 2] {
    let full = RegistryInfo { host: "registry.example:5000".into(), user: "ada".into() };
    [Reply::Registries { registries: vec![full] }, Reply::Registries { registries: vec![] }]
}

pub fn full_lock() -> DeployLock {
    DeployLock {
        by: "ada@laptop (key ada)".into(),
        at: text("2026-01-02T03:04:05Z"),
        reason: Some("a sale until Monday".into()),
    }
}

pub fn lock() -> [Reply; 2] {
    let full = Reply::Lock { lock: Some(full_lock()), job: Some(wharf_proto::JobId(18)) };
    [full, Reply::Lock { lock: None, job: None }]
}

pub fn scales() -> [Reply; 2] {
    let full = ServiceScale { service: "web".into(), replicas: Some(3), memory_bytes: Some(536_870_912) };
    let none = ServiceScale { service: "worker".into(), ..ServiceScale::default() };
    [Reply::Scales { scales: vec![full] }, Reply::Scales { scales: vec![none] }]
}

pub fn migrations() -> [Reply; 2] {
    let folder = |database, migrations, problem| MigrationFolder {
        service: "db".into(),
        database,
        folder: text("migrations"),
        table: "schema_migrations".into(),
        migrations,
        problem,
    };
    let applied = MigrationInfo {
        name: "0001_users.sql".into(),
        state: MigrationState::Applied,
        applied: Some(text("2026-01-02T03:04:05Z")),
        release: Some("v7".into()),
        has_way_back: true,
    };
    let pending = MigrationInfo {
        name: "0002_notes.sql".into(),
        state: MigrationState::Pending,
        applied: None,
        release: None,
        has_way_back: false,
    };
    let full = folder(Some("app".into()), vec![applied, pending], Some("db does not run".into()));
    [
        Reply::Migrations { folders: vec![full] },
        Reply::Migrations { folders: vec![folder(None, vec![], None)] },
    ]
}

fn full_key() -> KeyInfo {
    KeyInfo {
        fingerprint: "SHA256:abc".into(),
        kind: "ssh-ed25519".into(),
        comment: "ci@github".into(),
        line: 3,
        role: Some(Role::Deploy),
        apps: Some(Apps::one(app())),
        from: Some("10.0.0.*".into()),
        expires: Some(text("2027-01-02T03:04:05Z")),
        problem: Some("it expired".into()),
    }
}

fn minimal_key() -> KeyInfo {
    KeyInfo {
        fingerprint: "SHA256:abc".into(),
        kind: "ssh-rsa".into(),
        comment: String::new(),
        line: 1,
        role: None,
        apps: None,
        from: None,
        expires: None,
        problem: None,
    }
}

pub fn keys() -> [Reply; 2] {
    let file = || "/etc/wharf/authorized_keys".to_owned();
    [Reply::Keys { file: file(), keys: vec![full_key()] }, Reply::Keys { file: file(), keys: vec![] }]
}

pub fn key_changed() -> [Reply; 2] {
    [Reply::KeyChanged { key: full_key() }, Reply::KeyChanged { key: minimal_key() }]
}
