//! Reading one file out of a container, which need not run.

use crate::connection::CALL_LIMIT;
use crate::{Engine, EngineError};
use bollard::query_parameters::DownloadFromContainerOptions;
use futures_util::StreamExt;
use std::io::Read;

/// What a tar stream adds to one file: headers, padding, an end mark, and an extended header for a long name.
const TAR_OVERHEAD_BYTES: u64 = 64 * 1024;

impl Engine {
    /// The content of a regular file; `None` when the container or the path does not exist, or is no regular file.
    ///
    /// Works on stopped containers and through mounted volumes: `PG_VERSION` is read this way.
    ///
    /// # Errors
    /// The engine does not answer, or the file is larger than `max_bytes`.
    pub async fn read_file(
        &self,
        container: &str,
        path: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let read = self.read_archive(container, path, max_bytes);
        let archive = tokio::time::timeout(CALL_LIMIT, read).await.unwrap_or_else(|_| {
            let action = format!("read {path} in container {container}");
            Err(EngineError::Timeout { action, limit: CALL_LIMIT })
        })?;
        let Some(archive) = archive else { return Ok(None) };
        let too_large = || EngineError::FileTooLarge {
            container: container.to_owned(),
            path: path.to_owned(),
            max_bytes,
        };
        match first_file(&archive, max_bytes) {
            Ok(FirstFile::Content(content)) => Ok(Some(content)),
            Ok(FirstFile::TooLarge) => Err(too_large()),
            Ok(FirstFile::None) => Ok(None),
            Err(error) => Err(EngineError::malformed(&format!("read {path}"), error.to_string())),
        }
    }

    async fn read_archive(
        &self,
        container: &str,
        path: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut stream = std::pin::pin!(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(source) => {
                    let error = EngineError::of(format!("read {path} in container {container}"), source);
                    return if error.is_not_found() { Ok(None) } else { Err(error) };
                }
            };
            archive.extend_from_slice(&piece);
            // The rest is not needed: the first entry's header tells the size already.
            if archive.len() as u64 > max_bytes.saturating_add(TAR_OVERHEAD_BYTES) {
                break;
            }
        }
        Ok(Some(archive))
    }
}

enum FirstFile {
    Content(Vec<u8>),
    TooLarge,
    /// The archive is empty, or begins with something that is no regular file.
    None,
}

/// The first entry's content. `archive` may be cut after the size limit.
fn first_file(archive: &[u8], max_bytes: u64) -> std::io::Result<FirstFile> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else { return Ok(FirstFile::None) };
    let mut entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Ok(FirstFile::None);
    }
    if entry.size() > max_bytes {
        return Ok(FirstFile::TooLarge);
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(FirstFile::Content(content))
}
