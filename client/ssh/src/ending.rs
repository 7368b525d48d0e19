//! How a conversation ended.

use crate::{client::Lost, error::SshError};
use std::sync::{Mutex, PoisonError};

/// What is kept of what the command wrote to its standard error.
const STDERR_BYTES: usize = 8 * 1024;

/// What is known of a conversation's end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    pub exit_status: Option<u32>,
    pub signal: Option<String>,
    /// The first 8 KiB of it.
    pub stderr: String,
}

/// Collects the end while it comes about.
#[derive(Debug)]
pub struct Ending {
    place: String,
    lost: Lost,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    status: Option<u32>,
    signal: Option<String>,
    stderr: Vec<u8>,
    refused: bool,
    /// The server closed the channel, rather than the connection being lost.
    closed: bool,
}

impl Ending {
    pub fn new(place: String, lost: Lost) -> Self {
        Self { place, lost, state: Mutex::default() }
    }

    pub fn place(&self) -> String {
        self.place.clone()
    }

    pub fn stderr(&self, bytes: &[u8]) {
        self.change(|state| {
            let room = STDERR_BYTES.saturating_sub(state.stderr.len());
            state.stderr.extend(bytes.iter().take(room));
        });
    }

    pub fn status(&self, status: u32) {
        self.change(|state| state.status = Some(status));
    }

    pub fn signal(&self, signal: String) {
        self.change(|state| state.signal = Some(signal));
    }

    pub fn refused(&self) {
        self.change(|state| state.refused = true);
    }

    pub fn closed(&self) {
        self.change(|state| state.closed = true);
    }

    pub fn end(&self) -> End {
        self.change(|state| End {
            exit_status: state.status,
            signal: state.signal.clone(),
            stderr: text(&state.stderr),
        })
    }

    /// What the end means: `Ok` where it was an orderly one.
    pub fn judge(&self) -> Result<(), SshError> {
        self.change(|state| {
            let place = self.place();
            if state.refused {
                return Err(SshError::ExecRefused { place });
            }
            match (state.status, &state.signal) {
                (Some(0), _) => Ok(()),
                (None, None) if !state.closed => Err(SshError::Lost { place, why: self.lost.why() }),
                (status, signal) => Err(SshError::Ended {
                    place,
                    status,
                    signal: signal.clone(),
                    stderr: text(&state.stderr),
                }),
            }
        })
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a stranger wrote, fit for a terminal.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|&c| c == '\n' || c == '\t' || !c.is_control()).collect()
}
