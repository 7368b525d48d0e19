//! The project on this laptop: its files, its front ends' versions, where its source stands.
//!
//! **Invariant**: nothing here writes to the project but [`versions`], which writes a version and takes it back.

pub mod checks;
mod files;
mod git;
pub mod migrations;
pub mod versions;

pub use files::{Files, pack_failure, read};
pub use git::{source, version as git_version};
