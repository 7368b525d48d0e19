//! What only the server's owner does, at its own terminal: bring an app back, delete a volume.

use crate::arguments::Recover;
use crate::ending::{complain, tell_done};
use crate::process::large_runtime;
use std::process::ExitCode;
use wharfd::config::Config;

pub fn recover(recover: Recover) -> ExitCode {
    let Recover { from, key_file, app, backup, accept_volume, list, config, state, docker } = recover;
    let config = match Config::load(&config) {
        Ok(config) => config.overridden(state, None, None, docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match large_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let backup = backup.map(wharf_proto::BackupId);
    let wanted = wharfd::recovery::Wanted { from, key_file, app, backup, accept_volume, list };
    let ended = runtime.block_on(wharfd::recovery::recover(config, wanted, |text| eprintln!("{text}")));
    runtime.shutdown_background();
    tell_done(ended)
}

pub fn delete(chosen: wharfd::volume::Chosen) -> ExitCode {
    let config = match Config::load(&chosen.config) {
        Ok(config) => config.overridden(chosen.state, None, None, chosen.docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match large_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let type_name = |question: &str| {
        eprint!("{question}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line.trim_end_matches(['\r', '\n']).to_owned())
    };
    let deleted = runtime.block_on(wharfd::volume::delete(config, &chosen.name, type_name));
    tell_done(deleted.map(|line| vec![line]))
}
