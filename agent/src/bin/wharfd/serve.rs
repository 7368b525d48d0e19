//! The agent itself, and one connection to it through the server's own sshd.

use crate::arguments::Serve;
use crate::ending::complain;
use crate::process::{large_runtime, leave_signal, stop_signal};
use std::process::ExitCode;
use wharfd::config::Config;
use wharfd::daemon;

pub fn serve(serve: Serve) -> ExitCode {
    wharfd::log::start();
    let config = match Config::load(&serve.config) {
        Ok(config) => config.overridden(serve.state, serve.listen, serve.authorized_keys, serve.docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match large_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let ended = runtime.block_on(async { daemon::run(config, stop_signal(), leave_signal()).await });
    // A job's blocking work is not waited for: its children end with this process, and recovery does the rest.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

/// The words are taken as they stand, since the argument parser would drop a `--` among them.
pub fn connect() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
    match wharfd::connect::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}
