//! The backup child as a program of its own, so that this crate's tests can run and kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf_backup::child_main()
}
