//! SFTP: a folder that an SSH server gives access to.
//!
//! A file is written under another name, synced where the server can, and renamed; a rename of SFTP's never replaces.

mod protocol;

use super::SftpPlace;
use super::files::{Files, Trouble};
use super::remote::sane;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use protocol::{AT_ONCE, Answer, Ask, CREATE, Fault, PIECE_BYTES, READ, Session, handle};
use std::sync::Arc;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use wharf_ssh::{HostKeyPolicy, Link, NoPrompt, Options, SubsystemStream, Target, Timeouts, connect};

pub(crate) struct Sftp {
    place: SftpPlace,
    /// One thing is done at a time: the link is what limits, and each transfer keeps it filled.
    open: Mutex<Option<Open>>,
}

struct Open {
    session: Session<SubsystemStream>,
    /// Ends with the session.
    _link: Option<Link>,
}

impl std::fmt::Debug for Sftp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sftp").field("host", &self.place.host).finish_non_exhaustive()
    }
}

impl Sftp {
    pub(crate) fn new(place: SftpPlace) -> Self {
        Self { place, open: Mutex::new(None) }
    }

    fn path(&self, name: &str) -> String {
        if self.place.path.is_empty() {
            return name.to_owned();
        }
        format!("{}/{name}", self.place.path.trim_end_matches('/'))
    }

    /// The session that is there, or a new one; nobody else has it meanwhile.
    async fn session(&self) -> Result<MappedMutexGuard<'_, Session<SubsystemStream>>, Trouble> {
        let mut kept = self.open.lock().await;
        if kept.as_ref().is_none_or(|open| open.session.is_broken()) {
            *kept = None;
            *kept = Some(self.connect().await?);
        }
        MutexGuard::try_map(kept, |open| open.as_mut().map(|open| &mut open.session))
            .map_err(|_| Trouble::Passing("there is no session".to_owned()))
    }

    async fn connect(&self) -> Result<Open, Trouble> {
        let options = Options {
            identity: self.place.identity.clone(),
            known_hosts: self.place.known_hosts.clone(),
            ..Options::default()
        };
        let target = Target::resolve(&self.place.host, &options).await.map_err(|e| of_ssh(&e))?;
        let link = connect(&target, HostKeyPolicy::Strict, Arc::new(NoPrompt), Timeouts::default())
            .await
            .map_err(|e| of_ssh(&e))?;
        let stream = link.subsystem("sftp").await.map_err(|e| of_ssh(&e))?;
        Ok(Open { session: Session::start(stream).await?, _link: Some(link) })
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match &fault {
            fault if fault.is_missing() => Self::Missing,
            Fault::Status { .. } => Self::Lasting(fault.to_string()),
            Fault::Broken(_) => Self::Passing(fault.to_string()),
        }
    }
}

