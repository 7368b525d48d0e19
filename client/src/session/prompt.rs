//! What only a person at a terminal can answer: whether a server is the right one, and what a key's passphrase is.
//!
//! **Invariant**: without a terminal, and with `--yes`, nothing is asked; the error says which flag or variable answers.
//! A passphrase is not echoed, not kept and never part of a text.

use dialoguer::{Confirm, Password, theme::SimpleTheme};
use std::io::IsTerminal as _;
use wharf_proto::{Failure, FailureKind};

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

    /// Whether to trust a server that is not known yet. Blocks until the person answers.
    ///
    /// # Errors
    /// Nobody can be asked, or the person said no.
    pub fn trust(self, host: &str, key_type: &str, fingerprint: &str) -> Result<(), Failure> {
        let unknown = || {
            Failure::new(FailureKind::Unauthorized, format!("the host key of {host} is not known"))
                .cause(format!("it showed {key_type} {fingerprint}"))
                .hint("compare that with what the server's owner says: `ssh-keygen -lf` on the server's public host key, or wharfd's log")
        };
        if self == Self::Nobody {
            return Err(unknown().hint("then run the command on a terminal, or with --accept-new-host-key"));
        }
        eprintln!("{host} is not known. It shows this host key:\n  {key_type} {fingerprint}");
        let question = format!("Trust {host} from now on?");
        match Confirm::with_theme(&SimpleTheme).with_prompt(question).default(false).interact() {
            Ok(true) => Ok(()),
            Ok(false) => Err(unknown()),
            Err(error) => Err(unknown().cause(error.to_string())),
        }
    }

    /// The passphrase of the key at `path`. Blocks until the person answers.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub fn passphrase(self, path: &str) -> Result<String, Failure> {
        let locked = || {
            Failure::new(FailureKind::Unauthorized, format!("the key {path} is encrypted"))
                .hint("add it to ssh-agent (`ssh-add`), or give a key without a passphrase in WHARF_SSH_KEY")
        };
        if self == Self::Nobody {
            return Err(locked().cause("nobody can be asked for its passphrase here"));
        }
        Password::with_theme(&SimpleTheme)
            .with_prompt(format!("Passphrase of {path}"))
            .allow_empty_password(true)
            .interact()
            .map_err(|error| locked().cause(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Style, failure};

    #[test]
    fn without_a_person_the_text_says_what_answers_instead() {
        let host = Asker::Nobody.trust("home.example", "ssh-ed25519", "SHA256:abc").unwrap_err();
        let key = Asker::Nobody.passphrase("~/.ssh/id_ed25519").unwrap_err();
        assert_eq!((host.exit_code(), key.exit_code()), (4, 4));
        let told = failure(&host, &Style::plain()) + "\n" + &failure(&key, &Style::plain());
        insta::assert_snapshot!(told);
    }
}
