//! Which database it is, and as whom.

use crate::instance::Instance;
use crate::{BackupError, DumpRequest};
use bollard::Docker;
use std::path::Path;

/// A database in a container.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) at: Instance,
    pub(crate) user: String,
    pub(crate) database: String,
    /// What the server shows as our name; one for each repository and server, so that leftovers can be told. The
    /// repository's key is in it, where it has one beside it as an agent's has: other machines have the same paths, and may
    /// dump other databases of the very same server.
    application: String,
}

impl Database {
    /// Finds out what the request leaves open, from the container's environment.
    pub(crate) async fn find(
        docker: &Docker,
        request: &DumpRequest,
        repo: &Path,
    ) -> Result<Self, BackupError> {
        let (at, environment) = Instance::find(docker, &request.label, &request.container).await?;
        let user = match &request.user {
            Some(user) => user.clone(),
            None => environment.value("POSTGRES_USER").await.unwrap_or_else(|| "postgres".to_owned()),
        };
        let database = match &request.database {
            Some(database) => database.clone(),
            None => environment.value("POSTGRES_DB").await.unwrap_or_else(|| user.clone()),
        };
        let server = crate::service_of(&request.label);
        let key = tokio::fs::read(crate::key::beside(repo, ".key")).await.unwrap_or_default();
        let of = format!("{}\0{server}\0{}", repo.display(), wharf_proto::Digest::of(&key).to_hex());
        let digest = wharf_proto::Digest::of(of.as_bytes());
        let password = environment.value("POSTGRES_PASSWORD").await;
        Ok(Self {
            at: Instance { password, ..at },
            user,
            database,
            application: format!("wharf-backup-{:.16}", digest.to_hex()),
        })
    }

    /// libpq's settings. User and database go this way too: as arguments they could be taken for options.
    pub(crate) fn environment(&self) -> Vec<String> {
        let password = self.at.password.iter().map(|password| format!("PGPASSWORD={password}"));
        [
            format!("PGUSER={}", self.user),
            format!("PGDATABASE={}", self.database),
            format!("PGAPPNAME={}", self.application),
            "PGCONNECT_TIMEOUT=15".to_owned(),
        ]
        .into_iter()
        .chain(password)
        .collect()
    }
}

/// A database's name where libpq would take one with `=` for a connection string.
pub(super) fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_is_never_a_connection_string() {
        assert_eq!(connection_string("a b='c\\"), "dbname='a b=\\'c\\\\'");
    }
}
