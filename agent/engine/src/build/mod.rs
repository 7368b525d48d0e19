//! Building images with the engine's own BuildKit.
//!
//! Solve runs over `/grpc`; over `/session` the engine asks for the files, the secrets and the registry logins that it
//! needs. Files are read when they are asked for and go out through a bounded channel, so that a build's memory does not
//! grow with its context.
//!
//! **Invariants**: what is sent is exactly the list of files given; the engine never reads a path itself. Values of
//! secrets, and of arguments whose names say that they are secret, are struck out of every line and error.

mod cache;
mod context;
mod error;
mod follow;
mod progress;
mod redact;
mod request;
mod session;
mod source;
mod spec;
mod wire;

pub use cache::Dropped;
pub use error::BuildError;
pub use progress::{BuildLine, BuildLineKind};
pub use spec::{AdditionalContext, BuildSpec, Dockerfile, SecretSource};

use crate::Engine;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{SolveResponse, StatusRequest};
use progress::Progress;
use redact::Redactor;
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// As large as what BuildKit itself takes and sends.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// How long the engine may take to end its report once the build has ended, well or not.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

impl Engine {
    /// Builds an image and names it; what the build says goes to `on_line`. Gives the image's ID.
    ///
    /// Stops when `cancel` is cancelled, when the future is dropped, or after the limit in `spec`.
    ///
    /// # Errors
    /// [`BuildError::Failed`] carries the instruction that failed and the last lines that it wrote.
    pub async fn build(
        &self,
        spec: BuildSpec,
        cancel: &CancellationToken,
        on_line: impl FnMut(BuildLine) + Send,
    ) -> Result<String, BuildError> {
        let limit = spec.limit;
        let redactor = Redactor::new(&spec)?;
        let session = session::Session::open(&self.socket, &spec, self.logins.clone()).await?;
        let mut progress = Progress::new(redactor, on_line);
        let outcome = tokio::select! {
            outcome = self.solve(&spec, &session, &mut progress, limit) => outcome,
            () = cancel.cancelled() => Err(BuildError::Cancelled),
        };
        // What went wrong on our side of the session is the cause of whatever the engine makes of it.
        let own = session.close();
        match (outcome, own) {
            (Ok(response), _) => self.built(&response).await,
            (Err(BuildError::Cancelled), _) => Err(BuildError::Cancelled),
            (Err(_), Some(cause)) => Err(cause),
            (Err(error), None) => Err(error),
        }
    }

    async fn solve<F: FnMut(BuildLine) + Send>(
        &self,
        spec: &BuildSpec,
        session: &session::Session,
        progress: &mut Progress<F>,
        limit: Duration,
    ) -> Result<SolveResponse, BuildError> {
        let channel = wire::channel(&self.socket).await?;
        let mut solver = control(channel.clone());
        let request = request::solve(spec, session.id());
        let reference = request.r#ref.clone();
        let solving = tokio::time::timeout(limit, solver.solve(request));
        let watching = watch(control(channel), reference, progress);
        let solved = while_watching(solving, watching).await;
        match solved {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(progress.failure(&status)),
            Err(_elapsed) => Err(BuildError::Timeout { limit }),
        }
    }

    /// The ID of what was built. Which of the digests that is depends on the image store.
    async fn built(&self, response: &SolveResponse) -> Result<String, BuildError> {
        let attrs = &response.exporter_response;
        for key in ["containerimage.digest", "containerimage.config.digest"] {
            let Some(digest) = attrs.get(key) else { continue };
            if let Some(image) = self.image(digest).await? {
                return Ok(image.id);
            }
        }
        Err(BuildError::NoImage)
    }
}

/// Follows a build's report to its end. Without one the build goes on: only its lines are lost.
async fn watch<F: FnMut(BuildLine) + Send>(
    mut client: ControlClient<Channel>,
    build: String,
    progress: &mut Progress<F>,
) {
    let report = async {
        let mut reports = client.status(StatusRequest { r#ref: build }).await?.into_inner();
        while let Some(report) = reports.message().await? {
            progress.take(report);
        }
        Ok::<_, tonic::Status>(())
    };
    if let Err(status) = report.await {
        tracing::debug!(code = ?status.code(), "the report of a build ended early");
    }
}

/// Runs a build beside its report, and lets the report come to its end after it.
async fn while_watching<T>(build: impl Future<Output = T>, report: impl Future<Output = ()>) -> T {
    let (mut build, mut report) = (std::pin::pin!(build), std::pin::pin!(report));
    tokio::select! {
        result = &mut build => {
            let _ = tokio::time::timeout(REPORT_LIMIT, report).await;
            result
        }
        () = &mut report => build.await,
    }
}

fn control(channel: Channel) -> ControlClient<Channel> {
    ControlClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
}
