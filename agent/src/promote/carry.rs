//! An image on its way from one agent's engine to another's, through a client that holds connections to both.
//!
//! **Invariants**
//! - What leaves is an image that its release offers ([`super::images`]), and nothing beside it.
//! - The engine is given only what [`Passage`] let through, and its request ends well only where all of it came. What is cut
//!   off leaves nothing behind.
//! - A pack is acknowledged once the engine took it: a slow engine slows down the sender.
//! - How long an image is on its way depends on the line; each wait for an engine or for the client has a limit.

use super::images;
use crate::agent::Agent;
use crate::answers::known_app;
use crate::audit;
use crate::conversation::{Stop, Talk};
use crate::failures;
use crate::room;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::timeout;
use wharf_access::Permit;
use wharf_engine::travel::{COPY_LIMIT, Passage, PassageError};
use wharf_proto::frame::{Frame, Kind};
use wharf_proto::limits;
use wharf_proto::message::{ClientMessage, PackEncoding, Reply, ServerMessage};
use wharf_proto::release::PortableImage;
use wharf_proto::{AppName, Digest, Failure, FailureKind, ReleaseId};

/// Images that an agent sends or takes in at once: an engine copies each of them whole on its disk.
const AT_ONCE: usize = 2;
static UNDER_WAY: Semaphore = Semaphore::const_new(AT_ONCE);
/// How long an engine may take over the next piece, where it has begun.
const NEXT_PIECE_WITHIN: Duration = Duration::from_secs(300);
/// How long the client may be silent: the other server's engine copies the whole image before the first piece, which then has
/// its way to go.
const SILENT_AT_MOST: Duration = Duration::from_secs(2 * COPY_LIMIT.as_secs());
/// What must stay free on the engine's disk.
const SPARE_BYTES: u64 = 512 * 1024 * 1024;
/// zstd's own level for a balance of time and size.
const LEVEL: i32 = 3;

/// Which image is wanted, and of which release.
pub struct Wanted {
    pub release: ReleaseId,
    pub image: Digest,
    pub without: Vec<Digest>,
}

/// Sends an image of a release, but for the layers that the other server has.
///
/// # Errors
/// One that is not offered, an engine that fails, a client that left.
pub async fn send(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    app: &AppName,
    wanted: Wanted,
) -> Result<(), Stop> {
    let known = known_app(agent, permit, app).await?;
    let release = super::release(agent, &known, Some(wanted.release)).await?;
    let offered = images::offered(agent, &release).await?;
    let Some(image) = offered.images.iter().find(|image| image.image == wanted.image) else {
        let text = format!("{} of {app} has no such image that could be sent", wanted.release);
        return Err(Failure::new(FailureKind::NotFound, text).hint("promote again").into());
    };
    let _place = place()?;
    let action = format!("promote {}: image of {}", wanted.release, image.service);
    audit::write(agent, &talk.who, Some(app), &action, format!("sent to another server: {}", image.id()))
        .await?;
    let mut passage = Passage::new(image.image, &image.layers, left_out(&image.layers, &wanted.without));
    let mut pieces = std::pin::pin!(agent.engine.export(&image.id()));
    let (mut held, mut within): (Vec<u8>, _) = (Vec::new(), COPY_LIMIT);
    loop {
        let piece = async {
            timeout(within, pieces.next()).await.map_err(|_| too_slow("sends no more of the image"))
        };
        let piece = talk.unless_gone(piece).await?;
        within = NEXT_PIECE_WITHIN;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|e| failures::of_engine(&e))?;
        held.extend(passage.pass(&piece).map_err(|e| not_sent(&e))?);
        while held.len() as u64 >= limits::PACK_TARGET_BYTES {
            let rest = held.split_off(usize::try_from(limits::PACK_TARGET_BYTES).unwrap_or(held.len()));
            send_pack(talk, std::mem::replace(&mut held, rest)).await?;
        }
    }
    passage.finish().map_err(|e| not_sent(&e))?;
    if !held.is_empty() {
        send_pack(talk, held).await?;
    }
    Ok(())
}

async fn send_pack(talk: &mut Talk, content: Vec<u8>) -> Result<(), Stop> {
    let content_bytes = content.len() as u64;
    let packed = failures::blocking(move || {
        zstd::bulk::compress(&content, LEVEL).map_err(|e| Failure::from_error(FailureKind::Internal, &e))
    });
    let bytes = Bytes::from(packed.await?);
    let size_bytes = bytes.len() as u64;
    talk.say(&ServerMessage::Pack { encoding: PackEncoding::Zstd, size_bytes, chunks: 1, content_bytes })
        .await?;
    for at in (0..bytes.len()).step_by(limits::BULK_FRAME_BYTES as usize) {
        let end = bytes.len().min(at + limits::BULK_FRAME_BYTES as usize);
        talk.send(Frame { kind: Kind::Bulk, payload: bytes.slice(at..end) }).await?;
    }
    Ok(())
}

