//! Reading packs from their first byte to their last.
//!
//! **Invariants**
//! - A pack that was looked at whole is the one that was written: its name is the hash of its bytes.
//! - Of one that was opened, every blob was decrypted, decompressed and hashed too, and its header, by which an index is
//!   made anew, says of them what the index does.

use crate::sealed::{Broken, Opening};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rustic_core::Id;
use rustic_core::repofile::{BlobType, IndexBlob, IndexPack, MasterKey};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const BUFFER_BYTES: usize = 256 * 1024;
/// Packs that are read at a time, at most.
const READERS: usize = 4;
/// Of the length that ends a pack.
const LENGTH_BYTES: u64 = 4;
/// What a header has for a blob at most.
const ENTRY_BYTES: u64 = 41;
/// What encryption adds.
const SEAL_BYTES: u64 = 32;

/// A pack, and how it is to be read.
pub(crate) enum Reading {
    /// Every byte is hashed.
    Whole { path: PathBuf, id: Id },
    /// Every blob too.
    Opened { path: PathBuf, pack: IndexPack },
}

impl Reading {
    /// Reads it, and returns its size.
    fn read(&self, opening: &mut Opening) -> Result<u64, String> {
        match self {
            Self::Whole { path, id } => hash_file(path, id, false),
            Self::Opened { path, pack } => open(path, pack, opening),
        }
    }
}

