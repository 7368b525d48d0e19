//! Real folders, the real git, the real unzip.

#[cfg(unix)]
mod archive;
mod hash;
mod like_git;
mod packs;
mod project;
mod walk;
