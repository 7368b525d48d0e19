//! A server outside the stack as restores and migrations address any other.

use super::Asker;
use crate::agent::Agent;
use crate::data::Address;
use crate::jobs::run::Job;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{AppName, Failure, FailureKind};

impl Address {
    /// A server outside the stack, by the key of its URL. Its database need not be there.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn opened(job: &Job, server: &str) -> Result<Self, Failure> {
        let opened = Asker::of_job(job).lenient().open(server).await?;
        Ok(Self {
            kind: DatabaseKind::Postgres,
            service: server.to_owned(),
            container: opened.container.id,
            user: None,
            home: Some(opened.home),
            stand_in: None,
        })
    }

    /// The same server, by a container that there is: a toolbox may be gone, or have forgotten the password.
    ///
    /// # Errors
    /// One outside the stack cannot be reached.
    pub async fn at_hand(&self, job: &Job) -> Result<Self, Failure> {
        match self.home {
            Some(_) => {
                let opened = Self::opened(job, &self.service).await?;
                Ok(Self { stand_in: self.stand_in.clone(), ..opened })
            }
            None => Ok(self.clone()),
        }
    }

    /// Whether the user of a server outside the stack may make databases there; of one in the stack it is the one who made
    /// it.
    ///
    /// # Errors
    /// The user may not, or the server does not answer.
    pub async fn may_create(&self, agent: &Agent, app: &AppName) -> Result<(), Failure> {
        const MAY: &str = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user;\n";
        let Some(home) = &self.home else { return Ok(()) };
        if self.run(agent, app, home, MAY).await.map_err(|e| e.failure())? == ["t"] {
            return Ok(());
        }
        let key = &self.service;
        let text = format!("the user of {key} may not make databases on its server");
        Err(Failure::new(FailureKind::Refused, text)
            .cause(
                "a dump is restored into a database of its own, which then takes a name; nothing was changed",
            )
            .hint("let that user (there, as an administrator): ALTER ROLE … CREATEDB")
            .hint("or write the backup to a folder, and restore it by hand: wharf backup restore ID --to DIR")
            .hint("how that goes: docs/RECOVERY.md, A database outside the stack"))
    }
}
