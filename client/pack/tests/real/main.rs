//! Real folders, the real git, the real unzip.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what helps tests is not seen as a test itself")]

#[cfg(unix)]
mod archive;
mod hash;
mod like_git;
mod packs;
mod project;
mod walk;
