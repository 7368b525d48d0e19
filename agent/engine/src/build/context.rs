//! Sending a tree to the engine by BuildKit's `DiffCopy`.
//!
//! We send a packet for every entry, in BuildKit's order, and an empty one; the engine answers with the numbers of the
//! files whose content it wants; we send those in pieces, each file ended by an empty piece; the engine says that it has
//! all, and we say so too.
//!
//! **Invariant**: the engine's answers are read whether or not our packets get through, since it may wait for the former
//! before it takes the latter.

use super::BuildError;
use super::follow::Wanted;
use super::session::{FirstError, remember};
use super::source::LocalSource;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSync;
use futures_util::Stream;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use wharf_proto::RelPath;

/// One piece of a file.
const PIECE_BYTES: usize = 64 * 1024;
/// Packets on their way: at most 2 MiB of content.
const QUEUE_PACKETS: usize = 32;
/// File types as Go's `os.FileMode` has them.
const GO_DIR: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// The service behind which all trees of a build are.
pub(super) struct Files {
    sources: HashMap<String, LocalSource>,
    error: FirstError,
    end: CancellationToken,
}

type PacketStream = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

impl Files {
    pub(super) fn new(
        sources: HashMap<String, LocalSource>,
        error: FirstError,
        end: CancellationToken,
    ) -> Self {
        Self { sources, error, end }
    }
}

#[tonic::async_trait]
impl FileSync for Files {
    type DiffCopyStream = PacketStream;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let metadata = request.metadata();
        let name = metadata.get("dir-name").and_then(|name| name.to_str().ok()).unwrap_or_default();
        let source = self.sources.get(name).cloned();
        let source = source.ok_or_else(|| Status::not_found(format!("this build has no folder '{name}'")))?;
        let asked: Vec<Vec<u8>> =
            metadata.get_all("followpaths").iter().map(|path| path.as_bytes().to_vec()).collect();
        let (packets, sending) = mpsc::channel(QUEUE_PACKETS);
        let (wishes, wished) = mpsc::channel(source.room_for_wishes());
        tokio::spawn(read_wishes(request.into_inner(), wishes, self.end.clone()));
        let first_error = self.error.clone();
        // Reading a disk blocks. The task ends with the stream: both of its channels close then.
        tokio::task::spawn_blocking(move || {
            let mut sender = Sender { packets: &packets, wished };
            if let Err(Stop::Because(error)) = sender.send(&source, &asked) {
                let _ = packets.blocking_send(Err(remember(&first_error, error)));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(sending))))
    }

    type TarStreamStream = PacketStream;

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("only DiffCopy is served"))
    }
}

impl LocalSource {
    /// The engine asks for each file once at most.
    fn room_for_wishes(&self) -> usize {
        match self {
            Self::Tree { files, .. } => files.len().max(1) + 1,
            Self::Text { .. } => 2,
        }
    }
}

/// What the engine wants: a file by its number, or nothing more.
enum Wish {
    Content(u32),
    Done,
}

async fn read_wishes(mut incoming: Streaming<Packet>, wishes: mpsc::Sender<Wish>, end: CancellationToken) {
    loop {
        let message = tokio::select! {
            message = incoming.message() => message,
            () = end.cancelled() => return,
        };
        let Ok(Some(packet)) = message else { return };
        let wish = match packet.r#type() {
            PacketType::PacketReq => Wish::Content(packet.id),
            PacketType::PacketFin => Wish::Done,
            _ => return,
        };
        // Never waits: the channel has room for one wish a file. More than that is an engine out of its mind.
        if wishes.try_send(wish).is_err() {
            return;
        }
    }
}

/// Why sending ended before its end.
enum Stop {
    /// The engine went away; whatever the reason, it is not ours.
    Gone,
    Because(BuildError),
}

impl From<BuildError> for Stop {
    fn from(error: BuildError) -> Self {
        Self::Because(error)
    }
}

struct Sender<'a> {
    packets: &'a mpsc::Sender<Result<Packet, Status>>,
    wished: mpsc::Receiver<Wish>,
}

/// Where the content of an entry is.
enum Content {
    File { path: PathBuf, size: u64 },
    Memory(Arc<[u8]>),
}

