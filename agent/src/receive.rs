//! A deploy arrives: manifest, what is missing, packs, and then it is a job.
//!
//! **Invariant**: nothing but the content store changes before the job exists, so a client that dies here loses nothing
//! and sends only what is missing the next time.

use crate::agent::Agent;
use crate::conversation::{Stop, Talk};
use crate::failures;
use crate::jobs::{self, Work, paths};
use crate::locks;
use crate::promote;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use wharf_access::Permit;
use wharf_proto::frame::Kind;
use wharf_proto::limits;
use wharf_proto::message::{ClientMessage, DeployRequest, PackEncoding, Reply, ServerMessage};
use wharf_proto::{Digest, Entry, EntryKind, Failure, FailureKind, Manifest};
use wharf_state::{BlobError, BlobStore};

/// Receives a deploy and watches its job.
///
/// # Errors
/// What is wrong with the request or its content; a client that left.
pub async fn deploy(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: DeployRequest,
) -> Result<Option<Reply>, Stop> {
    paths::check_place(&request.spec, permit, agent).await?;
    paths::check_spec(&request.spec, agent)?;
    let wait_seconds = request.options.lock_wait_seconds;
    jobs::queue::check(agent, &request.spec.app, wait_seconds)?;
    let manifest = receive_manifest(talk).await?;
    let origin = promote::origin(agent, permit, &request, &manifest).await?;
    let lease = agent.blobs.lease(manifest.chunks().map(|chunk| chunk.digest));
    receive_content(agent, talk, &manifest).await?;
    // Only now: a client that is slow, or gone, keeps nobody else from deploying.
    let seat = talk.unless_gone(jobs::queue::take_for(agent, &request.spec.app, &request.options)).await?;

    let dry_run = request.options.dry_run;
    if !dry_run {
        // Once more: it may have been locked while this stood in line.
        locks::check(agent, &request.spec.app).await?;
    }
    let work = Work::deploy(agent, request, manifest, origin, &talk.who).await?;
    jobs::plan_or_run(agent, talk, work, seat, lease, dry_run).await
}

async fn receive_manifest(talk: &mut Talk) -> Result<Manifest, Stop> {
    let mut all: Vec<Entry> = Vec::new();
    let mut chunks = 0;
    loop {
        let ClientMessage::Manifest { entries, last } = talk.hear_message().await? else {
            return Err(out_of_turn("a page of the manifest").into());
        };
        if entries.is_empty() && !last {
            return Err(out_of_turn("a page of the manifest with something on it").into());
        }
        chunks += entries.iter().map(chunk_count).sum::<usize>();
        all.extend(entries);
        if chunks > limits::MANIFEST_CHUNKS {
            return Err(Failure::new(FailureKind::Config, "the project is larger than Wharf ships at once")
                .hint("leave out what the server does not need, in .gitignore or .wharfignore")
                .into());
        }
        if all.len() > limits::MANIFEST_ENTRIES {
            let text = format!("the project has more than {} files", limits::MANIFEST_ENTRIES);
            return Err(Failure::new(FailureKind::Config, text)
                .hint("leave out what the server does not need, in .gitignore or .wharfignore")
                .into());
        }
        if last {
            break;
        }
    }
    let check = move || Manifest::new(all).map_err(|e| Failure::from_error(FailureKind::Unsupported, &e));
    Ok(failures::blocking(check).await?)
}

fn chunk_count(entry: &Entry) -> usize {
    match &entry.kind {
        EntryKind::File { chunks, .. } => chunks.len(),
        EntryKind::Symlink { .. } | EntryKind::Folder { .. } => 0,
    }
}

async fn receive_content(agent: &Agent, talk: &mut Talk, manifest: &Manifest) -> Result<(), Stop> {
    let lengths: HashMap<Digest, u64> =
        manifest.chunks().map(|chunk| (chunk.digest, u64::from(chunk.size_bytes))).collect();
    let digests: Vec<Digest> = manifest.chunks().map(|chunk| chunk.digest).collect();
    let missing = on_disk(agent, move |blobs| blobs.missing(digests)).await?;
    tell_missing(talk, &missing).await?;
    let mut wanted: Arc<HashSet<Digest>> = Arc::new(missing.into_iter().collect());
    loop {
        match talk.hear_message().await? {
            ClientMessage::Pack { encoding: PackEncoding::Zip, size_bytes } => {
                let bytes = receive_pack(talk, size_bytes).await?;
                let expected = Arc::clone(&wanted);
                let stored = on_disk(agent, move |blobs| blobs.put_pack_zip(&bytes, &expected)).await?;
                for (digest, length) in &stored {
                    if lengths.get(digest) != Some(length) {
                        return Err(out_of_turn("a chunk of the length that the manifest says").into());
                    }
                    Arc::make_mut(&mut wanted).remove(digest);
                }
                talk.say(&ServerMessage::Stored { chunks: stored.len() as u64 }).await?;
            }
            ClientMessage::Sent if wanted.is_empty() => return Ok(()),
            ClientMessage::Sent => {
                let text = format!(
                    "the client says it has sent everything, but {} chunks are missing",
                    wanted.len()
                );
                return Err(Failure::new(FailureKind::Internal, text).hint("deploy again").into());
            }
            _ => return Err(out_of_turn("a pack").into()),
        }
    }
}

async fn on_disk<T: Send + 'static>(
    agent: &Agent,
    work: impl FnOnce(&BlobStore) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Failure> {
    let blobs = agent.blobs.clone();
    failures::blocking(move || work(&blobs).map_err(|e| failures::of_blobs(&e))).await
}

async fn tell_missing(talk: &mut Talk, missing: &[Digest]) -> Result<(), Stop> {
    let mut pages = missing.chunks(limits::MISSING_PAGE_DIGESTS).peekable();
    if pages.peek().is_none() {
        return talk.say(&ServerMessage::Missing { digests: Vec::new(), last: true }).await;
    }
    while let Some(page) = pages.next() {
        let last = pages.peek().is_none();
        talk.say(&ServerMessage::Missing { digests: page.to_vec(), last }).await?;
    }
    Ok(())
}

/// The bytes of a pack that was announced.
///
/// # Errors
/// Something else comes; a client that left.
pub async fn receive_pack(talk: &mut Talk, size_bytes: u64) -> Result<Vec<u8>, Stop> {
    if size_bytes > limits::PACK_BYTES {
        return Err(out_of_turn("a pack within the limit").into());
    }
    let mut pack = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
    while (pack.len() as u64) < size_bytes {
        let frame = talk.hear().await?;
        if frame.kind != Kind::Bulk || frame.payload.is_empty() {
            return Err(out_of_turn("the rest of a pack").into());
        }
        pack.extend_from_slice(&frame.payload);
    }
    if pack.len() as u64 != size_bytes {
        return Err(out_of_turn("a pack of the length that was announced").into());
    }
    Ok(pack)
}

fn out_of_turn(due: &str) -> Failure {
    Failure::new(FailureKind::Unsupported, format!("the client sent something else where {due} was due"))
        .hint("use a wharf and a wharfd of the same version")
}
