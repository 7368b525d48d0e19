//! What of an engine's archive goes through: the one image that is expected, and nothing else.
//!
//! **Invariants**
//! - No more than a header and the small files that are read is held.
//! - What [`Passage::pass`] gives out was checked before. Only the kinds of entries that `docker save` writes of one image by
//!   its ID go through, each blob with the content that its name says, and the list of images last of all that counts: no
//!   other image, no name.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use wharf_proto::Digest;
use wharf_proto::limits::{IMAGE_BYTES, IMAGE_LAYERS};

const BLOCK: usize = 512;
/// The lists in an archive are short.
const LIST_BYTES: u64 = 1024 * 1024;
const BLOBS: &str = "blobs/sha256/";

/// Why an archive does not go through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassageError {
    #[error(
        "the engine's archive is not one that Wharf reads ({0}); Docker Engine 25.0.3 and newer write those"
    )]
    Unreadable(&'static str),
    #[error("the archive has an entry that no single image needs: {0:?}")]
    Stranger(String),
    #[error("what the archive has as {0} has another content")]
    WrongContent(Digest),
    #[error("the archive's list of images is not that of the one image that was named, without a name: {0}")]
    WrongImage(&'static str),
    #[error("the archive lacks {0}")]
    Lacks(String),
    #[error("the archive is larger than the {IMAGE_BYTES} bytes that travel at most")]
    TooLarge,
}

/// Looks through one archive while it streams.
pub struct Passage {
    image: Digest,
    layers: Vec<Digest>,
    /// Layers that are left out, and need not be there.
    without: BTreeSet<Digest>,
    state: State,
    /// Of the header that is being read.
    header: Vec<u8>,
    total_bytes: u64,
    seen: BTreeSet<Digest>,
    listed: bool,
    indexed: bool,
}

enum State {
    Header,
    /// The content of an entry, and then what fills up its last block.
    Inside {
        what: What,
        left: u64,
        padding: u64,
        out: bool,
    },
    /// The first of two empty blocks was seen: nothing but zeros follows.
    Over,
}

enum What {
    Blob {
        name: Digest,
        hash: Sha256,
    },
    /// `manifest.json`: the images.
    Images(Vec<u8>),
    /// `index.json`: the same for those who read the newer layout.
    Index(Vec<u8>),
    Other,
}

impl Passage {
    /// For the archive of one image. Of `layers`, its own, `without` are left out.
    pub fn new(image: Digest, layers: &[Digest], without: impl IntoIterator<Item = Digest>) -> Self {
        Self {
            image,
            layers: layers.to_vec(),
            without: without.into_iter().collect(),
            state: State::Header,
            header: Vec::with_capacity(BLOCK),
            total_bytes: 0,
            seen: BTreeSet::new(),
            listed: false,
            indexed: false,
        }
    }

    /// Takes the next bytes, and gives out those that go through.
    ///
    /// # Errors
    /// Something that must not; then nothing of the archive may be used.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, PassageError> {
        let mut through = Vec::with_capacity(bytes.len());
        self.total_bytes = self.total_bytes.saturating_add(bytes.len() as u64);
        if self.total_bytes > IMAGE_BYTES {
            return Err(PassageError::TooLarge);
        }
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Over if bytes.iter().all(|byte| *byte == 0) => {
                    through.extend_from_slice(bytes);
                    bytes.len()
                }
                State::Over => return Err(PassageError::Unreadable("something follows its end")),
                State::Header => self.header(bytes, &mut through)?,
                State::Inside { what, left, padding, out } => {
                    let (taken, is_content) = match *left {
                        0 => (shorter(bytes, *padding), false),
                        left => (shorter(bytes, left), true),
                    };
                    let (piece, _) = bytes.split_at(taken);
                    if is_content {
                        what.take(piece);
                        *left -= taken as u64;
                    } else {
                        *padding -= taken as u64;
                    }
                    if *out {
                        through.extend_from_slice(piece);
                    }
                    self.close()?;
                    taken
                }
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(through)
    }

    /// Whether all has come.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(&self) -> Result<(), PassageError> {
        if !matches!(self.state, State::Over) {
            return Err(PassageError::Lacks("its end".into()));
        }
        if !self.listed {
            return Err(PassageError::Lacks("the list of its images".into()));
        }
        let needed = self.layers.iter().filter(|layer| !self.without.contains(layer)).chain([&self.image]);
        match needed.into_iter().find(|blob| !self.seen.contains(blob)) {
            Some(blob) => Err(PassageError::Lacks(format!("the blob {blob}"))),
            None => Ok(()),
        }
    }

    /// Takes of a header what there is, and begins its entry once it is whole.
    fn header(&mut self, bytes: &[u8], through: &mut Vec<u8>) -> Result<usize, PassageError> {
        let taken = bytes.len().min(BLOCK - self.header.len());
        self.header.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.header.len() < BLOCK {
            return Ok(taken);
        }
        let header = std::mem::take(&mut self.header);
        if header.iter().all(|byte| *byte == 0) {
            through.extend_from_slice(&header);
            self.state = State::Over;
            return Ok(taken);
        }
        let (what, size, out) = self.entry(&header)?;
        if out {
            through.extend_from_slice(&header);
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.state = State::Inside { what, left: size, padding, out };
        self.close()?;
        Ok(taken)
    }

    /// What an entry is, how long, and whether it goes through.
    fn entry(&self, header: &[u8]) -> Result<(What, u64, bool), PassageError> {
        let block = tar::Header::from_byte_slice(header);
        let unreadable = PassageError::Unreadable;
        let sum: u32 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }))
            .sum();
        if block.as_ustar().is_none() || block.cksum().ok() != Some(sum) {
            return Err(unreadable("a header"));
        }
        let size = block.size().map_err(|_| unreadable("a size"))?;
        let name = block.path_bytes();
        let name = std::str::from_utf8(&name).map_err(|_| unreadable("a name"))?.to_owned();
        let stranger = || PassageError::Stranger(name.chars().take(100).collect());
        if size > IMAGE_BYTES {
            return Err(PassageError::TooLarge);
        }
        let list = |what| if size <= LIST_BYTES { Ok((what, size, true)) } else { Err(stranger()) };
        match (block.entry_type(), name.as_str()) {
            (tar::EntryType::Directory, "blobs/" | "blobs/sha256/" | "blobs" | "blobs/sha256")
                if size == 0 =>
            {
                Ok((What::Other, 0, true))
            }
            (tar::EntryType::Regular, "manifest.json") if !self.listed => list(What::Images(Vec::new())),
            (tar::EntryType::Regular, "index.json") if !self.indexed => list(What::Index(Vec::new())),
            (tar::EntryType::Regular, "oci-layout") => list(What::Other),
            (tar::EntryType::Regular, name) => {
                let name: Digest =
                    name.strip_prefix(BLOBS).and_then(|hex| hex.parse().ok()).ok_or_else(stranger)?;
                // What is named as a layer and left out must not come back by another entry, nor the configuration go.
                let out = name == self.image || !self.without.contains(&name);
                Ok((What::Blob { name, hash: Sha256::new() }, size, out))
            }
            _ => Err(stranger()),
        }
    }

    /// Ends the entry where it is over.
    fn close(&mut self) -> Result<(), PassageError> {
        let State::Inside { left: 0, what, padding, .. } = &mut self.state else { return Ok(()) };
        // Checked as soon as it is whole, and once.
        match std::mem::replace(what, What::Other) {
            What::Blob { name, hash } => {
                if Digest(hash.finalize().into()) != name {
                    return Err(PassageError::WrongContent(name));
                }
                self.seen.insert(name);
            }
            What::Images(list) => {
                check_images(&list, &self.image, &self.layers)?;
                self.listed = true;
            }
            What::Index(list) => {
                check_index(&list)?;
                self.indexed = true;
            }
            What::Other => {}
        }
        if *padding == 0 {
            self.state = State::Header;
        }
        Ok(())
    }
}

