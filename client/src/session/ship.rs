//! Shipping a release: manifest, what is missing, packs, and then a job or a plan.
//!
//! **Invariant**: until [`ClientMessage::Sent`] is given to the wire no job exists, and everything before it may be done
//! again. What breaks from there to the agent's answer is [`SessionError::Unknown`].

use super::{
    Session, SessionError, Talk,
    talk::{self, ANSWER_WITHIN},
    upload::{self, Packs, Progress, Sent},
};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use wharf_proto::{
    Digest, JobId, Manifest, limits,
    message::{ClientMessage, DeployRequest, Reply, Request, ServerMessage},
    plan::DeployPlan,
};

/// How long the agent may take to plan: it asks Compose and Docker.
const PLAN_WITHIN: Duration = Duration::from_secs(600);

/// What is shipped.
pub struct Offer<'a> {
    pub request: DeployRequest,
    pub manifest: &'a Manifest,
    /// Makes packs of the chunks that the server lacks.
    pub packs: &'a (dyn Fn(BTreeSet<Digest>) -> Packs + Sync),
}

/// What came of it.
pub enum Shipped {
    /// A job runs; the conversation goes on with its events.
    Job { job: JobId, talk: Box<Talk>, sent: Sent },
    /// A dry run: what a deploy would do.
    Plan { plan: Box<DeployPlan>, sent: Sent },
}

/// Ships a release, once: the caller decides whether to try again.
///
/// # Errors
/// Whatever breaks the conversation, the agent's failure, or one of the packs'.
pub async fn ship(
    session: &Session,
    offer: &Offer<'_>,
    progress: &mut dyn Progress,
) -> Result<Shipped, SessionError> {
    let mut talk = session.open(Request::Deploy(Box::new(offer.request.clone()))).await?;
    // The agent waits for the app's other job first, and reads nothing meanwhile.
    talk.be_patient(Duration::from_secs(u64::from(offer.request.options.lock_wait_seconds)));
    send_manifest(&mut talk, offer.manifest).await?;
    let missing = receive_missing(&mut talk).await?;
    talk.be_patient(Duration::ZERO);
    let (chunks, total_bytes) = count(offer.manifest, &missing);
    progress.start(total_bytes, chunks);
    let sent = if missing.is_empty() {
        Sent::default()
    } else {
        upload::upload(&mut *talk.tx, &mut *talk.rx, (offer.packs)(missing), progress).await?
    };
    progress.finish(&sent);
    let asked = match talk.send(&ClientMessage::Sent).await {
        Ok(()) => talk.next("the job", Some(PLAN_WITHIN)).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(ServerMessage::Accepted { job }) => Ok(Shipped::Job { job, talk: Box::new(talk), sent }),
        Ok(ServerMessage::Reply { reply: Reply::Plan { plan } }) => Ok(Shipped::Plan { plan, sent }),
        Ok(other) => Err(talk::unexpected("a job", &other)),
        Err(error) if error.is_connection() && !offer.request.options.dry_run => {
            Err(SessionError::Unknown { source: Box::new(error) })
        }
        Err(error) => Err(error),
    }
}

async fn send_manifest(talk: &mut Talk, manifest: &Manifest) -> Result<(), SessionError> {
    let pages = manifest.entries().len().div_ceil(limits::MANIFEST_PAGE_ENTRIES).max(1);
    for page in 0..pages {
        let from = page * limits::MANIFEST_PAGE_ENTRIES;
        let entries =
            manifest.entries().iter().skip(from).take(limits::MANIFEST_PAGE_ENTRIES).cloned().collect();
        talk.send(&ClientMessage::Manifest { entries, last: page + 1 == pages }).await?;
    }
    Ok(())
}

async fn receive_missing(talk: &mut Talk) -> Result<BTreeSet<Digest>, SessionError> {
    let mut missing = BTreeSet::new();
    loop {
        match talk.next("what it lacks", Some(ANSWER_WITHIN)).await? {
            ServerMessage::Missing { digests, last } => {
                missing.extend(digests);
                if last {
                    return Ok(missing);
                }
            }
            other => return Err(talk::unexpected("a list of what is missing", &other)),
        }
    }
}

/// How many of the missing chunks the manifest has, and how long they are together.
fn count(manifest: &Manifest, missing: &BTreeSet<Digest>) -> (u64, u64) {
    let sizes: HashMap<Digest, u64> =
        manifest.chunks().map(|chunk| (chunk.digest, u64::from(chunk.size_bytes))).collect();
    let found = missing.iter().filter_map(|digest| sizes.get(digest));
    (found.clone().count() as u64, found.sum())
}
