//! One conversation: hello and request out, hello in, then messages.

use super::{Dial, Receive, Send, SessionError};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use wharf_proto::{
    frame::Frame,
    message::{ClientMessage, Reply, Request, ServerMessage},
    version::{self, Hello},
};

/// How long the agent may take for its hello, once the connection stands.
const HELLO_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to answer a question.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How long sending one frame may take: a slow line needs seconds for the largest.
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(120);
/// How long to listen, after sending failed, for the agent's reason.
const REASON_WITHIN: Duration = Duration::from_secs(2);

/// How to reach one agent, and who asks.
#[derive(Clone)]
pub struct Session {
    dial: Arc<dyn Dial>,
    person: String,
}

impl Session {
    pub fn new(dial: Arc<dyn Dial>, person: String) -> Self {
        Self { dial, person }
    }

    /// Begins a conversation: both hellos are said and agree when it returns.
    ///
    /// # Errors
    /// No connection, no shared version, or the agent's refusal.
    pub async fn open(&self, request: Request) -> Result<Talk, SessionError> {
        self.begin(request).await.map(|(talk, _)| talk)
    }

    /// A conversation, and when its request was sent, which is after the connection was made.
    async fn begin(&self, request: Request) -> Result<(Talk, Timestamp), SessionError> {
        let (tx, rx) = self.dial.dial().await?;
        let sent = Timestamp::now();
        let mut talk = Talk { tx, rx, unread: None, longer: Duration::ZERO };
        let hello = Box::new(Hello::ours(software()));
        let needs = request.needs();
        let opening = ClientMessage::Open { hello: hello.clone(), person: self.person.clone(), request };
        talk.send(&opening).await?;
        match talk.next("its greeting", Some(HELLO_WITHIN)).await? {
            ServerMessage::Hello { hello: theirs } => {
                version::negotiate(&hello, &theirs).map_err(SessionError::Version)?;
                if let Some(needs) = needs.filter(|needs| !theirs.features.contains(needs)) {
                    return Err(SessionError::Older { software: theirs.software, needs });
                }
                Ok((talk, sent))
            }
            other => Err(unexpected("its greeting", &other)),
        }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// As [`Session::open`], or no answer in time.
    pub async fn ask(&self, request: Request) -> Result<Reply, SessionError> {
        self.ask_timed(request).await.map(|timed| timed.reply)
    }

    /// Asks one question, and looks at the clock meanwhile.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn ask_timed(&self, request: Request) -> Result<Timed, SessionError> {
        let (mut talk, sent) = self.begin(request).await?;
        match talk.next("the answer", Some(ANSWER_WITHIN)).await? {
            ServerMessage::Reply { reply } => Ok(Timed { reply, sent, received: Timestamp::now() }),
            other => Err(unexpected("an answer", &other)),
        }
    }
}

/// An answer, and when it was asked for and came, by this computer's clock.
#[derive(Debug, Clone)]
pub struct Timed {
    pub reply: Reply,
    pub sent: Timestamp,
    pub received: Timestamp,
}

/// What this program calls itself: `wharf 0.1.0 (linux x86_64)`.
pub fn software() -> String {
    format!("wharf {} ({} {})", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

/// A conversation after its hellos.
pub struct Talk {
    pub(super) tx: Box<dyn Send>,
    pub(super) rx: Box<dyn Receive>,
    /// A message that was looked at and not taken.
    unread: Option<ServerMessage>,
    /// Added to every bound: how long the agent may wait for another job before it goes on.
    longer: Duration,
}

impl Talk {
    /// From here on the agent may take `longer` than usual, for each message.
    pub(super) fn be_patient(&mut self, longer: Duration) {
        self.longer = longer;
    }

    /// Sends a message. When that fails, the agent's reason is looked for first: it may have said no and hung up.
    ///
    /// # Errors
    /// The agent's reason, or that the connection broke.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), SessionError> {
        let sent = send_frame(&mut *self.tx, Frame::control(message)?, SEND_WITHIN + self.longer).await;
        match sent {
            Ok(()) => Ok(()),
            Err(error) => Err(self.reason().await.unwrap_or(error)),
        }
    }

    /// The next message, waiting at most `within`. A failure that the agent tells comes as [`SessionError::Agent`].
    ///
    /// # Errors
    /// The agent's failure, a broken connection, silence, or what is not a message.
    pub async fn next(
        &mut self,
        what: &'static str,
        within: Option<Duration>,
    ) -> Result<ServerMessage, SessionError> {
        match self.unread.take() {
            Some(message) => Ok(message),
            None => {
                let within = within.map(|within| within + self.longer);
                next_message(&mut *self.rx, what, within).await
            }
        }
    }

    /// Puts a message back: the next [`Talk::next`] takes it.
    pub(super) fn put_back(&mut self, message: ServerMessage) {
        self.unread = Some(message);
    }

    async fn reason(&mut self) -> Option<SessionError> {
        loop {
            match next_message(&mut *self.rx, "its reason", Some(REASON_WITHIN)).await {
                Ok(_) => {}
                Err(error @ SessionError::Agent(_)) => return Some(error),
                Err(_) => return None,
            }
        }
    }
}

pub(super) async fn send_frame(
    tx: &mut dyn Send,
    frame: Frame,
    within: Duration,
) -> Result<(), SessionError> {
    match tokio::time::timeout(within, tx.send(frame)).await {
        Ok(sent) => sent,
        Err(_) => Err(SessionError::Silent { what: "taking what was sent", waited: within }),
    }
}

pub(super) async fn next_message(
    rx: &mut dyn Receive,
    what: &'static str,
    within: Option<Duration>,
) -> Result<ServerMessage, SessionError> {
    let received = match within {
        None => rx.receive().await,
        Some(waited) => match tokio::time::timeout(waited, rx.receive()).await {
            Ok(received) => received,
            Err(_) => return Err(SessionError::Silent { what, waited }),
        },
    };
    let frame = received?.ok_or(SessionError::Broken { source: None })?;
    match frame.message()? {
        ServerMessage::Failed { failure } => Err(SessionError::Agent(failure)),
        message => Ok(message),
    }
}

pub(super) fn unexpected(expected: &'static str, got: &ServerMessage) -> SessionError {
    let got = match got {
        ServerMessage::Hello { .. } => "a greeting",
        ServerMessage::Missing { .. } => "a list of what is missing",
        ServerMessage::Stored { .. } => "a receipt",
        ServerMessage::Source { .. } => "a release",
        ServerMessage::Manifest { .. } => "a page of files",
        ServerMessage::Pack { .. } => "a pack",
        ServerMessage::Accepted { .. } => "a job",
        ServerMessage::Event { .. } => "an event",
        ServerMessage::Line { .. } => "a line",
        ServerMessage::Reply { .. } => "another reply",
        ServerMessage::Started | ServerMessage::Stream { .. } | ServerMessage::Exited { .. } => "a program",
        ServerMessage::Taken { .. } => "a receipt",
        ServerMessage::End => "the end",
        ServerMessage::Failed { .. } => "a failure",
    };
    SessionError::Unexpected { expected, got }
}
