//! What can go wrong on the way to an agent, and what to do about it.

use crate::tried::{Tried, TriedOutcome};
use std::{io, path::PathBuf};
use wharf_proto::frame::FrameError;
use wharf_proto::{Failure, FailureKind};

/// The stages of the way to an agent, in their order. Whoever failed at one has the ones before behind him.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What the SSH configuration says of the host.
    Settings,
    /// The host's name is looked up.
    Address,
    Connection,
    HostKey,
    /// A key of ours is accepted.
    Login,
    /// An agent answers.
    Agent,
}

/// Why there is no conversation, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    #[error("`{text}` names no host: {why}")]
    HostText { text: String, why: &'static str },
    #[error("the OpenSSH client could not be asked what its configuration says")]
    RunSsh { source: io::Error },
    #[error("the SSH configuration cannot be used: {said}")]
    SshConfig { said: String },
    #[error("cannot read the SSH configuration {}", file.display())]
    ConfigFile { file: PathBuf, source: io::Error },
    #[error("the SSH configuration reaches {host} by a ProxyCommand, which is not supported")]
    ProxyCommand { host: String },
    #[error("the way to {host} leads through more than {limit} hosts")]
    TooManyJumps { host: String, limit: usize },
    #[error("nothing says which user to be on {host}")]
    NoUser { host: String },
    #[error("cannot use the key {}: {why}", file.display())]
    Identity { file: PathBuf, why: String },
    #[error("cannot use the key {}: {why}", file.display())]
    Unusable { file: PathBuf, why: TriedOutcome },
    #[error("the private key that was given as text cannot be used: {why}")]
    KeyText { why: String },
    #[error("cannot use the list of known hosts {}", file.display())]
    KnownHosts { file: PathBuf, source: io::Error },
    #[error("the address of {host} cannot be found")]
    NoAddress { host: String, source: io::Error },
    #[error("cannot reach {address}")]
    Unreachable { address: String, source: io::Error },
    #[error("{address} cannot be reached from the jump host {via}: {why}")]
    Jump { address: String, via: String, why: String },
    #[error("{address} did not answer within {seconds} s while {doing}")]
    TimedOut { address: String, during: Stage, doing: &'static str, seconds: u64 },
    #[error("no SSH connection with {address} came about")]
    Handshake { address: String, source: russh::Error },
    #[error("the host key of {address} is not known: {key_type} {fingerprint}")]
    HostKeyUnknown { address: String, key_type: String, fingerprint: String, declined: bool },
    #[error(transparent)]
    HostKeyChanged(Box<ChangedHostKey>),
    #[error("the host key of {address}, {fingerprint}, is marked as revoked in line {line} of {}", file.display())]
    HostKeyRevoked { address: String, fingerprint: String, file: PathBuf, line: usize },
    #[error("{place} accepts none of the keys that it was shown")]
    NotAuthenticated { place: String, tried: Vec<Tried>, ended: bool },
    #[error("{place} does not accept public keys")]
    NoPublicKeys { place: String },
    #[error("{place} opens no more channels: {why}")]
    Channel { place: String, why: String },
    #[error("{place} runs no command for this key")]
    CommandRefused { place: String },
    #[error("{place} does not start `wharf`")]
    ExecRefused { place: String },
    #[error("`wharf` on {place} ended with {}", ending(*status, signal.as_deref()))]
    Ended { place: String, status: Option<u32>, signal: Option<String>, stderr: String },
    #[error("what {place} answers is not Wharf's protocol")]
    NotWharf { place: String, source: FrameError, began: String },
    #[error("a frame that cannot be sent or read")]
    Frame(#[from] FrameError),
    #[error("{place} ended the conversation in the middle of a frame")]
    CutShort { place: String },
    #[error("the connection to {place} broke: {why}")]
    Lost { place: String, why: String },
}

/// A host that shows another key than it is known by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the host key of {address} has CHANGED: it shows {shown}, but line {line} of {} has {known}",
    file.display()
)]
pub struct ChangedHostKey {
    pub address: String,
    /// The name that the file has it under.
    pub listed: String,
    pub shown: String,
    pub known: String,
    pub file: PathBuf,
    pub line: usize,
}

