//! The crate against the real engine and the real Compose.
#![cfg(test)]

mod build;
mod compose;
mod containers;
mod support;
