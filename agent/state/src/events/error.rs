//! Why a job's events cannot be written or read.

use std::path::PathBuf;
use wharf_proto::JobId;

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("cannot {act} {}; make sure that wharfd may use it and that the disk is not full", path.display())]
    Io {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("job {0} has no events; `wharf jobs` lists the jobs that are kept")]
    NoSuchLog(JobId),
    #[error("job {0} has events already; this is a bug of Wharf's, please report it")]
    Exists(JobId),
    #[error("job {0} is being written; wait until it is over")]
    Written(JobId),
    #[error("job {0} is over, no event can follow; this is a bug of Wharf's, please report it")]
    Finished(JobId),
    #[error("an event of job {job} takes {length} bytes, more than the {limit} that a frame may have")]
    TooLong { job: JobId, length: usize, limit: usize },
    #[error("an event of job {job} cannot be written as JSON")]
    Json {
        job: JobId,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "the events of job {0} could not be written after an earlier error; start wharfd again to mend them"
    )]
    Broken(JobId),
    #[error("the events of job {0} were removed while they were read")]
    Removed(JobId),
    #[error("wharfd is stopping; start it again and attach to the job")]
    Stopped,
}
