//! `wharfd connect`: the way in through the server's own sshd, as the forced command of a key.
//!
//! **Invariants**
//! - The limits come from the command's words, which `authorized_keys` gives. Nothing that the client sends is read before
//!   they are told to the daemon, and of the environment only what sshd itself sets is looked at.
//! - Nothing but the daemon's socket is opened, and no other program is started.

use crate::config::Config;
use crate::preamble;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use wharf_access::{ForcedCommand, ForcedCommandError};

/// What the client asks sshd to run.
const ASKED: &str = "wharf";
/// What is carried at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Why there is no conversation. The text goes to the client's stderr.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the command of this key's line in authorized_keys is not understood")]
    Words(#[source] ForcedCommandError),
    #[error("only `wharf` is served here: no shell, no other command, no file transfer")]
    Asked,
    #[error("the server's own configuration cannot be used")]
    Config(#[source] crate::config::ConfigError),
    #[error("the agent does not answer at {}: is wharfd running, and may this user connect ([[socket]] in wharfd.toml)?", path.display())]
    Agent { path: PathBuf, source: std::io::Error },
    #[error("the conversation with the agent broke")]
    Broken(#[source] std::io::Error),
}

/// Joins standard input and output to the daemon, until either leaves.
///
/// # Errors
/// Words that are not understood, another command than `wharf`, a daemon that is not there.
pub fn run(words: &[String]) -> Result<(), ConnectError> {
    let mut said =
        ForcedCommand::from_words(words.iter().map(String::as_str)).map_err(ConnectError::Words)?;
    if std::env::var_os("SSH_ORIGINAL_COMMAND").is_none_or(|asked| asked != ASKED) {
        return Err(ConnectError::Asked);
    }
    let path = match said.socket.take() {
        Some(path) => PathBuf::from(path),
        None => Config::load(Path::new(crate::config::PATH)).map_err(ConnectError::Config)?.socket(),
    };
    let unreachable = |source| ConnectError::Agent { path: path.clone(), source };
    let mut agent = UnixStream::connect(&path).map_err(unreachable)?;
    let preamble = preamble::of_connect(said, from()).encode();
    let preamble = preamble.map_err(|error| unreachable(std::io::Error::other(error)))?;
    agent.write_all(&preamble).map_err(unreachable)?;
    join(agent).map_err(ConnectError::Broken)
}

/// The client's address and port, as sshd says.
fn from() -> Option<String> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    let mut words = connection.split(' ');
    let address: std::net::IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    Some(std::net::SocketAddr::new(address, port).to_string())
}

fn join(mut agent: UnixStream) -> std::io::Result<()> {
    let mut to_agent = agent.try_clone()?;
    // Ends with this process: whoever reads from a client that says nothing cannot be stopped.
    std::thread::spawn(move || {
        let _ = carry(&mut std::io::stdin().lock(), &mut to_agent);
        // The client may still listen.
        let _ = to_agent.shutdown(Shutdown::Write);
        wait_until_nobody_listens();
        let _ = to_agent.shutdown(Shutdown::Both);
    });
    let mut out = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    match carry(&mut agent, &mut out) {
        // It ended the conversation without hearing us out, which it may; all that it said was passed on.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        ended => ended,
    }
}

/// By hand, since the standard library's copy splices from a socket to a pipe: the kernel then keeps the pipe locked while it
/// waits for the socket, and sshd, which reads the pipe, stands still with all that the client sends.
fn carry(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}

/// Returns when the other end of standard output is closed.
fn wait_until_nobody_listens() {
    let out = std::io::stdout();
    let mut watched = [PollFd::new(out.as_fd(), PollFlags::empty())];
    while poll(&mut watched, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
}