/// Takes in an image of another server's release.
///
/// # Errors
/// One that is not what was named or does not fit here, no room, an engine that fails, a client that left.
pub async fn load(
    agent: &Agent,
    talk: &mut Talk,
    app: &AppName,
    image: PortableImage,
) -> Result<Reply, Stop> {
    let loaded = Reply::ImageLoaded { image: image.image };
    check(agent, &image).await?;
    let _place = place()?;
    let engine = &agent.engine;
    if engine.baggage(&image.id()).await.map_err(|e| failures::of_engine(&e))?.is_some() {
        return Ok(loaded);
    }
    let here = engine.layers_here(&image.layers).await.map_err(|e| failures::of_engine(&e))?;
    check_room(agent, if here == 0 { image.size_bytes.saturating_mul(2) } else { image.size_bytes }).await?;
    let (lower, upper) = image.layers.split_at(here.min(image.layers.len()));
    let missing: Vec<Digest> = upper.to_vec();
    let without: BTreeSet<Digest> = lower.iter().filter(|layer| !upper.contains(layer)).copied().collect();
    let action = format!("promote: image of {}", plain(&image.service));
    audit::write(
        agent,
        &talk.who,
        Some(app),
        &action,
        format!("comes from another server, as the client says: {}", image.id()),
    )
    .await?;
    talk.say(&ServerMessage::Missing { digests: missing, last: true }).await?;

    let (tx, rx) = mpsc::channel(1);
    let mut loading = tokio::spawn({
        let engine = engine.clone();
        async move { engine.load(archive(rx)).await }
    });
    let mut passage = Passage::new(image.image, &image.layers, without);
    let taken = take(agent, talk, &mut passage, &tx, &mut loading).await;
    drop(tx);
    let ended = match taken {
        // In its own words, where it ended by itself.
        Ok(Taken::All | Taken::TheEngineEnded) => timeout(COPY_LIMIT, &mut loading).await,
        Err(stop) => {
            // The archive ends in an error, which the engine must have seen before this is over.
            if timeout(NEXT_PIECE_WITHIN, &mut loading).await.is_err() {
                loading.abort();
            }
            return Err(stop);
        }
    };
    let Ok(ended) = ended else {
        loading.abort();
        return Err(too_slow("does not end taking in the image").into());
    };
    let ended = ended.map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    ended.map_err(|e| failures::of_engine(&e).hint("promote again; or have it built: --rebuild"))?;
    if engine.baggage(&image.id()).await.map_err(|e| failures::of_engine(&e))?.is_none() {
        let text = format!(
            "the engine took in the image of {}, and does not have it by its ID",
            plain(&image.service)
        );
        return Err(Failure::new(FailureKind::Environment, text)
            .cause(image.id())
            .hint("have it built instead: --rebuild")
            .into());
    }
    audit::write(agent, &talk.who, Some(app), &action, format!("is here: {}", image.id())).await?;
    Ok(loaded)
}

/// What a stream of packs came to.
enum Taken {
    All,
    TheEngineEnded,
}

/// Gives the engine what comes, until the client says that it was all.
async fn take(
    agent: &Agent,
    talk: &mut Talk,
    passage: &mut Passage,
    tx: &mpsc::Sender<Piece>,
    loading: &mut tokio::task::JoinHandle<Result<(), wharf_engine::EngineError>>,
) -> Result<Taken, Stop> {
    loop {
        match in_time(talk.hear_message()).await? {
            ClientMessage::Pack { encoding: PackEncoding::Zstd, size_bytes } => {
                let pack = in_time(crate::receive::receive_pack(talk, size_bytes)).await?;
                let content = failures::blocking(move || unpack(&pack)).await?;
                let through = passage.pass(&content).map_err(|e| refused(&e))?;
                check_room(agent, 0).await?;
                let given = timeout(NEXT_PIECE_WITHIN, tx.send(Piece::Next(through.into()))).await;
                let given = given.map_err(|_| too_slow("takes no more of the image"))?;
                if loading.is_finished() || given.is_err() {
                    return Ok(Taken::TheEngineEnded);
                }
                talk.say(&ServerMessage::Stored { chunks: 1 }).await?;
            }
            ClientMessage::Sent => {
                passage.finish().map_err(|e| refused(&e))?;
                // Gone where the engine has ended by itself, which is told then.
                let given = timeout(NEXT_PIECE_WITHIN, tx.send(Piece::End)).await;
                let _ = given.map_err(|_| too_slow("takes no more of the image"))?;
                return Ok(Taken::All);
            }
            _ => return Err(super::out_of_turn("a piece of the image").into()),
        }
    }
}

