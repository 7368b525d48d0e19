//! Health endpoints that the server can ask, from the health checks that the services have.

use crate::{
    compose::{Model, Port, Service},
    facts::Facts,
};

/// A URL that a healthy release answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    pub url: String,
    pub service: String,
    /// Whether the service's health check says so; else it is a guess, and left to the person.
    pub certain: bool,
}

/// One for each service that publishes a port, and whose health check asks for a page on it.
pub fn find(facts: &Facts, model: &Model, profiles: &[String]) -> Vec<Health> {
    let mut found = Vec::new();
    for (name, service) in model.running(profiles) {
        let checked = endpoint(facts, service);
        let port = match &checked {
            Some((target, _)) => service.ports.iter().find(|port| port.target == *target && !port.udp),
            None => service.ports.iter().find(|port| !port.udp && looks_like_http(port)),
        };
        let Some((address, published)) = port.and_then(reached) else { continue };
        let page = checked.as_ref().map_or("/", |(_, page)| page.as_str());
        let host = if published == 80 { address } else { format!("{address}:{published}") };
        let url = format!("http://{host}{page}");
        found.push(Health { url, service: name.to_owned(), certain: checked.is_some() });
    }
    found.sort_by_key(|health| !health.certain);
    found
}

/// Port and page that a service's health check asks for, inside the container.
fn endpoint(facts: &Facts, service: &Service) -> Option<(u16, String)> {
    match &service.health {
        Some(words) => in_text(&words.join(" ")),
        None => in_text(&of_dockerfile(facts.text(&service.dockerfile()?)?)?),
    }
}

/// The last `HEALTHCHECK` of a Dockerfile, its continued lines joined.
fn of_dockerfile(text: &str) -> Option<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let is_check = |line: &&str| line.get(..11).is_some_and(|word| word.eq_ignore_ascii_case("HEALTHCHECK"));
    joined.lines().map(str::trim_start).rfind(is_check).map(str::to_owned)
}

fn in_text(text: &str) -> Option<(u16, String)> {
    let rest = text.split("http://").nth(1)?;
    let end = rest.find(|c: char| c.is_whitespace() || "\"'`)|;,]<>".contains(c)).unwrap_or(rest.len());
    let url = rest.get(..end)?;
    let (host, page) = url.split_once('/').unwrap_or((url, ""));
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let here = matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "::1");
    let plain = !page.contains(['$', '{', '\\']);
    (here && plain).then_some(())?;
    Some((port.parse().ok()?, format!("/{page}")))
}

/// Where the server itself reaches a published port.
fn reached(port: &Port) -> Option<(String, u16)> {
    let address = match port.address.as_deref() {
        None | Some("0.0.0.0" | "::" | "127.0.0.1" | "localhost") => "127.0.0.1".to_owned(),
        Some(address) if address.contains(':') => format!("[{address}]"),
        Some(address) => address.to_owned(),
    };
    Some((address, port.published?))
}

fn looks_like_http(port: &Port) -> bool {
    matches!(port.target, 80 | 3000..=3999 | 4000 | 4321 | 5000 | 5173 | 8000..=8999 | 9000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_in_health_checks() {
        for (text, expected) in [
            ("curl -f http://localhost:8000/health || exit 1", Some((8000, "/health"))),
            ("wget -qO- http://127.0.0.1/", Some((80, "/"))),
            ("curl http://localhost", Some((80, "/"))),
            ("python3 -c \"urlopen('http://localhost:5000/up?x=1')\"", Some((5000, "/up?x=1"))),
            ("curl http://db:8000/", None),
            ("curl http://localhost:$PORT/", None),
            ("pg_isready", None),
        ] {
            let found = in_text(text);
            assert_eq!(found.as_ref().map(|(port, page)| (*port, page.as_str())), expected, "{text}");
        }
    }

    #[test]
    fn a_dockerfile_may_have_the_check() {
        let text = "FROM x\nHEALTHCHECK --interval=5s \\\n  CMD curl -f http://localhost:3000/ok\n";
        assert_eq!(in_text(&of_dockerfile(text).unwrap()), Some((3000, "/ok".into())));
    }
}
