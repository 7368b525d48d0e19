//! The order of a conversation.
//!
//! One channel is one conversation. The client opens with [`ClientMessage::Open`], which carries its hello *and* its
//! request, so that nothing waits for a round trip; the agent answers [`ServerMessage::Hello`] first. Then, by request:
//!
//! - a question is answered by one [`ServerMessage::Reply`];
//! - a **deploy** goes on with the manifest in pages, is answered by the digests that the server lacks, continues with
//!   packs (each announced, then sent as bulk frames, then acknowledged by [`ServerMessage::Stored`]), and after
//!   [`ClientMessage::Sent`] becomes a job: [`ServerMessage::Accepted`], then its events to the terminal one;
//! - **rollback**, **attach** and the backup requests that are jobs become the watching of a job at once;
//! - **logs** are [`ServerMessage::Line`]s until [`ServerMessage::End`];
//! - a **release's source** is [`ServerMessage::Source`] and its manifest in pages; its **content** is asked for by
//!   [`ClientMessage::Wanted`] and comes in packs (each announced, then sent as bulk frames) until [`ServerMessage::End`];
//! - a **release's image** comes in packs in the same way: pieces of the engine's archive, in their order. Whoever **loads**
//!   an image is told which of its layers are missing ([`ServerMessage::Missing`]), sends packs as in a deploy, and after
//!   [`ClientMessage::Sent`] gets [`Reply::ImageLoaded`], which comes at once where the image is there already.
//!
//! Everything ends with `Reply`, `End`, a terminal event or `Failed`. Unknown fields are ignored; a request of an unknown
//! name is answered by a failure of kind `unsupported`.

use crate::{
    AppName, BackupId, Digest, Entry, Event, Failure, JobId, ReleaseId,
    backup::RestoreWhat,
    key::NewKey,
    log::LogsRequest,
    operate::ScaleChange,
    registry::RegistryLogin,
    release::{PortableImage, ReleaseSource},
    secret::{DatabasePassword, SecretChange},
    spec::BumpRule,
    terminal::{ConsoleRequest, ExecRequest, OutputStream, TerminalSize},
    version::{Feature, Hello},
};
use serde::{Deserialize, Serialize};

mod change;
mod reply;

pub use change::{DeployRequest, JobOptions, MigrateDown, Promoted, RollbackRequest, Source};
pub use reply::Reply;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    Open {
        hello: Box<Hello>,
        /// Who sits at the laptop, for the audit: `name@host`. Not trusted for any decision.
        person: String,
        request: Request,
    },
    /// A page of the manifest; `last` closes it.
    Manifest { entries: Vec<Entry>, last: bool },
    /// A pack of `size_bytes` follows in bulk frames.
    Pack { encoding: PackEncoding, size_bytes: u64 },
    /// Every missing chunk was sent.
    Sent,
    /// A page of the chunks of a release that are wanted; `last` closes it.
    Wanted { digests: Vec<Digest>, last: bool },
    /// The terminal has another size now.
    Resize { size: TerminalSize },
    /// The program's input has ended.
    InputEnd,
    /// So many bytes of the program's output were passed on.
    Taken { bytes: u64 },
}

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    Hello {
        hello: Hello,
    },
    /// A page of the chunks that the server lacks; `last` closes it.
    Missing {
        digests: Vec<Digest>,
        last: bool,
    },
    /// The pack was verified, chunk by chunk, and is on disk.
    Stored {
        chunks: u64,
    },
    /// What a release is that was asked for; its manifest follows.
    Source {
        source: ReleaseSource,
    },
    /// A page of a release's manifest; `last` closes it.
    Manifest {
        entries: Vec<Entry>,
        last: bool,
    },
    /// A pack of `size_bytes` follows in bulk frames. It holds the next `chunks` of those that were wanted.
    Pack {
        encoding: PackEncoding,
        size_bytes: u64,
        chunks: u64,
        /// Their length before compression.
        content_bytes: u64,
    },
    Accepted {
        job: JobId,
    },
    Event {
        event: Event,
    },
    Line {
        /// Whose service it is, where logs of several apps were asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app: Option<AppName>,
        service: String,
        line: String,
    },
    Reply {
        reply: Reply,
    },
    /// The program runs; bulk frames go both ways from here on.
    Started,
    /// Where the bulk frames that follow were written. Until the first one: standard output.
    Stream {
        stream: OutputStream,
    },
    /// So many bytes of input were passed on to the program.
    Taken {
        bytes: u64,
    },
    /// The program has ended, and all its output was sent.
    Exited {
        code: i32,
    },
    End,
    Failed {
        failure: Failure,
    },
}

/// How the blobs of a pack are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackEncoding {
    /// A zip whose entries are named by the hexadecimal digest of their content.
    Zip,
    /// A piece of one long stream, compressed with zstd by itself.
    Zstd,
    /// One that this build does not know.
    #[serde(other)]
    Unknown,
}

