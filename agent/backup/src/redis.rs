//! Redis and Valkey inside a container: saved by the server itself, and what it saved streamed out.

mod drill;
mod over;
mod rdb;
mod save;
mod server;

pub(crate) use drill::Load;
pub use drill::{DRILL_FOLDER, drill_command};
pub use over::{RedisFile, RedisLoaded, redis_file, redis_loaded, redis_save};
pub(crate) use save::{check_dump, prepare};
pub(crate) use server::Keyspace;
