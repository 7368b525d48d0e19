//! A connection to a server.

use crate::{
    client::{Client, Lost},
    command::{self, Output},
    conversation::{self, Conversation},
    error::{SshError, Stage},
};
use russh::ChannelMsg;
use russh::client::Handle;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::time::timeout;

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Both directions of a subsystem.
pub type SubsystemStream = russh::ChannelStream<russh::client::Msg>;

/// A connection to a server; several conversations may be held on it. A conversation that moves much slows the others of
/// its link: watch a job on a link of its own while a pack goes up.
pub struct Link {
    handle: Handle<Client>,
    /// From the first to the last.
    jumps: Vec<Handle<Client>>,
    lost: Lost,
    place: String,
    open_within: Duration,
}

impl Link {
    pub(crate) fn new(
        handle: Handle<Client>,
        jumps: Vec<Handle<Client>>,
        lost: Lost,
        place: String,
        open_within: Duration,
    ) -> Self {
        Self { handle, jumps, lost, place, open_within }
    }

    /// Starts a conversation. Whether the server really starts `wharf` shows at the first [`Conversation::recv`], so that
    /// the first frame need not wait for it.
    ///
    /// # Errors
    /// The connection is gone, or the server opens no more channels.
    pub async fn open(&self) -> Result<Conversation, SshError> {
        let opening = async {
            let channel = self.handle.channel_open_session().await?;
            channel.exec(true, "wharf").await?;
            Ok(channel)
        };
        match timeout(self.open_within, opening).await {
            Ok(Ok(channel)) => Ok(conversation::start(channel, self.lost.clone(), self.place.clone())),
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
                Err(SshError::Channel { place: self.place.clone(), why: format!("{why:?}") })
            }
            Ok(Err(_)) => Err(SshError::Lost { place: self.place.clone(), why: self.lost.why() }),
            Err(_) => Err(SshError::TimedOut {
                address: self.place.clone(),
                during: Stage::Agent,
                doing: "opening a channel",
                seconds: self.open_within.as_secs(),
            }),
        }
    }

    /// Runs a command of the server's own, as `ssh host command` would, with `input` as its standard input.
    ///
    /// # Errors
    /// The connection is gone, the server runs no commands for us, or it takes longer than `within`.
    pub async fn run(
        &self,
        command: &str,
        input: impl AsyncRead + Unpin,
        within: Duration,
    ) -> Result<Output, SshError> {
        let opening = async {
            let channel = self.handle.channel_open_session().await?;
            channel.exec(true, command).await?;
            Ok::<_, russh::Error>(channel)
        };
        let running = async {
            match opening.await {
                Ok(channel) => command::run(channel, input, &self.lost, &self.place).await,
                Err(russh::Error::ChannelOpenFailure(why)) => {
                    Err(SshError::Channel { place: self.place.clone(), why: format!("{why:?}") })
                }
                Err(_) => Err(SshError::Lost { place: self.place.clone(), why: self.lost.why() }),
            }
        };
        timeout(within, running).await.unwrap_or_else(|_| {
            Err(SshError::TimedOut {
                address: self.place.clone(),
                during: Stage::Agent,
                doing: "running a command",
                seconds: within.as_secs(),
            })
        })
    }

    /// Starts one of the server's subsystems, `sftp` say, and returns its two directions as one stream.
    ///
    /// # Errors
    /// The connection is gone, or the server has no such subsystem.
    pub async fn subsystem(&self, name: &'static str) -> Result<SubsystemStream, SshError> {
        let opening = async {
            let mut channel = self.handle.channel_open_session().await?;
            channel.request_subsystem(true, name).await?;
            // A server may widen its window before it answers.
            let started = loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => break true,
                    Some(ChannelMsg::WindowAdjusted { .. }) => {}
                    _ => break false,
                }
            };
            Ok::<_, russh::Error>((channel, started))
        };
        match timeout(self.open_within, opening).await {
            Ok(Ok((channel, true))) => Ok(channel.into_stream()),
            Ok(Ok((_, false)) | Err(russh::Error::ChannelOpenFailure(_))) => {
                Err(SshError::Channel { place: self.place.clone(), why: format!("it does not start {name}") })
            }
            Ok(Err(_)) => Err(SshError::Lost { place: self.place.clone(), why: self.lost.why() }),
            Err(_) => Err(SshError::TimedOut {
                address: self.place.clone(),
                during: Stage::Agent,
                doing: "starting a subsystem",
                seconds: self.open_within.as_secs(),
            }),
        }
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Who and where, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Says goodbye, and waits a moment for it to get there.
    pub async fn disconnect(self) {
        let Self { handle, jumps, .. } = self;
        for handle in std::iter::once(handle).chain(jumps.into_iter().rev()) {
            let goodbye = async {
                let _ = handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
                let _ = handle.await;
            };
            let _ = timeout(GOODBYE, goodbye).await;
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Link").field("place", &self.place).finish_non_exhaustive()
    }
}