/// What a client can ask. There is no request that deletes a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    Deploy(Box<DeployRequest>),
    Rollback(RollbackRequest),
    /// What the client must know before it chooses versions.
    FrontEnds {
        app: AppName,
        rules: Vec<BumpRule>,
    },
    /// What a release was made from: which files, with which content. To ship the very same elsewhere.
    ReleaseSource {
        app: AppName,
        /// `None`: the live one, which must be healthy.
        #[serde(default)]
        release: Option<ReleaseId>,
    },
    /// The content of those files, as far as it is wanted.
    ReleaseContent {
        app: AppName,
        release: ReleaseId,
    },
    /// An image of a release that is promoted to another server, but for the layers that are there.
    ReleaseImage {
        app: AppName,
        release: ReleaseId,
        image: Digest,
        #[serde(default)]
        without: Vec<Digest>,
    },
    /// Take an image that another server's release runs, by its ID and under no name. A deploy may then say that it is it.
    ImageLoad {
        app: AppName,
        image: Box<PortableImage>,
    },
    /// The events of a job, from `from_index` on, to its end.
    Attach {
        job: JobId,
        from_index: u64,
    },
    Releases {
        app: AppName,
    },
    Jobs {
        app: Option<AppName>,
        limit: u32,
    },
    Status {
        app: Option<AppName>,
    },
    Logs(LogsRequest),
    Audit {
        app: Option<AppName>,
        limit: u32,
    },
    /// Back up now. A job.
    BackupCreate {
        app: AppName,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    BackupList {
        app: AppName,
    },
    /// Read a backup back and restore it into a throwaway database. A job.
    BackupVerify {
        app: AppName,
        /// The beginning of its identity; `None`: the newest.
        #[serde(default)]
        backup: Option<BackupId>,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// A job.
    BackupRestore {
        app: AppName,
        /// The beginning of its identity.
        backup: BackupId,
        what: RestoreWhat,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// Forget what retention does not keep. A job; with `dry_run` a question.
    BackupPrune {
        app: AppName,
        #[serde(default)]
        dry_run: bool,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// Keep a backup whatever retention says, or no longer.
    BackupPin {
        app: AppName,
        /// The beginning of its identity.
        backup: BackupId,
        pinned: bool,
    },
    /// The key that opens the app's backups anywhere, or (`saved`) the word that its owner has put it away.
    BackupKey {
        app: AppName,
        #[serde(default)]
        saved: bool,
    },
    /// The env file's keys; their values stay where they are.
    SecretList {
        app: AppName,
    },
    /// Changes the env file. A job where something runs that must be made anew, else answered at once.
    SecretChange(Box<SecretChange>),
    /// A job.
    DatabasePassword(Box<DatabasePassword>),
    /// A program in a running container.
    Exec(ExecRequest),
    /// A program in a new container like the service's, which is removed afterwards, without its volumes.
    Run(ExecRequest),
    /// A database's own console.
    DbConsole(ConsoleRequest),
    /// How the app's PostgreSQL databases are.
    DbStatus {
        app: AppName,
        /// A query that has run so long is slow.
        slow_seconds: u32,
    },
    /// Stops and starts the containers of these services (none: of all). A job.
    Restart {
        app: AppName,
        #[serde(default)]
        services: Vec<String>,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// What was set beside the Compose files.
    Scales {
        app: AppName,
    },
    /// Changes it. A job.
    Scale {
        app: AppName,
        changes: Vec<ScaleChange>,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// How the folders of migrations stand.
    Migrations {
        app: AppName,
    },
    /// Applies the pending migrations of the live release. A job.
    MigrateUp {
        app: AppName,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// Takes back migrations by the ways back that the live release has. A job.
    MigrateDown(MigrateDown),
    /// The keys that may connect to the agent's own SSH server.
    Keys,
    KeyAdd {
        key: NewKey,
    },
    KeyRemove {
        /// Its fingerprint or its comment.
        key: String,
    },
    /// Remove what nobody needs of the app's images, and build cache beyond a bound. A job; with `dry_run` a question.
    Prune {
        app: AppName,
        keep_cache_bytes: u64,
        #[serde(default)]
        dry_run: bool,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// How the server is, and this app on it, which need not have been deployed yet.
    Doctor {
        app: Option<AppName>,
    },
    /// The agent's logins to registries: hosts and users.
    Registries,
    /// Proves a login at its registry, and keeps it.
    RegistryLogin(RegistryLogin),
    RegistryLogout {
        host: String,
    },
    /// The app leaves Wharf; what runs and its data stay. A job.
    Forget {
        app: AppName,
        /// The app's name, as who asks has typed it.
        confirmed: String,
        #[serde(default)]
        lock_wait_seconds: u32,
    },
    /// Keep everybody from changing the app.
    Lock {
        app: AppName,
        #[serde(default)]
        reason: Option<String>,
    },
    Unlock {
        app: AppName,
    },
    LockStatus {
        app: AppName,
    },
    /// A request of a newer client.
    #[serde(other)]
    Unknown,
}

impl Request {
    /// What the agent must know for this, since it would be left out without a word by one that does not.
    pub fn needs(&self) -> Option<Feature> {
        match self {
            Self::Deploy(deploy) if !deploy.spec.dump.is_empty() => Some(Feature::Dumps),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_newer_client_is_unknown_and_not_an_error() {
        let json = r#"{"type":"open","hello":{"min":1,"current":9,"software":"wharf 9"},"person":"a@b","request":{"request":"teleport","to":"moon"}}"#;
        let message: ClientMessage = serde_json::from_str(json).unwrap();
        assert!(matches!(message, ClientMessage::Open { request: Request::Unknown, .. }));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let json = r#"{"request":"releases","app":"fitnessapp","sorted":true}"#;
        assert_eq!(
            serde_json::from_str::<Request>(json).unwrap(),
            Request::Releases { app: "fitnessapp".parse().unwrap() }
        );
    }
}
