//! What is asked of a live server whose file is about to be replaced, and of the one that has read the new one.

use super::save::{save, setting};
use super::server::{Server, field};
use crate::instance::connect;
use crate::{BackupError, DumpRequest};
use std::path::Path;

/// Where a server keeps what it saves, and what stands in the way of giving it another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisFile {
    /// In the container.
    pub folder: String,
    pub name: String,
    /// It reads its journal when it starts, and not this file.
    pub has_journal: bool,
    /// Others have its data, too: it is a replica, or of a cluster.
    pub is_one_of_many: bool,
}

/// What a server has read since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisLoaded {
    /// It still reads.
    pub is_loading: bool,
    /// Keys in the file that it read, those that had expired too; `None`: a version that does not tell.
    pub read: Option<u64>,
    /// Keys that it has now.
    pub keys: u64,
}

/// Where the server keeps its file.
///
/// # Errors
/// It does not answer, or does not tell.
pub async fn redis_file(docker_socket: &Path, at: &DumpRequest) -> Result<RedisFile, BackupError> {
    let docker = connect(docker_socket).await?;
    let server = Server::find(&docker, at).await?;
    let replication = server.ask(&docker, &["INFO", "replication"]).await?;
    let cluster = server.ask(&docker, &["INFO", "cluster"]).await?;
    let is_master = field(&replication, "role") == Some("master");
    Ok(RedisFile {
        folder: setting(&docker, &server, "dir").await?,
        name: setting(&docker, &server, "dbfilename").await?,
        has_journal: setting(&docker, &server, "appendonly").await? != "no",
        is_one_of_many: !is_master || field(&cluster, "cluster_enabled") == Some("1"),
    })
}

/// Has the server save what it holds, so that it is in its file when it is stopped.
///
/// # Errors
/// It does not.
pub async fn redis_save(docker_socket: &Path, at: &DumpRequest) -> Result<(), BackupError> {
    let docker = connect(docker_socket).await?;
    let server = Server::find(&docker, at).await?;
    save(&docker, &server).await
}

/// What the server has read since it started.
///
/// # Errors
/// It does not answer, not yet perhaps.
pub async fn redis_loaded(docker_socket: &Path, at: &DumpRequest) -> Result<RedisLoaded, BackupError> {
    let docker = connect(docker_socket).await?;
    let server = Server::find(&docker, at).await?;
    let info = server.ask(&docker, &["INFO", "persistence"]).await?;
    let keys = server.keys(&docker).await?.iter().map(|database| database.rows).sum();
    Ok(RedisLoaded { is_loading: field(&info, "loading") != Some("0"), read: read(&info), keys })
}

fn read(info: &str) -> Option<u64> {
    let number = |name: &str| field(info, name)?.parse::<u64>().ok();
    number("rdb_last_load_keys_loaded")?.checked_add(number("rdb_last_load_keys_expired")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_keys_were_read_too() {
        let told = "loading:0\r\nrdb_last_load_keys_expired:2\r\nrdb_last_load_keys_loaded:40\r\n";
        assert_eq!(read(told), Some(42));
        assert_eq!(read("loading:0\r\n"), None);
    }
}
