//! A database that Wharf knows nothing of: its own commands dump it and restore it.

use super::SpecProblem;
use serde::{Deserialize, Serialize};

/// The most words of a command, and the most bytes of all of them.
const WORDS: usize = 64;
const COMMAND_BYTES: usize = 16 * 1024;

/// A service of the stack, and the commands that its own image offers. Each is a program and its arguments; a shell is one only
/// where it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpSpec {
    pub service: String,
    /// What it is called beside others of the same service. `None`: by its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Writes the dump to its standard output.
    #[serde(default)]
    pub dump: Vec<String>,
    /// Reads the dump from its standard input, and changes nothing; empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<String>,
    /// Reads the dump from its standard input, into a fresh server; empty: none, and nothing restores it by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore: Vec<String>,
    /// Ends with 0 once a fresh server takes the dump; empty: the service's health check tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<String>,
    /// Writes a line for each table, `NAME COUNT`; empty: nothing is counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub count: Vec<String>,
}

impl DumpSpec {
    /// What people call it.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.service)
    }

    /// What is wrong with the commands, if anything is.
    pub fn problem(&self) -> Option<SpecProblem> {
        if self.dump.is_empty() {
            let message = "there is no command that writes the dump".to_owned();
            let instead = "write for example: dump = [\"mongodump\", \"--archive\"]";
            return Some(SpecProblem { key: "dump.dump", message, instead });
        }
        if self.restore.is_empty() && !self.ready.is_empty() {
            let message = "it goes with `restore` only".to_owned();
            let instead = "write the command that restores too: restore = [\"mongorestore\", \"--archive\"]";
            return Some(SpecProblem { key: "dump.ready", message, instead });
        }
        let commands = [
            ("dump.dump", &self.dump),
            ("dump.check", &self.check),
            ("dump.restore", &self.restore),
            ("dump.ready", &self.ready),
            ("dump.count", &self.count),
        ];
        commands.into_iter().find_map(|(key, command)| {
            let (message, instead) = wrong(command)?;
            Some(SpecProblem { key, message, instead })
        })
    }
}

fn wrong(command: &[String]) -> Option<(String, &'static str)> {
    let program = command.first()?;
    let bytes: usize = command.iter().map(String::len).sum();
    if program.trim().is_empty() {
        let instead = "begin with the program's name, for example: [\"mongodump\", \"--archive\"]";
        return Some(("its program has no name".to_owned(), instead));
    }
    if program.contains(char::is_whitespace) {
        let instead = "write each word by itself, [\"mongodump\", \"--archive\"], or name a shell: [\"sh\", \"-c\", \"…\"]";
        return Some((format!("{program:?} is not a program's name"), instead));
    }
    if command.iter().any(|word| word.contains('\0')) {
        return Some(("a word of it has a null character".to_owned(), "leave it out"));
    }
    (command.len() > WORDS || bytes > COMMAND_BYTES).then(|| {
        let message = format!("it is longer than {WORDS} words or {COMMAND_BYTES} bytes");
        (message, "put a script into the image, and write its name here")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_programs_with_their_arguments() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let dump = DumpSpec { service: "docs".into(), dump: words(&["mongodump"]), ..DumpSpec::default() };
        let found = |spec: DumpSpec| spec.problem().map(|problem| problem.key);
        for (spec, expected) in [
            (dump.clone(), None),
            (DumpSpec { dump: vec![], ..dump.clone() }, Some("dump.dump")),
            (DumpSpec { dump: words(&["mongodump --archive"]), ..dump.clone() }, Some("dump.dump")),
            (DumpSpec { check: words(&["", "x"]), ..dump.clone() }, Some("dump.check")),
            (DumpSpec { ready: words(&["true"]), ..dump.clone() }, Some("dump.ready")),
            (DumpSpec { restore: words(&["sh", "-c", "a\0"]), ..dump.clone() }, Some("dump.restore")),
            (DumpSpec { count: words(&["x"; 65]), ..dump.clone() }, Some("dump.count")),
            (DumpSpec { restore: words(&["sh", "-c", "a | b"]), ready: words(&["true"]), ..dump }, None),
        ] {
            assert_eq!(found(spec.clone()), expected, "{spec:?}");
        }
    }
}
