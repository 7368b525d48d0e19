//! The process: its threads and its signals.

use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// A job is one deep future; where nothing is optimised, tokio's own 2 MiB are hardly enough for it.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The threads that jobs run on.
pub fn large_runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()
}

/// One thread, for what has little to do.
pub fn small_runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// SIGTERM or SIGINT.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// SIGHUP: end as soon as no job runs.
pub fn leave_signal() -> Arc<Notify> {
    use tokio::signal::unix::{SignalKind, signal};
    let leave = Arc::new(Notify::new());
    if let Ok(mut hang_up) = signal(SignalKind::hangup()) {
        let leave = Arc::clone(&leave);
        tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                leave.notify_one();
            }
        });
    }
    leave
}