fn ending(status: Option<u32>, signal: Option<&str>) -> String {
    match (status, signal) {
        (Some(status), _) => format!("exit status {status}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit status".into(),
    }
}

impl SshError {
    /// The failure as people are told it.
    pub fn failure(&self) -> Failure {
        let failure = Failure::from_error(self.kind(), self);
        match self {
            Self::HostText { .. } => failure.hint("write it as for ssh: host, user@host or user@host:port"),
            Self::NoUser { host } => failure.hint(format!("write user@{host}")),
            Self::SshConfig { .. } | Self::RunSsh { .. } => {
                failure.hint("`ssh -G` with the same host shows the trouble; mend your SSH configuration")
            }
            Self::ConfigFile { .. } => failure.hint("check the path, and that you may read the file"),
            Self::ProxyCommand { host } => {
                failure.hint(format!("reach {host} by ProxyJump instead, or give its address and port as the host"))
            }
            Self::TooManyJumps { .. } => failure.hint("look for a ProxyJump that leads in a circle"),
            Self::Identity { .. } => failure.hint("name a private key in OpenSSH's format that only you can read"),
            Self::Unusable { file, why } => why.remedy(&file.display().to_string()).into_iter().fold(failure, Failure::hint),
            Self::KeyText { .. } => {
                failure.hint("set it to the whole text of an unencrypted private key, line breaks included")
            }
            Self::KnownHosts { file, .. } => failure.hint(format!("see to it that you may read and write {}", file.display())),
            Self::NoAddress { .. } => {
                failure.hint("check how the host is written, and that this computer is online and its DNS answers")
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => failure
                .hint("check the host and port, that the server is up, and that no firewall is in between")
                .hint("`wharfd serve` listens on a port of its own: give it as host:port"),
            Self::Jump { via, .. } => failure.hint(format!("check the host and port as seen from {via}, and that it allows forwarding")),
            Self::Handshake { .. } => failure.hint("check that the port is that of an SSH server: the agent's own, or OpenSSH's"),
            Self::HostKeyUnknown { declined, .. } => unknown_host_hints(failure, *declined),
            Self::HostKeyChanged(changed) => changed_host_hints(failure, changed),
            Self::HostKeyRevoked { .. } => failure.hint("do not connect; ask the server's owner for the key that replaces it"),
            Self::NotAuthenticated { place, tried, ended } => not_authenticated_hints(failure, place, tried, *ended),
            Self::NoPublicKeys { .. } => failure.hint("allow PubkeyAuthentication in the server's sshd_config, or use the agent's own port"),
            Self::Channel { .. } => failure.hint("close other conversations with this server, or wait a moment, and run it again"),
            Self::CommandRefused { .. } => failure.hint("give a key with which `ssh` gets a shell there"),
            Self::ExecRefused { .. } => failure.hint("check that this is the port of the agent, or that the key's line in authorized_keys has command=\"wharfd connect\""),
            Self::Ended { status, stderr, .. } => ended_hints(failure, *status, stderr),
            Self::NotWharf { began, .. } => not_wharf_hints(failure, began),
            Self::Frame(_) | Self::CutShort { .. } => failure.hint("see that wharf and wharfd are of the same version, then run it again"),
            Self::Lost { .. } => failure.hint("run it again: an upload goes on where it was, and a job that had begun goes on without you"),
        }
    }

    /// How far it came.
    pub fn stage(&self) -> Stage {
        match self {
            Self::HostText { .. }
            | Self::RunSsh { .. }
            | Self::SshConfig { .. }
            | Self::ConfigFile { .. }
            | Self::ProxyCommand { .. }
            | Self::TooManyJumps { .. }
            | Self::NoUser { .. } => Stage::Settings,
            Self::NoAddress { .. } => Stage::Address,
            Self::Unreachable { .. } | Self::Jump { .. } | Self::Handshake { .. } => Stage::Connection,
            Self::TimedOut { during, .. } => *during,
            Self::KnownHosts { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged(_)
            | Self::HostKeyRevoked { .. } => Stage::HostKey,
            Self::Identity { .. }
            | Self::Unusable { .. }
            | Self::KeyText { .. }
            | Self::NotAuthenticated { .. }
            | Self::NoPublicKeys { .. } => Stage::Login,
            Self::Channel { .. }
            | Self::CommandRefused { .. }
            | Self::ExecRefused { .. }
            | Self::Ended { .. }
            | Self::NotWharf { .. }
            | Self::Frame(_)
            | Self::CutShort { .. }
            | Self::Lost { .. } => Stage::Agent,
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::HostText { .. }
            | Self::RunSsh { .. }
            | Self::SshConfig { .. }
            | Self::ConfigFile { .. }
            | Self::ProxyCommand { .. }
            | Self::TooManyJumps { .. }
            | Self::NoUser { .. }
            | Self::Identity { .. }
            | Self::Unusable { .. }
            | Self::KeyText { .. } => FailureKind::Config,
            Self::KnownHosts { .. } => FailureKind::Environment,
            Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged(_)
            | Self::HostKeyRevoked { .. }
            | Self::NotAuthenticated { .. }
            | Self::NoPublicKeys { .. } => FailureKind::Unauthorized,
            Self::NoAddress { .. }
            | Self::Unreachable { .. }
            | Self::Jump { .. }
            | Self::TimedOut { .. }
            | Self::Handshake { .. }
            | Self::Channel { .. }
            | Self::ExecRefused { .. }
            | Self::CommandRefused { .. }
            | Self::Ended { .. }
            | Self::NotWharf { .. }
            | Self::Frame(_)
            | Self::CutShort { .. }
            | Self::Lost { .. } => FailureKind::Unreachable,
        }
    }
}

fn unknown_host_hints(failure: Failure, declined: bool) -> Failure {
    let failure = failure.hint("compare the fingerprint with what `ssh-keygen -lf` says of the public host key on the server, or with wharfd's log");
    if declined {
        failure
    } else {
        failure.hint("then run the command on a terminal, or with --accept-new-host-key")
    }
}

fn changed_host_hints(failure: Failure, changed: &ChangedHostKey) -> Failure {
    let (line, file, listed) = (changed.line, changed.file.display(), &changed.listed);
    failure
        .hint("if nobody made the server anew, somebody may be listening in between: do not go on")
        .hint(format!(
            "if the change is right, take line {line} out of {file} (`ssh-keygen -R '{listed}'` does so for your own file), \
             and accept the new key"
        ))
}

fn not_authenticated_hints(failure: Failure, place: &str, tried: &[Tried], ended: bool) -> Failure {
    let mut failure = tried.iter().fold(failure, |failure, key| failure.cause(key.to_string()));
    if tried.is_empty() {
        failure = failure.cause("there was no key to show").hint(
            "make one with `ssh-keygen -t ed25519`, load one with `ssh-add`, or name one with `identity`",
        );
    }
    if ended {
        failure = failure
            .cause("the server ended the connection before every key was shown")
            .hint("name the right key with `identity`");
    }
    let mut hints: Vec<String> = Vec::new();
    for hint in tried.iter().filter_map(|key| key.outcome.remedy(&key.key)) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    // A key that is merely locked may well be listed there already.
    if hints.is_empty() || tried.iter().any(|key| key.outcome == TriedOutcome::Refused) {
        hints.push(format!("add your public key to the authorized_keys of {place}"));
    }
    hints.into_iter().fold(failure, Failure::hint)
}

fn ended_hints(failure: Failure, status: Option<u32>, stderr: &str) -> Failure {
    let failure = match stderr.trim() {
        "" => failure,
        said => failure.cause(said.to_owned()),
    };
    match status {
        Some(127) => failure.hint(
            "this SSH server does not lead to an agent: install wharfd there and give the key's line in authorized_keys \
             command=\"wharfd connect\", or use the port of `wharfd serve`",
        ),
        _ => failure.hint("see that wharfd runs on the server (`systemctl status wharfd`), and what its log says"),
    }
}

fn not_wharf_hints(failure: Failure, began: &str) -> Failure {
    let failure = match began {
        "" => failure,
        began => failure.cause(format!("it began with: {began}")),
    };
    failure.hint("a line in the user's .bashrc that prints something, or a forced command other than `wharfd connect`, has this effect")
}
