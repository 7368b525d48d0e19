//! What agents say and answer.

use super::backups::{backups, prune_plan};
use super::events::{self, event, full_failure};
use super::messages::{app, hello};
use super::plans::{full_plan, minimal_plan};
use super::{doctor, family, only, operate, terminal, text, variants};
use wharf_proto::backup::{Proof, PrunePlan, RecoveryKey};
use wharf_proto::certificate::CertificateFacts;
use wharf_proto::event::JobKind;
use wharf_proto::message::{PackEncoding, Reply, ServerMessage};
use wharf_proto::release::{
    AppStatus, AuditEntry, ContainerStatus, DiskSpace, FrontEnd, JobInfo, LastDrill, OfferedImages,
    PortableImage, PromotedFrom, ReleaseInfo, ReleaseSource, ScheduleStatus,
};
use wharf_proto::secret::{SecretInfo, SecretList, SecretsChanged};
use wharf_proto::{BackupId, Digest, EventBody, Failure, FailureKind, JobId, Outcome, ReleaseId, Step};

variants!(SERVER, server_variant, ServerMessage,
    ServerMessage::Hello { .. } => "hello",
    ServerMessage::Missing { .. } => "missing",
    ServerMessage::Stored { .. } => "stored",
    ServerMessage::Source { .. } => "source",
    ServerMessage::Manifest { .. } => "manifest",
    ServerMessage::Pack { .. } => "pack",
    ServerMessage::Accepted { .. } => "accepted",
    ServerMessage::Event { .. } => "event",
    ServerMessage::Line { .. } => "line",
    ServerMessage::Reply { .. } => "reply",
    ServerMessage::Started => "started",
    ServerMessage::Stream { .. } => "stream",
    ServerMessage::Taken { .. } => "taken",
    ServerMessage::Exited { .. } => "exited",
    ServerMessage::End => "end",
    ServerMessage::Failed { .. } => "failed",
);
family!(ServerMessage, "server_message", SERVER, server_variant, server_messages());

variants!(REPLIES, reply_variant, Reply,
    Reply::FrontEnds { .. } => "front_ends",
    Reply::Releases { .. } => "releases",
    Reply::Jobs { .. } => "jobs",
    Reply::Status { .. } => "status",
    Reply::Audit { .. } => "audit",
    Reply::ImageLoaded { .. } => "image_loaded",
    Reply::Plan { .. } => "plan",
    Reply::Backups { .. } => "backups",
    Reply::PrunePlan { .. } => "prune_plan",
    Reply::BackupKey { .. } => "backup_key",
    Reply::Secrets { .. } => "secrets",
    Reply::SecretsChanged { .. } => "secrets_changed",
    Reply::DbStatus { .. } => "db_status",
    Reply::Scales { .. } => "scales",
    Reply::Migrations { .. } => "migrations",
    Reply::Keys { .. } => "keys",
    Reply::KeyChanged { .. } => "key_changed",
    Reply::DockerPrunePlan { .. } => "docker_prune_plan",
    Reply::Doctor { .. } => "doctor",
    Reply::Registries { .. } => "registries",
    Reply::Lock { .. } => "lock",
);
family!(Reply, "reply", REPLIES, reply_variant, replies());

fn secrets() -> [Reply; 2] {
    let list = |secrets| Reply::Secrets {
        list: SecretList { app: app(), file: "/srv/fitnessapp/.env.prod".into(), secrets },
    };
    let secret = SecretInfo {
        key: "SECRET_KEY".into(),
        digest: Some("5d6a1c0b".into()),
        required: true,
        services: vec!["backend".into()],
        releases: vec![ReleaseId(3)],
    };
    let missing =
        SecretInfo { key: String::new(), digest: None, required: false, services: vec![], releases: vec![] };
    [list(vec![secret]), list(vec![missing])]
}

