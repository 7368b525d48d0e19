//! What an agent sees of its server.

use super::answers::{certificates, full_status, minimal_status};
use super::text;
use wharf_proto::doctor::{
    AppFacts, DiskFacts, DiskPlace, DiskUse, EngineFacts, LogFacts, MemoryFacts, ServerFacts,
};
use wharf_proto::message::Reply;

pub fn doctor() -> [Reply; 2] {
    [full(), minimal()].map(|facts| Reply::Doctor { facts: Box::new(facts) })
}

fn full() -> ServerFacts {
    ServerFacts {
        agent: "0.1.0".into(),
        asked: text("2026-11-28T03:04:05.25Z"),
        answered: text("2026-11-28T03:04:06.5Z"),
        apps: 2,
        user: "root".into(),
        root: true,
        engine: Some(EngineFacts { version: "26.1.5".into(), api_version: "1.45".into() }),
        compose: "2.26.1".into(),
        disks: vec![DiskFacts {
            places: vec![DiskPlace { holds: DiskUse::State, path: "/var/lib/wharf".into() }],
            size_bytes: 80_000_000_000,
            free_bytes: 20_000_000_000,
        }],
        memory: Some(MemoryFacts { available_bytes: 2_147_483_648, swap_bytes: 0 }),
        app: Some(Box::new(AppFacts {
            status: full_status(),
            no_restart_policy: vec!["web".into()],
            oom_killed: vec!["worker".into()],
            unlimited_logs: vec![
                LogFacts { service: "db".into(), size_bytes: Some(2_000_000_000) },
                LogFacts { service: "web".into(), size_bytes: None },
            ],
            backups: true,
            key_saved: true,
            backup_every_seconds: Some(86_400),
            uncovered: vec!["volume uploads".into()],
            chores: vec!["the scheduled backup failed: the disk is full; it is tried again".into()],
            copies: vec!["backups are not copied to disk".into()],
            problems: vec!["the Compose files cannot be read".into()],
            certificates: certificates(),
        })),
    }
}

fn minimal() -> ServerFacts {
    ServerFacts {
        agent: String::new(),
        asked: text("2026-11-28T03:04:05Z"),
        answered: text("2026-11-28T03:04:05Z"),
        apps: 0,
        user: String::new(),
        root: false,
        engine: None,
        compose: String::new(),
        disks: vec![],
        memory: None,
        app: Some(Box::new(AppFacts {
            status: minimal_status(),
            no_restart_policy: vec![],
            oom_killed: vec![],
            unlimited_logs: vec![],
            backups: false,
            key_saved: false,
            backup_every_seconds: None,
            uncovered: vec![],
            chores: vec![],
            copies: vec![],
            problems: vec![],
            certificates: vec![],
        })),
    }
}
