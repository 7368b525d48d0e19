//! The agent: jobs, their journal, and the answers to clients.
//!
//! [`daemon::run`] is the composition root. A conversation comes in through [`conversation`], a deploy becomes a job in
//! [`jobs`], and everything that a job changes has its undo written down first ([`jobs::undo`]).

pub mod agent;
pub mod answers;
pub mod ask;
pub mod audit;
pub mod chores;
pub mod clock;
pub mod config;
pub mod connect;
pub mod context;
pub mod conversation;
pub mod crash;
pub mod daemon;
pub mod data;
pub mod failures;
pub mod forget;
pub mod guard;
pub mod jobs;
pub mod keys;
pub mod layout;
pub mod local;
pub mod locks;
pub mod log;
pub mod migrations;
pub mod operate;
pub mod outside;
pub mod passwd;
pub mod preamble;
pub mod programs;
pub mod promote;
pub mod receive;
pub mod recovery;
pub mod registries;
pub mod room;
pub mod seats;
mod secrets;
pub mod volume;
pub mod whole_host;
