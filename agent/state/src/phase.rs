//! How far a job is, as a crash would find it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a job stands. It decides what the agent does with a job that a crash interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing of production was touched: after a crash the job has simply failed.
    Preparing,
    /// From apply on: after a crash everything must be put back.
    Changing,
    /// Being put back: after a crash it is put back once more, from the journal's end again.
    PuttingBack,
    /// The release is live. Only pruning is left; after a crash it is done again.
    Committed,
    /// Over, with an outcome.
    Done,
}

/// What moves a job on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhaseEvent {
    /// Production is about to be touched for the first time.
    Change,
    /// It failed, or a crash interrupted it: everything goes back.
    PutBack,
    /// The release is live.
    Commit,
    /// Nothing is left to do.
    End,
}

/// A job was about to go where it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {from} cannot {event}; this is a bug of Wharf's, please report it")]
pub struct PhaseError {
    pub from: Phase,
    pub event: PhaseEvent,
}

impl Phase {
    /// The phase after `event`.
    ///
    /// # Errors
    /// [`PhaseError`] where the event does not fit: a job that changed production ends by commit or by putting back,
    /// and one that is live is never put back.
    pub fn transition(self, event: PhaseEvent) -> Result<Self, PhaseError> {
        match (self, event) {
            (Self::Preparing, PhaseEvent::Change) => Ok(Self::Changing),
            (Self::Preparing, PhaseEvent::End) => Ok(Self::Done),
            (Self::Changing, PhaseEvent::Commit) => Ok(Self::Committed),
            // Putting back begins anew after a crash within it.
            (Self::Changing | Self::PuttingBack, PhaseEvent::PutBack) => Ok(Self::PuttingBack),
            (Self::PuttingBack | Self::Committed, PhaseEvent::End) => Ok(Self::Done),
            (
                Self::Preparing | Self::Changing | Self::PuttingBack | Self::Committed | Self::Done,
                PhaseEvent::Change | PhaseEvent::PutBack | PhaseEvent::Commit | PhaseEvent::End,
            ) => Err(PhaseError { from: self, event }),
        }
    }

    /// Whether the undo of what is done now would ever be carried out.
    pub fn is_undoable(self) -> bool {
        matches!(self, Self::Preparing | Self::Changing)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Changing => "changing",
            Self::PuttingBack => "putting_back",
            Self::Committed => "committed",
            Self::Done => "done",
        }
    }
}

impl std::str::FromStr for Phase {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Preparing, Self::Changing, Self::PuttingBack, Self::Committed, Self::Done]
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a phase"))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparing => "preparing",
            Self::Changing => "changing production",
            Self::PuttingBack => "putting back",
            Self::Committed => "live",
            Self::Done => "over",
        })
    }
}

impl fmt::Display for PhaseEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Change => "begin to change production",
            Self::PutBack => "be put back",
            Self::Commit => "go live",
            Self::End => "end",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Changing, Committed, Done, Preparing, PuttingBack};

    #[test]
    fn every_transition() {
        // Columns: change, put back, commit, end.
        let table = [
            (Preparing, [Some(Changing), None, None, Some(Done)]),
            (Changing, [None, Some(PuttingBack), Some(Committed), None]),
            (PuttingBack, [None, Some(PuttingBack), None, Some(Done)]),
            (Committed, [None, None, None, Some(Done)]),
            (Done, [None, None, None, None]),
        ];
        let events = [PhaseEvent::Change, PhaseEvent::PutBack, PhaseEvent::Commit, PhaseEvent::End];
        for (from, row) in table {
            for (event, expected) in events.into_iter().zip(row) {
                let expected = expected.ok_or(PhaseError { from, event });
                assert_eq!(from.transition(event), expected, "{from} {event}");
            }
        }
    }

    #[test]
    fn phases_survive_the_database() {
        for phase in [Preparing, Changing, PuttingBack, Committed, Done] {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        assert!("limbo".parse::<Phase>().is_err());
    }
}
