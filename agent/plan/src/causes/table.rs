//! The table of known causes.

use super::{Evidence, missing, web};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A row: general texts for the documentation, and what finds it in a failure.
#[derive(Debug)]
pub struct KnownCause {
    pub name: &'static str,
    pub symptom: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
    /// The cause and the remedy as this case has them.
    pub(super) matches: fn(&Evidence) -> Option<(String, String)>,
}

impl PartialEq for KnownCause {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for KnownCause {}

/// Every known cause. The order is that of the documentation.
pub static TABLE: &[KnownCause] = &[
    KnownCause {
        name: "out of memory",
        symptom: "A container or a step of a build ends with exit code 137, or Docker says that it was killed for want of memory",
        cause: "It needs more memory than its limit (`mem_limit`, `deploy.resources.limits.memory`) or the server has",
        remedy: "Raise the service's limit or have it use less (fewer workers, smaller caches); on a small server add swap",
        matches: out_of_memory,
    },
    KnownCause {
        name: "port in use",
        symptom: "`port is already allocated`, or `address already in use` when a container starts",
        cause: "Another container or program of the server has the port that the service publishes",
        remedy: "Find who has it: `docker ps --filter publish=PORT`, `ss -ltnp`; end that, or publish another port",
        matches: port_in_use,
    },
    KnownCause {
        name: "password characters",
        symptom: "`password authentication failed` or a host name with an `@`, and a password in the env file with characters such as `@ # : / %`",
        cause: "The password stands in a URL, where such characters end it or mean something else",
        remedy: "Give the database a password of letters and digits: `wharf db password`; name the key under `plain` in `[secrets]`",
        matches: password_characters,
    },
    KnownCause {
        name: "password differs",
        symptom: "`password authentication failed`, and the passwords in the env file are of plain characters",
        cause: "The database has another password: `POSTGRES_PASSWORD` counts only when its volume is new",
        remedy: "Set both to the same: `wharf db password`; or put the old value back with `wharf secrets set`",
        matches: password_differs,
    },
    KnownCause {
        name: "deep link without try_files",
        symptom: "The start page answers and a page below it answers 404, from an nginx without `try_files`",
        cause: "The pages of a single-page app exist in the browser only; nginx looks for a file of that name",
        remedy: "In nginx's `location /`: `try_files $uri $uri/ /index.html;`",
        matches: web::deep_link,
    },
    KnownCause {
        name: "trailing slash",
        symptom: "A page answers 404, 301, 302, 307 or 308, and the same address with or without a slash at its end answers",
        cause: "The app's route and the address differ by the slash at the end",
        remedy: "Write the address as the app has it, in `[[health]]` and in the front end, or accept both in the app",
        matches: web::trailing_slash,
    },
    KnownCause {
        name: "file not in the image",
        symptom: "A module or file is not found, and the project has it",
        cause: "The Dockerfile does not copy it, copies it elsewhere, or a `.dockerignore` leaves it out",
        remedy: "Add a `COPY` for it to the Dockerfile, and see that no `.dockerignore` names it",
        matches: missing::not_in_image,
    },
    KnownCause {
        name: "private registry",
        symptom: "`pull access denied`, `no basic auth credentials` or `authentication required` when an image is pulled",
        cause: "Its registry lets nobody pull it without a login, or has no such image",
        remedy: "Log the server in: `wharf registry login HOST -u USER`; or correct the image's name",
        matches: private_registry,
    },
    KnownCause {
        name: "disk full",
        symptom: "`no space left on device`",
        cause: "A disk of the server, or the file system that a container writes to, is full",
        remedy: "See what fills it: `df -h`, `docker system df`; free it with `wharf prune` and by cutting logs, never by pruning volumes",
        matches: disk_full,
    },
];

/// How Compose, BuildKit and Wharf write that something was killed.
const KILLED: &[&str] = &["exited (137)", "exit code 137", "exit code: 137"];

fn out_of_memory(evidence: &Evidence) -> Option<(String, String)> {
    let services: BTreeSet<&str> =
        evidence.containers.iter().filter(|c| c.oom_killed).map(|c| c.service.as_str()).collect();
    if services.is_empty() {
        return evidence.says(KILLED).then(|| {
            let cause = "exit code 137: it was killed, most often because memory ran out";
            (
                cause.into(),
                "give it more memory, or have it use less: wharf status shows limits that were met".into(),
            )
        });
    }
    let services = services.into_iter().collect::<Vec<_>>().join(", ");
    let remedy = format!(
        "raise the memory limit of {services} (mem_limit), or have it use less: fewer workers, smaller caches"
    );
    Some((format!("{services} ran out of memory and was killed (exit code 137)"), remedy))
}

fn port_in_use(evidence: &Evidence) -> Option<(String, String)> {
    static PORT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r":(\d{1,5})(?::| failed:).*(?:already allocated|already in use)").ok());
    // Only what Docker says: within a container, ports are the program's own affair.
    let line = evidence.told.iter().find(|line| {
        line.contains("port is already allocated")
            || (line.contains("address already in use") && line.contains("listen"))
            || (line.contains("address already in use") && line.contains("rror response from daemon"))
    })?;
    let port = PORT.as_ref().and_then(|regex| regex.captures(line)).map(|found| found[1].to_owned());
    Some(match port {
        Some(port) => (
            format!("port {port} of the server is in use by another container or program"),
            format!(
                "find who has it: docker ps --filter publish={port}, ss -ltnp 'sport = :{port}'; end that, or publish another port"
            ),
        ),
        None => (
            "a port that the stack publishes is in use by another container or program".into(),
            "find who has it: docker ps, ss -ltnp; end that, or publish another port".into(),
        ),
    })
}

