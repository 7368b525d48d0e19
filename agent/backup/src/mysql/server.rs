//! Which server it is, as whom, and with which of its programs.

use crate::exec::{Program, SILENCE};
use crate::instance::{Environment, Instance};
use crate::{BackupError, DumpRequest};
use bollard::Docker;

/// The most that a question is answered with.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
const VERSION_BYTES: usize = 4096;

/// A server in a container.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) at: Instance,
    pub(crate) user: String,
    pub(crate) tools: Tools,
}

/// The programs of the container: MariaDB's newer images have other names for them, and MySQL's have other options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tools {
    pub(crate) client: &'static str,
    pub(crate) dump: &'static str,
    pub(crate) is_mariadb: bool,
}

/// What a container's environment says of accounts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Accounts {
    root: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

impl Server {
    /// Finds out what the request leaves open; the database that the container was made with is told too.
    pub(crate) async fn find(
        docker: &Docker,
        request: &DumpRequest,
    ) -> Result<(Self, Option<String>), BackupError> {
        let (at, environment) = Instance::find(docker, &request.label, &request.container).await?;
        let (user, password) = accounts(&environment).await.choose(request.user.as_deref());
        let database = environment.first(&["MARIADB_DATABASE", "MYSQL_DATABASE"]).await;
        let at = Instance { password, ..at };
        let tools = tools(docker, &at).await?;
        Ok((Self { at, user, tools }, database))
    }

    /// The password, where the programs look for it.
    pub(crate) fn environment(&self) -> Vec<String> {
        self.at.password.iter().map(|password| format!("MYSQL_PWD={password}")).collect()
    }

    /// The words that every program of the server's begins with. Its option files are left out: they may belong to
    /// somebody else's use of it.
    pub(crate) fn arguments(&self, program: &str) -> Vec<String> {
        vec![
            program.to_owned(),
            "--no-defaults".to_owned(),
            format!("--user={}", self.user),
            "--default-character-set=utf8mb4".to_owned(),
            "--max-allowed-packet=1G".to_owned(),
        ]
    }

    /// Asks something outside any database; the answer's lines, with their fields as the server writes them.
    pub(crate) async fn ask(
        &self,
        docker: &Docker,
        database: Option<&str>,
        statements: &str,
    ) -> Result<Vec<String>, BackupError> {
        let mut arguments = self.arguments(self.tools.client);
        arguments.extend(["--batch".to_owned(), "--skip-column-names".to_owned()]);
        arguments.extend(database.map(|name| format!("--database={name}")));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let failed = |exit, text: &str| BackupError::SqlFailed {
            label: self.at.label.clone(),
            program: self.tools.client.to_owned(),
            database: database.unwrap_or("(none)").to_owned(),
            exit,
            stderr: self.at.redact(text),
        };
        let program = Program {
            container: &self.at.container,
            arguments: &arguments,
            environment: self.environment(),
            input: true,
        };
        let ended = program.answer(docker, statements.as_bytes(), ANSWER_BYTES, SILENCE).await;
        let ended = ended.map_err(|cause| failed(None, &cause))?;
        match ended.exit {
            Some(0) => Ok(String::from_utf8_lossy(&ended.stdout).lines().map(str::to_owned).collect()),
            exit => Err(failed(exit, &ended.said())),
        }
    }
}

async fn accounts(environment: &Environment<'_>) -> Accounts {
    Accounts {
        root: environment.first(&["MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"]).await,
        user: environment.first(&["MARIADB_USER", "MYSQL_USER"]).await,
        password: environment.first(&["MARIADB_PASSWORD", "MYSQL_PASSWORD"]).await,
    }
}

impl Accounts {
    /// As whom to connect: who was asked for, else root where its password is known, else the app's own user.
    fn choose(self, wanted: Option<&str>) -> (String, Option<String>) {
        let Self { root, user, password } = self;
        match (wanted, user) {
            (None, Some(user)) if root.is_none() => (user, password),
            (Some(wanted), Some(user)) if wanted == user => (user, password),
            (None, _) => ("root".to_owned(), root),
            (Some("root"), _) => ("root".to_owned(), root),
            (Some(wanted), _) => (wanted.to_owned(), None),
        }
    }
}

async fn tools(docker: &Docker, at: &Instance) -> Result<Tools, BackupError> {
    for (dump, client) in [("mariadb-dump", "mariadb"), ("mysqldump", "mysql")] {
        let arguments = [dump, "--version"];
        let program = Program {
            container: &at.container,
            arguments: &arguments,
            environment: Vec::new(),
            input: false,
        };
        let ended =
            program.run(docker, VERSION_BYTES).await.map_err(|cause| at.failed(dump, None, &cause))?;
        if ended.exit == Some(0) {
            let is_mariadb = String::from_utf8_lossy(&ended.stdout).contains("MariaDB");
            return Ok(Tools { client, dump, is_mariadb });
        }
        if !ended.is_missing() {
            return Err(at.failed(dump, ended.exit, &ended.said()));
        }
    }
    Err(at.failed("mysqldump", None, "the container has neither mariadb-dump nor mysqldump"))
}

/// A name as MySQL's SQL has it.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text that the server wrote as hexadecimal digits, so that no character of it can be taken for a separator.
pub(crate) fn unhex(digits: &str) -> Option<String> {
    String::from_utf8(hex::decode(digits).ok()?).ok()
}

/// A text as hexadecimal digits, which MySQL's SQL takes for the text itself whatever the server's mode.
pub fn literal(text: &str) -> String {
    // An empty one has no digits to write.
    if text.is_empty() { "''".to_owned() } else { format!("_utf8mb4 X'{}'", hex::encode(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_connects_is_who_was_asked_for_or_who_may_most() {
        let some = |text: &str| Some(text.to_owned());
        let accounts = |root: Option<&str>, user: Option<&str>| Accounts {
            root: root.map(str::to_owned),
            user: user.map(str::to_owned),
            password: user.map(|_| "own".to_owned()),
        };
        for (known, wanted, expected) in [
            (accounts(Some("r"), Some("app")), None, ("root", some("r"))),
            (accounts(None, Some("app")), None, ("app", some("own"))),
            (accounts(Some("r"), Some("app")), Some("app"), ("app", some("own"))),
            (accounts(Some("r"), Some("app")), Some("root"), ("root", some("r"))),
            (accounts(Some("r"), Some("app")), Some("dumper"), ("dumper", None)),
            (accounts(None, None), None, ("root", None)),
        ] {
            let (user, password) = known.choose(wanted);
            assert_eq!((user.as_str(), password), expected, "{wanted:?}");
        }
    }

    #[test]
    fn names_and_texts_stay_what_they_are() {
        assert_eq!(identifier("a`b"), "`a``b`");
        assert_eq!(literal("a'b\\"), "_utf8mb4 X'6127625c'");
        assert_eq!(unhex("C3A4").as_deref(), Some("ä"));
        assert_eq!(unhex("xyz"), None);
    }
}
