//! The first question to a server outside the stack: is it there, does it let us in, and are the programs new enough?

use crate::failures;
use std::time::Duration;
use wharf_engine::Engine;
use wharf_engine::exec::ExecSpec;
use wharf_plan::database_url::DatabaseUrl;
use wharf_proto::spec::OutsideSpec;
use wharf_proto::{Failure, FailureKind};

/// More than libpq waits for a server that does not answer (`PGCONNECT_TIMEOUT`), at several addresses.
const LIMIT: Duration = Duration::from_secs(60);
const ANSWER_BYTES: usize = 16 * 1024;
/// The version of `pg_dump`, then the server's.
const QUESTION: &str = "pg_dump --version || exit 127\n\
    for program in pg_restore pg_dumpall psql; do command -v \"$program\" >/dev/null || exit 127; done\n\
    exec psql -X -w -q -A -t -v ON_ERROR_STOP=1 -c 'SHOW server_version_num'";

/// Why a server cannot be used.
#[derive(Debug)]
pub struct Problem {
    pub failure: Failure,
    /// Whether it is only that this database is not there.
    pub no_database: bool,
}

impl Problem {
    pub fn of(failure: Failure) -> Self {
        Self { failure, no_database: false }
    }
}

/// The problem of one that nobody has asked.
pub fn never_asked(outside: &OutsideSpec) -> Problem {
    let text = format!("the container that asks the server of {} has ended", outside.url_env);
    Problem::of(Failure::new(FailureKind::Backup, text).hint("try again"))
}

/// Asks for the versions on both sides.
///
/// # Errors
/// Why the server cannot be used.
pub async fn ask(
    engine: &Engine,
    container: &str,
    outside: &OutsideSpec,
    url: &DatabaseUrl,
    home: &str,
) -> Result<(), Problem> {
    let mut spec = ExecSpec::new(["sh", "-c", QUESTION]);
    spec.env = vec![format!("PGUSER={}", url.user), format!("PGDATABASE={home}")];
    spec.env.extend(url.password.iter().map(|password| format!("PGPASSWORD={password}")));
    let answer = engine.exec_to_end(container, &spec, &[], LIMIT, ANSWER_BYTES).await;
    let answer = answer.map_err(|error| Problem::of(failures::of_engine(&error)))?;
    if answer.code == Some(0) {
        return judge(outside, &String::from_utf8_lossy(&answer.stdout)).map_err(Problem::of);
    }
    if matches!(answer.code, Some(126 | 127)) {
        return Err(Problem::of(
            Failure::new(FailureKind::Config, format!("the image {} is none of PostgreSQL", outside.image))
                .cause("it has no pg_dump, pg_restore, pg_dumpall and psql")
                .hint("write one that has them under [[postgres]]: image = \"postgres:17\""),
        ));
    }
    let said = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    let said = match &url.password {
        Some(password) => said.replace(password.as_str(), "…"),
        None => said,
    };
    Err(refused(outside, url, home, &said))
}

/// Whether the programs are as new as the server.
fn judge(outside: &OutsideSpec, answer: &str) -> Result<(), Failure> {
    let mut lines = answer.lines();
    let program = lines.next().and_then(major_of_program);
    let server = lines.next().and_then(|line| line.trim().parse::<u32>().ok()).map(|number| number / 10_000);
    let (Some(program), Some(server)) = (program, server) else {
        let text = format!("the server of {} did not say its version", outside.url_env);
        return Err(Failure::new(FailureKind::Backup, text).hint("is it PostgreSQL?"));
    };
    if server <= program {
        return Ok(());
    }
    let (key, image) = (&outside.url_env, &outside.image);
    Err(Failure::new(FailureKind::Config, format!("{image} is too old for the server of {key}"))
        .cause(format!(
            "the server is PostgreSQL {server}, and pg_dump {program} dumps none that is newer than itself"
        ))
        .hint(format!("write under [[postgres]]: image = \"postgres:{server}\""))
        .hint(format!("and bring it to the server: docker pull postgres:{server}")))
}