impl Sender<'_> {
    fn send(&mut self, source: &LocalSource, asked: &[Vec<u8>]) -> Result<(), Stop> {
        let mut contents = self.announce(source, asked)?;
        self.packet(PacketType::PacketStat, 0, Vec::new(), None)?;
        loop {
            match self.wished.blocking_recv() {
                None => return Err(Stop::Gone),
                Some(Wish::Done) => return self.packet(PacketType::PacketFin, 0, Vec::new(), None),
                Some(Wish::Content(id)) => {
                    // Only once each: what was asked for is taken off the list.
                    match contents.remove(&id).ok_or(Stop::Gone)? {
                        Content::File { path, size } => self.file(id, &path, size)?,
                        Content::Memory(bytes) => {
                            self.packet(PacketType::PacketData, id, bytes.to_vec(), None)?
                        }
                    }
                    self.packet(PacketType::PacketData, id, Vec::new(), None)?;
                }
            }
        }
    }

    /// Sends every entry, and gives the contents by number.
    fn announce(&mut self, source: &LocalSource, asked: &[Vec<u8>]) -> Result<HashMap<u32, Content>, Stop> {
        let mut contents = HashMap::new();
        match source {
            LocalSource::Text { name, content } => {
                let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
                let stat = Stat { path: name.clone(), mode: 0o644, size, ..Default::default() };
                self.packet(PacketType::PacketStat, 0, Vec::new(), Some(stat))?;
                contents.insert(0, Content::Memory(content.clone()));
            }
            LocalSource::Tree { root, files } => {
                let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
                // The files were filtered already: of ignore rules there is nothing left to say.
                if asked == [b".dockerignore"] {
                    return Ok(contents);
                }
                let wanted = Wanted::new(root, &asked);
                for (id, path) in (0u32..).zip(entries(files, &wanted)) {
                    let on_disk = path.below(root);
                    let (stat, size) = stat(&path, &on_disk)?;
                    self.packet(PacketType::PacketStat, 0, Vec::new(), Some(stat))?;
                    if let Some(size) = size {
                        contents.insert(id, Content::File { path: on_disk, size });
                    }
                }
            }
        }
        Ok(contents)
    }

    /// Sends a file's content. One that is not as long as it was announced is an error: half a file is none.
    fn file(&self, id: u32, path: &Path, size: u64) -> Result<(), Stop> {
        let unreadable = |source| BuildError::Unreadable { path: path.to_path_buf(), source };
        let mut options = std::fs::OpenOptions::new();
        options.read(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let mut file = options.open(path).map_err(unreadable)?;
        let mut sent = 0;
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            sent += read as u64;
            if sent > size {
                break;
            }
            self.packet(PacketType::PacketData, id, piece, None)?;
        }
        if sent == size { Ok(()) } else { Err(BuildError::Changed(path.to_path_buf()).into()) }
    }

    fn packet(&self, kind: PacketType, id: u32, data: Vec<u8>, stat: Option<Stat>) -> Result<(), Stop> {
        let packet = Packet { r#type: kind.into(), stat, id, data };
        self.packets.blocking_send(Ok(packet)).map_err(|_| Stop::Gone)
    }
}

/// The files that are wanted and the folders above them, in BuildKit's order: part by part.
fn entries(files: &[RelPath], wanted: &Wanted) -> Vec<RelPath> {
    let mut all = HashSet::new();
    for file in files.iter().filter(|file| wanted.takes(file.as_bytes())) {
        let mut next = Some(file.clone());
        while let Some(path) = next {
            next = path.parent();
            if !all.insert(path) {
                break;
            }
        }
    }
    let parts =
        |path: &RelPath| path.as_bytes().split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    all.into_iter().map(|path| (parts(&path), path)).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// How an entry is announced, and the size of its content, if it has any.
fn stat(path: &RelPath, on_disk: &Path) -> Result<(Stat, Option<u64>), BuildError> {
    let unreadable = |source| BuildError::Unreadable { path: on_disk.to_path_buf(), source };
    let not_utf8 = || BuildError::NotUtf8(on_disk.to_path_buf());
    let metadata = std::fs::symlink_metadata(on_disk).map_err(unreadable)?;
    let mut stat = Stat {
        path: path.as_str().ok_or_else(not_utf8)?.to_owned(),
        mode: go_mode(&metadata),
        // Whoever owns the file on the server, in an image it is root's unless the Dockerfile says otherwise.
        uid: 0,
        gid: 0,
        mod_time: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        ..Default::default()
    };
    if metadata.is_symlink() {
        let target = std::fs::read_link(on_disk).map_err(unreadable)?;
        stat.linkname = target.to_str().ok_or_else(not_utf8)?.to_owned();
        stat.size = i64::try_from(stat.linkname.len()).unwrap_or(0);
        return Ok((stat, None));
    }
    if metadata.is_dir() {
        return Ok((stat, None));
    }
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("it is neither a file nor a folder nor a link")));
    }
    stat.size = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
    Ok((stat, Some(metadata.len())))
}

fn go_mode(metadata: &Metadata) -> u32 {
    let mode = metadata.permissions().mode();
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => GO_DIR,
        kind if kind.is_symlink() => GO_SYMLINK,
        _ => 0,
    };
    let special = [(0o4000, GO_SETUID), (0o2000, GO_SETGID), (0o1000, GO_STICKY)];
    special.iter().filter(|(bit, _)| mode & bit != 0).fold(kind | (mode & 0o777), |sum, (_, go)| sum | go)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them_and_order_is_by_part() {
        let files: Vec<RelPath> =
            ["a.b", "a/z/1", "a/b", "a-b"].iter().map(|path| path.parse().unwrap()).collect();
        let all = Wanted::new(Path::new("/"), &[]);
        let ordered: Vec<String> = entries(&files, &all).iter().map(ToString::to_string).collect();
        assert_eq!(ordered, ["a", "a/b", "a/z", "a/z/1", "a-b", "a.b"]);
    }

    #[test]
    fn a_vanished_file_is_an_error_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path: RelPath = "gone".parse().unwrap();
        let error = stat(&path, &path.below(dir.path())).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
