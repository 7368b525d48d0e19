//! What BuildKit keeps of earlier builds.
//!
//! Asked over `/grpc`, because Docker's own interface calls the bound by another name in each version, and takes an unknown
//! one for "keep nothing".

use super::{BuildError, control, wire};
use crate::Engine;
use bollard_buildkit_proto::moby::buildkit::v1::{DiskUsageRequest, PruneRequest};
use std::time::Duration;

/// Counting reads a database; dropping removes gigabytes of small files.
const COUNT_LIMIT: Duration = Duration::from_secs(60);
const DROP_LIMIT: Duration = Duration::from_secs(900);

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

    /// Drops what was used longest ago until no more than `keep_bytes` are left; how much that freed. What a build uses
    /// stays.
    ///
    /// # Errors
    /// BuildKit does not answer, or stops in between: what was dropped until then is gone.
    pub async fn prune_build_cache(&self, keep_bytes: u64) -> Result<u64, BuildError> {
        let keep = i64::try_from(keep_bytes).unwrap_or(i64::MAX);
        // No bound at all is written as 0, and means: keep nothing.
        let request = PruneRequest { reserved_space: keep, max_used_space: keep, ..PruneRequest::default() };
        let dropping = async {
            let mut client = control(wire::channel(&self.socket).await?);
            let mut dropped = client.prune(request).await.map_err(refused)?.into_inner();
            let mut freed = 0;
            while let Some(kept) = dropped.message().await.map_err(refused)? {
                freed += u64::try_from(kept.size).unwrap_or(0);
            }
            Ok(freed)
        };
        within(DROP_LIMIT, dropping).await
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
