//! Backups, and what retention does with them.

use super::text;
use wharf_proto::backup::{BackupInfo, DatabaseInfo, Proof, PrunePlan, Retained, VolumeInfo};
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::VolumeMode;
use wharf_proto::{BackupId, ReleaseId};

pub fn prune_plan() -> PrunePlan {
    let retained = |id: &str, why: &[&str]| Retained {
        backup: BackupId(id.into()),
        time: text("2026-01-02T03:04:05Z"),
        why: why.iter().map(|why| (*why).to_owned()).collect(),
    };
    PrunePlan {
        keep: vec![retained("5d6a1c0be4b1f0a9", &["newest", "daily"])],
        forget: vec![retained("00", &[])],
    }
}

/// A backup of each state of proof.
pub fn backups() -> Vec<BackupInfo> {
    let full = BackupInfo {
        id: BackupId("5d6a1c0be4b1f0a9".into()),
        time: text("2026-01-02T03:04:30Z"),
        release: Some(ReleaseId(3)),
        before: Some(ReleaseId(4)),
        files: 12,
        size_bytes: 1_234_567,
        databases: vec![DatabaseInfo {
            service: "db".into(),
            database: "app".into(),
            size_bytes: 1_000_000,
            tables: 7,
            rows: 12_345,
            kind: DatabaseKind::Mysql,
        }],
        volumes: vec![
            VolumeInfo {
                label: "uploads".into(),
                volume: Some("fitnessapp_uploads".into()),
                path: "/var/lib/docker/volumes/fitnessapp_uploads/_data".into(),
                mode: VolumeMode::Live,
                files: 7,
                size_bytes: 7_000,
                sqlite: 1,
            },
            VolumeInfo {
                label: "media".into(),
                volume: None,
                path: "/home/deploy/fitnessapp/media".into(),
                mode: VolumeMode::Pause,
                files: 0,
                size_bytes: 0,
                sqlite: 0,
            },
        ],
        message: Some("before the move".into()),
        pinned: true,
        checked: true,
        proof: Proof::Proven { at: text("2026-01-03T04:00:00Z") },
        copies: vec!["nas".into(), "bucket".into()],
    };
    let failed = BackupInfo {
        proof: Proof::Failed {
            at: text("2026-01-03T04:00:00Z"),
            why: "public.users: 12 rows were recorded, 11 came back".into(),
        },
        ..full.clone()
    };
    let minimal = BackupInfo {
        id: BackupId("00".into()),
        time: text("2026-01-01T00:00:00Z"),
        release: None,
        before: None,
        files: 0,
        size_bytes: 0,
        databases: vec![],
        volumes: vec![],
        message: None,
        pinned: false,
        checked: false,
        proof: Proof::Unproven,
        copies: vec![],
    };
    vec![full, failed, minimal]
}