/// A client that is silent for too long has left.
async fn in_time<T>(heard: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    timeout(SILENT_AT_MOST, heard).await.unwrap_or(Err(Stop::Gone))
}

/// A piece of an archive, on its way to the engine.
enum Piece {
    Next(Bytes),
    /// All of it came, and was found good.
    End,
}

/// The archive that the engine reads. It ends only by [`Piece::End`]: what is cut off ends in an error.
fn archive(rx: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::unfold(Some(rx), |rx| async move {
        let mut rx = rx?;
        match rx.recv().await {
            Some(Piece::Next(bytes)) => Some((Ok(bytes), Some(rx))),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::other("the image was cut off on its way")), None)),
        }
    })
}

fn unpack(pack: &[u8]) -> Result<Vec<u8>, Failure> {
    let most = usize::try_from(limits::PACK_TARGET_BYTES).unwrap_or(usize::MAX);
    zstd::bulk::decompress(pack, most).map_err(|e| {
        Failure::from_error(FailureKind::Unsupported, &e).hint("use a wharf and a wharfd of the same version")
    })
}

/// What can be said before anything comes.
async fn check(agent: &Agent, image: &PortableImage) -> Result<(), Failure> {
    let refused = |why: String| {
        Failure::new(
            FailureKind::Refused,
            format!("the image of {} cannot be taken in", plain(&image.service)),
        )
        .cause(why)
        .hint("have it built instead: --rebuild")
    };
    if image.size_bytes > limits::IMAGE_BYTES || image.layers.len() > limits::IMAGE_LAYERS {
        return Err(refused(format!(
            "it has more than {} bytes or {} layers",
            limits::IMAGE_BYTES,
            limits::IMAGE_LAYERS
        )));
    }
    if let Err(why) = images::travels(&agent.engine.info().await.map_err(|e| failures::of_engine(&e))?) {
        return Err(refused(why.into()));
    }
    let platform = agent.engine.platform().await.map_err(|e| failures::of_engine(&e))?;
    if platform != image.platform {
        return Err(refused(format!("it is for {}, and this server is {platform}", plain(&image.platform))));
    }
    Ok(())
}

/// Whether the engine's disk has so much room, and some to spare.
async fn check_room(agent: &Agent, bytes: u64) -> Result<(), Failure> {
    let root = agent.engine.info().await.map_err(|e| failures::of_engine(&e))?.root_dir;
    // An engine whose folder is not to be seen has to find out for itself.
    let Some(space) = room::on(&root) else { return Ok(()) };
    let needed = bytes.saturating_add(SPARE_BYTES);
    if space.free_bytes >= needed {
        return Ok(());
    }
    let text = "the engine's disk has no room for an image from another server";
    Err(Failure::new(FailureKind::Environment, text)
        .cause(format!("{} bytes are free in {}, and {needed} are needed", space.free_bytes, root.display()))
        .hint("make room: wharf prune; or have it built here, which takes less: --rebuild"))
}

fn place() -> Result<SemaphorePermit<'static>, Failure> {
    UNDER_WAY.try_acquire().map_err(|_| {
        Failure::new(FailureKind::Busy, "other images are on their way to or from this server")
            .hint("promote again in a moment")
    })
}

/// Of what the other server has, the layers that are this image's.
fn left_out(layers: &[Digest], without: &[Digest]) -> BTreeSet<Digest> {
    without.iter().filter(|layer| layers.contains(layer)).copied().collect()
}

/// A text of the client's, for a line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn too_slow(what: &str) -> Failure {
    Failure::new(FailureKind::Environment, format!("the Docker engine {what}"))
        .hint("look at the engine's log and its disk, and promote again")
}

fn not_sent(error: &PassageError) -> Failure {
    Failure::from_error(FailureKind::Environment, error)
        .hint("have the images built by the other server: --rebuild")
}

fn refused(error: &PassageError) -> Failure {
    let failure = Failure::new(
        FailureKind::Refused,
        "what came is not the image that was named: nothing of it was taken in",
    );
    failure.cause(error.to_string()).hint("promote again; or have it built: --rebuild")
}
