//! Points at which the tests of recovery kill the agent: as SIGKILL or a power cut would, at an exact place.
//!
//! A point does something only in builds with the feature `crash-points`, and then only where `WHARFD_CRASH_AT` names it.

/// Kills this process, at once and without a trace, where the environment names `point`.
#[cfg(feature = "crash-points")]
pub fn point(point: &str) {
    use nix::sys::signal::{Signal, kill};
    if std::env::var("WHARFD_CRASH_AT").is_ok_and(|named| named == point) {
        let _ = kill(nix::unistd::Pid::this(), Signal::SIGKILL);
        loop {
            std::thread::park();
        }
    }
}

/// Nothing: this build has no crash points.
#[cfg(not(feature = "crash-points"))]
pub fn point(_: &str) {}
