//! Which server it is, and what it answers.

use crate::exec::Program;
use crate::instance::{Environment, Instance};
use crate::{BackupError, DumpRequest, TableRows};
use bollard::Docker;

/// The most that a question is answered with.
const ANSWER_BYTES: usize = 1024 * 1024;
/// What all keys together are called, where those of each database are not known.
const ALL_KEYS: &str = "keys";

/// A server in a container.
pub(crate) struct Server {
    pub(crate) at: Instance,
    /// The client and how it connects.
    client: Vec<String>,
}

/// The keys of each database, as the server counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keyspace {
    /// `None`: somebody wrote meanwhile, so that it cannot be told.
    pub(crate) databases: Option<Vec<TableRows>>,
}

impl Server {
    /// The server that a container runs, by the password and the port that it was started with.
    pub(crate) async fn find(docker: &Docker, request: &DumpRequest) -> Result<Self, BackupError> {
        let (at, environment) = Instance::find(docker, &request.label, &request.container).await?;
        let password = password(&environment).await;
        let at = Instance { password, ..at };
        let mut client = vec![client(docker, &at).await?.to_owned()];
        if let Some(port) = option(&environment.command, "--port") {
            client.extend(["-p".to_owned(), port]);
        }
        Ok(Self { at, client })
    }

    /// The server that listens on a socket in the container.
    pub(crate) async fn on_socket(docker: &Docker, at: Instance, socket: &str) -> Result<Self, BackupError> {
        let client = vec![client(docker, &at).await?.to_owned(), "-s".to_owned(), socket.to_owned()];
        Ok(Self { at, client })
    }

    /// The client's name, for people.
    pub(crate) fn name(&self) -> &str {
        self.client.first().map_or("", String::as_str)
    }

    /// Asks the server. An answer that is an error is one here, too: the client ends with 0 all the same.
    pub(crate) async fn ask(&self, docker: &Docker, words: &[&str]) -> Result<String, BackupError> {
        let command = words.join(" ");
        let failed = |exit, text: &str| self.at.failed(&format!("{} {command}", self.name()), exit, text);
        let arguments: Vec<&str> =
            self.client.iter().map(String::as_str).chain(words.iter().copied()).collect();
        let program = Program {
            container: &self.at.container,
            arguments: &arguments,
            environment: self
                .at
                .password
                .iter()
                .map(|password| format!("REDISCLI_AUTH={password}"))
                .collect(),
            input: false,
        };
        let ended = program.run(docker, ANSWER_BYTES).await.map_err(|cause| failed(None, &cause))?;
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        if ended.exit != Some(0) || is_error(&text) {
            let said = [ended.stderr.trim(), text.trim()].join(" ");
            return Err(failed(ended.exit, said.trim()));
        }
        Ok(text)
    }

    /// The keys of each database now.
    pub(crate) async fn keys(&self, docker: &Docker) -> Result<Vec<TableRows>, BackupError> {
        Ok(keys(&self.ask(docker, &["INFO", "keyspace"]).await?))
    }
}

impl Keyspace {
    /// What was counted, against the keys that are in the dump: those of each database where the sums agree, else all
    /// keys together, else nothing.
    pub(crate) fn agree_with(self, in_dump: Option<u64>) -> Vec<TableRows> {
        match (self.databases, in_dump) {
            (Some(databases), in_dump) if in_dump.is_none_or(|keys| keys == sum(&databases)) => {
                if databases.is_empty() { all_keys(0) } else { databases }
            }
            (_, Some(keys)) => all_keys(keys),
            (_, None) => Vec::new(),
        }
    }
}

/// What came back, told as the dump's own record tells it.
pub(crate) fn told_as(recorded: &[TableRows], found: Vec<TableRows>) -> Vec<TableRows> {
    match recorded {
        [] => Vec::new(),
        [one] if one.table == ALL_KEYS => all_keys(sum(&found)),
        _ => found,
    }
}

fn all_keys(rows: u64) -> Vec<TableRows> {
    vec![TableRows::new(ALL_KEYS, rows)]
}

fn sum(databases: &[TableRows]) -> u64 {
    databases.iter().map(|database| database.rows).sum()
}

/// One value of what `INFO` answers.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

