//! What is asked of the agent that runs.

use crate::arguments::Backup;
use crate::ending::{complain, tell_done};
use crate::process::small_runtime;
use std::path::Path;
use std::process::ExitCode;
use wharfd::config::Config;

pub fn backup(backup: Backup) -> ExitCode {
    let config = match Config::load(&backup.config) {
        Ok(config) => config.overridden(backup.state, None, None, None),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let made = runtime.block_on(wharfd::ask::backup(&config.socket(), backup.app, backup.lock_wait));
    tell_done(made.map(|summary| if backup.verbose { vec![summary] } else { Vec::new() }))
}

pub fn hello(config: &Path) -> ExitCode {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(error) => return complain(&error, 2),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    tell_done(runtime.block_on(wharfd::ask::hello(&config.socket())))
}
