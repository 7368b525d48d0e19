//! A release's source for whoever ships it elsewhere, and what an agent makes of a deploy that comes from there.
//!
//! **Invariants**
//! - Nothing of a release leaves but what its manifest lists: neither its env file nor what another release holds.
//! - That a release was promoted from one of this agent's own is believed only where it is the very same manifest, and only
//!   from somebody who may deploy that app too. Of another agent's release there is only the client's word, and what is told
//!   of it says so.

pub mod carry;
pub mod images;

use crate::agent::Agent;
use crate::answers::known_app;
use crate::conversation::{Stop, Talk};
use crate::failures;
use crate::jobs::verify;
use bytes::Bytes;
use std::collections::HashSet;
use wharf_access::{Denied, Permit};
use wharf_plan::InputKey;
use wharf_proto::frame::{Frame, Kind};
use wharf_proto::limits;
use wharf_proto::message::{ClientMessage, DeployRequest, PackEncoding, ServerMessage};
use wharf_proto::release::{PromotedFrom, ReleaseSource};
use wharf_proto::{AppName, Digest, Failure, FailureKind, Manifest, ReleaseId};
use wharf_state::{AppRecord, ReleaseRecord};

/// The longest name of an environment that is remembered.
const ENVIRONMENT_CHARS: usize = 64;
/// The longest name of a server that is.
const HOST_CHARS: usize = 255;
/// How much of the agent's name for itself is told.
const NAME_DIGITS: usize = 32;

/// Where a deploy comes from, looked at.
#[derive(Debug, Clone)]
pub struct Origin {
    pub from: PromotedFrom,
    /// Whether the release is one of this agent's own, so that its images are here.
    pub here: bool,
}

/// Tells what a release is and which files it has.
///
/// # Errors
/// No such release, or a live one that is not healthy; a client that left.
pub async fn source(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    app: &AppName,
    wanted: Option<ReleaseId>,
) -> Result<(), Stop> {
    let known = known_app(agent, permit, app).await?;
    let release = release(agent, &known, wanted).await?;
    let live = known.live == Some(release.release);
    if live {
        check_health(agent, &known, release.release).await?;
    }
    let source = ReleaseSource {
        agent: name_of(agent),
        app: app.clone(),
        release: release.release,
        live,
        versions: release
            .versions
            .iter()
            .filter_map(|(file, version)| Some((file.parse().ok()?, version.clone())))
            .collect(),
        message: release.message.clone(),
        git_commit: release.git_commit.clone(),
        images: Some(images::offered(agent, &release).await?),
    };
    talk.say(&ServerMessage::Source { source }).await?;
    let mut pages = release.manifest.entries().chunks(limits::MANIFEST_PAGE_ENTRIES).peekable();
    if pages.peek().is_none() {
        talk.say(&ServerMessage::Manifest { entries: Vec::new(), last: true }).await?;
    }
    while let Some(page) = pages.next() {
        let last = pages.peek().is_none();
        talk.say(&ServerMessage::Manifest { entries: page.to_vec(), last }).await?;
    }
    Ok(())
}

/// Sends what is wanted of a release's content, pack by pack: one is in memory at a time.
///
/// # Errors
/// What is not the release's, or is no longer whole; a client that left.
pub async fn content(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    app: &AppName,
    wanted: ReleaseId,
) -> Result<(), Stop> {
    let known = known_app(agent, permit, app).await?;
    let release = release(agent, &known, Some(wanted)).await?;
    let own: HashSet<Digest> = release.manifest.chunks().map(|chunk| chunk.digest).collect();
    let _lease = agent.blobs.lease(own.iter().copied());
    let wanted = receive_wanted(talk, &own).await?;
    let mut sent = 0;
    while sent < wanted.len() {
        let (blobs, rest) = (agent.blobs.clone(), wanted.get(sent..).unwrap_or_default().to_vec());
        let pack = failures::blocking(move || blobs.pack_zip(&rest).map_err(|e| failures::of_blobs(&e)));
        let pack = talk.unless_gone(pack).await?;
        talk.say(&ServerMessage::Pack {
            encoding: PackEncoding::Zip,
            size_bytes: pack.zip.len() as u64,
            chunks: pack.blobs as u64,
            content_bytes: pack.content_bytes,
        })
        .await?;
        let bytes = Bytes::from(pack.zip);
        for at in (0..bytes.len()).step_by(limits::BULK_FRAME_BYTES as usize) {
            let end = bytes.len().min(at + limits::BULK_FRAME_BYTES as usize);
            talk.send(Frame { kind: Kind::Bulk, payload: bytes.slice(at..end) }).await?;
        }
        sent += pack.blobs;
    }
    Ok(())
}

