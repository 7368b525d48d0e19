//! Everything that the engine has of images, and what containers need of it.

use crate::container::LABEL_PROJECT;
use crate::{Engine, EngineError};
use bollard::query_parameters::{ListContainersOptions, ListImagesOptions};
use std::collections::BTreeSet;
use wharf_plan::house::Image;

impl Engine {
    /// Every image, but for those that are only layers of others.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn images(&self) -> Result<Vec<Image>, EngineError> {
        let options = ListImagesOptions { shared_size: true, ..Default::default() };
        let listed = self.call("list images", self.docker.list_images(Some(options))).await?;
        let own = |size: i64, shared: i64| u64::try_from(size - shared.max(0)).unwrap_or(0);
        Ok(listed
            .into_iter()
            .map(|image| Image {
                size_bytes: own(image.size, image.shared_size),
                id: image.id,
                // Older engines say so where there is no name.
                names: image.repo_tags.into_iter().filter(|name| !name.starts_with("<none>")).collect(),
                project: image.labels.get(LABEL_PROJECT).cloned(),
            })
            .collect())
    }

    /// The IDs of the images that containers were made from, running or not, whoever's they are.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn images_in_use(&self) -> Result<BTreeSet<String>, EngineError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let listed = self.call("list containers", self.docker.list_containers(Some(options))).await?;
        Ok(listed.into_iter().filter_map(|container| container.image_id).collect())
    }
}
