//! What people read when something is refused: what, why, and what to do instead.

use super::Missing;
use super::door::Door;
use crate::facts::Fact;
use crate::request::Refusal;

pub fn volumes(door: Door, method: &str, segments: &[&str]) -> Refusal {
    let one_way = door.one_way();
    match (method, segments) {
        ("DELETE", [_, name]) => Refusal::forbidden(format_args!(
            "this would delete the volume {name:?} and the data in it. {one_way}. `docker compose down` without -v is fine."
        )),
        ("POST", [_, "prune"]) => Refusal::forbidden(format_args!(
            "a prune would delete every volume that no container uses at the moment, data and all. {one_way}. \
             `docker system prune` without --volumes is fine."
        )),
        _ => {
            Refusal::forbidden(format_args!("this changes a volume in a way that can lose data. {one_way}."))
        }
    }
}

pub fn container_with_volumes(door: Door, name: &str) -> Refusal {
    let one_way = door.one_way();
    Refusal::forbidden(format_args!(
        "removing the container {name:?} with -v would delete its anonymous volumes and the data in them. {one_way}. \
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

/// The plugin cannot change a request, so it cannot keep the volumes as a guarded socket does.
pub fn removed_with_volumes() -> Refusal {
    Refusal::forbidden(
        "with --rm the engine would delete the container's anonymous volumes when it ends (its image declares a VOLUME, or -v \
         names no source). Leave out --rm and `docker rm` it afterwards; or put a volume of yours there, -v NAME:/path; or go \
         through a guarded socket (`wharfd guard install`), which keeps them.",
    )
}

pub fn root_equivalent(reason: &str) -> Refusal {
    Refusal::forbidden(format_args!(
        "{reason} would give a container command of the whole host, Docker's volumes included, and this socket does \
         not allow that. Leave it out, or let the server's owner allow it in /etc/wharf/wharfd.toml."
    ))
}

pub fn plugin(door: Door, harmless: bool) -> Refusal {
    if harmless {
        return root_equivalent("a Docker plugin");
    }
    Refusal::forbidden(format_args!(
        "removing or replacing a Docker plugin deletes the data it keeps. Do it {}.",
        door.past()
    ))
}

pub fn swarm(door: Door) -> Refusal {
    Refusal::forbidden(format_args!(
        "Swarm deletes the anonymous volumes of a task together with the task, so services, nodes and the swarm \
         itself are not changed through the guard. Do it {}.",
        door.past()
    ))
}

pub fn unlisted(door: Door, method: &str, segments: &[&str]) -> Refusal {
    let path: String = segments.iter().take(4).flat_map(|segment| ["/", segment]).collect();
    let method: String = method.chars().take(16).collect();
    Refusal::forbidden(format_args!(
        "{method} {path} is not among the requests that are known to leave volumes alone. If a docker command of yours \
         needs it, run it {}, and report it.",
        door.past()
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
        Missing::Fact(Fact::Permit(name)) => format!("whether the volume {name:?} may go"),
        Missing::Fact(Fact::Engine) => "where the engine keeps its data".to_owned(),
    };
    Refusal::forbidden(format_args!(
        "whether this leaves every volume alone depends on {what}, which could not be found out. Try again."
    ))
}