async fn receive_wanted(talk: &mut Talk, own: &HashSet<Digest>) -> Result<Vec<Digest>, Stop> {
    let mut wanted = Vec::new();
    loop {
        let ClientMessage::Wanted { digests, last } = talk.hear_message().await? else {
            return Err(out_of_turn("a page of what is wanted").into());
        };
        if digests.iter().any(|digest| !own.contains(digest)) {
            return Err(Failure::new(
                FailureKind::NotFound,
                "something is wanted that the release does not have",
            )
            .into());
        }
        wanted.extend(digests);
        // Each once is enough.
        if wanted.len() > own.len() {
            return Err(out_of_turn("each chunk once").into());
        }
        if last {
            return Ok(wanted);
        }
    }
}

/// The release that is to be shipped elsewhere.
async fn release(
    agent: &Agent,
    known: &AppRecord,
    wanted: Option<ReleaseId>,
) -> Result<ReleaseRecord, Failure> {
    let app = &known.app;
    let wanted = wanted.or(known.live).ok_or_else(|| {
        Failure::new(
            FailureKind::Refused,
            format!("no release of {app} is live, so there is nothing to promote"),
        )
        .hint("deploy it there first; or name an earlier release: --release vN")
    })?;
    let found = agent.state.release(app, wanted).await.map_err(|e| failures::of_state(&e))?;
    let release = found.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("{app} has no release {wanted}"))
            .cause("it never went live, or is no longer listed")
            .hint("see what there is: wharf releases")
    })?;
    if release.adopted {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("{wanted} of {app} is what was started by hand: its files were never shipped"),
        )
        .hint("deploy it there once; that release can be promoted"));
    }
    Ok(release)
}

/// What serves badly is not what somebody tried out.
async fn check_health(agent: &Agent, known: &AppRecord, release: ReleaseId) -> Result<(), Failure> {
    let containers = agent.engine.project_containers(&known.project).await;
    let containers = containers.map_err(|e| failures::of_engine(&e))?;
    let problems = verify::not_serving(&containers);
    if problems.is_empty() {
        return Ok(());
    }
    let text = format!("{release} of {} does not run healthily, so it is not promoted", known.app);
    let failure = problems.into_iter().fold(Failure::new(FailureKind::Refused, text), Failure::cause);
    Err(failure
        .hint("see what is wrong with it: wharf logs, wharf status")
        .hint("or promote an earlier release: --release vN"))
}

/// Looks at where a deploy says that it comes from.
///
/// # Errors
/// A release of this agent's that somebody may not use, that is not there, or whose source is another one.
pub async fn origin(
    agent: &Agent,
    permit: &Permit,
    request: &DeployRequest,
    manifest: &Manifest,
) -> Result<Option<Origin>, Failure> {
    let Some(promoted) = &request.source.promoted else { return Ok(None) };
    let PromotedFrom { environment, app, release, host } = &promoted.from;
    let plain = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    let environment = plain(environment, ENVIRONMENT_CHARS);
    let from = PromotedFrom { environment, app: app.clone(), release: *release, host: None };
    if promoted.agent != name_of(agent) {
        // An older client does not say which.
        let host = plain(host.as_deref().unwrap_or("another server"), HOST_CHARS);
        return Ok(Some(Origin { from: PromotedFrom { host: Some(host), ..from }, here: false }));
    }
    if !permit.reaches(app) {
        return Err(Denied::App(app.clone()).failure());
    }
    if *app == request.spec.app {
        let text = format!("{app} cannot be promoted to itself");
        return Err(Failure::new(FailureKind::Refused, text)
            .cause("both environments are the same app on the same server")
            .hint("give one of them another `app`; to go back to an earlier release: wharf rollback"));
    }
    let found = agent.state.release(app, *release).await.map_err(|e| failures::of_state(&e))?;
    match found {
        Some(record) if !record.adopted && record.manifest == *manifest => {
            Ok(Some(Origin { from, here: true }))
        }
        Some(_) => {
            Err(Failure::new(FailureKind::Refused, format!("what was sent is not the source of {from}"))
                .hint("promote again"))
        }
        None => Err(Failure::new(FailureKind::NotFound, format!("{app} no longer has {release}"))
            .cause("it was pruned meanwhile")
            .hint("promote again")),
    }
}

/// What this agent calls itself, so that it knows itself again: made from its key, which it does not tell.
fn name_of(agent: &Agent) -> String {
    let digest = InputKey::new(agent.state.secret_key()).digest(b"the agent's name").to_hex();
    digest.chars().take(NAME_DIGITS).collect()
}

fn out_of_turn(due: &str) -> Failure {
    Failure::new(FailureKind::Unsupported, format!("the client sent something else where {due} was due"))
        .hint("use a wharf and a wharfd of the same version")
}
