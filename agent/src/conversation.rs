//! One conversation with one client: hello, request, answer.

use crate::{
    agent::Agent, answers, data, failures, forget, jobs, keys, locks, migrations, operate, programs, promote,
    receive, registries, secrets,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wharf_access::{ForcedCommand, Grant, Permit, authorise};
use wharf_agent_ssh::{Conversation, FrameSender, Handler, Peer};
use wharf_proto::frame::Frame;
use wharf_proto::message::{ClientMessage, Reply, Request, ServerMessage};
use wharf_proto::version::{self, Hello};
use wharf_proto::{Failure, FailureKind, JobId};

/// How long who came in may take to say what for.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// Takes conversations from whichever way they came in.
pub struct Doorman {
    pub agent: Agent,
}

#[async_trait::async_trait]
impl Handler for Doorman {
    async fn conversation(&self, peer: Peer, conversation: Conversation) {
        let guest = Guest::with_key(&peer);
        self.hold(guest, conversation).await;
    }
}

impl Doorman {
    /// Holds one conversation with somebody of whom it is known who it is and what that one may do.
    pub async fn hold(&self, guest: Guest, conversation: Conversation) {
        let who = Who { by: guest.key.clone(), from: guest.from.clone() };
        let mut talk = Talk { conversation, who: Arc::new(who) };
        let answer = converse(&self.agent, &guest, &mut talk).await;
        let last = match answer {
            Ok(Some(reply)) => ServerMessage::Reply { reply },
            Ok(None) => ServerMessage::End,
            Err(Stop::Failed(failure)) => ServerMessage::Failed { failure: *failure },
            Err(Stop::Gone) => return,
        };
        let _ = talk.say(&last).await;
    }
}

/// Who came in, by whichever way, and what that one may do.
pub struct Guest {
    /// How the audit names the key.
    pub key: String,
    pub from: String,
    /// A failure for one who may do nothing: a key that is limited in words that are not understood, or one more than there
    /// is room for.
    pub grant: Result<Grant, Failure>,
}

impl Guest {
    /// Who proved to hold a key, to the agent's own SSH server. A line without a command is for everything.
    fn with_key(peer: &Peer) -> Self {
        let said = peer.key_command.as_deref().map(ForcedCommand::parse).transpose();
        let name = said.as_ref().ok().and_then(|said| said.as_ref()?.key_name.clone());
        let comment = name.unwrap_or_else(|| peer.key_comment.clone());
        Self {
            key: if comment.is_empty() { peer.key_fingerprint.clone() } else { comment },
            from: peer.from.to_string(),
            grant: match said {
                Ok(said) => Ok(said.map_or_else(Grant::everything, |said| said.grant)),
                Err(why) => Err(not_ours(&why)),
            },
        }
    }
}

/// A `command="…"` on a key's line means that its owner wants to limit the key. What is not understood is refused: a limit
/// must not be lost.
fn not_ours(why: &wharf_access::ForcedCommandError) -> Failure {
    Failure::new(FailureKind::Unauthorized, "this key may not speak to wharfd")
        .cause("its line in authorized_keys has a command that is not one of Wharf's")
        .cause(why.to_string())
        .hint("on the server, write it as: command=\"wharfd connect --role deploy --app NAME\",restrict ssh-ed25519 …")
}

/// Who asks, for the audit and the job's record.
#[derive(Debug, Clone)]
pub struct Who {
    /// The key's comment and fingerprint, and who the client says sits there.
    pub by: String,
    pub from: String,
}

impl Who {
    fn introduced(guest: &Guest, person: &str) -> Self {
        let person: String = person.chars().filter(|c| !c.is_control()).take(128).collect();
        Self { by: format!("{person} (key {})", guest.key), from: guest.from.clone() }
    }
}

/// Why a conversation ends early.
pub enum Stop {
    /// The client is to be told.
    Failed(Box<Failure>),
    /// There is nobody left to tell.
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// A conversation and the one it is held with.
pub struct Talk {
    conversation: Conversation,
    pub who: Arc<Who>,
}

impl Talk {
    /// # Errors
    /// [`Stop::Gone`] where the client left.
    pub async fn say(&mut self, message: &ServerMessage) -> Result<(), Stop> {
        say(&self.conversation.sender(), message).await
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// As [`Talk::say`].
    pub async fn send(&mut self, frame: Frame) -> Result<(), Stop> {
        self.conversation.sender().send(frame).await.map_err(|_| Stop::Gone)
    }

    /// What `work` gives, unless the client leaves before: what nobody waits for any more must not begin.
    ///
    /// # Errors
    /// What `work` failed with, or [`Stop::Gone`].
    pub async fn unless_gone<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Stop> {
        let sender = self.conversation.sender();
        tokio::select! {
            // First, so that a client that left meanwhile is noticed also where the work is done.
            biased;
            () = sender.gone() => Err(Stop::Gone),
            result = work => Ok(result?),
        }
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`Stop::Gone`] where the client left, a failure where it does not speak the protocol.
    pub async fn hear(&mut self) -> Result<Frame, Stop> {
        match self.conversation.recv().await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(Stop::Gone),
            Err(error) => Err(Failure::from_error(FailureKind::Unsupported, &error).into()),
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// As [`Talk::hear`], and where bulk data comes instead.
    pub async fn hear_message(&mut self) -> Result<ClientMessage, Stop> {
        let frame = self.hear().await?;
        frame.message().map_err(|e| Failure::from_error(FailureKind::Unsupported, &e).into())
    }
}

async fn say(sender: &FrameSender, message: &ServerMessage) -> Result<(), Stop> {
    let frame = Frame::control(message).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    sender.send(frame).await.map_err(|_| Stop::Gone)
}

async fn converse(agent: &Agent, guest: &Guest, talk: &mut Talk) -> Result<Option<Reply>, Stop> {
    // Who says nothing would keep a place for ever.
    let opened = timeout(OPEN_WITHIN, talk.hear_message()).await.map_err(|_| Stop::Gone)?;
    let ClientMessage::Open { hello, person, request } = opened? else {
        return Err(Failure::new(
            FailureKind::Unsupported,
            "a conversation that does not begin with a hello",
        )
        .into());
    };
    let ours = Hello::ours(concat!("wharfd ", env!("CARGO_PKG_VERSION")));
    talk.say(&ServerMessage::Hello { hello: ours.clone() }).await?;
    version::negotiate(&ours, &hello)
        .map_err(|e| Failure::from_error(FailureKind::Unsupported, &*e).hint(e.remedy()))?;
    let grant = guest.grant.as_ref().map_err(Failure::clone)?;
    talk.who = Arc::new(Who::introduced(guest, &person));
    let permit = authorise(grant, &request).map_err(|denied| {
        tracing::warn!(by = talk.who.by, from = talk.who.from, "refused: {denied}");
        denied.failure()
    })?;
    locks::check_request(agent, &request).await?;
    dispatch(agent, talk, &permit, request).await
}

async fn dispatch(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: Request,
) -> Result<Option<Reply>, Stop> {
    let reply = match request {
        Request::Deploy(deploy) => return receive::deploy(agent, talk, permit, *deploy).await,
        Request::Rollback(rollback) => return jobs::rollback::requested(agent, talk, permit, rollback).await,
        Request::ReleaseSource { app, release } => {
            return promote::source(agent, talk, permit, &app, release).await.map(|()| None);
        }
        Request::ReleaseContent { app, release } => {
            return promote::content(agent, talk, permit, &app, release).await.map(|()| None);
        }
        Request::ReleaseImage { app, release, image, without } => {
            let wanted = promote::carry::Wanted { release, image, without };
            return promote::carry::send(agent, talk, permit, &app, wanted).await.map(|()| None);
        }
        Request::ImageLoad { app, image } => {
            return promote::carry::load(agent, talk, &app, *image).await.map(Some);
        }
        Request::Attach { job, from_index } => {
            return attach(agent, talk, permit, job, from_index).await.map(|()| None);
        }
        Request::Logs(logs) => return answers::logs::stream(agent, talk, permit, logs).await.map(|()| None),
        Request::FrontEnds { app, rules } => answers::front_ends(agent, permit, &app, &rules).await,
        Request::Releases { app } => answers::releases(agent, permit, &app).await,
        Request::Jobs { limit, .. } => answers::jobs(agent, permit, limit).await,
        Request::Status { app } => answers::status::status(agent, permit, app.as_ref()).await,
        Request::Audit { limit, .. } => answers::audit(agent, permit, limit).await,
        about_backups @ (Request::BackupCreate { .. }
        | Request::BackupList { .. }
        | Request::BackupVerify { .. }
        | Request::BackupRestore { .. }
        | Request::BackupPrune { .. }
        | Request::BackupPin { .. }
        | Request::BackupKey { .. }
        | Request::MigrateUp { .. }
        | Request::MigrateDown(_)) => return data::requested(agent, talk, permit, about_backups).await,
        Request::SecretList { app } => secrets::list(agent, permit, &app).await,
        Request::SecretChange(change) => return secrets::change(agent, talk, permit, *change).await,
        Request::DatabasePassword(change) => return secrets::password(agent, talk, permit, *change).await,
        program @ (Request::Exec(_) | Request::Run(_) | Request::DbConsole(_)) => {
            return programs::requested(agent, talk, permit, program).await.map(|()| None);
        }
        Request::DbStatus { app, slow_seconds } => {
            answers::databases::status(agent, permit, &app, slow_seconds).await
        }
        Request::Migrations { app } => migrations::status(agent, permit, &app).await,
        operates @ (Request::Restart { .. }
        | Request::Scales { .. }
        | Request::Scale { .. }
        | Request::Prune { .. }) => {
            return operate::requested(agent, talk, permit, operates).await;
        }
        about_keys @ (Request::Keys | Request::KeyAdd { .. } | Request::KeyRemove { .. }) => {
            keys::requested(agent, &talk.who, about_keys).await
        }
        Request::Forget { app, confirmed, lock_wait_seconds } => {
            return forget::requested(agent, talk, permit, &app, &confirmed, lock_wait_seconds).await;
        }
        about_registries @ (Request::Registries
        | Request::RegistryLogin(_)
        | Request::RegistryLogout { .. }) => registries::requested(agent, &talk.who, about_registries).await,
        about_locks @ (Request::Lock { .. } | Request::Unlock { .. } | Request::LockStatus { .. }) => {
            locks::requested(agent, &talk.who, permit, about_locks).await
        }
        Request::Doctor { app } => answers::doctor::look(agent, permit, app.as_ref()).await,
        Request::Unknown => {
            return Err(Failure::new(FailureKind::Unsupported, "this agent does not know that request")
                .hint("upgrade wharfd on the server")
                .into());
        }
    };
    Ok(Some(reply?))
}

/// Watches a job that runs or ran, of an app that the permit is for. One of another app is as one that is not there.
async fn attach(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    job: JobId,
    from_index: u64,
) -> Result<(), Stop> {
    let record = agent.state.job(job).await.map_err(|e| failures::of_state(&e))?;
    if !record.is_some_and(|record| permit.covers(&record.app)) {
        return Err(failures::no_such_job(job).into());
    }
    watch(agent, talk, job, from_index).await
}

/// Tells the client of its job, which has begun, and sends the job's events to its last one.
///
/// # Errors
/// A client that left: the job goes on.
pub async fn follow(agent: &Agent, talk: &mut Talk, job: JobId) -> Result<Option<Reply>, Stop> {
    talk.say(&ServerMessage::Accepted { job }).await?;
    watch(agent, talk, job, 0).await?;
    Ok(None)
}

/// Sends a job's events from `from_index` to its last one.
///
/// # Errors
/// A job that does not exist, or a client that left: the job goes on.
pub async fn watch(agent: &Agent, talk: &mut Talk, job: JobId, from_index: u64) -> Result<(), Stop> {
    let mut events = agent.events.follow(job, from_index).await.map_err(|e| failures::of_events(&e, job))?;
    let gone = talk.conversation.sender();
    loop {
        // A client that left while a job is silent would otherwise be waited for until the job's next word.
        let event = tokio::select! {
            event = events.next() => event.map_err(|e| failures::of_events(&e, job))?,
            () = gone.gone() => return Err(Stop::Gone),
        };
        let Some(event) = event else { return Ok(()) };
        talk.say(&ServerMessage::Event { event }).await?;
    }
}
