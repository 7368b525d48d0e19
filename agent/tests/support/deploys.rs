//! Deploys, in parts that can be sent wrong.

use super::talk::Talk;
use std::io::Write;
use std::path::Path;
use wharf_proto::manifest::Chunk;
use wharf_proto::message::{
    ClientMessage, DeployRequest, JobOptions, PackEncoding, Request, ServerMessage, Source,
};
use wharf_proto::spec::{BackupSpec, ComposeSpec, DrillSpec, LogsSpec, SecretsSpec, VerifySpec};
use wharf_proto::{AppSpec, Digest, Entry, EntryKind};

/// A request to deploy to `path`.
pub fn to(path: &Path) -> DeployRequest {
    DeployRequest {
        spec: AppSpec {
            app: "fitnessapp".parse().expect("an app name"),
            path: path.to_string_lossy().into_owned(),
            compose: ComposeSpec {
                files: vec!["compose.yml".parse().expect("a path")],
                env_file: None,
                profiles: Vec::new(),
                project: None,
            },
            bump: Vec::new(),
            postgres: Vec::new(),
            mysql: Vec::new(),
            redis: Vec::new(),
            dump: Vec::new(),
            volume: Vec::new(),
            migrate: Vec::new(),
            hook: Vec::new(),
            health: Vec::new(),
            verify: VerifySpec::default(),
            secrets: SecretsSpec::default(),
            backup: BackupSpec { drill: DrillSpec::Off, ..BackupSpec::default() },
            logs: LogsSpec::default(),
            keep_releases: 5,
        },
        options: JobOptions::default(),
        rebuild: false,
        pull: false,
        versions: [].into(),
        source: Source::default(),
    }
}

/// A file of one chunk.
pub fn file(path: &str, content: &[u8]) -> Entry {
    let size = u32::try_from(content.len()).expect("a small file");
    let chunks = vec![Chunk { digest: Digest::of(content), size_bytes: size }];
    let kind = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: size.into(), chunks };
    Entry { path: path.parse().expect("a path"), kind }
}

/// A zip of `blobs` under these names.
pub fn zip_of(blobs: &[(String, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in blobs {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).expect("a zip in memory");
        zip.write_all(content).expect("a zip in memory");
    }
    zip.finish().expect("a zip in memory").into_inner()
}

/// A pack as a good client makes it.
pub fn pack_of(contents: &[&[u8]]) -> Vec<u8> {
    let blobs: Vec<_> = contents.iter().map(|content| (Digest::of(content).to_hex(), *content)).collect();
    zip_of(&blobs)
}

impl Talk {
    /// Opens a deploy with a good manifest; what the agent says it lacks.
    pub async fn offer(&mut self, deploy: DeployRequest, entries: Vec<Entry>) -> Vec<Digest> {
        self.open(Request::Deploy(Box::new(deploy))).await;
        self.say(&ClientMessage::Manifest { entries, last: true }).await;
        let hello = self.hear().await;
        assert!(matches!(hello, Some(ServerMessage::Hello { .. })), "{hello:?}");
        match self.hear().await {
            Some(ServerMessage::Missing { digests, last: true }) => digests,
            other => unreachable!("not what is missing: {other:?}"),
        }
    }

    /// Announces a pack and sends it.
    pub async fn send_pack(&mut self, pack: &[u8]) {
        self.announce(pack.len() as u64).await;
        for piece in pack.chunks(wharf_proto::limits::BULK_FRAME_BYTES as usize) {
            self.say_bulk(piece).await;
        }
    }

    pub async fn announce(&mut self, size_bytes: u64) {
        self.say(&ClientMessage::Pack { encoding: PackEncoding::Zip, size_bytes }).await;
    }
}
