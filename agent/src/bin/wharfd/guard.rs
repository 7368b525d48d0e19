//! The guard before Docker's socket.

use crate::arguments::{Guard, Plugin};
use crate::ending::{complain, tell_done};
use crate::process::{large_runtime, small_runtime, stop_signal};
use std::path::Path;
use std::process::ExitCode;

pub fn run(guard: Guard) -> ExitCode {
    let done = match guard {
        Guard::Serve { listen, upstream, allow_root_equivalent } => {
            return serve_guard(&listen, &upstream, wharf_guard::Policy { allow_root_equivalent });
        }
        Guard::Install(install) => match install.socket() {
            Ok(socket) => wharfd::context::install(install.chosen, &socket),
            Err(error) => return complain(&error, 2),
        },
        Guard::Remove(remove) => wharfd::context::remove(remove.chosen),
        Guard::Plugin(plugin) => return run_plugin(plugin),
    };
    tell_done(done.map_err(|error| error.failure()))
}

fn run_plugin(plugin: Plugin) -> ExitCode {
    let serve = match plugin {
        Plugin::Install(install) => {
            return tell_done(wharfd::whole_host::install(&install).map_err(|error| error.failure()));
        }
        Plugin::Remove(remove) => {
            return tell_done(wharfd::whole_host::remove(&remove).map_err(|error| error.failure()));
        }
        Plugin::Serve(serve) => serve,
    };
    wharfd::log::start();
    // One thread: it has little to do, and Docker waits for nothing else when it starts.
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    match runtime.block_on(wharfd::whole_host::serve(serve, stop_signal())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

fn serve_guard(listen: &Path, upstream: &Path, policy: wharf_guard::Policy) -> ExitCode {
    wharfd::log::start();
    let runtime = match large_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    tracing::info!(listen = %listen.display(), upstream = %upstream.display(), "guarding Docker's socket");
    match runtime.block_on(wharf_guard::run(listen, upstream, policy, stop_signal())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}
