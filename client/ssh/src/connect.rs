//! Going there: host by host, each checked and authenticated to.

use crate::{
    authenticate::{Keyring, Outcome, authenticate},
    client::{self, Client, ClientError, Lost},
    error::{ChangedHostKey, SshError, Stage},
    host_key::{HostKeyPolicy, Prompt},
    known_hosts::{self, KnownHost, Verdict},
    link::Link,
    target::{Hop, Target},
};
use russh::client::Handle;
use russh::keys::{HashAlg, PublicKey};
use russh::{ChannelOpenFailure, client::connect_stream};
use std::{io, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Finding an address and connecting to it.
    pub connect: Duration,
    /// Agreeing on keys.
    pub handshake: Duration,
    /// One key being judged.
    pub authenticate: Duration,
    /// A channel being opened.
    pub open: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(15),
            authenticate: Duration::from_secs(20),
            open: Duration::from_secs(15),
        }
    }
}

/// Connects to a server, through its jump hosts.
///
/// # Errors
/// It cannot be reached, is not who it should be, or does not accept us.
pub async fn connect(
    target: &Target,
    policy: HostKeyPolicy,
    prompt: Arc<dyn Prompt>,
    timeouts: Timeouts,
) -> Result<Link, SshError> {
    let mut journey = Journey { policy, prompt, timeouts, keyring: Keyring::default() };
    // Each new attempt follows an answer of a person's: a host key or a passphrase, of each host at most a few.
    let mut attempts = target.hops.iter().map(|hop| hop.identities.len() + 2).sum::<usize>();
    loop {
        match journey.attempt(target).await {
            Ok(link) => return Ok(link),
            Err(Setback::Failed(error)) => return Err(*error),
            Err(Setback::Again(place)) if attempts == 0 => {
                return Err(SshError::Lost {
                    place,
                    why: "it ended again and again while it was being set up".into(),
                });
            }
            Err(Setback::Again(_)) => attempts -= 1,
        }
    }
}

struct Journey {
    policy: HostKeyPolicy,
    prompt: Arc<dyn Prompt>,
    timeouts: Timeouts,
    keyring: Keyring,
}

/// Why an attempt led nowhere.
enum Setback {
    /// What was in the way is out of it now.
    Again(String),
    Failed(Box<SshError>),
}

