//! Turns a project folder on the laptop into a manifest and packs. No network, no terminal.
//!
//! The way through: [`walk()`] decides what is shipped, [`hash()`] reads it and gives the manifest, [`packs`] puts what the
//! server lacks into zips, [`archive()`] writes the whole as one ordinary zip. [`bump`] raises a front end's version.
//!
//! **Invariants**
//! - A secret (private key, env file) is never in a [`Walk`] unless [`PackRules::include`] names it.
//! - What a chunk's digest says is what its pack holds: content is checked again when it is read again.
//! - The same project gives the same manifest, packs and archive: everything is sorted.
//! - No file is ever held in memory whole, but for those that are one chunk.

mod archive;
pub mod bump;
mod error;
#[cfg(test)]
mod error_texts;
mod exposed;
mod found;
mod fullest;
mod hash;
mod ignore_rules;
mod include;
mod link;
mod pack;
mod parallel;
mod read;
mod secret;
mod sys;
mod walk;

pub use archive::archive;
pub use error::PackError;
pub use exposed::Exposed;
pub use found::{Found, FoundKind, Walk, Warning};
pub use hash::{Hashed, hash, hash_with};
pub use include::PackRules;
pub use pack::{Pack, packs};
pub use secret::{LeftOut, Reason};
pub use walk::walk;
