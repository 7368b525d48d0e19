//! Redis and Valkey over what is live: a server reads its file when it starts, so a folder with the backup's file alone takes
//! the place of the one that it keeps its data in ([`super::exchange`]), while it is stopped.
//!
//! **Invariant**: what this cannot do in one act is refused before anything is done: a server with a journal, which it would
//! read instead; one of many; one whose folder holds anything else.

use super::exchange::{trial, try_out};
use super::exchangeable::{has_room, number, place_of};
use super::place::Place;
use super::server_folder::mounted_at;
use super::undo::{Exchange, RedisServer, Undo};
use super::{beside, task};
use crate::failures::blocking;
use crate::jobs::backup::child;
use crate::jobs::run::Job;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use wharf_backup::{DumpOutRequest, DumpReport, DumpRequest, redis_file, redis_loaded, redis_save};
use wharf_proto::database::DatabaseKind;
use wharf_proto::{BackupId, Failure, FailureKind};
use wharf_state::AppRecord;

/// What Redis keeps beside its file and does without: a journal that is not in use.
const UNUSED: [&str; 2] = ["appendonlydir", "appendonly.aof"];
const PIECE_BYTES: usize = 64 * 1024;
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A server whose data is to be replaced.
pub struct Target<'a> {
    dump: &'a DumpReport,
    container: String,
    pub place: Place,
    /// Of the file in its folder.
    name: String,
}

/// Looks where a dump is to go.
///
/// # Errors
/// It cannot go there in one act.
pub async fn find<'a>(
    job: &Job,
    app: &AppRecord,
    dump: &'a DumpReport,
    (index, suffix): (usize, &str),
) -> Result<Target<'a>, Failure> {
    let service = dump.service();
    let container = beside::address(job, app, dump).await?.container;
    let file = redis_file(&job.agent.config.docker, &request(service, &container)).await;
    let file = file.map_err(|e| e.failure())?;
    if file.has_journal {
        return Err(refused(
            service,
            "it keeps a journal (appendonly), and would read that in place of the file",
        ));
    }
    if file.is_one_of_many {
        return Err(refused(
            service,
            "it is a replica or of a cluster: others would give it their data again",
        ));
    }
    let at = mounted_at(job, app, (service, &container), &file.folder).await?;
    let at = at.map_err(|why| refused(service, &why))?;
    let place = place_of(job, app, &at, (index, suffix)).await?;
    let (folder, name) = (place.live.clone(), file.name.clone());
    let others = blocking(move || Ok(others(&folder, &name))).await?;
    let others = others.map_err(|error| refused(service, &format!("its folder cannot be read: {error}")))?;
    if let Some(other) = others.first() {
        return Err(refused(service, &format!("its folder holds something else, too: {other}")));
    }
    has_room(dump.size_bytes, [&place])?;
    Ok(Target { dump, container, place, name: file.name })
}

/// What is in the folder besides the file and what the server does without.
fn others(folder: &Path, name: &str) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in folder.read_dir()? {
        let is = entry?.file_name().to_string_lossy().into_owned();
        // What an interrupted save left.
        let is_own =
            is == name || UNUSED.contains(&is.as_str()) || (is.starts_with("temp-") && is.ends_with(".rdb"));
        if !is_own {
            found.insert(is);
        }
    }
    Ok(found)
}

/// Writes the dump to a folder of its own beside the live one, for the server's own user.
///
/// # Errors
/// It cannot be read or written.
pub async fn write(job: &Job, backup: &BackupId, target: &Target<'_>) -> Result<(), Failure> {
    let staged = &target.place.staged;
    task::note_undo(job, Undo::Folder { path: staged.clone() }).await?;
    task::note_undo(job, Undo::Folder { path: trial(staged) }).await?;
    let to = staged.join(&target.name);
    let make = {
        let staged = staged.clone();
        move || DirBuilder::new().mode(0o700).create(&staged).map_err(|e| unwritable(&staged, &e))
    };
    blocking(make).await?;
    let request = DumpOutRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        snapshot: backup.clone(),
        path: target.dump.path.clone(),
        to: to.clone(),
    };
    wharf_backup::run(&child(&job.agent), request, |_| ()).await.map_err(|e| e.failure())?;
    crate::crash::point("restore.inside");
    let (live, staged, name) = (target.place.live.clone(), staged.clone(), target.name.clone());
    blocking(move || {
        like(&live.join(&name), &live, &to).map_err(|e| unwritable(&to, &e))?;
        like(&live, &live, &staged).map_err(|e| unwritable(&staged, &e))?;
        try_out(&staged).map_err(|e| e.failure())
    })
    .await
}