fn keys(info: &str) -> Vec<TableRows> {
    let of_line = |line: &str| {
        let (table, rest) = line.trim_end().split_once(":keys=")?;
        let digits = rest.split(',').next()?;
        Some(TableRows::new(table, digits.parse().ok()?))
    };
    info.lines().filter_map(of_line).collect()
}

fn is_error(answer: &str) -> bool {
    let first = answer.split_whitespace().next().unwrap_or_default();
    matches!(first, "ERR" | "NOAUTH" | "NOPERM" | "WRONGPASS" | "MISCONF" | "LOADING" | "(error)")
        || answer.starts_with("Could not connect")
}

async fn password(environment: &Environment<'_>) -> Option<String> {
    if let Some(password) = option(&environment.command, "--requirepass") {
        return Some(password);
    }
    environment.first(&["REDIS_PASSWORD", "VALKEY_PASSWORD", "REDISCLI_AUTH"]).await
}

/// The value of an option among the words of a command, one of a shell's too.
fn option(command: &[String], name: &str) -> Option<String> {
    let split = |word: &'_ String| word.contains(name) && word != name;
    let words: Vec<&str> =
        command
            .iter()
            .flat_map(|word| {
                if split(word) { word.split_whitespace().collect::<Vec<_>>() } else { vec![word.as_str()] }
            })
            .collect();
    let at = words.iter().position(|word| *word == name)?;
    let value = words.get(at + 1)?.trim_matches(['"', '\'']);
    (!value.is_empty() && !value.starts_with('$')).then(|| value.to_owned())
}

async fn client(docker: &Docker, at: &Instance) -> Result<&'static str, BackupError> {
    for client in ["redis-cli", "valkey-cli"] {
        if has(docker, at, client).await? {
            return Ok(client);
        }
    }
    Err(at.failed("redis-cli", None, "the container has neither redis-cli nor valkey-cli"))
}

/// Whether there is such a program in the container.
pub(crate) async fn has(docker: &Docker, at: &Instance, program: &str) -> Result<bool, BackupError> {
    let arguments = [program, "--version"];
    let asked =
        Program { container: &at.container, arguments: &arguments, environment: Vec::new(), input: false };
    let ended = asked.run(docker, ANSWER_BYTES).await.map_err(|cause| at.failed(program, None, &cause))?;
    Ok(!ended.is_missing())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYSPACE: &str =
        "# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0,subexpiry=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n";

    #[test]
    fn what_the_server_says_is_read() {
        let counted: Vec<String> =
            keys(KEYSPACE).iter().map(|database| format!("{}={}", database.table, database.rows)).collect();
        assert_eq!(counted, ["db0=2", "db3=1"]);
        let info = "# Persistence\r\nrdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\n";
        assert_eq!(field(info, "rdb_last_bgsave_status"), Some("ok"));
        assert_eq!(field(info, "rdb_last"), None);
        assert!(is_error("NOAUTH Authentication required.\n"));
        assert!(!is_error("Background saving started\n"));
    }

    #[test]
    fn counts_are_kept_where_they_are_of_the_dump_itself() {
        let known = || Keyspace { databases: Some(keys(KEYSPACE)) };
        assert_eq!(known().agree_with(Some(3)), keys(KEYSPACE));
        assert_eq!(known().agree_with(None), keys(KEYSPACE));
        assert_eq!(known().agree_with(Some(4)), all_keys(4));
        assert_eq!(Keyspace::default().agree_with(Some(4)), all_keys(4));
        assert_eq!(Keyspace::default().agree_with(None), []);
        assert_eq!(Keyspace { databases: Some(vec![]) }.agree_with(Some(0)), all_keys(0));
        assert_eq!(told_as(&all_keys(3), keys(KEYSPACE)), all_keys(3));
        assert_eq!(told_as(&[], keys(KEYSPACE)), []);
    }

    #[test]
    fn passwords_are_found_in_commands() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for (command, expected) in [
            (words(&["redis-server", "--requirepass", "x y"]), Some("x y")),
            (words(&["sh", "-c", "redis-server --requirepass 'secret' --save 60 1"]), Some("secret")),
            (words(&["sh", "-c", "redis-server --requirepass $PASSWORD"]), None),
            (words(&["redis-server"]), None),
        ] {
            assert_eq!(option(&command, "--requirepass").as_deref(), expected, "{command:?}");
        }
    }
}
