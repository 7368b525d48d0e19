//! Having the server save its data, and checking what it saved.

use super::rdb::Rdb;
use super::server::{Keyspace, Server, field, has};
use crate::dump::{Held, Pending};
use crate::exec::{Program, SILENCE};
use crate::instance::Instance;
use crate::stream::{DumpProgram, DumpResult, Watch};
use crate::{BackupError, DumpRequest};
use bollard::Docker;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

/// How long a save may take.
const SAVES_WITHIN: Duration = Duration::from_secs(1800);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Has the server save, and says how what it saved is read.
pub(crate) async fn prepare(docker: &Docker, request: &DumpRequest) -> Result<Pending, BackupError> {
    let server = Server::find(docker, request).await?;
    let info = server.ask(docker, &["INFO"]).await?;
    let version = field(&info, "valkey_version").or_else(|| field(&info, "redis_version"));
    let version = version.unwrap_or_default().to_owned();
    let before = server.keys(docker).await?;
    save(docker, &server).await?;
    let after = server.keys(docker).await?;
    let folder = setting(docker, &server, "dir").await?;
    let file = setting(docker, &server, "dbfilename").await?;
    let label = &server.at.label;
    let path = format!("{}/{file}", folder.trim_end_matches('/'));
    Ok(Pending {
        path: format!("/dumps/{label}.rdb"),
        beside: None,
        // The server replaces its file and never writes into it, so what is read is of one save.
        program: DumpProgram {
            arguments: vec!["cat".into(), "--".into(), path],
            environment: Vec::new(),
            patience: SILENCE,
        },
        watch: || -> Box<dyn Watch> { Box::new(Rdb::default()) },
        // What it takes in memory; its file is hardly larger.
        size_bytes: field(&info, "used_memory").and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
        waiting: None,
        result: DumpResult::default(),
        user: String::new(),
        database: crate::service_of(label).to_owned(),
        server_version: version,
        others: Vec::new(),
        held: Held::Redis(Keyspace { databases: (before == after).then_some(before) }),
        instance: server.at,
    })
}

/// Starts a save and waits until it is done. One that runs already began too early, so another comes after it.
pub(crate) async fn save(docker: &Docker, server: &Server) -> Result<(), BackupError> {
    let until = Instant::now() + SAVES_WITHIN;
    let failed = |text: &str| server.at.failed("BGSAVE", None, text);
    let unreadable = || failed("the server did not answer as expected");
    let time = server.ask(docker, &["TIME"]).await?;
    let asked: u64 = time.lines().next().and_then(|line| line.trim().parse().ok()).ok_or_else(unreadable)?;
    let mut started = false;
    loop {
        let info = server.ask(docker, &["INFO", "persistence"]).await?;
        let running = field(&info, "rdb_bgsave_in_progress").ok_or_else(unreadable)? != "0";
        let status = field(&info, "rdb_last_bgsave_status").ok_or_else(unreadable)?;
        let saved: u64 = field(&info, "rdb_last_save_time")
            .and_then(|seconds| seconds.parse().ok())
            .ok_or_else(unreadable)?;
        match (started, running) {
            (true, false) if status != "ok" => {
                return Err(failed(&format!("the server says that its save ended with: {status}")));
            }
            (true, false) if saved >= asked => return Ok(()),
            (false, false) => match server.ask(docker, &["BGSAVE"]).await {
                Ok(_) => started = true,
                // A rewrite of its journal, say, that began just then.
                Err(error) if !is_busy(&error) => return Err(error),
                Err(_) => {}
            },
            (true | false, _) => {}
        }
        if Instant::now() >= until {
            return Err(failed(&format!("it was not done after {} s", SAVES_WITHIN.as_secs())));
        }
        // Redis tells nobody that a save has ended.
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn is_busy(error: &BackupError) -> bool {
    matches!(error, BackupError::DumpFailed { stderr, .. }
        if stderr.contains("already in progress") || stderr.contains("child process is active"))
}

pub(crate) async fn setting(docker: &Docker, server: &Server, name: &str) -> Result<String, BackupError> {
    let answer = server.ask(docker, &["CONFIG", "GET", name]).await?;
    answer.lines().nth(1).map(str::to_owned).ok_or_else(|| {
        server.at.failed(server.name(), None, &format!("the server does not tell its setting {name}"))
    })
}

/// Has the server's own program read a dump that was read back; how many keys it found, where there is such a program.
pub(crate) async fn check_dump(
    docker: &Docker,
    at: &Instance,
    pieces: &mut Receiver<Bytes>,
) -> Result<Option<u64>, String> {
    for checker in ["redis-check-rdb", "valkey-check-rdb"] {
        if !has(docker, at, checker).await.map_err(|error| error.to_string())? {
            continue;
        }
        let program = Program {
            container: &at.container,
            arguments: &[checker, "/dev/stdin"],
            environment: Vec::new(),
            input: true,
        };
        let ended = program.feed(docker, pieces, SILENCE).await?;
        if ended.exit != Some(0) {
            let code = ended.exit.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
            return Err(format!("{checker} ended with {code}: {}", ended.said()));
        }
        return Ok(keys_read(&String::from_utf8_lossy(&ended.stdout)));
    }
    // What was read back has the checksum that was found right when it was written.
    while pieces.recv().await.is_some() {}
    Ok(None)
}

fn keys_read(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("[info] ")?.strip_suffix(" keys read"));
    line.and_then(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checker_tells_how_many_keys_there_are() {
        let said = "[offset 122] Checksum OK\n[offset 122] \\o/ RDB looks OK! \\o/\n[info] 3 keys read\n[info] 1 expires\n";
        assert_eq!(keys_read(said), Some(3));
        assert_eq!(keys_read("[offset 40] Unexpected EOF reading RDB file\n"), None);
    }
}
