//! What differs between systems: signals and names.

/// Who sits here, for the server's audit: `name@host`. It is told, not proved.
pub fn person() -> String {
    let name = ["USER", "USERNAME", "LOGNAME"].into_iter().find_map(|key| std::env::var(key).ok());
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".into());
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    format!("{}@{}", plain(name), plain(host_name()))
}

#[cfg(unix)]
mod system {
    use std::io;

    pub fn host_name() -> String {
        let name = nix::unistd::gethostname().ok();
        name.map_or_else(|| "unknown".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Comes back when the person or the system asks to stop.
    pub async fn stop_requested() -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod system {
    use std::io;

    pub fn host_name() -> String {
        std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".into())
    }

    pub async fn stop_requested() -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}

use system::host_name;
pub use system::stop_requested;
