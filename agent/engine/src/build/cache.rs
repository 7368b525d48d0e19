//! What BuildKit keeps of earlier builds.
//!
//! Asked over `/grpc`, because Docker's own interface calls the bound by another name in each version, and takes an unknown
//! one for "keep nothing".

use super::{BuildError, control, wire};
use crate::Engine;
use bollard_buildkit_proto::moby::buildkit::v1::{DiskUsageRequest, PruneRequest};
use std::time::Duration;

/// Counting reads a database.
const COUNT_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to reach BuildKit.
const REACH_LIMIT: Duration = Duration::from_secs(60);
/// How long the first record may take of one step, since only then is anything told: it may be a large one, or another prune
/// may be under way, and one at a time drops.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);

/// What one step dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    pub bytes: u64,
    /// Whether no more is left than is to stay.
    pub is_done: bool,
}

impl Engine {
    /// The size of what is kept and that nothing uses now, neither a build nor an image.
    ///
    /// # Errors
    /// BuildKit does not answer.
    pub async fn build_cache_bytes(&self) -> Result<u64, BuildError> {
        let counting = async {
            let mut client = control(wire::channel(&self.socket).await?);
            let usage = client.disk_usage(DiskUsageRequest::default()).await.map_err(refused)?;
            let unused = usage.into_inner().record.into_iter().filter(|kept| !kept.in_use && !kept.shared);
            Ok(unused.map(|kept| u64::try_from(kept.size).unwrap_or(0)).sum())
        };
        within(COUNT_LIMIT, counting).await
    }

    /// Drops what was used longest ago until no more than `keep_bytes` are left, for no longer than `step`; how much that
    /// freed. What a build uses stays: BuildKit drops nothing that something refers to.
    ///
    /// It ends when the future is dropped, too: BuildKit drops one record after the other, a thousand in minutes, and looks
    /// before each whether whoever asked is still there.
    ///
    /// # Errors
    /// BuildKit cannot be reached, or stops in between: what was dropped until then is gone.
    pub async fn drop_build_cache(&self, keep_bytes: u64, step: Duration) -> Result<Dropped, BuildError> {
        let keep = i64::try_from(keep_bytes).unwrap_or(i64::MAX);
        // No bound at all is written as 0, and means: keep nothing.
        let request = PruneRequest { reserved_space: keep, max_used_space: keep, ..PruneRequest::default() };
        let mut client = control(within(REACH_LIMIT, wire::channel(&self.socket)).await?);
        let Ok(beginning) = tokio::time::timeout(BEGIN_LIMIT, client.prune(request)).await else {
            return Ok(Dropped { bytes: 0, is_done: false });
        };
        let mut records = beginning.map_err(refused)?.into_inner();
        let mut bytes = 0;
        let dropping = async {
            while let Some(record) = records.message().await.map_err(refused)? {
                bytes += u64::try_from(record.size).unwrap_or(0);
            }
            Ok::<(), BuildError>(())
        };
        let is_done = match tokio::time::timeout(step, dropping).await {
            Ok(ended) => ended.map(|()| true)?,
            Err(_) => false,
        };
        Ok(Dropped { bytes, is_done })
    }
}

fn refused(status: tonic::Status) -> BuildError {
    BuildError::connection("its cache", status)
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, BuildError>>,
) -> Result<T, BuildError> {
    let slow = || BuildError::connection("its cache", format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(slow()))
}
