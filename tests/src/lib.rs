//! The harness of the end-to-end tests: a real agent, a real client, a real Docker engine, a real PostgreSQL.
//!
//! A [`World`] is one app on one server with one laptop, all in a temporary folder, under names that no other test has. It
//! removes what it made when it is dropped, also after a failure: containers, networks and volumes of its own project, and
//! images of its own app.

pub mod backups;
pub mod booted;
pub mod crash;
pub mod disk;
pub mod docker;
pub mod engine;
pub mod http;
pub mod laptop;
pub mod left;
pub mod machine;
pub mod registry;
pub mod s3;
pub mod screen;
pub mod secrets;
pub mod server;
pub mod sshd;
pub mod terminal;
pub mod tls;
pub mod tree;
pub mod wait;
pub mod world;

pub use backups::Restic;
pub use booted::Booted;
pub use disk::SmallDisk;
pub use engine::Engine;
pub use laptop::{Laptop, Ran};
pub use machine::Machine;
pub use registry::Registry;
pub use s3::S3;
pub use server::Server;
pub use sshd::Sshd;
pub use tls::Tls;
pub use wait::await_that;
pub use world::World;

/// Whether every kill point and every variant is wanted (`scripts/test --long`), not a sample.
pub fn long() -> bool {
    std::env::var_os("WHARF_TEST_LONG").is_some()
}

/// A part of a name that nothing else on this machine bears.
pub fn unique() -> String {
    format!("{:08x}", rand::random::<u32>())
}

/// The program under test, which `scripts/test` builds and names.
pub fn program(variable: &str, name: &str) -> std::path::PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let here = std::env::current_exe().expect("a test has a path");
    let target = here.parent().and_then(std::path::Path::parent).expect("tests lie in target/debug/deps");
    let path = target.join(name);
    assert!(path.exists(), "{} is missing: run scripts/test, which builds it", path.display());
    path
}