/// Gives `to` the owner and mode of `model`, or, where there is none, the owner of `folder`.
fn like(model: &Path, folder: &Path, to: &Path) -> io::Result<()> {
    let found = match model.symlink_metadata() {
        Ok(found) => found,
        Err(_) => folder.metadata()?,
    };
    std::os::unix::fs::lchown(to, Some(found.uid()), Some(found.gid()))?;
    let mode = if found.is_dir() == to.is_dir() { found.permissions().mode() & 0o777 } else { 0o644 };
    std::fs::set_permissions(to, Permissions::from_mode(mode))
}

/// Compares what lies on the disk with what was dumped.
///
/// # Errors
/// It is not the same.
pub async fn check(target: &Target<'_>) -> Result<(), Failure> {
    let (path, expected) = (target.place.staged.join(&target.name), target.dump.sha256.clone());
    let service = target.dump.service().to_owned();
    blocking(move || {
        if sha256(&path).map_err(|e| unwritable(&path, &e))? == expected {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Backup, format!("what came back of {service} is not what was dumped"))
            .hint("see that the disk is healthy, then try again, or take another backup"))
    })
    .await
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(piece.get(..length).unwrap_or_default()),
        }
    }
}

/// As the journal has it.
///
/// # Errors
/// One of the folders is not there any more.
pub fn exchange(target: &Target<'_>) -> Result<Exchange, Failure> {
    let Place { live, staged, kept, volume, .. } = target.place.clone();
    let keys = (!target.dump.tables.is_empty()).then(|| target.dump.tables.iter().map(|one| one.rows).sum());
    Ok(Exchange {
        label: target.dump.service().to_owned(),
        old: number(&live)?,
        new: number(&staged)?,
        live,
        staged,
        kept,
        volume,
        redis: Some(RedisServer {
            service: target.dump.service().to_owned(),
            container: target.container.clone(),
            keys,
        }),
        mysql: None,
    })
}

/// Has the live server save what it holds, since not every server does when it is stopped.
///
/// # Errors
/// It does not.
pub async fn save(job: &Job, server: &RedisServer) -> Result<(), Failure> {
    let at = request(&server.service, &server.container);
    redis_save(&job.agent.config.docker, &at).await.map_err(|e| e.failure())
}

/// Waits until the server has read its file, and proves that it was all of the backup's.
///
/// # Errors
/// It was not, or the server does not answer.
pub async fn prove(job: &Job, server: &RedisServer) -> Result<(), Failure> {
    let at = request(&server.service, &server.container);
    let limit = Duration::from_secs(job.spec.verify.start_timeout_seconds.into());
    let until = Instant::now() + limit;
    loop {
        match redis_loaded(&job.agent.config.docker, &at).await {
            Ok(loaded) if !loaded.is_loading => {
                let (Some(expected), found) = (server.keys, loaded.read.unwrap_or(loaded.keys)) else {
                    return Ok(());
                };
                // Where it does not tell, keys may have expired since; but not all of nothing.
                let is_whole = match loaded.read {
                    Some(read) => read == expected,
                    None => found > 0 || expected == 0,
                };
                if is_whole {
                    return Ok(());
                }
                let text = format!("{} has read {found} of {expected} keys", server.service);
                return Err(Failure::new(FailureKind::Verify, text)
                    .cause("does its configuration name another folder or file than it told before?"));
            }
            Ok(_) if Instant::now() < until => {}
            Err(_) if Instant::now() < until => {}
            Ok(_) => {
                let text = format!("{} still reads its file after {} s", server.service, limit.as_secs());
                return Err(Failure::new(FailureKind::Verify, text).hint("raise start_timeout_seconds"));
            }
            Err(error) => return Err(error.failure()),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn request(service: &str, container: &str) -> DumpRequest {
    DumpRequest {
        label: service.to_owned(),
        kind: DatabaseKind::Redis,
        container: container.to_owned(),
        user: None,
        database: None,
        commands: None,
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::from_error(FailureKind::Environment, error).cause(format!("at {}", path.display()))
}

fn refused(service: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("{service} (Redis) cannot be restored over what is live"))
        .cause(format!("{why}; nothing was changed"))
        .hint("how its file goes back by hand: docs/RECOVERY.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_miss_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        for own in ["dump.rdb", "appendonlydir", "temp-17.rdb"] {
            std::fs::write(folder.path().join(own), "").unwrap();
        }
        assert!(others(folder.path(), "dump.rdb").unwrap().is_empty());
        std::fs::write(folder.path().join("users.acl"), "").unwrap();
        assert_eq!(others(folder.path(), "dump.rdb").unwrap(), ["users.acl".to_owned()].into());
        assert_eq!(others(folder.path(), "users.acl").unwrap(), ["dump.rdb".to_owned()].into());
    }
}
