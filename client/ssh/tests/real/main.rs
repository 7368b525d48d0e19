//! Both ends of Wharf's SSH on loopback, and each against the real OpenSSH.
//!
//! Needs `openssh-client` and `openssh-server`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod agent;
mod bulk;
mod limits;
mod login;
mod openssh;
mod refusals;
mod sshd;
mod trust;
mod words;