async fn size(session: &mut Session<SubsystemStream>, path: &str) -> Result<Option<u64>, Trouble> {
    match session.ask(Ask::Size { path }).await {
        Ok(Answer::Size(size_bytes)) => Ok(Some(size_bytes)),
        Ok(_) => Err(Trouble::Lasting("a file has no size".to_owned())),
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

async fn write(session: &mut Session<SubsystemStream>, path: &str, content: &[u8]) -> Result<(), Trouble> {
    // A file's name is the hash of its content, so that one of the same size is the same one.
    if size(session, path).await? == Some(content.len() as u64) {
        return Ok(());
    }
    // Each try has a name of its own: what an earlier one left may be out of this one's rights.
    let temporary = format!("{path}-tmp-{:08x}", rand::random::<u32>());
    let create = Ask::Open { path: &temporary, flags: CREATE };
    let opened = match session.ask(create).await {
        Err(fault) if fault.is_missing() => {
            make_folders(session, path).await?;
            session.ask(Ask::Open { path: &temporary, flags: CREATE }).await?
        }
        other => other?,
    };
    let file = handle(opened)?;
    let pieces: Vec<_> = content.chunks(PIECE_BYTES).zip((0_u64..).step_by(PIECE_BYTES)).collect();
    for batch in pieces.chunks(AT_ONCE) {
        let asks: Vec<_> = batch
            .iter()
            .map(|(content, offset)| Ask::Write { handle: &file, offset: *offset, content })
            .collect();
        for answer in session.ask_all(&asks).await? {
            answer?;
        }
    }
    if session.syncs() {
        session.ask(Ask::Sync { handle: &file }).await?;
    }
    session.ask(Ask::Close { handle: &file }).await?;
    let renamed = session.ask(Ask::Rename { from: &temporary, to: path }).await;
    let Err(fault) = renamed else { return Ok(()) };
    let _ = session.ask(Ask::Remove { path: &temporary }).await;
    // An earlier try may have come to its end although its answer was lost.
    if size(session, path).await? == Some(content.len() as u64) { Ok(()) } else { Err(fault.into()) }
}

async fn make_folders(session: &mut Session<SubsystemStream>, path: &str) -> Result<(), Trouble> {
    let parents = path.match_indices('/').map(|(at, _)| path.split_at(at).0).filter(|path| !path.is_empty());
    for parent in parents {
        if let Err(fault) = session.ask(Ask::MakeFolder { path: parent }).await
            && size(session, parent).await?.is_none()
        {
            return Err(fault.into());
        }
    }
    Ok(())
}

async fn read(
    session: &mut Session<SubsystemStream>,
    path: &str,
    range: Option<(u64, u64)>,
) -> Result<Bytes, Trouble> {
    let (offset, length) = match range {
        Some(range) => range,
        None => (0, size(session, path).await?.ok_or(Trouble::Missing)?),
    };
    sane(length)?;
    let file = handle(session.ask(Ask::Open { path, flags: READ }).await?)?;
    let mut content = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    // Where a server gives less than it was asked for, the rest is asked for once more.
    while (content.len() as u64) < length {
        let from = content.len() as u64;
        let asks: Vec<_> = (from..length)
            .step_by(PIECE_BYTES)
            .take(AT_ONCE)
            .map(|at| Ask::Read {
                handle: &file,
                offset: offset + at,
                length: u32::try_from((length - at).min(PIECE_BYTES as u64)).unwrap_or_default(),
            })
            .collect();
        let answers = session.ask_all(&asks).await?;
        for answer in answers {
            match answer? {
                Answer::Data(piece) if piece.is_empty() => {
                    return Err(Trouble::Passing("the file is shorter than it said".to_owned()));
                }
                Answer::Data(piece) => {
                    let short = piece.len() < PIECE_BYTES;
                    content.extend_from_slice(&piece);
                    if short {
                        break;
                    }
                }
                _ => return Err(Trouble::Passing("a file's content is none".to_owned())),
            }
        }
    }
    content.truncate(usize::try_from(length).unwrap_or_default());
    session.ask(Ask::Close { handle: &file }).await?;
    Ok(content.freeze())
}

/// The files of a folder and of the folders in it.
async fn list(session: &mut Session<SubsystemStream>, path: &str) -> Result<Vec<(String, u64)>, Trouble> {
    let mut files = Vec::new();
    let mut below = vec![(path.to_owned(), true)];
    while let Some((path, top)) = below.pop() {
        let entries = match session.folder(&path).await {
            Err(fault) if fault.is_missing() => continue,
            entries => entries?,
        };
        for entry in entries {
            if !entry.folder {
                files.push((entry.name, entry.size_bytes));
            } else if top {
                below.push((format!("{path}/{}", entry.name), false));
            }
        }
    }
    Ok(files)
}

#[async_trait]
impl Files for Sftp {
    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Trouble> {
        list(&mut *self.session().await?, &self.path(folder)).await
    }

    async fn folders(&self) -> Result<Vec<String>, Trouble> {
        let path = if self.place.path.is_empty() { "." } else { &self.place.path };
        let entries = self.session().await?.folder(path).await?;
        Ok(entries.into_iter().filter(|entry| entry.folder).map(|entry| entry.name).collect())
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Trouble> {
        size(&mut *self.session().await?, &self.path(name)).await
    }

    async fn read(&self, name: &str, range: Option<(u64, u64)>) -> Result<Bytes, Trouble> {
        read(&mut *self.session().await?, &self.path(name), range).await
    }

    async fn write(&self, name: &str, content: Bytes) -> Result<(), Trouble> {
        write(&mut *self.session().await?, &self.path(name), &content).await
    }

    async fn remove(&self, name: &str) -> Result<(), Trouble> {
        let path = self.path(name);
        Ok(self.session().await?.ask(Ask::Remove { path: &path }).await.map(drop)?)
    }
}

fn of_ssh(error: &wharf_ssh::SshError) -> Trouble {
    let failure = error.failure();
    let text = std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": ");
    if failure.kind == wharf_proto::FailureKind::Unreachable {
        Trouble::Passing(text)
    } else {
        Trouble::Lasting(text)
    }
}
