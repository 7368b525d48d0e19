//! What differs between systems: signals, names, the terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Who sits here, for the server's audit: `name@host`. It is told, not proved.
pub fn person() -> String {
    let name = ["USER", "USERNAME", "LOGNAME"].into_iter().find_map(|key| std::env::var(key).ok());
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".into());
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    format!("{}@{}", plain(name), plain(host_name()))
}

/// Whether a passphrase is being typed.
static PROMPTING: AtomicBool = AtomicBool::new(false);

/// Says that the terminal's settings are a prompt's, as long as it lives.
pub struct Prompting(());

impl Prompting {
    pub fn begin() -> Self {
        PROMPTING.store(true, Ordering::Release);
        Self(())
    }
}

impl Drop for Prompting {
    fn drop(&mut self) {
        PROMPTING.store(false, Ordering::Release);
    }
}

/// Shows the cursor, which a question with keys for answers hides, and leaves hidden where it is interrupted.
pub fn show_cursor() {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // Where the terminal is gone there is nothing to restore.
        let _ = stderr.write_all(b"\x1b[?25h").and_then(|()| stderr.flush());
    }
}

#[cfg(unix)]
mod system {
    use super::{Ordering, PROMPTING, Prompting, show_cursor};
    use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
    use std::io;
    use wharf_proto::terminal::TerminalSize;

    pub fn host_name() -> String {
        let name = nix::unistd::gethostname().ok();
        name.map_or_else(|| "unknown".into(), |name| name.to_string_lossy().into_owned())
    }

    /// How the terminal was: a prompt for a passphrase that is interrupted would leave it without echo.
    #[derive(Clone)]
    pub struct Terminal(Option<Termios>);

    impl Terminal {
        pub fn remember() -> Self {
            Self(tcgetattr(io::stdin()).ok())
        }

        pub fn restore(&self) {
            // Only then: from the background, or under another program, setting the terminal is not ours to do.
            if !PROMPTING.load(Ordering::Acquire) {
                return;
            }
            show_cursor();
            if let Some(state) = &self.0 {
                // Where the terminal is gone there is nothing to restore.
                let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, state);
            }
        }
    }

    /// The terminal hands on every key as it is, as long as this lives. What it was is put back also where the process
    /// ends by a second signal, since it counts as [`Prompting`].
    pub struct RawTerminal {
        was: Termios,
        _counts: Prompting,
    }

    impl RawTerminal {
        /// `None` where there is no terminal.
        pub fn begin() -> Option<Self> {
            let was = tcgetattr(io::stdin()).ok()?;
            let mut raw = was.clone();
            cfmakeraw(&mut raw);
            let counts = Prompting::begin();
            tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).ok()?;
            Some(Self { was, _counts: counts })
        }
    }

    impl Drop for RawTerminal {
        fn drop(&mut self) {
            // Where the terminal is gone there is nothing to restore.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.was);
        }
    }

    /// How large the terminal is, where there is one.
    pub fn terminal_size() -> Option<TerminalSize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(TerminalSize { columns: size.ws_col, rows: size.ws_row })
    }

    /// SIGWINCH.
    pub struct SizeChanges(tokio::signal::unix::Signal);

    impl SizeChanges {
        pub fn listen() -> io::Result<Self> {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self(signal(SignalKind::window_change())?))
        }

        pub async fn next(&mut self) {
            self.0.recv().await;
        }
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
    use wharf_proto::terminal::TerminalSize;

    /// Consoles are not made raw here yet: programs get no terminal.
    pub struct RawTerminal;

    impl RawTerminal {
        pub fn begin() -> Option<Self> {
            None
        }
    }

    pub fn terminal_size() -> Option<TerminalSize> {
        None
    }

    pub struct SizeChanges;

    impl SizeChanges {
        pub fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        pub async fn next(&mut self) {
            std::future::pending::<()>().await;
        }
    }

    use std::io;

    pub fn host_name() -> String {
        std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".into())
    }

    /// The console restores itself here.
    #[derive(Clone)]
    pub struct Terminal;

    impl Terminal {
        pub fn remember() -> Self {
            Self
        }

        pub fn restore(&self) {}
    }

    pub async fn stop_requested() -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}

use system::host_name;
pub use system::{RawTerminal, SizeChanges, Terminal, stop_requested, terminal_size};