/// Reads packs, some at a time; `on_read` is told the size of each. What the first that is bad has is returned.
pub(crate) fn read_all(
    readings: Vec<Reading>,
    key: &MasterKey,
    on_read: impl Fn(u64) + Sync,
) -> Result<(), String> {
    let readers =
        std::thread::available_parallelism().map_or(1, usize::from).min(READERS).min(readings.len());
    let (left, fault) = (Mutex::new(readings.into_iter()), Mutex::new(None));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let fail = |finding: String| {
        fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(finding);
    };
    let failed = || fault.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let work = || {
        let Ok(mut opening) = Opening::new(key) else { return fail("the key is none".to_owned()) };
        while let Some(reading) = next().filter(|_| !failed()) {
            match reading.read(&mut opening) {
                Ok(size_bytes) => on_read(size_bytes),
                Err(finding) => fail(finding),
            }
        }
    };
    std::thread::scope(|scope| {
        (1..readers).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    fault.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Hashes a file of the repository and returns its size. One that is `fresh` comes from the disk: it was synced when it was
/// written, so that the kernel can forget it.
pub(crate) fn hash_file(path: &Path, id: &Id, fresh: bool) -> Result<u64, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    if fresh {
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(buffer.get(..count).unwrap_or(&buffer));
                size_bytes += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if is(hash, id) { Ok(size_bytes) } else { Err(other_content(path)) }
}

fn open(path: &Path, pack: &IndexPack, opening: &mut Opening) -> Result<u64, String> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => format!("{} is shorter than it was", path.display()),
        _ => format!("{}: {error}", path.display()),
    };
    let broken = |Broken| other_content(path);
    let file = File::open(path).map_err(failed)?;
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut blobs: Vec<&IndexBlob> = pack.blobs.iter().collect();
    blobs.sort_unstable_by_key(|blob| blob.location.offset);
    let (mut hash, mut size_bytes, mut sealed) = (Sha256::new(), 0_u64, Vec::new());
    for blob in &blobs {
        if u64::from(blob.location.offset) != size_bytes {
            return Err(format!("the index is wrong about {}", path.display()));
        }
        sealed.resize(blob.location.length as usize, 0);
        file.read_exact(&mut sealed).map_err(failed)?;
        hash.update(&sealed);
        let content = opening.blob(&mut sealed, blob.location.uncompressed_length).map_err(broken)?;
        if Id::new(Sha256::digest(content).into()) != *blob.id {
            return Err(other_content(path));
        }
        size_bytes += u64::from(blob.location.length);
    }
    let header_bytes = blobs.len() as u64 * ENTRY_BYTES + SEAL_BYTES + LENGTH_BYTES;
    let mut end = Vec::new();
    file.take(header_bytes + 1).read_to_end(&mut end).map_err(failed)?;
    hash.update(&end);
    if !is(hash, &pack.id) {
        return Err(other_content(path));
    }
    let length = end.len().saturating_sub(LENGTH_BYTES as usize);
    let (header, said) = end.split_at_mut(length);
    let says = u32::try_from(length).is_ok_and(|length| *said == length.to_le_bytes());
    if !says || opening.decrypt(header).map_err(broken)? != header_of(&blobs) {
        return Err(format!("the header of {} is not what the index says", path.display()));
    }
    Ok(size_bytes + end.len() as u64)
}

/// What restic's format has as the header of a pack of these blobs.
fn header_of(blobs: &[&IndexBlob]) -> Vec<u8> {
    let mut header = Vec::new();
    for blob in blobs {
        let plain_bytes = blob.location.uncompressed_length;
        header.push(u8::from(blob.tpe == BlobType::Tree) + if plain_bytes.is_some() { 2 } else { 0 });
        header.extend(blob.location.length.to_le_bytes());
        header.extend(plain_bytes.into_iter().flat_map(|bytes| bytes.get().to_le_bytes()));
        let mut id = [0; 32];
        // An id is as long as that.
        let _ = hex::decode_to_slice(blob.id.to_hex().as_str(), &mut id);
        header.extend(id);
    }
    header
}

fn is(hash: Sha256, id: &Id) -> bool {
    Id::new(hash.finalize().into()) == *id
}

fn other_content(path: &Path) -> String {
    format!("{} does not hold what was written", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::seal;
    use serde_json::{Value, json};

    /// A pack in the making, and what an index says of it.
    struct Scene {
        key: MasterKey,
        pack: Vec<u8>,
        blobs: Vec<Value>,
    }

    impl Scene {
        /// Of two blobs, one of them compressed.
        fn new() -> Self {
            let mut scene = Self { key: MasterKey::new(), pack: Vec::new(), blobs: Vec::new() };
            scene.add("data", b"a chunk", None, None);
            let tree = [b'x'; 1000];
            scene.add("tree", &zstd::bulk::compress(&tree, 1).unwrap(), Some(&tree), None);
            scene
        }

        /// `plain`: what it is uncompressed. `id`: of another content than it has.
        fn add(&mut self, kind: &str, content: &[u8], plain: Option<&[u8]>, id: Option<Id>) {
            let sealed = seal(&self.key, content).unwrap();
            let id = id.unwrap_or_else(|| id_of(plain.unwrap_or(content)));
            let mut blob =
                json!({ "id": id, "type": kind, "offset": self.pack.len(), "length": sealed.len() });
            if let Some(plain) = plain {
                blob["uncompressed_length"] = plain.len().into();
            }
            self.blobs.push(blob);
            self.pack.extend(sealed);
        }

        fn index(&self, id: Id) -> IndexPack {
            serde_json::from_value(json!({ "id": id, "blobs": self.blobs })).unwrap()
        }

        fn header(&self) -> Vec<u8> {
            header_of(&self.index(Id::random()).blobs.iter().collect::<Vec<_>>())
        }

        /// Ends the pack with this header, and says whether it is good when it is hashed, and when it is opened.
        fn end(self, header: &[u8]) -> (bool, bool) {
            let header = seal(&self.key, header).unwrap();
            let length = u32::try_from(header.len()).unwrap().to_le_bytes();
            self.end_with(&[header.as_slice(), &length].concat())
        }

        fn end_with(mut self, end: &[u8]) -> (bool, bool) {
            self.pack.extend(end);
            let id = id_of(&self.pack);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("pack");
            std::fs::write(&path, &self.pack).unwrap();
            let pack = self.index(id);
            let readings =
                [Reading::Whole { path: path.clone(), id }, Reading::Opened { path: path.clone(), pack }];
            let size_bytes = self.pack.len() as u64;
            let [whole, opened] = readings.map(|reading| {
                read_all(vec![reading], &self.key, |read_bytes| assert_eq!(read_bytes, size_bytes)).is_ok()
            });
            (whole, opened)
        }
    }

    fn id_of(content: &[u8]) -> Id {
        Id::new(Sha256::digest(content).into())
    }

    /// The name of each is the hash of its bytes, so that hashing them finds nothing.
    #[test]
    fn what_is_opened_is_looked_at_more_closely_than_its_name() {
        let scene = Scene::new();
        let header = scene.header();
        assert_eq!(header.len(), 1 + 4 + 32 + 1 + 4 + 4 + 32);
        assert_eq!(scene.end(&header), (true, true));

        let mut scene = Scene::new();
        scene.add("data", b"another", None, Some(id_of(b"a chunk")));
        let header = scene.header();
        assert_eq!(scene.end(&header), (true, false), "a blob is not what its id says");

        let mut scene = Scene::new();
        scene.add("data", &zstd::bulk::compress(&[b'x'; 1000], 1).unwrap(), Some(&[b'x'; 999]), None);
        let header = scene.header();
        assert_eq!(scene.end(&header), (true, false), "a blob is longer than the index says");

        let mut scene = Scene::new();
        let sealed = seal(&MasterKey::new(), b"a chunk").unwrap();
        scene.pack[..sealed.len()].copy_from_slice(&sealed);
        let header = scene.header();
        assert_eq!(scene.end(&header), (true, false), "a blob is sealed with another key");
    }

    #[test]
    fn an_index_that_is_wrong_about_a_pack_is_found() {
        for (what, change) in [
            ("a hole", (|scene| _ = scene.blobs.remove(0)) as fn(&mut Scene)),
            ("a blob too few", |scene| _ = scene.blobs.pop()),
            ("one twice", |scene| scene.blobs.push(scene.blobs[1].clone())),
            ("another length", |scene| scene.blobs[1]["length"] = 40.into()),
            ("another kind", |scene| scene.blobs[0]["type"] = "tree".into()),
            ("another id", |scene| scene.blobs[0]["id"] = json!(id_of(b"another"))),
        ] {
            let mut scene = Scene::new();
            let header = scene.header();
            change(&mut scene);
            assert_eq!(scene.end(&header), (true, false), "{what}");
        }
    }

    #[test]
    fn a_header_that_is_not_what_the_index_says_is_found() {
        let header = Scene::new().header();
        for at in 0..header.len() {
            let mut flipped = header.clone();
            flipped[at] ^= 1;
            assert_eq!(Scene::new().end(&flipped), (true, false), "{at}");
        }
        let longer = [header.as_slice(), &[0; 37]].concat();
        for other in [&[][..], &header[..37], &longer] {
            assert_eq!(Scene::new().end(other), (true, false), "{}", other.len());
        }
    }

    #[test]
    fn the_end_of_a_pack_is_its_headers_length_and_nothing_else() {
        let sealed = |scene: &Scene| seal(&scene.key, &scene.header()).unwrap();
        let length = |header: &[u8]| u32::try_from(header.len()).unwrap().to_le_bytes();
        for (what, good, end) in [
            ("as written", true, (|header, length| [header, length].concat()) as fn(&[u8], &[u8]) -> Vec<u8>),
            ("more after it", false, |header, length| [header, length, b"x"].concat()),
            ("more before it", false, |header, length| [b"x", header, length].concat()),
            ("another length", false, |header, _| [header, &[0; 4]].concat()),
            ("no length", false, |header, _| header.to_vec()),
            ("nothing", false, |_, _| Vec::new()),
        ] {
            let scene = Scene::new();
            let header = sealed(&scene);
            let end = end(&header, &length(&header));
            assert_eq!(scene.end_with(&end), (true, good), "{what}");
        }
    }
}
