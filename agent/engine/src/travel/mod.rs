//! Images that go from one engine to another, as the engine's own archives.
//!
//! **Invariant**: an archive is taken in only as [`Passage`] lets it through: it holds the one image that was named, by its ID,
//! and gives it no name.

mod passage;

pub use passage::{Passage, PassageError};

use crate::{Engine, EngineError};
use bollard::models::ImageInspect;
use bollard::query_parameters::{ImportImageOptions, ListImagesOptions};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use std::time::Duration;
use wharf_proto::Digest;

/// How long an engine may take over an image by itself, before it gives the first piece and after it got the last one: it
/// copies the whole of it.
pub const COPY_LIMIT: Duration = Duration::from_secs(1800);
/// How long an engine may wait for the pieces of an archive, all in all: a line may be slow.
const TRAVEL_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// What must be known of an image before it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baggage {
    /// `linux/amd64`.
    pub platform: String,
    /// The lowest first.
    pub layers: Vec<Digest>,
    pub size_bytes: u64,
}

impl Engine {
    /// What an image is made of; `None` where it is not here, or is told of in a way that is not understood.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn baggage(&self, id: &str) -> Result<Option<Baggage>, EngineError> {
        match self.call(&format!("look at image {id}"), self.docker.inspect_image(id)).await {
            Ok(inspect) => Ok(baggage(&inspect)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What images must be made for to run here: `linux/amd64`.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn platform(&self) -> Result<String, EngineError> {
        let version = self.call("tell its version", self.docker.version()).await?;
        Ok(format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default()))
    }

    /// How many of these layers, from the lowest on, some image here has. An engine takes an archive without them: it knows a
    /// layer by all that is below it, and looks for it first.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn layers_here(&self, layers: &[Digest]) -> Result<usize, EngineError> {
        let options = ListImagesOptions { all: true, ..Default::default() };
        let images = self.call("list images", self.docker.list_images(Some(options))).await?;
        let mut most = 0;
        for image in images {
            if let Some(found) = self.baggage(&image.id).await? {
                let same = found.layers.iter().zip(layers).take_while(|(a, b)| a == b).count();
                most = most.max(same);
            }
        }
        Ok(most)
    }

    /// An image as the archive that `docker save` writes, piece by piece. Where nobody reads it any more, the engine is told so
    /// at once, also before the first piece.
    pub fn export(&self, id: &str) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + use<> {
        let docker = self.docker.clone().with_timeout(COPY_LIMIT);
        let action = format!("write out image {id}");
        let id = id.to_owned();
        // The stream borrows its engine, so that it is driven from a task of its own; two pieces wait at most.
        let (tx, rx) = tokio::sync::mpsc::channel(2);
        tokio::spawn(async move {
            let mut pieces = std::pin::pin!(docker.export_image(&id));
            loop {
                let piece = tokio::select! {
                    () = tx.closed() => return,
                    piece = pieces.next() => piece,
                };
                let Some(piece) = piece else { return };
                let piece = piece.map_err(|source| EngineError::of(action.clone(), source));
                if tx.send(piece).await.is_err() {
                    return;
                }
            }
        });
        tokio_stream::wrappers::ReceiverStream::new(rx)
    }

    /// Takes in an archive, however slowly it comes: whoever sends it has limits of their own. An error in `archive` leaves
    /// nothing behind: the engine looks at none that is cut off.
    ///
    /// # Errors
    /// The engine refuses it, or `archive` failed.
    pub async fn load(
        &self,
        archive: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let docker = self.docker.clone().with_timeout(TRAVEL_LIMIT);
        let options = ImportImageOptions { quiet: true, ..Default::default() };
        let loading = docker.import_image_stream(options, archive, None);
        let all = async {
            let mut loading = std::pin::pin!(loading);
            while loading.try_next().await?.is_some() {}
            Ok(())
        };
        crate::connection::within("take in an image", TRAVEL_LIMIT, all).await
    }
}

fn baggage(image: &ImageInspect) -> Option<Baggage> {
    let digest = |layer: &String| layer.strip_prefix("sha256:")?.parse().ok();
    let layers = image.root_fs.as_ref()?.layers.as_ref()?;
    let (os, architecture) = (image.os.as_deref()?, image.architecture.as_deref()?);
    // Only there it decides whether a program runs.
    let variant = image.variant.as_deref().filter(|variant| architecture == "arm" && !variant.is_empty());
    let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    Some(Baggage {
        platform: format!("{os}/{architecture}{variant}"),
        layers: layers.iter().map(digest).collect::<Option<_>>()?,
        size_bytes: u64::try_from(image.size?).ok()?,
    })
}
