//! The two streams, and who listens to them.

use super::{Style, failure, json};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex},
};
use wharf_proto::Failure;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// Where a command writes.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// How stdout is dressed.
    pub out_style: Style,
    /// How stderr is dressed.
    pub err_style: Style,
    pub verbosity: Verbosity,
    /// Objects on stdout instead of text.
    pub json: bool,
    /// Whether stderr is a terminal, where a progress bar makes sense.
    pub terminal: bool,
    /// Whether stdout is one, which can be drawn over.
    pub out_terminal: bool,
    closed: bool,
}

impl Console {
    /// The process's own streams.
    pub fn of_process(json: bool, verbosity: Verbosity) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let zone = TimeZone::system();
        let style = |terminal| Style { colour: colour && terminal, zone: zone.clone() };
        Self {
            out_style: style(io::stdout().is_terminal()),
            err_style: style(io::stderr().is_terminal()),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            verbosity,
            json,
            terminal: io::stderr().is_terminal(),
            out_terminal: io::stdout().is_terminal(),
            closed: false,
        }
    }

    /// A console that remembers, for tests.
    pub fn captured(json: bool) -> (Self, Captured) {
        let captured = Captured::default();
        let console = Self {
            out: Box::new(Buffer(captured.out.clone())),
            err: Box::new(Buffer(captured.err.clone())),
            out_style: Style::plain(),
            err_style: Style::plain(),
            verbosity: Verbosity::Normal,
            json,
            terminal: false,
            out_terminal: false,
            closed: false,
        };
        (console, captured)
    }

    /// Data: what the command was called for.
    pub fn data(&mut self, text: &str) {
        if self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err() {
            self.closed = true;
        }
    }

    /// One JSON object on a line of stdout: `type` is `kind`, the rest is `body`.
    pub fn object(&mut self, kind: &str, body: &impl Serialize) {
        self.data(&json::line(kind, body));
    }

    /// Data that is a list: an object for each, a table of them, or `none`, which says what an empty list means.
    pub fn list<T: Serialize>(
        &mut self,
        kind: &str,
        items: &[T],
        none: &str,
        table: impl FnOnce(&[T], &Style) -> String,
    ) {
        if self.json {
            items.iter().for_each(|item| self.object(kind, item));
        } else if items.is_empty() {
            self.say(none);
        } else {
            let text = table(items, &self.out_style);
            self.data(&text);
        }
    }

    /// A line for people, unless they asked for quiet or for JSON.
    pub fn note(&mut self, text: &str) {
        if self.verbosity > Verbosity::Quiet && !self.json {
            self.say(text);
        }
    }

    /// A line for people that is always told.
    pub fn say(&mut self, text: &str) {
        // Nobody is left to tell that stderr is closed.
        let _ = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Something to look at, whatever was asked for.
    pub fn warn(&mut self, text: &str) {
        let line = format!("{} {text}", self.err_style.yellow("warning:"));
        self.say(&line);
    }

    /// A failure: to people, and with `--json` to scripts too.
    pub fn failure(&mut self, error: &Failure) {
        if self.json {
            self.object("failure", error);
        }
        let text = failure(error, &self.err_style);
        self.say(text.trim_end());
    }

    /// Whether nobody reads stdout any more (`wharf logs | head`).
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// What a captured console was told.
#[derive(Debug, Default, Clone)]
pub struct Captured {
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    pub fn out(&self) -> String {
        text(&self.out)
    }

    pub fn err(&self) -> String {
        text(&self.err)
    }
}

fn text(buffer: &Mutex<Vec<u8>>) -> String {
    let bytes = buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
