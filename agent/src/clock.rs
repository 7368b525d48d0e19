//! The clock that schedules, backups and retention go by.
//!
//! In builds with the feature `crash-points`, `WHARFD_CLOCK` may name a file with a time in it, so that a test can jump.

use jiff::Timestamp;
use std::time::Duration;

/// How long nothing new is looked for, where nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// What time it is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    #[cfg(feature = "crash-points")]
    file: Option<std::path::PathBuf>,
}

#[cfg(not(feature = "crash-points"))]
impl Clock {
    pub fn from_environment() -> Self {
        Self {}
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// How long whoever waits for a time may look away.
    pub fn look_every(&self) -> Duration {
        LOOK_EVERY
    }
}

#[cfg(feature = "crash-points")]
impl Clock {
    /// The server's clock, or the file that a test sets.
    pub fn from_environment() -> Self {
        Self { file: std::env::var_os("WHARFD_CLOCK").map(Into::into) }
    }

    pub fn now(&self) -> Timestamp {
        let set = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        set.and_then(|text| text.trim().parse().ok()).unwrap_or_else(Timestamp::now)
    }

    /// How long whoever waits for a time may look away.
    pub fn look_every(&self) -> Duration {
        if self.file.is_some() { Duration::from_millis(100) } else { LOOK_EVERY }
    }
}
