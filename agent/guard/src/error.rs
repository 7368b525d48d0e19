//! What can go wrong in the proxy itself.

use std::io;
use std::path::PathBuf;

/// A guard that cannot serve, or an engine that it cannot reach.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The socket cannot be made.
    #[error("cannot make the guard's socket {path}: {source}; check that its directory exists and is writable", path = path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something answers there already.
    #[error("another process serves {path} already; stop it first, or listen elsewhere", path = .0.display())]
    Occupied(PathBuf),
    /// What is there is not a socket.
    #[error("{path} exists and is not a socket; the guard does not replace it", path = .0.display())]
    NotASocket(PathBuf),
    /// The engine's socket does not answer.
    #[error("cannot reach the Docker engine at {path}: {source}; check that it runs", path = path.display())]
    Connect {
        /// The engine's socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The engine broke off, or said something that is not HTTP.
    #[error("the Docker engine broke off: {0}; try again")]
    Http(#[from] hyper::Error),
    /// What the policy wrote is not a request. Cannot happen with what it writes today.
    #[error("cannot write the request anew: {0}")]
    Request(#[from] hyper::http::Error),
    /// A look-up took too long.
    #[error("the Docker engine took longer than {seconds} s to answer {what}; try again")]
    Slow {
        /// What was asked.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// A look-up got an answer that says nothing.
    #[error("the Docker engine answered {what} with status {status} and nothing that the guard understands")]
    Answer {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
    },
    /// An image's name meant another image by the time the container was made.
    #[error("the image changed while the container was being made, and it now declares volumes; try again")]
    Moved,
    /// A path on the host could not be followed.
    #[error("cannot follow the path {path:?}: {source}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
