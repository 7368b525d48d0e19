//! Finding facts out: what the policy asked for, and no more.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::engine::Engine;
use crate::error::GuardError;
use crate::facts::{ContainerFact, EngineFact, Fact, Facts, ImageFact};

/// Something that can answer the policy's questions.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// Finds one fact out and records it. An error is not a fact.
    async fn learn(&self, fact: &Fact, facts: &mut Facts) -> Result<(), GuardError>;
}

#[async_trait]
impl Lookup for Engine {
    async fn learn(&self, fact: &Fact, facts: &mut Facts) -> Result<(), GuardError> {
        match fact {
            Fact::Image(name) => {
                let path = format!("/images/{name}/json");
                let found = self.get(&path).await?;
                let unclear = || GuardError::Answer { what: path, status: 200 };
                let found =
                    found.map(|value| ImageFact::from_inspect(&value).ok_or_else(unclear)).transpose()?;
                facts.know_image(name, found);
            }
            Fact::Container(name) => facts.know_container(name, container(self, name).await?),
            Fact::RealPath(path) => facts.know_path(path, real_path(path).await?),
            Fact::Engine => facts.know_engine(engine(self).await?),
            // A socket knows of none.
            Fact::Permit(name) => facts.know_permit(name, false),
        }
        Ok(())
    }
}

/// A container as it is now.
pub async fn container(engine: &Engine, name: &str) -> Result<Option<ContainerFact>, GuardError> {
    let path = format!("/containers/{name}/json");
    let found = engine.get(&path).await?;
    let unclear = || GuardError::Answer { what: path, status: 200 };
    found.map(|value| ContainerFact::from_inspect(&value).ok_or_else(unclear)).transpose()
}

async fn engine(engine: &Engine) -> Result<EngineFact, GuardError> {
    let info = engine.get("/info").await?;
    let root = info.as_ref().and_then(|info| info.get("DockerRootDir")?.as_str());
    let root = root.ok_or_else(|| GuardError::Answer { what: "/info".to_owned(), status: 200 })?;
    let mut sockets = Vec::new();
    let own = [Path::new("/var/run/docker.sock"), Path::new("/var/run/docker"), engine.socket()];
    for path in own.into_iter().chain(engine.hidden().iter().map(PathBuf::as_path)) {
        sockets.push(real_path(&path.to_string_lossy()).await?);
    }
    Ok(EngineFact { root: real_path(root).await?, sockets })
}

/// Follows links as far as the path exists; the engine makes the rest as plain directories.
async fn real_path(path: &str) -> Result<PathBuf, GuardError> {
    let owned = PathBuf::from(path);
    let following = tokio::task::spawn_blocking(move || follow(&owned)).await;
    let failed = |source| GuardError::Path { path: path.to_owned(), source };
    following.map_err(|join| failed(io::Error::other(join)))?.map_err(failed)
}

fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut rest = Vec::new();
    let mut existing = path;
    loop {
        match existing.canonicalize() {
            Ok(real) => return Ok(rest.into_iter().rev().fold(real, |path, part| path.join(part))),
            // A dangling link exists all the same, and leads where its maker likes.
            Err(error) if error.kind() != io::ErrorKind::NotFound || existing.is_symlink() => {
                return Err(error);
            }
            Err(error) => match (existing.parent(), existing.file_name()) {
                (Some(parent), Some(name)) => {
                    rest.push(name.to_owned());
                    existing = parent;
                }
                _ => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn follows_links_and_keeps_what_does_not_exist_yet() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("target")).unwrap();
        symlink(root.join("target"), root.join("link")).unwrap();
        symlink(root.join("nowhere"), root.join("dangling")).unwrap();
        assert_eq!(follow(&root.join("link/a/b")).unwrap(), root.join("target/a/b"));
        assert!(follow(&root.join("dangling")).is_err());
        assert!(follow(&root.join("dangling/a")).is_err());
    }
}