fn server_messages() -> Vec<[ServerMessage; 2]> {
    let failed = |failure| ServerMessage::Failed { failure };
    let mut messages = vec![
        only(ServerMessage::Hello { hello: hello("wharfd 0.1.0") }),
        [
            ServerMessage::Missing { digests: vec![Digest::of(b"first"), Digest::of(b"other")], last: false },
            ServerMessage::Missing { digests: vec![], last: true },
        ],
        only(ServerMessage::Stored { chunks: 2 }),
        [
            ServerMessage::Source {
                source: ReleaseSource {
                    agent: "0011223344556677".into(),
                    app: text("fitnessapp-staging"),
                    release: ReleaseId(12),
                    live: true,
                    versions: [(text("mobile/app.json"), "1.4.0".to_owned())].into(),
                    message: Some("faster login".into()),
                    git_commit: Some("9fceb02d0ae598e95dc970b74767f19372d61af8".into()),
                    images: Some(offered_images()),
                },
            },
            ServerMessage::Source {
                source: ReleaseSource {
                    agent: String::new(),
                    app: text("fitnessapp"),
                    release: ReleaseId(1),
                    live: false,
                    versions: [].into(),
                    message: None,
                    git_commit: None,
                    images: None,
                },
            },
        ],
        [
            ServerMessage::Manifest { entries: events::entries(), last: false },
            ServerMessage::Manifest { entries: vec![], last: true },
        ],
        only(ServerMessage::Pack {
            encoding: PackEncoding::Zip,
            size_bytes: 4_194_304,
            chunks: 17,
            content_bytes: 9_000_000,
        }),
        only(ServerMessage::Accepted { job: JobId(17) }),
        only(ServerMessage::Event { event: event(EventBody::StepStarted { step: Step::Plan }) }),
        [
            ServerMessage::Line { app: Some(app()), service: "web".into(), line: "GET / 200 ü".into() },
            ServerMessage::Line { app: None, service: String::new(), line: String::new() },
        ],
        only(ServerMessage::Reply { reply: Reply::Releases { releases: vec![] } }),
    ];
    messages.extend(terminal::server_messages());
    messages.push(only(ServerMessage::End));
    messages.push([failed(full_failure()), failed(Failure::new(FailureKind::Busy, ""))]);
    messages
}

fn replies() -> Vec<[Reply; 2]> {
    vec![
        [
            Reply::FrontEnds { front_ends: vec![full_front_end(), minimal_front_end()] },
            Reply::FrontEnds { front_ends: vec![] },
        ],
        [
            Reply::Releases { releases: vec![full_release(), minimal_release()] },
            Reply::Releases { releases: vec![] },
        ],
        [Reply::Jobs { jobs: jobs() }, Reply::Jobs { jobs: vec![] }],
        [Reply::Status { apps: vec![full_status(), minimal_status()] }, Reply::Status { apps: vec![] }],
        [Reply::Audit { entries: audit() }, Reply::Audit { entries: vec![] }],
        only(Reply::ImageLoaded { image: Digest::of(b"image") }),
        [Reply::Plan { plan: Box::new(full_plan()) }, Reply::Plan { plan: Box::new(minimal_plan()) }],
        [
            Reply::Backups { backups: backups(), key_saved: true },
            Reply::Backups { backups: vec![], key_saved: false },
        ],
        [Reply::PrunePlan { plan: prune_plan() }, Reply::PrunePlan { plan: PrunePlan::default() }],
        [
            Reply::BackupKey {
                key: Some(RecoveryKey::new("aaaaa-bbbbb-ccccc-ddddd-eeeee")),
                repository: "/var/lib/wharf/apps/fitnessapp/backups".into(),
                saved: false,
            },
            Reply::BackupKey { key: None, repository: String::new(), saved: true },
        ],
        secrets(),
        only(Reply::SecretsChanged {
            change: SecretsChanged {
                app: app(),
                file: "/srv/fitnessapp/.env.prod".into(),
                changed: vec!["SECRET_KEY".into()],
                stale: true,
            },
        }),
        terminal::reply(),
        operate::scales(),
        operate::migrations(),
        operate::keys(),
        operate::key_changed(),
        operate::docker_prune_plan(),
        doctor::doctor(),
        operate::registries(),
        operate::lock(),
    ]
}

/// Where a promoted release comes from.
pub fn promoted() -> PromotedFrom {
    PromotedFrom {
        environment: "staging".into(),
        app: text("fitnessapp-staging"),
        release: ReleaseId(12),
        host: Some("staging.example".into()),
    }
}

pub fn portable_image() -> PortableImage {
    PortableImage {
        service: "api".into(),
        image: Digest::of(b"image"),
        inputs: Digest::of(b"inputs"),
        platform: "linux/amd64".into(),
        layers: vec![Digest::of(b"layer"), Digest::of(b"other layer")],
        size_bytes: 131_072,
    }
}

pub fn offered_images() -> OfferedImages {
    OfferedImages {
        images: vec![portable_image()],
        kept: [("web".to_owned(), "it bakes what its environment says".to_owned())].into(),
    }
}

fn full_front_end() -> FrontEnd {
    FrontEnd {
        file: text("mobile/app.json"),
        live_tree: Some(Digest::of(b"tree")),
        live_version: Some("1.3.9".into()),
        highest_version: Some("1.4.0".into()),
    }
}

fn minimal_front_end() -> FrontEnd {
    FrontEnd { file: text("web/app.json"), live_tree: None, live_version: None, highest_version: None }
}

