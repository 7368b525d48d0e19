//! The `wharf` command. Everything is in the library; here are only the process's edges.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf::process::run()
}
