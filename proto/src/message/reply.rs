//! What agents answer.

use crate::{
    Digest, JobId,
    backup::{BackupInfo, PrunePlan, RecoveryKey},
    database::DatabaseStatus,
    doctor::ServerFacts,
    key::KeyInfo,
    lock::DeployLock,
    migration::MigrationFolder,
    operate::{DockerPrunePlan, ServiceScale},
    plan::DeployPlan,
    registry::RegistryInfo,
    release::{AppStatus, AuditEntry, FrontEnd, JobInfo, ReleaseInfo},
    secret::{SecretList, SecretsChanged},
};
use serde::{Deserialize, Serialize};

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    FrontEnds {
        front_ends: Vec<FrontEnd>,
    },
    Releases {
        releases: Vec<ReleaseInfo>,
    },
    Jobs {
        jobs: Vec<JobInfo>,
    },
    Status {
        apps: Vec<AppStatus>,
    },
    Audit {
        entries: Vec<AuditEntry>,
    },
    /// The image is on the engine, and is the one that was named.
    ImageLoaded {
        image: Digest,
    },
    /// The answer to a deploy or rollback with `dry_run`.
    Plan {
        plan: Box<DeployPlan>,
    },
    Backups {
        /// Newest first.
        backups: Vec<BackupInfo>,
        /// Whether the owner has put the recovery key away.
        key_saved: bool,
    },
    /// The answer to a prune with `dry_run`.
    PrunePlan {
        plan: PrunePlan,
    },
    BackupKey {
        /// `None`: it was not asked for.
        key: Option<RecoveryKey>,
        /// Where the repository lies on the server.
        repository: String,
        saved: bool,
    },
    Secrets {
        list: SecretList,
    },
    SecretsChanged {
        change: SecretsChanged,
    },
    DbStatus {
        databases: Vec<DatabaseStatus>,
    },
    Scales {
        scales: Vec<ServiceScale>,
    },
    Migrations {
        folders: Vec<MigrationFolder>,
    },
    Keys {
        /// The file on the server.
        file: String,
        keys: Vec<KeyInfo>,
    },
    /// The key that was added or removed.
    KeyChanged {
        key: KeyInfo,
    },
    /// The answer to a prune of what Docker holds, with `dry_run`.
    DockerPrunePlan {
        plan: DockerPrunePlan,
    },
    Doctor {
        facts: Box<ServerFacts>,
    },
    /// The logins that there are; the one that was kept or dropped.
    Registries {
        registries: Vec<RegistryInfo>,
    },
    Lock {
        /// The lock that holds; the answer to an unlock: the one that was lifted.
        lock: Option<DeployLock>,
        /// The job that runs now.
        job: Option<JobId>,
    },
}