impl From<SshError> for Setback {
    fn from(error: SshError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Journey {
    async fn attempt(&mut self, target: &Target) -> Result<Link, Setback> {
        let mut jumps: Vec<(Handle<Client>, String)> = Vec::new();
        let mut hops = target.hops.iter().peekable();
        while let Some(hop) = hops.next() {
            let is_jump = hops.peek().is_some();
            let lost = Lost::default();
            let mut handle = match jumps.last() {
                None => {
                    let stream = self.dial(hop).await?;
                    self.greet(hop, stream, is_jump, lost.clone()).await?
                }
                Some((through, via)) => {
                    let stream = self.tunnel(hop, through, via).await?;
                    self.greet(hop, stream, is_jump, lost.clone()).await?
                }
            };
            let step = self.timeouts.authenticate;
            match authenticate(&mut handle, hop, &mut self.keyring, self.prompt.as_ref(), step).await? {
                Outcome::In => {}
                Outcome::Again => return Err(Setback::Again(hop.place())),
            }
            if !is_jump {
                let jumps = jumps.into_iter().map(|(handle, _)| handle).collect();
                return Ok(Link::new(handle, jumps, lost, hop.place(), self.timeouts.open));
            }
            jumps.push((handle, hop.address()));
        }
        Err(SshError::HostText { text: String::new(), why: "the host is missing" }.into())
    }

    /// A TCP connection to the first address that answers.
    async fn dial(&self, hop: &Hop) -> Result<TcpStream, SshError> {
        let unreachable = |source| SshError::Unreachable { address: hop.address(), source };
        let timed_out = |doing| self.timed_out(hop, doing, self.timeouts.connect);
        let looking = lookup_host((hop.hostname.as_str(), hop.port));
        let no_address = |source| SshError::NoAddress { host: hop.hostname.clone(), source };
        let addresses = match timeout(self.timeouts.connect, looking).await {
            Ok(found) => found.map_err(no_address)?,
            Err(_) => return Err(no_address(io::ErrorKind::TimedOut.into())),
        };
        let mut failed = no_address(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for address in addresses {
            match timeout(self.timeouts.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY could not be set");
                    }
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = unreachable(error),
                Err(_) => failed = timed_out("connecting"),
            }
        }
        Err(failed)
    }

    /// A stream to `hop` out of a jump host.
    async fn tunnel(
        &self,
        hop: &Hop,
        through: &Handle<Client>,
        via: &str,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, SshError> {
        let opening =
            through.channel_open_direct_tcpip(hop.hostname.clone(), hop.port.into(), "127.0.0.1", 0);
        let refused =
            |why: &str| SshError::Jump { address: hop.address(), via: via.to_owned(), why: why.to_owned() };
        match timeout(self.timeouts.connect, opening).await {
            Ok(Ok(channel)) => Ok(channel.into_stream()),
            Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => {
                Err(refused("it does not allow forwarding"))
            }
            Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) => {
                Err(refused("it cannot connect"))
            }
            Ok(Err(error)) => Err(refused(&error.to_string())),
            Err(_) => Err(self.timed_out(hop, "connecting through the jump host", self.timeouts.connect)),
        }
    }

    /// An SSH session on `stream` whose host key is accepted.
    async fn greet(
        &self,
        hop: &Hop,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_jump: bool,
        lost: Lost,
    ) -> Result<Handle<Client>, Setback> {
        let known = KnownHost::load(&hop.known_hosts, &hop.listed).map_err(file_error)?;
        let config = Arc::new(client::config(&known, is_jump));
        let greeting = connect_stream(config, stream, Client::new(known, lost));
        match timeout(self.timeouts.handshake, greeting).await {
            Ok(Ok(handle)) => Ok(handle),
            Ok(Err(ClientError::HostKey(key, verdict))) => {
                self.decide(hop, &key, verdict).await?;
                Err(Setback::Again(hop.place()))
            }
            Ok(Err(ClientError::Ssh(source))) => {
                Err(SshError::Handshake { address: hop.address(), source }.into())
            }
            Err(_) => Err(self.timed_out(hop, "agreeing on keys", self.timeouts.handshake).into()),
        }
    }

    /// Remembers a key that is new and wanted. The connection is made anew then: nobody waits while a person thinks.
    async fn decide(&self, hop: &Hop, key: &PublicKey, verdict: Verdict) -> Result<(), SshError> {
        let (address, fingerprint) = (hop.address(), key.fingerprint(HashAlg::Sha256).to_string());
        let key_type = key.algorithm().to_string();
        match verdict {
            Verdict::Known => return Ok(()),
            Verdict::Changed(place, known) => {
                let (listed, shown) = (hop.listed.clone(), fingerprint);
                return Err(SshError::HostKeyChanged(Box::new(ChangedHostKey {
                    address,
                    listed,
                    shown,
                    known,
                    file: place.file,
                    line: place.line,
                })));
            }
            Verdict::Revoked(place) => {
                return Err(SshError::HostKeyRevoked {
                    address,
                    fingerprint,
                    file: place.file,
                    line: place.line,
                });
            }
            Verdict::Unknown => {}
        }
        let (accepted, declined) = match self.policy {
            HostKeyPolicy::AcceptNew => (true, false),
            HostKeyPolicy::Strict => (false, false),
            HostKeyPolicy::Ask => {
                let yes = self.prompt.confirm_host_key(&address, &key_type, &fingerprint).await;
                (yes, !yes)
            }
        };
        if !accepted {
            return Err(SshError::HostKeyUnknown { address, key_type, fingerprint, declined });
        }
        let file = hop.known_hosts.first().ok_or_else(|| SshError::KnownHosts {
            file: "known_hosts".into(),
            source: io::Error::new(io::ErrorKind::NotFound, "there is no file to remember the key in"),
        })?;
        known_hosts::learn(file, &hop.listed, key, hop.hash_known_hosts).map_err(file_error)
    }

    fn timed_out(&self, hop: &Hop, doing: &'static str, after: Duration) -> SshError {
        SshError::TimedOut {
            address: hop.address(),
            during: Stage::Connection,
            doing,
            seconds: after.as_secs(),
        }
    }
}

fn file_error(error: known_hosts::FileError) -> SshError {
    SshError::KnownHosts { file: error.file, source: error.source }
}
