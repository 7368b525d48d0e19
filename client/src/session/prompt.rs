//! What only a person at a terminal can answer: whether a server is the right one, and what a key's passphrase is.
//!
//! **Invariant**: without a terminal, and with `--yes`, nothing is asked. A passphrase is not echoed, not kept and never
//! part of a text.

use crate::sys;
use async_trait::async_trait;
use dialoguer::{Confirm, Input, Password, theme::SimpleTheme};
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
    time::Duration,
};
use wharf_proto::{Failure, FailureKind};
use wharf_ssh::{HostKeyPolicy, NoPrompt, Prompt, Secret};

/// How long a signal may take that a key of the person's has raised.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Whether somebody is there to be asked, and may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    Person,
    /// `--yes`, or no terminal.
    Nobody,
}

impl Asker {
    /// Who can be asked in this process.
    pub fn of_process(yes: bool) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if terminal && !yes { Self::Person } else { Self::Nobody }
    }

    /// A name that must be typed before something goes on.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub async fn type_name(self, question: String) -> Result<String, Failure> {
        let unasked =
            || Failure::new(FailureKind::Config, "this must be confirmed by a name, and nobody can be asked");
        if self == Self::Nobody {
            return Err(unasked().hint("run the command on a terminal, without --yes"));
        }
        let ask = move || {
            Input::<String>::with_theme(&SimpleTheme).with_prompt(question).allow_empty(true).interact_text()
        };
        put(ask).await.map_err(|error| unasked().cause(error.to_string()))
    }

    /// A question with an answer that is taken where nobody answers another; `None` where nobody can be asked, or
    /// nothing was answered.
    pub async fn ask(self, question: &'static str, default: Option<String>) -> Option<String> {
        if self == Self::Nobody {
            return default;
        }
        let ask = move || {
            let input = Input::<String>::with_theme(&SimpleTheme).with_prompt(question).allow_empty(true);
            match default {
                Some(default) => input.default(default).interact_text(),
                None => input.interact_text(),
            }
        };
        let typed = put(ask).await.ok()?;
        let typed = typed.trim();
        (!typed.is_empty()).then(|| typed.to_owned())
    }

    /// Yes or no; no where nobody can be asked.
    pub async fn confirm(self, question: String) -> bool {
        if self == Self::Nobody {
            return false;
        }
        let ask = move || Confirm::with_theme(&SimpleTheme).with_prompt(question).default(false).interact();
        matches!(put(ask).await, Ok(true))
    }

    /// A secret, typed without being shown.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub async fn secret(self, question: String) -> Result<String, Failure> {
        let unasked = || {
            Failure::new(FailureKind::Config, "a secret must be typed, and nobody can be asked")
                .hint("pipe it into the command's standard input")
        };
        if self == Self::Nobody {
            return Err(unasked());
        }
        let ask = move || {
            Password::with_theme(&SimpleTheme)
                .with_prompt(question)
                .with_confirmation("The same once more", "they differ")
                .interact()
        };
        put(ask).await.map_err(|error| unasked().cause(error.to_string()))
    }

    /// A password that somebody else judges, typed without being shown; `None` where nobody can be asked, or nothing was
    /// typed.
    pub async fn password(self, question: String) -> Option<Secret> {
        if self == Self::Nobody {
            return None;
        }
        let ask = move || {
            Password::with_theme(&SimpleTheme).with_prompt(question).allow_empty_password(true).interact()
        };
        let typed = put(ask).await.ok()?;
        (!typed.is_empty()).then(|| Secret::new(typed))
    }

    /// What becomes of a server whose key is not known yet.
    pub(super) fn policy(self, accept_new_host_key: bool) -> HostKeyPolicy {
        match (accept_new_host_key, self) {
            (true, _) => HostKeyPolicy::AcceptNew,
            (false, Self::Person) => HostKeyPolicy::Ask,
            (false, Self::Nobody) => HostKeyPolicy::Strict,
        }
    }

    pub(super) fn prompt(self) -> Arc<dyn Prompt> {
        match self {
            Self::Person => Arc::new(Terminal),
            Self::Nobody => Arc::new(NoPrompt),
        }
    }
}

/// Puts a question where waiting for the answer holds nothing up.
///
/// Some prompts read Ctrl-C as a key, raise the signal themselves and come back as interrupted. That is no answer: the
/// signal ends the command, and is waited for, so that nothing goes on as if nobody could be asked.
async fn put<T: Send + 'static>(
    ask: impl FnOnce() -> dialoguer::Result<T> + Send + 'static,
) -> io::Result<T> {
    let prompting = move || {
        let _prompting = sys::Prompting::begin();
        // Here, since nobody may be waiting for the answer any more.
        ask().inspect_err(|_| sys::show_cursor())
    };
    let answer = match tokio::task::spawn_blocking(prompting).await {
        Ok(answer) => answer.map_err(|dialoguer::Error::IO(error)| error),
        Err(error) => Err(io::Error::other(error)),
    };
    if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        tokio::time::sleep(STOP_WITHIN).await;
    }
    answer
}

struct Terminal;

#[async_trait]
impl Prompt for Terminal {
    async fn confirm_host_key(&self, host: &str, key_type: &str, fingerprint: &str) -> bool {
        // Not part of the question, which is written anew when it was answered.
        eprintln!("{host} is not known yet. It shows this host key:\n  {key_type} {fingerprint}");
        let question = format!("Compare it with the server's own, then: trust {host} from now on?");
        Asker::Person.confirm(question).await
    }

    async fn passphrase(&self, key: &Path) -> Option<Secret> {
        let question = format!("Passphrase of {} (empty to do without this key)", key.display());
        Asker::Person.password(question).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flag_or_a_person_lets_a_new_server_in() {
        for (asker, accept, policy) in [
            (Asker::Person, false, HostKeyPolicy::Ask),
            (Asker::Nobody, false, HostKeyPolicy::Strict),
            (Asker::Person, true, HostKeyPolicy::AcceptNew),
            (Asker::Nobody, true, HostKeyPolicy::AcceptNew),
        ] {
            assert_eq!(asker.policy(accept), policy);
        }
    }
}
