//! The guard's own socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::GuardError;
use crate::log_limits::LogLimits;
use crate::policy::Policy;
use crate::proxy;

/// Owner and group; the group is that of the directory's rules.
const MODE: u32 = 0o660;

/// What stands behind a guarded socket.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// The engine's own socket.
    pub upstream: PathBuf,
    /// What goes through besides what leaves volumes alone.
    pub policy: Policy,
    /// Paths besides the engine's own that command the host, so that no container gets them.
    pub hidden: Vec<PathBuf>,
    /// What containers' logs may take that say nothing of it themselves.
    pub logs: LogLimits,
}

/// A socket that is there, and that nobody serves yet.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Makes it, with the rights `mode`; replaces one that nobody serves any more, and nothing else.
    pub async fn bind(path: &Path, mode: u32) -> Result<Self, GuardError> {
        let (listener, inode) = bind(path, mode).await?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }

    /// Serves it until `shutdown` is over, and takes it away again.
    pub async fn serve(self, guarded: Guarded, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, path, inode } = self;
        proxy::serve(listener, guarded, shutdown).await;
        remove(&path, inode);
    }

    /// The next who connects.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Takes it away again.
    pub(crate) fn remove(self) {
        remove(&self.path, self.inode);
    }
}

/// Serves at `listen` until `shutdown` is over, and takes the socket away again.
pub async fn run(
    listen: &Path,
    upstream: &Path,
    policy: Policy,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), GuardError> {
    let guarded =
        Guarded { upstream: upstream.to_owned(), policy, hidden: Vec::new(), logs: LogLimits::default() };
    Socket::bind(listen, MODE).await?.serve(guarded, shutdown).await;
    Ok(())
}

/// Makes the socket, replacing one that nobody serves any more. At its own name it appears with its final mode.
async fn bind(path: &Path, mode: u32) -> Result<(UnixListener, u64), GuardError> {
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
        fs::set_permissions(&fresh, Permissions::from_mode(mode)).and_then(|()| fs::rename(&fresh, path));
    if let Err(source) = placed {
        let _ = fs::remove_file(&fresh);
        return Err(failed(source));
    }
    Ok((listener, inode(path).map_err(failed)?))
}

/// Somebody else's that stands there by now stays.
fn remove(path: &Path, made: u64) {
    if inode(path).ok() == Some(made) {
        let _ = fs::remove_file(path);
    }
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

        let (_served, _) = bind(&path, MODE).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(
            run(&path, &upstream, Policy::default(), async {}).await,
            Err(GuardError::Occupied(_))
        ));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