/// `17` of `pg_dump (PostgreSQL) 17.12 (Debian 17.12-0+deb13u1)`.
fn major_of_program(line: &str) -> Option<u32> {
    let version = line.split_once(')')?.1.trim_start();
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// How a URL that does not work is replaced: a change that restarts is backed up first, with the URL that is there.
fn repair(key: &str) -> String {
    format!("wharf secrets set {key} --no-restart, then wharf deploy")
}

/// What libpq or the server said, in words that say what to do.
fn refused(outside: &OutsideSpec, url: &DatabaseUrl, home: &str, said: &str) -> Problem {
    let key = &outside.url_env;
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let (text, hint) = if has(&["password authentication failed", "no password supplied"]) {
        (
            format!("the server of {key} does not take the password of its URL"),
            format!("set the right URL, its password percent-encoded: {}", repair(key)),
        )
    } else if has(&["no pg_hba.conf entry", "Peer authentication", "Ident authentication"]) {
        (
            format!("the server of {key} lets nobody in who comes from this machine like that"),
            "allow it there (pg_hba.conf, or the list of allowed addresses), or change sslmode in the URL"
                .into(),
        )
    } else if said.contains("does not exist") && said.contains("database") {
        (
            format!("the server of {key} has no database {home}"),
            format!("make it there, or correct the URL: {}", repair(key)),
        )
    } else if has(&["SSL", "certificate", "GSSAPI"]) {
        (
            format!("no connection to the server of {key} is made as its URL wants it"),
            "change sslmode in the URL; sslrootcert=system takes an image that has certificates (ca-certificates): \
             postgres:17-alpine has, Debian's postgres:17 has none"
                .into(),
        )
    } else if has(&[
        "could not translate host name",
        "Connection refused",
        "timeout expired",
        "Connection timed out",
        "No route to host",
        "Network is unreachable",
    ]) {
        let way = outside.network.as_ref().map_or_else(
            || {
                "it is looked for from the server itself: does it listen there? One in another Compose project \
                is reached through its network, with network = \"OTHER_default\" under [[postgres]]"
                    .to_owned()
            },
            |network| format!("it is looked for in the Docker network {network}: does its container run there?"),
        );
        (format!("the server of {key} cannot be reached"), way)
    } else {
        (
            format!("the server of {key} cannot be asked"),
            format!(
                "try it from the server: docker run --rm -it --network {} {} psql -h {} -p {}",
                outside.network.as_deref().unwrap_or("host"),
                outside.image,
                url.host,
                url.port
            ),
        )
    };
    let no_database = text.contains("has no database");
    let failure = Failure::new(FailureKind::Backup, text);
    let failure = if said.is_empty() { failure } else { failure.cause(said) };
    Problem { failure: failure.hint(hint), no_database }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(network: Option<&str>) -> OutsideSpec {
        let network = network.map(str::to_owned);
        OutsideSpec { url_env: "DATABASE_URL".into(), image: "postgres:16".into(), network }
    }

    #[test]
    fn a_server_is_never_newer_than_its_programs() {
        let judged = |program: &str, server: &str| judge(&outside(None), &format!("{program}\n{server}\n"));
        for server in ["160004", "150012", "90624"] {
            assert!(
                judged("pg_dump (PostgreSQL) 16.4 (Debian 16.4-1.pgdg120+1)", server).is_ok(),
                "{server}"
            );
        }
        assert!(judged("pg_dump (PostgreSQL) 18beta1", "180000").is_ok());
        let newer = judged("pg_dump (PostgreSQL) 16.4", "170002").unwrap_err();
        assert!(
            newer.causes[0].contains("PostgreSQL 17") && newer.hints[0].contains("image = \"postgres:17\"")
        );
        assert!(judged("pg_dump", "160004").is_err() && judged("pg_dump (PostgreSQL) 16", "").is_err());
    }

    #[test]
    fn what_the_server_says_is_told_with_what_to_do() {
        let url = DatabaseUrl::parse("postgres://app:hunter2@db.example:5433/shop").unwrap();
        let mut told = String::new();
        for (said, network) in [
            ("FATAL:  password authentication failed for user \"app\"", None),
            ("FATAL:  no pg_hba.conf entry for host \"10.0.0.1\", user \"app\", no encryption", None),
            ("FATAL:  database \"shop\" does not exist", None),
            ("server does not support SSL, but SSL was required", None),
            ("connection to server at \"db.example\", port 5433 failed: Connection refused", None),
            ("could not translate host name \"db\" to address", Some("other_default")),
            ("FATAL:  sorry, too many clients already", None),
            ("", None),
        ] {
            let problem = refused(&outside(network), &url, "shop", said);
            let failure = &problem.failure;
            told += &format!(
                "{}\n  {}\n  {}\n",
                failure.message,
                failure.causes.join(" "),
                failure.hints.join(" ")
            );
            assert_eq!(problem.no_database, said.contains("database \"shop\""));
        }
        assert!(!told.contains("hunter2"));
        insta::assert_snapshot!(told);
    }
}
