//! `wharf` or `wharfd` at a terminal: a pseudo-terminal whose other end is the test.

use crate::wait::await_that;
use crate::{Laptop, program};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Nothing that is waited for here takes so long, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs at a terminal.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    /// What was shown and not looked at yet.
    shown: String,
    /// How the terminal was before it began.
    was: String,
}

impl Terminal {
    /// Starts `wharf ARGUMENTS` at a terminal of this size.
    pub fn start(laptop: &Laptop, arguments: &[&str], columns: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(program("WHARF_BIN", "wharf"));
        command.args(arguments);
        command.cwd(&laptop.project);
        command.env("HOME", &laptop.folder);
        command.env("WHARF_KNOWN_HOSTS", laptop.folder.join("known_hosts"));
        command.env("NO_COLOR", "1");
        command.env("TERM", "xterm");
        command.env("USER", "ada");
        command.env_remove("SSH_AUTH_SOCK");
        command.env_remove("XDG_CONFIG_HOME");
        if let Some(agent) = &laptop.agent {
            command.env("WHARFD_BIN", agent);
        }
        Self::run(command, columns, rows)
    }

    /// Starts `wharfd ARGUMENTS` at a terminal on the server.
    pub fn on_the_server(arguments: &[String]) -> Self {
        let mut command = CommandBuilder::new(program("WHARFD_BIN", "wharfd"));
        command.args(arguments);
        Self::run(command, 100, 30)
    }

    fn run(command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("the machine has pseudo-terminals");
        let was = settings(&*pair.master);
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let keys = pair.master.take_writer().expect("it was not taken");
        let mut reader = pair.master.try_clone_reader().expect("a descriptor can be cloned");
        let (pieces, output) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                if pieces.send(piece[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        // The test keeps the other end open, so that what was written last is not lost.
        std::mem::forget(pair.slave);
        Self { master: pair.master, child, keys, output, shown: String::new(), was }
    }

    pub fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal is open");
    }

    /// Waits for a question, and until its keys are read one by one: what is typed earlier, the terminal itself
    /// echoes besides. What came up to there.
    ///
    /// # Panics
    /// Where it is never asked.
    #[track_caller]
    pub fn answer(&mut self, question: &str, keys: &str) -> String {
        let shown = self.wait_for(question);
        await_that("the keys are read", || settings(&*self.master) != self.was);
        self.type_in(keys);
        shown
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("a terminal can be resized");
    }

    /// Waits until `text` was shown; what came up to there.
    ///
    /// # Panics
    /// Where it never is.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown.find(text) {
                return self.shown.drain(..at + text.len()).collect();
            }
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.shown += &String::from_utf8_lossy(&piece),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} was never shown, but\n{}", self.shown)
                }
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let id = self.child.process_id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
        let id = nix::unistd::Pid::from_raw(id);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    }

    /// Waits for the end; the exit code. The terminal must be as it was before.
    #[track_caller]
    pub fn finish(mut self) -> u32 {
        let code = self.child.wait().expect("a child of the test's").exit_code();
        let now = settings(&*self.master);
        assert_eq!(now, self.was, "the terminal's settings; it showed {}", self.shown);
        code
    }
}

fn settings(master: &(dyn MasterPty + Send)) -> String {
    format!("{:?}", master.get_termios().expect("a terminal has settings"))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
