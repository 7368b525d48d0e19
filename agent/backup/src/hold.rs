//! Containers that write to data: frozen or stopped while it is copied, and let go right after.
//!
//! **Invariants**
//! - Nothing is held before the first byte of such data is read, nor after the last one was.
//! - What is held is let go whatever comes: at the copy's end, after a fault, and when the agent went away meanwhile
//!   ([`crate::child_main`]). An agent that asks for a hold has written it down first, and lets go besides.

use crate::exec::said;
use crate::freezer::thaw;
use crate::{BackupError, Hold, HoldRequest};
use bollard::Docker;
use bollard::query_parameters::{InspectContainerOptions, StartContainerOptions, StopContainerOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a container may take to stop before it is killed, in seconds.
const STOPS_WITHIN_SECONDS: i32 = 60;
/// How often a container is tried to be frozen.
const TRIES: u32 = 10;
/// The same, where each attempt takes ten seconds.
const TRIES_WITH_PATIENCE: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// For one call to the engine.
const CALL: Duration = Duration::from_secs(100);

/// What may be held; nothing until [`Holds::arm`].
#[derive(Default)]
pub(crate) struct Holds {
    armed: OnceLock<Armed>,
    taken: AtomicBool,
}

struct Armed {
    docker: Docker,
    runtime: Handle,
    holds: Vec<HoldRequest>,
}

impl Holds {
    /// Says what is to be held once it is needed.
    pub(crate) fn arm(&self, docker: Docker, holds: Vec<HoldRequest>) {
        let armed = Armed { docker, runtime: Handle::current(), holds };
        // There is one backup in a process, so this is set once.
        let _ = self.armed.set(armed);
    }

    /// Holds everything, once. To be called outside of the runtime.
    pub(crate) fn take(&self) -> Result<(), BackupError> {
        let Some(armed) = self.armed.get() else { return Ok(()) };
        if self.taken.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        armed.runtime.block_on(async {
            for hold in &armed.holds {
                hold_one(&armed.docker, hold).await?;
            }
            Ok(())
        })
    }

    /// Lets go of everything. Again is fine.
    pub(crate) fn release(&self) {
        let Some(armed) = self.armed.get() else { return };
        if !self.taken.swap(false, Ordering::SeqCst) {
            return;
        }
        armed.runtime.block_on(async {
            for hold in &armed.holds {
                // The agent lets go too, and tells what does not.
                let released = timeout(CALL, release_one(&armed.docker, hold)).await;
                if matches!(released, Ok(Err(error)) if is_not_frozen(&error)) {
                    let _ = let_go_of_what_is_frozen(&armed.docker, hold).await;
                }
            }
        });
    }

    /// Lets go when it is dropped.
    pub(crate) fn guard(self: &Arc<Self>) -> Guard {
        Guard(Arc::clone(self))
    }
}

pub(crate) struct Guard(Arc<Holds>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.release();
    }
}

async fn hold_one(docker: &Docker, hold: &HoldRequest) -> Result<(), BackupError> {
    let mut tries = 1;
    loop {
        let Err(mut cause) = try_hold(docker, hold).await else { return Ok(()) };
        let let_go = let_go_of_what_is_frozen(docker, hold).await;
        if let Err(why) = &let_go {
            cause = format!(
                "{cause}; it may be frozen now ({why}), and runs on with: docker restart {:.12}",
                hold.container
            );
        } else if tries < tries_for(&cause) {
            tries += 1;
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
            continue;
        }
        return Err(BackupError::NotHeld { service: hold.service.clone(), how: hold.how, cause });
    }
}

/// Lets go of what the kernel goes on to freeze though the engine has given up: neither this nor a next attempt would get
/// it out of that by the engine.
async fn let_go_of_what_is_frozen(docker: &Docker, hold: &HoldRequest) -> Result<(), String> {
    if hold.how != Hold::Pause {
        return Ok(());
    }
    let inspected = docker.inspect_container(&hold.container, None::<InspectContainerOptions>);
    let found = match timeout(CALL, inspected).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) if is_not_frozen(&error) => return Ok(()),
        Ok(Err(error)) => return Err(said(&error)),
        Err(_) => return Err("the engine does not tell".to_owned()),
    };
    let state = found.state.unwrap_or_default();
    if state.paused == Some(true) {
        // It has frozen it all the same, and late: let go behind its back, it would go on to call it paused.
        match timeout(CALL, release_one(docker, hold)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if is_not_frozen(&error) => {}
            Ok(Err(error)) => return Err(said(&error)),
            Err(_) => return Err("the engine does not let go".to_owned()),
        }
    }
    let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
    let Some(pid) = pid else { return Ok(()) };
    // Its control group has its ID, and who asked may have said its name.
    let container = found.id.as_deref().unwrap_or(&hold.container);
    thaw(container, pid).map(drop).map_err(|error| error.to_string())
}

/// How often a busy container is tried to be frozen, by what the engine said.
fn tries_for(cause: &str) -> u32 {
    if cause.contains("unable to freeze") {
        // Control groups of version 1: that is said at once, and the container runs on.
        TRIES
    } else if cause.contains("waiting for the cgroup to freeze") {
        // Of version 2: said after ten seconds.
        TRIES_WITH_PATIENCE
    } else {
        1
    }
}

/// Else why not.
async fn try_hold(docker: &Docker, hold: &HoldRequest) -> Result<(), String> {
    let held = timeout(CALL, async {
        match hold.how {
            Hold::Pause => docker.pause_container(&hold.container).await,
            Hold::Stop => {
                let options = StopContainerOptions { t: Some(STOPS_WITHIN_SECONDS), signal: None };
                docker.stop_container(&hold.container, Some(options)).await
            }
        }
    });
    match held.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if writes_no_more(&error) => Ok(()),
        Ok(Err(error)) => Err(said(&error)),
        Err(_) => Err(format!("the engine did not answer for {} seconds", CALL.as_secs())),
    }
}

/// One that is gone, that does not run any more or that is frozen already.
fn writes_no_more(error: &bollard::errors::Error) -> bool {
    let bollard::errors::Error::DockerResponseServerError { status_code, message } = error else {
        return false;
    };
    match status_code {
        304 | 404 => true,
        409 => message.contains("not running") || message.contains("already paused"),
        _ => false,
    }
}

/// One that is gone, or that ended meanwhile.
fn is_not_frozen(error: &bollard::errors::Error) -> bool {
    use bollard::errors::Error::DockerResponseServerError as Answer;
    matches!(error, Answer { status_code: 404, .. })
        || matches!(error, Answer { message, .. } if message.contains("not paused") || message.contains("not running"))
}

async fn release_one(docker: &Docker, hold: &HoldRequest) -> Result<(), bollard::errors::Error> {
    match hold.how {
        Hold::Pause => docker.unpause_container(&hold.container).await,
        Hold::Stop => docker.start_container(&hold.container, None::<StartContainerOptions>).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_container_is_tried_again_on_either_version_of_control_groups() {
        for (said, tries) in [
            ("Cannot pause container x: OCI runtime pause failed: unable to freeze: unknown", TRIES),
            (
                "OCI runtime pause failed: timeout of 10s reached waiting for the cgroup to freeze",
                TRIES_WITH_PATIENCE,
            ),
            ("Container x is not running", 1),
        ] {
            assert_eq!(tries_for(said), tries, "{said}");
        }
    }
}
