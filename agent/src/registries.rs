//! Logins to registries: given by an admin, proven at the registry, kept by the agent for every app's pulls and builds.
//!
//! They belong to the server and not to an app: a host has one login here, and what it lets in every app of the server may
//! run. So only an admin of the whole server gives or takes one.
//!
//! **Invariants**
//! - A password comes in and never goes out. It is in no answer, event, log, audit entry or command line.
//! - A login is kept only where the registry took it.

use crate::agent::Agent;
use crate::audit;
use crate::conversation::Who;
use crate::failures;
use wharf_engine::registry::{Login, LoginError, RegistryError};
use wharf_proto::message::{Reply, Request};
use wharf_proto::registry::{self, PASSWORD_BYTES, RegistryInfo, RegistryLogin, USER_BYTES};
use wharf_proto::{Failure, FailureKind};

/// Answers the requests about registries.
///
/// # Errors
/// A host that is none, a login that the registry does not take, a registry that is not there; the disk.
pub async fn requested(agent: &Agent, who: &Who, request: Request) -> Result<Reply, Failure> {
    match request {
        Request::Registries => {
            let logins = agent.engine.logins().clone();
            let listed = failures::blocking(move || logins.list().map_err(|e| of_file(&e))).await?;
            let registries = listed.into_iter().map(|(host, user)| RegistryInfo { host, user }).collect();
            Ok(Reply::Registries { registries })
        }
        Request::RegistryLogin(login) => {
            let kept = log_in(agent, who, login).await?;
            Ok(Reply::Registries { registries: vec![kept] })
        }
        Request::RegistryLogout { host } => {
            let gone = log_out(agent, who, &host).await?;
            Ok(Reply::Registries { registries: vec![gone] })
        }
        _ => Err(Failure::new(FailureKind::Unsupported, "this agent does not know that request")
            .hint("upgrade wharfd on the server")),
    }
}

async fn log_in(agent: &Agent, who: &Who, asked: RegistryLogin) -> Result<RegistryInfo, Failure> {
    let host = host(&asked.host)?;
    check(&asked)?;
    let login = Login {
        username: asked.user.clone(),
        password: asked.password.expose().to_owned(),
        identity_token: None,
    };
    let proven = match agent.engine.prove_login(&host, login).await {
        Ok(proven) => proven,
        Err(error) => {
            audit::write(
                agent,
                who,
                None,
                format!("registry login {host} as {}", asked.user),
                "refused, nothing was kept",
            )
            .await?;
            return Err(not_proven(&error));
        }
    };
    audit::write(
        agent,
        who,
        None,
        format!("registry login {host} as {}", asked.user),
        "the registry takes it",
    )
    .await?;
    let (logins, kept) = (agent.engine.logins().clone(), host.clone());
    failures::blocking(move || logins.keep(&kept, &proven).map_err(|e| of_file(&e))).await?;
    Ok(RegistryInfo { host, user: asked.user })
}

async fn log_out(agent: &Agent, who: &Who, asked: &str) -> Result<RegistryInfo, Failure> {
    let host = host(asked)?;
    let (logins, gone) = (agent.engine.logins().clone(), host.clone());
    let user = failures::blocking(move || logins.drop_login(&gone).map_err(|e| of_file(&e))).await?;
    let Some(user) = user else {
        return Err(Failure::new(FailureKind::NotFound, format!("the agent has no login for {host}"))
            .hint("see which it has: wharf registry list"));
    };
    audit::write(agent, who, None, format!("registry logout {host}"), "the login is gone").await?;
    Ok(RegistryInfo { host, user })
}

fn host(asked: &str) -> Result<String, Failure> {
    registry::host(asked).ok_or_else(|| {
        // What was given is not repeated: it may be a login in a URL.
        Failure::new(FailureKind::Config, "that is not the host of a registry")
            .cause("the name of an image begins with it: registry.example, registry.example:5000, localhost:5000")
            .hint("give the host alone, without https:// and without a path; for Docker Hub: docker.io")
    })
}

fn check(asked: &RegistryLogin) -> Result<(), Failure> {
    let wrong = |why: &str| Err(Failure::new(FailureKind::Config, why));
    let user = &asked.user;
    // The name and the password are sent as `name:password`.
    if user.is_empty() || user.len() > USER_BYTES || user.contains(':') || user.chars().any(char::is_control)
    {
        return wrong("that is not the name of a user of a registry");
    }
    let password = asked.password.expose();
    if password.is_empty() || password.len() > PASSWORD_BYTES {
        return wrong("the password is empty or too long");
    }
    Ok(())
}

fn not_proven(error: &LoginError) -> Failure {
    let failure = match error {
        LoginError::Refused { .. } => Failure::new(FailureKind::Refused, error.to_string()).hint(
            "give the password or token of that user; many registries want a token and not the password",
        ),
        LoginError::Unknown { host, .. } => Failure::new(FailureKind::Environment, error.to_string())
            .hint(format!("look whether the server reaches it: curl https://{host}/v2/")),
    };
    let said = error.said();
    let failure = if said.is_empty() { failure } else { failure.cause(said.to_owned()) };
    failure.hint("nothing was kept")
}

fn of_file(error: &RegistryError) -> Failure {
    Failure::from_error(FailureKind::Environment, error)
        .hint("look at the folder `docker` of the agent's state, and at its disk")
}
