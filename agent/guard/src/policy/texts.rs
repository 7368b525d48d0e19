//! What people read when something is refused: what, why, and what to do instead.

use super::Missing;
use crate::facts::Fact;
use crate::request::Refusal;

/// The one way.
const ONE_WAY: &str = "Volumes are never deleted through this socket; the only way is `docker volume rm NAME` with Docker's own socket, on \
                       the server, as root, after a backup";

pub fn volumes(method: &str, segments: &[&str]) -> Refusal {
    match (method, segments) {
        ("DELETE", [_, name]) => Refusal::forbidden(format_args!(
            "this would delete the volume {name:?} and the data in it. {ONE_WAY}. `docker compose down` without -v is fine."
        )),
        ("POST", [_, "prune"]) => Refusal::forbidden(format_args!(
            "a prune would delete every volume that no container uses at the moment, data and all. {ONE_WAY}. \
             `docker system prune` without --volumes is fine."
        )),
        _ => {
            Refusal::forbidden(format_args!("this changes a volume in a way that can lose data. {ONE_WAY}."))
        }
    }
}

pub fn container_with_volumes(name: &str) -> Refusal {
    Refusal::forbidden(format_args!(
        "removing the container {name:?} with -v would delete its anonymous volumes and the data in them. {ONE_WAY}. \
         `docker rm` without -v is fine."
    ))
}

pub fn ends_with_volumes(name: &str, volumes: &[String]) -> Refusal {
    Refusal::forbidden(format_args!(
        "the container {name:?} was started with --rm past the guard; when it ends, the engine deletes its anonymous \
         volume {}. `docker rm -f {name}` ends it and keeps the volume.",
        volumes.join(", ")
    ))
}

pub fn root_equivalent(reason: &str) -> Refusal {
    Refusal::forbidden(format_args!(
        "{reason} would give a container command of the whole host, Docker's volumes included, and this socket does \
         not allow that. Leave it out, or let the server's owner allow it in /etc/wharf/wharfd.toml."
    ))
}

pub fn plugin(harmless: bool) -> Refusal {
    if harmless {
        return root_equivalent("a Docker plugin");
    }
    Refusal::forbidden(
        "removing or replacing a Docker plugin deletes the data it keeps. Do it as root on the server, past the guard.",
    )
}

pub fn swarm() -> Refusal {
    Refusal::forbidden(
        "Swarm deletes the anonymous volumes of a task together with the task, so services, nodes and the swarm \
         itself are not changed through this socket. Do it as root on the server, past the guard.",
    )
}

pub fn unlisted(method: &str, segments: &[&str]) -> Refusal {
    let path: String = segments.iter().take(4).flat_map(|segment| ["/", segment]).collect();
    let method: String = method.chars().take(16).collect();
    Refusal::forbidden(format_args!(
        "{method} {path} is not among the requests that are known to leave volumes alone. If a docker command of yours \
         needs it, run it as root on the server, past the guard, and report it."
    ))
}

pub fn upgrade(asked: &str) -> Refusal {
    let asked: String = asked.chars().take(32).collect();
    Refusal::unclear(format_args!(
        "this request may not switch the connection to {asked:?}; only attach, exec, session and grpc switch, each to its own protocol"
    ))
}

pub fn unknown(missing: &Missing) -> Refusal {
    let what = match missing {
        Missing::Body => "its body".to_owned(),
        Missing::Fact(Fact::Image(name)) => format!("the image {name:?}"),
        Missing::Fact(Fact::Container(name)) => format!("the container {name:?}"),
        Missing::Fact(Fact::RealPath(path)) => format!("where {path:?} leads"),
        Missing::Fact(Fact::Engine) => "where the engine keeps its data".to_owned(),
    };
    Refusal::forbidden(format_args!(
        "whether this leaves every volume alone depends on {what}, which could not be found out. Try again."
    ))
}