impl What {
    fn take(&mut self, piece: &[u8]) {
        match self {
            Self::Blob { hash, .. } => hash.update(piece),
            Self::Images(list) | Self::Index(list) => list.extend_from_slice(piece),
            Self::Other => {}
        }
    }
}

fn shorter(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

/// The engine takes keys for these whatever their case: one that is not spelt as here could say something else to it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    names: Option<Vec<String>>,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
    #[serde(rename = "Parent", default)]
    parent: Option<String>,
    /// Where foreign layers are to be had; the engine writes it, and nothing here needs it.
    #[serde(rename = "LayerSources", default)]
    _layer_sources: serde::de::IgnoredAny,
}

fn check_images(list: &[u8], image: &Digest, layers: &[Digest]) -> Result<(), PassageError> {
    let wrong = |why| Err(PassageError::WrongImage(why));
    let Ok(images) = serde_json::from_slice::<Vec<Listed>>(list) else { return wrong("it cannot be read") };
    let [one] = images.as_slice() else { return wrong("there is not exactly one image in it") };
    let blob = |digest: &Digest| format!("{BLOBS}{}", digest.to_hex());
    if one.config != blob(image) {
        return wrong("it is another image");
    }
    if one.names.as_ref().is_some_and(|names| !names.is_empty()) || one.parent.is_some() {
        return wrong("it has a name");
    }
    if layers.len() > IMAGE_LAYERS || one.layers != layers.iter().map(blob).collect::<Vec<_>>() {
        return wrong("its layers are others");
    }
    Ok(())
}

fn check_index(list: &[u8]) -> Result<(), PassageError> {
    let wrong = |why| Err(PassageError::WrongImage(why));
    let Ok(index) = serde_json::from_slice::<serde_json::Value>(list) else {
        return wrong("it cannot be read");
    };
    match index.get("manifests").and_then(|images| images.as_array()).map(Vec::as_slice) {
        Some([one]) if one.get("annotations").is_none() => Ok(()),
        Some([_]) => wrong("it has a name"),
        _ => wrong("there is not exactly one image in it"),
    }
}

#[cfg(test)]
mod tests;