fn full_release() -> ReleaseInfo {
    ReleaseInfo {
        release: ReleaseId(4),
        live: true,
        adopted: false,
        created: text("2026-01-02T03:04:05Z"),
        versions: [("mobile/app.json".to_owned(), "1.4.0".to_owned())].into(),
        message: Some("faster login".into()),
        by: "ada@laptop (key ada)".into(),
        git_commit: Some("9fceb02d0ae598e95dc970b74767f19372d61af8".into()),
        backup: Some(BackupId("5d6a1c0be4b1f0a9".into())),
        proof: Some(Proof::Proven { at: text("2026-01-03T04:00:00Z") }),
        promoted: Some(promoted()),
    }
}

fn minimal_release() -> ReleaseInfo {
    ReleaseInfo {
        release: ReleaseId(0),
        live: false,
        adopted: true,
        created: text("2026-01-01T00:00:00Z"),
        versions: [].into(),
        message: None,
        by: String::new(),
        git_commit: None,
        backup: None,
        proof: None,
        promoted: None,
    }
}

fn jobs() -> Vec<JobInfo> {
    let over = JobInfo {
        job: JobId(17),
        app: app(),
        kind: JobKind::Deploy { release: ReleaseId(4) },
        by: "ada@laptop (key ada)".into(),
        started: text("2026-01-02T03:04:05Z"),
        finished: Some(text("2026-01-02T03:05:06Z")),
        outcome: Some(Outcome::Released { release: ReleaseId(4) }),
    };
    let running = JobInfo {
        job: JobId(18),
        kind: JobKind::Rollback { from: ReleaseId(4), to: ReleaseId(3) },
        finished: None,
        outcome: None,
        ..over.clone()
    };
    vec![over, running]
}

pub fn full_status() -> AppStatus {
    let container = ContainerStatus {
        service: "web".into(),
        name: "fitnessapp-web-1".into(),
        state: "running".into(),
        health: Some("healthy".into()),
        restarts: 2,
        image: "fitnessapp-web:v4".into(),
        started: Some("2026-01-02T03:05:00Z".into()),
        memory_bytes: Some(50_000_000),
        memory_limit_bytes: Some(536_870_912),
    };
    let unknown = ContainerStatus {
        health: None,
        started: None,
        memory_bytes: None,
        memory_limit_bytes: None,
        ..container.clone()
    };
    AppStatus {
        app: app(),
        path: "/home/deploy/fitnessapp".into(),
        project: "fitnessapp".into(),
        live: Some(full_release()),
        containers: vec![container, unknown],
        scaled_to_zero: vec!["worker".into()],
        last_backup: Some(text("2026-01-02T03:04:30Z")),
        last_backup_proof: Some(Proof::Unproven),
        last_drill: Some(LastDrill {
            backup: BackupId("5d6a1c0be4b1f0a9".into()),
            proof: Proof::Proven { at: text("2026-01-03T04:00:00Z") },
        }),
        schedule: Some(ScheduleStatus {
            schedule: "0 3 * * *".into(),
            timezone: "Europe/Berlin".into(),
            on: true,
            next: Some(text("2026-01-03T02:00:00Z")),
        }),
        job: Some(JobId(18)),
        lock: Some(operate::full_lock()),
        disk: Some(DiskSpace { free_bytes: 7_000_000_000, size_bytes: 40_000_000_000 }),
        certificates: certificates(),
        warnings: vec!["web has no restart policy".into()],
    }
}

pub fn minimal_status() -> AppStatus {
    AppStatus {
        app: app(),
        path: String::new(),
        project: String::new(),
        live: None,
        containers: vec![],
        scaled_to_zero: vec![],
        last_backup: None,
        last_backup_proof: None,
        last_drill: None,
        schedule: None,
        job: None,
        lock: None,
        disk: None,
        certificates: vec![],
        warnings: vec![],
    }
}

pub fn certificates() -> Vec<CertificateFacts> {
    vec![
        CertificateFacts {
            host: "example.org".into(),
            expires: Some(text("2027-01-02T03:04:05Z")),
            days_left: Some(34),
            problem: None,
        },
        CertificateFacts {
            host: "example.org:8443".into(),
            expires: None,
            days_left: None,
            problem: Some("connection refused".into()),
        },
    ]
}

fn audit() -> Vec<AuditEntry> {
    let entry = |app| AuditEntry {
        at: text("2026-01-02T03:04:05Z"),
        app,
        by: "ada@laptop (key ada)".into(),
        from: "192.0.2.7:50022".into(),
        action: "deploy v4".into(),
        outcome: "v4 is live".into(),
    };
    vec![entry(Some(app())), entry(None)]
}
