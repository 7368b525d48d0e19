//! Serving the plugin, and telling systemd that Docker may start.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use wharf_guard::GuardError;
use wharf_guard::plugin::{self, PERMITS, Plugin, SOCKET};

/// What `wharfd guard plugin serve` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Serve {
    /// The socket at which Docker asks; its name is the plugin's
    #[arg(long, value_name = "SOCKET", default_value = SOCKET)]
    pub listen: PathBuf,
    /// Docker's own socket
    #[arg(long, value_name = "SOCKET", default_value = wharf_engine::connection::DEFAULT_SOCKET)]
    pub upstream: PathBuf,
    /// Root's own folder, through which `wharfd volume delete` gets its one volume past
    #[arg(long, value_name = "DIR", default_value = PERMITS)]
    pub permits: PathBuf,
}

/// Serves until `shutdown` is over.
///
/// # Errors
/// The socket or the folder cannot be made.
pub async fn serve(serve: Serve, shutdown: impl Future<Output = ()> + Send) -> Result<(), GuardError> {
    let Serve { listen, upstream, permits } = serve;
    if let Some(folder) = listen.parent() {
        let failed = |source| GuardError::Listen { path: listen.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    tracing::info!(listen = %listen.display(), upstream = %upstream.display(), "Docker may ask");
    plugin::serve(Plugin { listen, upstream, permits }, tell_systemd, shutdown).await
}

/// `READY=1` to who started this, where that is systemd with `Type=notify`. Who is not told waits, and gives up by itself.
fn tell_systemd() {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let told = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(b"READY=1\n", &to));
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell systemd that the guard is ready");
    }
}
