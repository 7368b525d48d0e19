//! Statements in a database of a container, as its own user.

use crate::dump::unknown;
use crate::instance::connect;
use crate::{BackupError, DumpRequest, mysql, postgres};
use std::path::Path;
use wharf_proto::database::DatabaseKind;

/// Runs statements and returns the lines that they print. The first error ends them; in PostgreSQL, those between `BEGIN`
/// and `COMMIT` are then not done.
///
/// # Errors
/// The container does not run, the database cannot be connected to, a statement fails.
pub async fn sql(
    docker_socket: &Path,
    repo: &Path,
    at: &DumpRequest,
    statements: &str,
) -> Result<Vec<String>, BackupError> {
    let docker = connect(docker_socket).await?;
    match at.kind {
        DatabaseKind::Postgres => postgres::sql(&docker, repo, at, statements).await,
        DatabaseKind::Mysql => mysql::sql(&docker, at, statements).await,
        DatabaseKind::Redis | DatabaseKind::Unknown => Err(unknown(&at.label)),
    }
}
