//! `wharf`: ships a Compose project from a laptop to a server of one's own.
//!
//! [`cli`] says what can be typed, [`commands`] does it (one file a command), [`config`] reads `wharf.toml`, [`project`]
//! packs and raises versions, [`session`] talks to the agent, [`setup`] sets a server up, [`doctor`] judges what was seen,
//! [`render`] shows, [`sys`] is what differs between systems.
//!
//! **Invariant**: blame is assigned once, where a command's error becomes a [`wharf_proto::Failure`]; its kind decides the
//! exit code.

pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
pub mod doctor;
pub mod process;
pub mod project;
pub mod render;
pub mod session;
pub mod setup;
pub mod sys;
