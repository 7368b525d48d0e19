//! A release's source, from the agent that keeps it to whoever ships it elsewhere.
//!
//! **Invariant**: one pack is in memory beside the one that is being sent on. What was passed on is not asked for again when
//! the way to the agent breaks.

use super::{
    Pack, Packs, Session, SessionError, Talk,
    talk::{self, ANSWER_WITHIN},
};
use bytes::{Bytes, BytesMut};
use std::{collections::BTreeSet, time::Duration};
use tokio::sync::mpsc;
use wharf_proto::{
    AppName, Digest, Entry, EntryKind, Failure, FailureKind, Manifest, ReleaseId,
    frame::Kind,
    limits,
    message::{ClientMessage, PackEncoding, Request, ServerMessage},
    release::ReleaseSource,
};

/// Packs that are fetched ahead of the one that is being sent on.
const PACKS_AHEAD: usize = 1;
/// How often fetching is begun again without one more pack.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What a release is, and which files it has; without `release`, the live one.
///
/// # Errors
/// Whatever breaks the conversation, or the agent's refusal.
pub async fn source(
    session: &Session,
    app: &AppName,
    release: Option<ReleaseId>,
) -> Result<(ReleaseSource, Manifest), SessionError> {
    let mut talk = session.open(Request::ReleaseSource { app: app.clone(), release }).await?;
    let source = match talk.next("the release", Some(ANSWER_WITHIN)).await? {
        ServerMessage::Source { source } => source,
        other => return Err(talk::unexpected("a release", &other)),
    };
    let (mut all, mut chunks): (Vec<Entry>, usize) = (Vec::new(), 0);
    loop {
        match talk.next("its files", Some(ANSWER_WITHIN)).await? {
            ServerMessage::Manifest { entries, last } => {
                chunks += entries.iter().map(chunk_count).sum::<usize>();
                all.extend(entries);
                if all.len() > limits::MANIFEST_ENTRIES || chunks > limits::MANIFEST_CHUNKS {
                    let text = "the server tells of a release that is larger than Wharf ships at once";
                    return Err(SessionError::Local(Failure::new(FailureKind::Unsupported, text)));
                }
                if last {
                    break;
                }
            }
            other => return Err(talk::unexpected("a page of its files", &other)),
        }
    }
    let manifest = Manifest::new(all)
        .map_err(|error| SessionError::Local(Failure::from_error(FailureKind::Unsupported, &error)))?;
    Ok((source, manifest))
}

fn chunk_count(entry: &Entry) -> usize {
    match &entry.kind {
        EntryKind::File { chunks, .. } => chunks.len(),
        EntryKind::Symlink { .. } | EntryKind::Folder { .. } => 0,
    }
}

/// Packs of what another server lacks of the release, fetched as they are sent on.
pub fn source_packs(session: &Session, app: AppName, release: ReleaseId, missing: BTreeSet<Digest>) -> Packs {
    let (tx, rx) = mpsc::channel(PACKS_AHEAD);
    let mut fetch = Fetch { session: session.clone(), app, release, left: missing.into_iter().collect(), tx };
    tokio::spawn(async move {
        if let Err(error) = fetch.stubbornly().await {
            // Whoever sends may have given up.
            let _ = fetch.tx.send(Err(error.into())).await;
        }
    });
    rx
}

struct Fetch {
    session: Session,
    app: AppName,
    release: ReleaseId,
    left: Vec<Digest>,
    tx: mpsc::Sender<Result<Pack, Failure>>,
}

impl Fetch {
    async fn stubbornly(&mut self) -> Result<(), SessionError> {
        let mut tries = TRIES;
        while !self.left.is_empty() && !self.tx.is_closed() {
            let before = self.left.len();
            match self.once().await {
                Ok(()) => {}
                Err(error) if error.is_connection() => {
                    tries = if self.left.len() < before { TRIES } else { tries - 1 };
                    if tries == 0 {
                        return Err(error);
                    }
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn once(&mut self) -> Result<(), SessionError> {
        let request = Request::ReleaseContent { app: self.app.clone(), release: self.release };
        let mut talk = self.session.open(request).await?;
        let mut pages = self.left.chunks(limits::MISSING_PAGE_DIGESTS).peekable();
        while let Some(page) = pages.next() {
            let last = pages.peek().is_none();
            talk.send(&ClientMessage::Wanted { digests: page.to_vec(), last }).await?;
        }
        while !self.left.is_empty() {
            let (pack, chunks) = receive_pack(&mut talk, self.left.len()).await?;
            if self.tx.send(Ok(pack)).await.is_err() {
                return Ok(());
            }
            self.left.drain(..chunks);
        }
        Ok(())
    }
}

/// The next pack, and how many of the `wanted` chunks it holds: the first ones of them.
pub(super) async fn receive_pack(talk: &mut Talk, wanted: usize) -> Result<(Pack, usize), SessionError> {
    let wrong = || SessionError::Unexpected { expected: "a pack", got: "another one than was announced" };
    let (encoding, size_bytes, chunks, content_bytes) = match talk.next("a pack", Some(ANSWER_WITHIN)).await?
    {
        ServerMessage::Pack { encoding, size_bytes, chunks, content_bytes } => {
            (encoding, size_bytes, chunks, content_bytes)
        }
        other => return Err(talk::unexpected("a pack", &other)),
    };
    let chunks = usize::try_from(chunks).ok().filter(|chunks| (1..=wanted).contains(chunks));
    let chunks = chunks.filter(|_| encoding != PackEncoding::Unknown && size_bytes <= limits::PACK_BYTES);
    let chunks = chunks.ok_or_else(wrong)?;
    let bytes = receive_bulk(talk, size_bytes).await?.ok_or_else(wrong)?;
    Ok((Pack { encoding, bytes, content_bytes }, chunks))
}

/// So many bytes; `None` where something else comes.
async fn receive_bulk(talk: &mut Talk, size_bytes: u64) -> Result<Option<Bytes>, SessionError> {
    let mut bytes = BytesMut::new();
    while (bytes.len() as u64) < size_bytes {
        let received = tokio::time::timeout(ANSWER_WITHIN, talk.rx.receive()).await;
        let received =
            received.map_err(|_| SessionError::Silent { what: "a pack", waited: ANSWER_WITHIN })?;
        let frame = received?.ok_or(SessionError::Broken { source: None })?;
        if frame.kind != Kind::Bulk || frame.payload.is_empty() {
            return Ok(None);
        }
        bytes.extend_from_slice(&frame.payload);
    }
    Ok((bytes.len() as u64 == size_bytes).then(|| bytes.freeze()))
}
