//! The forced command of a line in `authorized_keys`: `command="wharfd connect --role deploy --app fitnessapp"`.
//!
//! OpenSSH runs it; the agent's own SSH server only reads it. Both must come to the same, so it is written in words alone:
//! no quotes, no variables, nothing that a shell would change.

use crate::Grant;
use std::collections::BTreeSet;
use wharf_proto::{AppName, Apps, Role};

/// The longest one that is read.
const COMMAND_BYTES: usize = 4096;
/// The longest name of a key.
const KEY_NAME_BYTES: usize = 128;

/// What a forced command says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedCommand {
    pub grant: Grant,
    /// What the audit calls the key.
    pub key_name: Option<String>,
    /// Where the daemon listens, for `wharfd connect`. It says nothing of rights.
    pub socket: Option<String>,
}

/// Why a forced command is not one of Wharf's. Its key may do nothing: a limit must not be lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForcedCommandError {
    #[error("it is not `wharfd connect`, with `--role`, `--app` and `--key-name` alone")]
    Other,
    #[error("it is longer than {COMMAND_BYTES} bytes")]
    TooLong,
    #[error("it has characters that a shell may read otherwise: letters, digits and -_./@:=+,* are plain")]
    Characters,
    #[error("{0} is given twice")]
    Twice(&'static str),
    #[error("{0} has no value")]
    Value(&'static str),
    #[error("--role: {0}")]
    Role(#[from] wharf_proto::access::RoleError),
    #[error("--app: {0}")]
    App(#[from] wharf_proto::id::IdError),
    #[error("--app '*' and names exclude each other")]
    AllAndNames,
}

impl ForcedCommand {
    /// Reads a whole command.
    ///
    /// # Errors
    /// Anything that is not understood to its last character.
    pub fn parse(command: &str) -> Result<Self, ForcedCommandError> {
        if command.len() > COMMAND_BYTES {
            return Err(ForcedCommandError::TooLong);
        }
        let mut words = split(command)?.into_iter();
        match words.next() {
            Some("wharf") if words.len() == 0 => return Self::from_words(words),
            Some(program) if program == "wharfd" || is_wharfd(program) => {}
            _ => return Err(ForcedCommandError::Other),
        }
        match words.next() {
            Some("connect") => Self::from_words(words),
            _ => Err(ForcedCommandError::Other),
        }
    }

    /// Reads what follows `wharfd connect`.
    ///
    /// # Errors
    /// A word that is not known, or that is there twice.
    pub fn from_words<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self, ForcedCommandError> {
        let (mut role, mut all, mut names) = (None, false, BTreeSet::<AppName>::new());
        let (mut key_name, mut socket) = (None, None);
        while let Some(word) = words.next() {
            match word {
                "--role" => once("--role", &mut role, value("--role", words.next())?.parse::<Role>()?)?,
                "--app" => match value("--app", words.next())? {
                    "*" if all => return Err(ForcedCommandError::Twice("--app '*'")),
                    "*" => all = true,
                    name => {
                        names.insert(name.parse()?);
                    }
                },
                "--key-name" => {
                    let name: String =
                        value("--key-name", words.next())?.chars().take(KEY_NAME_BYTES).collect();
                    once("--key-name", &mut key_name, name)?;
                }
                "--socket" => once("--socket", &mut socket, value("--socket", words.next())?.to_owned())?,
                _ => return Err(ForcedCommandError::Other),
            }
        }
        let apps = match (all, names.is_empty()) {
            (true, false) => return Err(ForcedCommandError::AllAndNames),
            (_, true) => Apps::All,
            (false, false) => Apps::Named(names),
        };
        Ok(Self { grant: Grant { role: role.unwrap_or(Role::Admin), apps }, key_name, socket })
    }
}

/// Words between single or more blanks, of characters that every shell leaves alone. `'*'` may stand in quotes, which a
/// shell needs there.
fn split(command: &str) -> Result<Vec<&str>, ForcedCommandError> {
    let words: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
    let words: Vec<&str> = words.into_iter().map(|word| if word == "'*'" { "*" } else { word }).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:=+,".contains(c);
    if words.iter().all(|word| *word == "*" || word.chars().all(plain)) {
        Ok(words)
    } else {
        Err(ForcedCommandError::Characters)
    }
}

/// An absolute path of a file called `wharfd`.
fn is_wharfd(program: &str) -> bool {
    program.starts_with('/') && program.ends_with("/wharfd") && !program.contains("/../")
}

/// A value does not begin with a dash: a forgotten one would swallow the next option.
fn value<'a>(option: &'static str, word: Option<&'a str>) -> Result<&'a str, ForcedCommandError> {
    word.filter(|word| !word.starts_with('-')).ok_or(ForcedCommandError::Value(option))
}

fn once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), ForcedCommandError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ForcedCommandError::Twice(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_names_is_granted_and_no_more() {
        let named = |names: &[&str]| Apps::Named(names.iter().map(|n| n.parse().unwrap()).collect());
        for (command, role, apps, name) in [
            ("wharf", Role::Admin, Apps::All, None),
            ("wharfd connect", Role::Admin, Apps::All, None),
            ("wharfd connect --role read", Role::Read, Apps::All, None),
            ("/usr/local/bin/wharfd connect --app blog", Role::Admin, named(&["blog"]), None),
            ("wharfd connect --role deploy --app a --app b", Role::Deploy, named(&["a", "b"]), None),
            ("wharfd  connect --app '*' --key-name ci@github", Role::Admin, Apps::All, Some("ci@github")),
            ("wharfd connect --socket /run/w.sock --role backup", Role::Backup, Apps::All, None),
        ] {
            let said = ForcedCommand::parse(command).unwrap();
            assert_eq!((said.grant, said.key_name.as_deref()), (Grant { role, apps }, name), "{command}");
        }
    }

    /// Each was meant to limit something, or looks as if it were ours: none grants anything.
    #[test]
    fn what_is_not_understood_grants_nothing() {
        let long = format!("wharfd connect {}", "--app a ".repeat(600));
        let hostile = [
            "",
            " ",
            "sh",
            "wharf status",
            "wharf --role admin",
            "wharfd",
            "wharfd serve",
            "wharfd connect --role",
            "wharfd connect --role --app a",
            "wharfd connect --role root",
            "wharfd connect --role Admin",
            "wharfd connect --role=read",
            "wharfd connect --role read --role admin",
            "wharfd connect --role read admin",
            "wharfd connect --app ../x",
            "wharfd connect --app a/b",
            "wharfd connect --app A",
            "wharfd connect --app a,b",
            "wharfd connect --app",
            "wharfd connect --app a --app *",
            "wharfd connect --app '*' --app '*'",
            "wharfd connect --apps a",
            "wharfd connect --read",
            "wharfd connect; sh",
            "wharfd connect --role read && sh",
            "wharfd connect --role read | sh",
            "wharfd connect --role read\nwharfd connect --role admin",
            "wharfd connect --role $ROLE",
            "wharfd connect --role `id`",
            "wharfd connect --role 'read'",
            "wharfd connect --role \"read\"",
            "wharfd connect --role \\read",
            "wharfd\tconnect",
            "wharfd connect --role re\u{430}d",
            "wharfd connect --app caf\u{e9}",
            "wharfd connect --app a\0",
            "WHARFD connect",
            "./wharfd connect",
            "bin/wharfd connect",
            "/tmp/../wharfd connect",
            "/usr/bin/env wharfd connect",
            "ROLE=admin wharfd connect",
            "sudo wharfd connect",
            "wharfd connect --role read --key-name",
            "wharfd connect --key-name a --key-name b",
            "wharfd connect # --role read",
            "wharfd connect --role read #",
            "/usr/bin/notwharfd connect",
            "wharfd connect -- --role admin",
            long.as_str(),
        ];
        for command in hostile {
            assert!(ForcedCommand::parse(command).is_err(), "{command:?}");
        }
    }
}
