//! The guard before a real engine.
//!
//! A second engine of the tests' own stands behind it (data root, sockets and networks of its own), because some of what is sent here
//! would hit everything on an engine if the guard let it through.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod commands;
mod corpus;
mod engine;
mod hostile;
mod keeping;
mod mutate;
mod raw;
mod refused;
mod whole_host;
mod wire;
