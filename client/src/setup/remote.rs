//! A server, and how commands become root there.
//!
//! **Invariant**: scripts and passwords go through standard input; no command line holds more than `sh` and how to be root.

use super::{SetupError, script};
use std::{io::Cursor, path::Path, time::Duration};
use tokio::io::AsyncReadExt;
use wharf_ssh::{Link, Output, Secret};

/// How long a script may take unless it waits for something.
const SCRIPT_WITHIN: Duration = Duration::from_secs(60);
/// How long the upload of an agent may take, on a slow line too.
const UPLOAD_WITHIN: Duration = Duration::from_secs(3600);

/// A connection to a server on which we have a shell.
pub struct Remote {
    link: Link,
    rise: Rise,
}

/// How a command becomes root.
enum Rise {
    /// It is not known yet.
    Unknown,
    Already,
    Sudo,
    /// Asked for each time, whatever sudo remembers: then it is certain that sudo reads it, and no shell.
    SudoWithPassword(Secret),
}

impl Remote {
    pub fn new(link: Link) -> Self {
        Self { link, rise: Rise::Unknown }
    }

    /// `user@host:port`
    pub fn place(&self) -> &str {
        self.link.place()
    }

    /// From here on there is a way to be root; `None`: we are.
    pub fn rises_by(&mut self, sudo: bool, password: Option<Secret>) {
        self.rise = match (sudo, password) {
            (false, _) => Rise::Already,
            (true, None) => Rise::Sudo,
            (true, Some(password)) => Rise::SudoWithPassword(password),
        };
    }

    /// Runs a script as who logged in; what it printed.
    ///
    /// # Errors
    /// It failed.
    pub async fn run(&self, what: &'static str, text: &str) -> Result<String, SetupError> {
        let output = self.link.run("sh", Cursor::new(text.to_owned()), SCRIPT_WITHIN).await?;
        printed(what, output)
    }

    /// Runs a script as root; what it printed.
    ///
    /// # Errors
    /// It failed.
    pub async fn run_as_root(&self, what: &'static str, text: &str) -> Result<String, SetupError> {
        self.run_as_root_within(what, text, SCRIPT_WITHIN).await
    }

    /// The same for one that waits.
    ///
    /// # Errors
    /// It failed, or took longer than `within`.
    pub async fn run_as_root_within(
        &self,
        what: &'static str,
        text: &str,
        within: Duration,
    ) -> Result<String, SetupError> {
        let input = Cursor::new(format!("{}{text}", self.first_line()));
        printed(what, self.link.run(&format!("{}sh", self.prefix()), input, within).await?)
    }

    /// Writes `file` of this machine to `path` there, for root alone.
    ///
    /// # Errors
    /// The file cannot be read, or the disk there is full.
    pub async fn upload(&self, file: &Path, path: &str) -> Result<(), SetupError> {
        let unreadable = |source| SetupError::Agent { path: file.to_owned(), source };
        let content = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let input = Cursor::new(self.first_line()).chain(content);
        let command = format!("{}sh -c 'umask 077 && cat >{path}'", self.prefix());
        printed("the upload", self.link.run(&command, input, UPLOAD_WITHIN).await?).map(drop)
    }

    /// Whether we can be root.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_root(&self, user: &str) -> Result<(), SetupError> {
        match self.run_as_root("becoming root", &script::whole("id -u")).await {
            Ok(said) if said.lines().any(|line| line == "0") => Ok(()),
            Ok(said) => Err(SetupError::NotRoot { user: user.to_owned(), why: said }),
            Err(SetupError::Command { said, .. }) => {
                Err(SetupError::NotRoot { user: user.to_owned(), why: said })
            }
            Err(other) => Err(other),
        }
    }

    pub async fn disconnect(self) {
        self.link.disconnect().await;
    }

    fn prefix(&self) -> &'static str {
        match self.rise {
            Rise::Unknown | Rise::Already => "",
            Rise::Sudo => "sudo -n -H ",
            Rise::SudoWithPassword(_) => "sudo -k -S -H -p '' ",
        }
    }

    fn first_line(&self) -> String {
        match &self.rise {
            Rise::SudoWithPassword(password) => format!("{}\n", password.expose()),
            _ => String::new(),
        }
    }
}

fn printed(what: &'static str, output: Output) -> Result<String, SetupError> {
    match output.status {
        Some(0) => Ok(output.stdout),
        status => Err(SetupError::Command { what, status, said: output.stderr }),
    }
}
