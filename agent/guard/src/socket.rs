//! The guard's own socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::GuardError;
use crate::policy::Policy;
use crate::proxy;

/// Owner and group; the group is that of the directory's rules.
const MODE: u32 = 0o660;

/// Serves at `listen` until `shutdown` is over, and takes the socket away again.
pub async fn run(
    listen: &Path,
    upstream: &Path,
    policy: Policy,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), GuardError> {
    let (listener, mine) = bind(listen).await?;
    proxy::serve(listener, upstream.to_owned(), policy, shutdown).await;
    if inode(listen).ok() == Some(mine) {
        let _ = fs::remove_file(listen);
    }
    Ok(())
}

/// Makes the socket, replacing one that nobody serves any more. At its own name it appears with its final mode.
async fn bind(path: &Path) -> Result<(UnixListener, u64), GuardError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(GuardError::NotASocket(path.to_owned())),
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            return Err(GuardError::Occupied(path.to_owned()));
        }
        _ => {}
    }
    let failed = |source| GuardError::Listen { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let mut fresh = name.to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh: PathBuf = folder.join(fresh);
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    let placed =
        fs::set_permissions(&fresh, Permissions::from_mode(MODE)).and_then(|()| fs::rename(&fresh, path));
    if let Err(source) = placed {
        let _ = fs::remove_file(&fresh);
        return Err(failed(source));
    }
    Ok((listener, inode(path).map_err(failed)?))
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(fs::symlink_metadata(path)?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replaces_a_stale_socket_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let upstream = folder.path().join("no-engine");
        run(&path, &upstream, Policy::default(), async {}).await.unwrap();
        assert!(!path.exists());

        fs::write(&path, "a file").unwrap();
        assert!(matches!(
            run(&path, &upstream, Policy::default(), async {}).await,
            Err(GuardError::NotASocket(_))
        ));
        fs::remove_file(&path).unwrap();

        let (_served, _) = bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(
            run(&path, &upstream, Policy::default(), async {}).await,
            Err(GuardError::Occupied(_))
        ));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