const WRONG_PASSWORD: &str = "password authentication failed";

fn password_characters(evidence: &Evidence) -> Option<(String, String)> {
    if evidence.odd_passwords.is_empty() {
        return None;
    }
    let cut_host = |line: &str| line.contains("could not translate host name") && line.contains('@');
    if !evidence.says(&[WRONG_PASSWORD]) && !evidence.lines().any(cut_host) {
        return None;
    }
    let keys = evidence.odd_passwords.join(", ");
    Some((
        format!(
            "the database does not take the password, and {keys} in the env file has characters that mean something else in a URL"
        ),
        format!(
            "use letters and digits: wharf db password changes the database and the env file together; name {keys} under plain in [secrets], and it is checked before a deploy"
        ),
    ))
}

fn password_differs(evidence: &Evidence) -> Option<(String, String)> {
    (evidence.odd_passwords.is_empty() && evidence.says(&[WRONG_PASSWORD])).then(|| {
        (
            "the database has another password than the env file: POSTGRES_PASSWORD counts only when its volume is new".into(),
            "set both to the same: wharf db password; or put the old value back: wharf secrets set".into(),
        )
    })
}

/// What engines and registries say, in small letters. The last ones are said of other things too.
const NOT_LET_IN: &[&str] = &["no basic auth credentials", "pull access denied", "insufficient_scope"];
const NOT_LET_IN_THERE: &[&str] = &["authentication required", "401 unauthorized", "unauthorized:"];

fn private_registry(evidence: &Evidence) -> Option<(String, String)> {
    static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"https?://([A-Za-z0-9.:-]+)/v2/|(?:access denied for|metadata for|pull image) ([a-z0-9-]*[.:][a-z0-9.:-]*)/").ok()
    });
    // Only what pulled: an app says such things of its own visitors.
    let says = |line: &&String| {
        let line = line.to_lowercase();
        let has = |texts: &[&str]| texts.iter().any(|text| line.contains(text));
        has(NOT_LET_IN) || (has(NOT_LET_IN_THERE) && (line.contains("/v2/") || line.contains("metadata for")))
    };
    evidence.told.iter().find(says)?;
    let hosts = evidence.told.iter().filter_map(|line| HOST.as_ref()?.captures(line));
    let host =
        hosts.filter_map(|found| found.get(1).or_else(|| found.get(2))).map(|found| found.as_str()).next();
    let host = match host {
        None | Some("registry-1.docker.io" | "auth.docker.io" | "docker.io") => "docker.io",
        Some(host) => host,
    };
    Some((
        format!("the registry {host} lets nobody pull that without a login, or has no such image"),
        format!("log the server in: wharf registry login {host} -u USER; or correct the image's name"),
    ))
}

fn disk_full(evidence: &Evidence) -> Option<(String, String)> {
    evidence.says(&["no space left on device"]).then(|| {
        (
            "no space is left on a disk of the server, or on a file system that a container writes to".into(),
            "see what fills it: df -h, docker system df; free it with wharf prune and by cutting logs, never by pruning volumes".into(),
        )
    })
}
