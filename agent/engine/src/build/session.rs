//! What the engine may ask of us during a build: files, secrets, registry logins, and whether we are still there.

use super::context::Files;
use super::source::{LocalSource, read_small};
use super::wire::{SessionIo, new_id, upgrade};
use super::{BuildError, BuildSpec, MESSAGE_BYTES, SecretSource};
use crate::registry::{Login, Logins};
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

/// All that the engine is told that it may call. Registry tokens it fetches itself, with the login that we give it.
const METHODS: [&str; 3] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.filesync.v1.Auth/Credentials",
];

/// The first error on our side of a build.
pub(super) type FirstError = Arc<Mutex<Option<BuildError>>>;

/// A session, open until it is closed or dropped.
pub(super) struct Session {
    id: String,
    error: FirstError,
    _end: DropGuard,
}

impl Session {
    pub(super) async fn open(socket: &Path, spec: &BuildSpec, logins: Logins) -> Result<Self, BuildError> {
        let id = new_id();
        let mut headers = vec![
            ("X-Docker-Expose-Session-Uuid", id.as_str()),
            ("X-Docker-Expose-Session-Name", "wharf"),
            // The engine keeps received files under this key and later takes those of equal size and time as equal. A key
            // of its own for each build means that every build reads what is on the disk now.
            ("X-Docker-Expose-Session-Sharedkey", id.as_str()),
        ];
        headers.extend(METHODS.map(|method| ("X-Docker-Expose-Session-Grpc-Method", method)));
        let io = SessionIo(TokioIo::new(upgrade(socket, "/session", &headers).await?));
        let error = FirstError::default();
        let end = CancellationToken::new();
        let files = Files::new(LocalSource::all(spec)?, error.clone(), end.clone());
        let secrets = SecretService { secrets: spec.secrets.clone(), error: error.clone() };
        let server = tonic::transport::Server::builder()
            .add_service(HealthServer::new(HealthService))
            .add_service(FileSyncServer::new(files).max_encoding_message_size(MESSAGE_BYTES))
            .add_service(SecretsServer::new(secrets))
            .add_service(AuthServer::new(AuthService { logins }));
        // One connection, and no other ever: the stream stays open until the session ends.
        let incoming = stream::iter([Ok::<_, std::io::Error>(io)]).chain(stream::pending());
        let shutdown = end.clone();
        tokio::spawn(async move {
            let serve = server.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
            if let Err(error) = serve.await {
                tracing::debug!(%error, "a build's session ended with an error");
            }
        });
        Ok(Self { id, error, _end: end.drop_guard() })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Ends the session, and tells what went wrong on our side, if anything did.
    pub(super) fn close(self) -> Option<BuildError> {
        self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// Keeps the first error; later ones follow from it.
pub(super) fn remember(first: &FirstError, error: BuildError) -> Status {
    let status = Status::aborted(error.to_string());
    first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
    status
}

struct SecretService {
    secrets: BTreeMap<String, SecretSource>,
    error: FirstError,
}

#[tonic::async_trait]
impl Secrets for SecretService {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let data = match self.secrets.get(&id) {
            None => return Err(Status::not_found(format!("the project names no build secret '{id}'"))),
            Some(SecretSource::Value(value)) => value.clone().into_bytes(),
            Some(SecretSource::File(path)) => {
                read_small(path).map_err(|error| remember(&self.error, error))?
            }
        };
        Ok(Response::new(GetSecretResponse { data }))
    }
}

struct AuthService {
    logins: Logins,
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let login = self.logins.find(&request.into_inner().host);
        Ok(Response::new(match login {
            None => CredentialsResponse::default(),
            // An identity token goes without a name, by which the engine tells it from a password.
            Some(Login { identity_token: Some(secret), .. }) => {
                CredentialsResponse { username: String::new(), secret }
            }
            Some(Login { username, password, .. }) => CredentialsResponse { username, secret: password },
        }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("the engine fetches tokens itself"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("the engine fetches tokens itself"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("the engine fetches tokens itself"))
    }
}

/// The engine drops a session that does not answer this.
struct HealthService;

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only check is served"))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only check is served"))
    }
}
