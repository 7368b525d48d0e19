//! The database through its public face, opened again as after a crash.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by it; the switch in clippy.toml does not reach its helpers"
)]

mod apps;
mod backups;
mod jobs;
mod keeping;
mod samples;
