//! An image of a release, from the agent that keeps it to the one that will run it: the two cannot reach each other.
//!
//! **Invariant**: one piece is in memory beside those that are being sent on. The image is nowhere whole on this computer.

use super::{
    Pack, Packs, Session, SessionError,
    source::receive_pack,
    talk::{self, ANSWER_WITHIN},
    upload::{self, Progress, Sent},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::sync::mpsc;
use wharf_proto::{
    AppName, Digest, Failure, FailureKind, ReleaseId,
    message::{ClientMessage, Reply, Request, ServerMessage},
    release::PortableImage,
};

/// Pieces that are fetched ahead of the one that is being sent on.
const PIECES_AHEAD: usize = 1;
/// How long an engine may take before it gives the first piece, and after it got the last one: it copies the whole image.
const COPIED_WITHIN: Duration = Duration::from_secs(1800);
/// How often an image is begun anew that was cut off on its way.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Where an image comes from.
pub struct Keeper<'a> {
    pub session: &'a Session,
    pub app: &'a AppName,
    pub release: ReleaseId,
}

/// Carries an image over. What was cut off is begun anew; nothing of it is left where it went.
///
/// # Errors
/// Whatever breaks a conversation for good, or an agent's refusal.
pub async fn carry(
    from: &Keeper<'_>,
    to: (&Session, &AppName),
    image: &PortableImage,
    progress: &mut dyn Progress,
) -> Result<Sent, SessionError> {
    for left in (0..TRIES).rev() {
        match once(from, to, image, progress).await {
            Err(error) if left > 0 && is_cut(&error) => tokio::time::sleep(TRY_AGAIN_AFTER).await,
            ended => return ended,
        }
    }
    Err(SessionError::Broken { source: None })
}

/// Whether one of the two connections broke: the one that pieces come from is told of as this side's own.
fn is_cut(error: &SessionError) -> bool {
    error.is_connection()
        || matches!(error, SessionError::Local(failure) if failure.kind == FailureKind::Unreachable)
}

async fn once(
    from: &Keeper<'_>,
    (to, app): (&Session, &AppName),
    image: &PortableImage,
    progress: &mut dyn Progress,
) -> Result<Sent, SessionError> {
    let mut talk = to.open(Request::ImageLoad { app: app.clone(), image: Box::new(image.clone()) }).await?;
    let missing: BTreeSet<Digest> = match talk.next("what it lacks of the image", Some(ANSWER_WITHIN)).await?
    {
        ServerMessage::Reply { reply: Reply::ImageLoaded { image: there } } if there == image.image => {
            return Ok(Sent::default());
        }
        ServerMessage::Missing { digests, last: true } => digests.into_iter().collect(),
        other => return Err(talk::unexpected("the layers that it lacks", &other)),
    };
    let without: Vec<Digest> =
        image.layers.iter().filter(|layer| !missing.contains(layer)).copied().collect();
    let layers = (image.layers.len() - without.len()) as u64;
    // How large the other layers are by themselves is not known.
    progress.start(if without.is_empty() { image.size_bytes } else { 0 }, layers);
    let pieces = fetch(from, image.image, without);
    let sent = upload::upload(&mut *talk.tx, &mut *talk.rx, pieces, progress).await?;
    talk.send(&ClientMessage::Sent).await?;
    match talk.next("the image", Some(COPIED_WITHIN)).await? {
        ServerMessage::Reply { reply: Reply::ImageLoaded { image: there } } if there == image.image => {
            progress.finish(&sent);
            Ok(sent)
        }
        other => Err(talk::unexpected("the image", &other)),
    }
}

/// The pieces of an image, fetched as they are sent on.
fn fetch(from: &Keeper<'_>, image: Digest, without: Vec<Digest>) -> Packs {
    let (tx, rx) = mpsc::channel(PIECES_AHEAD);
    let request = Request::ReleaseImage { app: from.app.clone(), release: from.release, image, without };
    let session = from.session.clone();
    tokio::spawn(async move {
        if let Err(error) = pass_on(&session, request, &tx).await {
            // Whoever sends may have given up.
            let _ = tx.send(Err(told(error))).await;
        }
    });
    rx
}

fn told(error: SessionError) -> Failure {
    let cut = error.is_connection();
    let failure: Failure = error.into();
    Failure { kind: if cut { FailureKind::Unreachable } else { failure.kind }, ..failure }
}

async fn pass_on(
    session: &Session,
    request: Request,
    tx: &mpsc::Sender<Result<Pack, Failure>>,
) -> Result<(), SessionError> {
    let mut talk = session.open(request).await?;
    let mut within = COPIED_WITHIN;
    loop {
        match talk.next("a piece of the image", Some(within)).await? {
            ServerMessage::End => return Ok(()),
            piece => talk.put_back(piece),
        }
        within = ANSWER_WITHIN.max(Duration::from_secs(300));
        let (pack, _) = receive_pack(&mut talk, 1).await?;
        if tx.send(Ok(pack)).await.is_err() {
            return Ok(());
        }
    }
}
