//! Images: what they hold, their names, fetching them, removing them.

use crate::{Engine, EngineError, content, registry};
use bollard::auth::DockerCredentials;
use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::{CreateImageOptions, RemoveImageOptions, TagImageOptions};
use futures_util::StreamExt;
use std::time::Duration;
use wharf_plan::facts::ImageFacts;

/// How long a pull may go without a word of progress.
const PULL_SILENCE: Duration = Duration::from_secs(180);

impl Engine {
    /// An image, by ID, name or digest; `None` when the engine does not have it.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        let action = format!("look at image {reference}");
        match self.call(&action, self.docker.inspect_image(reference)).await {
            Ok(inspect) => facts(&action, inspect).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives an image one more name (`NAME:TAG`). The name leaves the image that had it.
    ///
    /// # Errors
    /// The engine does not answer, lacks the image, or the name is none.
    pub async fn tag(&self, id: &str, reference: &str) -> Result<(), EngineError> {
        let name = Reference::parse(reference)?;
        let options = TagImageOptions { repo: Some(name.repository), tag: Some(name.tag) };
        self.call(&format!("tag image {id} as {reference}"), self.docker.tag_image(id, Some(options))).await
    }

    /// Takes a name away. An image that loses its last name so, and that no container uses, goes. Whether the name is
    /// gone: `false` when a container still needs it.
    ///
    /// # Errors
    /// The engine does not answer, or `reference` is an ID and not a name.
    pub async fn untag(&self, reference: &str) -> Result<bool, EngineError> {
        if reference.starts_with("sha256:") || is_hex(reference) {
            return Err(EngineError::BadReference(reference.to_owned()));
        }
        self.remove(reference).await
    }

    /// Removes an image that nothing needs. Whether it is gone: `false` when a container uses it or it has more than
    /// one name.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn remove_image(&self, id: &str) -> Result<bool, EngineError> {
        self.remove(id).await
    }

    /// Removes an image that no tag names any more; one that has a name, or that a container uses, stays. Whether it is
    /// gone.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn remove_nameless(&self, id: &str) -> Result<bool, EngineError> {
        match self.image(id).await? {
            Some(image) if image.tags.is_empty() => self.remove(id).await,
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// Fetches an image from its registry, with the agent's own login or the one that `docker login` left.
    ///
    /// # Errors
    /// The registry does not have it, does not let us in, or goes silent.
    pub async fn pull(
        &self,
        reference: &str,
        mut on_progress: impl FnMut(&str) + Send,
    ) -> Result<ImageFacts, EngineError> {
        let action = format!("pull image {reference}");
        // Without a tag the engine would fetch every tag of the name.
        let from_image = Some(with_tag(reference)?);
        let options = CreateImageOptions { from_image, ..Default::default() };
        let mut progress =
            std::pin::pin!(self.docker.create_image(Some(options), None, self.credentials(reference)));
        loop {
            let step = tokio::time::timeout(PULL_SILENCE, progress.next()).await;
            let step = step.map_err(|_| EngineError::Timeout {
                action: format!("{action} any further"),
                limit: PULL_SILENCE,
            })?;
            match step {
                None => break,
                Some(Ok(info)) => {
                    if let Some(line) = progress_line(&info) {
                        on_progress(&line);
                    }
                }
                Some(Err(source)) => return Err(EngineError::of(action, source)),
            }
        }
        self.image(reference)
            .await?
            .ok_or_else(|| EngineError::malformed(&action, "it was pulled and is not there"))
    }

    fn credentials(&self, reference: &str) -> Option<DockerCredentials> {
        let host = registry::host_of(reference);
        let login = self.logins.find(host)?;
        Some(DockerCredentials {
            username: Some(login.username),
            password: Some(login.password),
            identitytoken: login.identity_token,
            serveraddress: Some(host.to_owned()),
            ..Default::default()
        })
    }

    async fn remove(&self, reference: &str) -> Result<bool, EngineError> {
        let options = RemoveImageOptions { force: false, noprune: true, platforms: None };
        let action = format!("remove image {reference}");
        match self.call(&action, self.docker.remove_image(reference, Some(options), None)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(true),
            Err(EngineError::Refused {
                source: bollard::errors::Error::DockerResponseServerError { status_code: 409, .. },
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A name of an image with a tag.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    repository: String,
    tag: String,
}

impl Reference {
    fn parse(text: &str) -> Result<Self, EngineError> {
        let bad = || EngineError::BadReference(text.to_owned());
        if text.is_empty() || text.contains(['@', ' ', '?', '#']) {
            return Err(bad());
        }
        let name_at = text.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match text.get(name_at..).and_then(|name| name.rfind(':')) {
            Some(at) => text.split_at_checked(name_at + at).ok_or_else(bad)?,
            None => (text, ":latest"),
        };
        let tag = tag.strip_prefix(':').filter(|tag| !tag.is_empty()).ok_or_else(bad)?;
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }
}

fn with_tag(reference: &str) -> Result<String, EngineError> {
    if reference.contains('@') {
        return Ok(reference.to_owned());
    }
    let Reference { repository, tag } = Reference::parse(reference)?;
    Ok(format!("{repository}:{tag}"))
}

fn is_hex(text: &str) -> bool {
    text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One line for each step of a layer; the byte counts between them are left out.
fn progress_line(info: &CreateImageInfo) -> Option<String> {
    let status = info.status.as_deref()?;
    if matches!(status, "Downloading" | "Extracting" | "Waiting" | "Verifying Checksum") {
        return None;
    }
    Some(match info.id.as_deref() {
        Some(id) if !id.is_empty() => format!("{id}: {status}"),
        _ => status.to_owned(),
    })
}

fn facts(action: &str, inspect: ImageInspect) -> Result<ImageFacts, EngineError> {
    let content = content::digest(&inspect);
    let config = inspect.config.unwrap_or_default();
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort();
    let env = config.env.unwrap_or_default().into_iter();
    Ok(ImageFacts {
        id: inspect.id.ok_or_else(|| EngineError::malformed(action, "it lacks the image's ID"))?,
        tags: inspect.repo_tags.unwrap_or_default(),
        repo_digests: inspect.repo_digests.unwrap_or_default(),
        content,
        volumes,
        env: env.filter_map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        let parse = |text: &str| Reference::parse(text).map(|r| (r.repository, r.tag)).ok();
        assert_eq!(parse("reg:5000/a"), Some(("reg:5000/a".into(), "latest".into())));
        assert_eq!(parse("reg:5000/a:v2"), Some(("reg:5000/a".into(), "v2".into())));
        assert_eq!(parse("app-web:v1"), Some(("app-web".into(), "v1".into())));
        for bad in ["", "a:", "a@sha256:0", "a b"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(with_tag("a@sha256:0").unwrap(), "a@sha256:0");
    }
}
