//! A program on the server with its input and output on the laptop.
//!
//! After the request: `started`, then bulk frames both ways, with `stream`, `resize` and `input_end` between them, and
//! `exited` at the end.
//!
//! **Invariant**: either side sends at most a [`Window`] of bulk bytes beyond what the other has said that it passed on
//! (`taken`). So a program that does not read, and a person who does not look, hold up nothing but each other.

use crate::{AppName, limits::TERMINAL_WINDOW_BYTES};
use serde::{Deserialize, Serialize};

/// A program to run in a service's container, or in a new one like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    pub app: AppName,
    pub service: String,
    /// May hold secrets: never logged beyond its first word.
    pub command: Vec<String>,
    #[serde(default)]
    pub user: Option<String>,
    /// `None`: no terminal; standard output and standard error stay apart, and bytes stay as they are.
    #[serde(default)]
    pub terminal: Option<Terminal>,
}

/// A database's own console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleRequest {
    pub app: AppName,
    /// `None`: the app's only database service.
    #[serde(default)]
    pub service: Option<String>,
    /// `None`: the one that the container was made with.
    #[serde(default)]
    pub database: Option<String>,
    #[serde(default)]
    pub terminal: Option<Terminal>,
}

/// The terminal that somebody sits at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    pub size: TerminalSize,
    /// `TERM`: what sort of terminal it is.
    #[serde(default)]
    pub kind: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    pub columns: u16,
    pub rows: u16,
}

/// Where a program wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// How many bulk bytes may still be sent in one direction.
#[derive(Debug)]
pub struct Window {
    outstanding: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    pub fn new() -> Self {
        Self { outstanding: 0 }
    }

    /// How many bytes may be sent now.
    pub fn room(&self) -> usize {
        usize::try_from(TERMINAL_WINDOW_BYTES.saturating_sub(self.outstanding)).unwrap_or(usize::MAX)
    }

    pub fn sent(&mut self, bytes: usize) {
        self.outstanding = self.outstanding.saturating_add(bytes as u64);
    }

    /// The other side has passed on so many bytes. What it claims beyond what it was sent counts for nothing.
    pub fn taken(&mut self, bytes: u64) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_never_wider_than_the_limit() {
        let limit = usize::try_from(TERMINAL_WINDOW_BYTES).unwrap();
        let mut window = Window::new();
        window.sent(limit - 1);
        assert_eq!(window.room(), 1);
        window.sent(1);
        assert_eq!(window.room(), 0);
        window.taken(10);
        assert_eq!(window.room(), 10);
        window.taken(u64::MAX);
        assert_eq!(window.room(), limit);
    }
}
