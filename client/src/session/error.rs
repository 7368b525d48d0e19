//! Why a conversation failed.

use std::time::Duration;
use wharf_proto::{
    Failure, FailureKind, JobId,
    frame::FrameError,
    version::{Feature, Mismatch},
};
use wharf_ssh::Stage;

/// Why a conversation failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection could not be made; the text and its remedy are the SSH client's.
    #[error("{failure}")]
    Connect { stage: Stage, failure: Failure },
    /// The connection broke.
    #[error("the connection to the server broke")]
    Broken {
        #[source]
        source: Option<Box<dyn std::error::Error + std::marker::Send + Sync>>,
    },
    #[error("the server did not answer within {} s ({what})", waited.as_secs())]
    Silent { what: &'static str, waited: Duration },
    #[error("the server's agent and this wharf share no protocol version")]
    Version(#[source] Box<Mismatch>),
    /// It would go on without what it does not know.
    #[error("the server's agent, {software}, knows no {}, and would leave it out", needs.section())]
    Older { software: String, needs: Feature },
    #[error("the server's answer cannot be read")]
    Frame(#[from] FrameError),
    #[error("the server answered {got} where {expected} was due")]
    Unexpected { expected: &'static str, got: &'static str },
    /// What the agent said.
    #[error(transparent)]
    Agent(Failure),
    /// What the laptop's own side said while it was sending.
    #[error(transparent)]
    Local(Failure),
    #[error("the server was lost while job {job} ran on it")]
    Lost {
        job: JobId,
        #[source]
        source: Box<SessionError>,
    },
    #[error("the connection broke just as the server was to start the job")]
    Unknown {
        #[source]
        source: Box<SessionError>,
    },
}

impl SessionError {
    /// Whether trying again may help: the way to the server broke, rather than somebody saying no.
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Silent { .. } => true,
            Self::Connect { failure, .. } => failure.kind == FailureKind::Unreachable,
            _ => false,
        }
    }

    /// How far the way to the agent was gone.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Connect { stage, .. } => *stage,
            _ => Stage::Agent,
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Connect { failure, .. } | Self::Agent(failure) | Self::Local(failure) => failure.kind,
            Self::Broken { .. } | Self::Silent { .. } | Self::Lost { .. } | Self::Unknown { .. } => {
                FailureKind::Unreachable
            }
            Self::Version(_) | Self::Older { .. } | Self::Frame(_) => FailureKind::Unsupported,
            Self::Unexpected { .. } => FailureKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Broken { .. } | Self::Silent { .. } => {
                "run the command again; on the server, `wharfd` should be running and its log says more"
                    .into()
            }
            Self::Version(mismatch) => mismatch.remedy(),
            Self::Older { .. } => "upgrade wharfd on the server; nothing was sent to it".into(),
            Self::Frame(_) => {
                "is it wharfd that answers there? Otherwise upgrade wharf and wharfd to the same version"
                    .into()
            }
            Self::Unexpected { .. } => {
                "this is a bug of Wharf's: please report it with the versions of wharf and wharfd".into()
            }
            Self::Lost { job, .. } => {
                format!("the job goes on without this laptop; watch it with `wharf deploy --attach {job}`")
            }
            Self::Unknown { .. } => {
                "see whether it started with `wharf jobs`; if it did, watch it with `wharf deploy --attach`"
                    .into()
            }
            Self::Connect { .. } | Self::Agent(_) | Self::Local(_) => return None,
        })
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Connect { failure, .. }
            | SessionError::Agent(failure)
            | SessionError::Local(failure) => failure,
            other => {
                let failure = Failure::from_error(other.kind(), &other);
                match other.hint() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}
