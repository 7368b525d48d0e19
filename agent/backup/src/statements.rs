//! Statements in a database of a container, as its own user.

use crate::dump::unknown;
use crate::instance::connect;
use crate::{BackupError, DumpRequest, mysql, postgres};
use std::path::Path;
use std::time::Duration;
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
        DatabaseKind::Redis | DatabaseKind::Commands | DatabaseKind::Unknown => Err(unknown(&at.label)),
    }
}

/// Runs a whole script in a PostgreSQL database of a container, as its own user, for at most so long. What it selects is
/// thrown away; errors name lines of the script. A script that is not sent to its end is as one whose connection broke there.
///
/// # Errors
/// As [`sql`], and that it took too long: it may still run then. Other databases know no such scripts.
pub async fn script(
    docker_socket: &Path,
    repo: &Path,
    at: &DumpRequest,
    script: &str,
    limit: Duration,
) -> Result<(), BackupError> {
    let docker = connect(docker_socket).await?;
    match at.kind {
        DatabaseKind::Postgres => postgres::script(&docker, repo, at, script, limit).await,
        DatabaseKind::Mysql | DatabaseKind::Redis | DatabaseKind::Commands | DatabaseKind::Unknown => {
            Err(unknown(&at.label))
        }
    }
}
