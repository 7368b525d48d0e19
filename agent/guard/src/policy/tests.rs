use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::facts::{ContainerFact, EngineFact, ImageFact};

mod bodies;
mod properties;
mod whole_host;

const OPEN: Policy = Policy { allow_root_equivalent: true };
const TIGHT: Policy = Policy { allow_root_equivalent: false };

/// An engine with a plain container, one whose end would take a volume along, one that the guard removes, and a privileged one.
fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.know_image("plain", Some(ImageFact { id: "sha256:1".into(), volumes: vec![] }));
    facts.know_image("data", Some(ImageFact { id: "sha256:2".into(), volumes: vec!["/data".into()] }));
    facts.know_image("none", None);
    let container = |id: &str, auto_remove: bool, volumes: &[&str], host: serde_json::Value| {
        let Ok(Json::Object(host_config)) = Json::parse(host.to_string().as_bytes()) else {
            panic!("an object")
        };
        let anonymous_volumes = volumes.iter().map(|name| (*name).to_owned()).collect();
        Some(ContainerFact {
            id: id.into(),
            auto_remove,
            kept: id == "id-kept",
            status: "running".into(),
            anonymous_volumes,
            host_config,
        })
    };
    facts.know_container("web", container("id-web", false, &["abc"], json!({})));
    facts.know_container("fleeting", container("id-fleeting", true, &["abc"], json!({})));
    facts.know_container("bare", container("id-bare", true, &[], json!({})));
    facts.know_container("kept", container("id-kept", false, &["abc"], json!({})));
    facts.know_container("root", container("id-root", false, &[], json!({"Privileged": true})));
    facts.know_container("gone", None);
    facts.know_engine(EngineFact {
        root: "/var/lib/docker".into(),
        sockets: vec!["/run/docker.sock".into(), "/run/docker".into()],
    });
    for (path, real) in [
        ("/", "/"),
        ("/srv", "/srv"),
        ("/srv/", "/srv"),
        ("/var", "/var"),
        ("/link", "/var/lib/docker/volumes"),
        ("/proc/1", "/proc/1"),
        ("/run/docker.sock", "/run/docker.sock"),
        ("/run", "/run"),
        ("/etc/localtime", "/usr/share/zoneinfo/UTC"),
        ("/etc", "/etc"),
        ("/dev/dri", "/dev/dri"),
        ("/dev/vda", "/dev/vda"),
        ("/var/lib/docker/volumes/x/_data", "/var/lib/docker/volumes/x/_data"),
    ] {
        facts.know_path(path, PathBuf::from(real));
    }
    facts
}

fn request(method: &str, target: &str) -> Request {
    Request::new(method, target)
}

fn with_body(method: &str, target: &str, body: &str) -> Request {
    Request {
        body: Some(body.into()),
        content_type: Some("application/json".into()),
        ..request(method, target)
    }
}

fn create(body: &serde_json::Value) -> Request {
    with_body("POST", "/v1.45/containers/create?name=x", &body.to_string())
}

fn forwarded(verdict: Verdict) -> Forward {
    match verdict {
        Verdict::Forward(forward) | Verdict::ForwardKeepingVolumes(forward) => forward,
        Verdict::Refuse(refusal) => panic!("{}", refusal.message),
    }
}

fn refusal(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refuse(refusal) => refusal,
        Verdict::Forward(forward) | Verdict::ForwardKeepingVolumes(forward) => panic!("{forward:?}"),
    }
}

#[test]
fn lets_ordinary_requests_through_as_they_are() {
    for line in [
        "GET /_ping",
        "HEAD /_ping",
        "GET /v1.45/info",
        "GET /v1.45/volumes",
        "GET /v1.45/volumes/x",
        "GET /v1.45/events?since=1",
        "OPTIONS /v1.45/info",
        "GET /v1.45/containers/web/logs?follow=1&stdout=1",
        "HEAD /v1.45/containers/web/archive?path=%2F",
        "POST /v1.45/auth",
        "POST /v1.45/build?t=a&t=b",
        "POST /v1.45/build/prune?all=1",
        "POST /v1.45/build/cancel?id=x",
        "POST /v1.45/commit?container=web",
        "POST /v1.45/images/create?fromImage=x",
        "POST /v1.45/images/load?quiet=1",
        "POST /v1.45/images/a/b:1/tag?repo=c",
        "POST /v1.45/images/a/push",
        "POST /v1.45/images/prune",
        "DELETE /v1.45/images/a/b:1?force=1",
        "POST /v1.45/networks/create",
        "POST /v1.45/networks/n/connect",
        "POST /v1.45/networks/n/disconnect",
        "POST /v1.45/networks/prune",
        "DELETE /v1.45/networks/n",
        "POST /v1.45/containers/prune",
        "POST /v1.45/containers/web/pause",
        "POST /v1.45/containers/web/unpause",
        "POST /v1.45/containers/web/resize?h=1&w=2",
        "POST /v1.45/containers/web/rename?name=y",
        "POST /v1.45/containers/web/attach?stream=1",
        "POST /v1.45/containers/web/exec",
        "POST /v1.45/containers/web/update",
        "PUT /v1.45/containers/web/archive?path=%2F",
        "POST /v1.45/exec/e/start",
        "POST /v1.45/exec/e/resize?h=1",
        "POST /v1.45/session",
        "POST /v1.45/grpc",
        "POST /grpc",
        "POST /v1.45/volumes/create",
        "POST /v1.45/secrets/create",
        "DELETE /v1.45/configs/x",
        "DELETE /v1.45/containers/web?force=1",
        "POST /v1.45/plugins/pull?remote=x",
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        let forward = forwarded(verdict(&request(method, target), OPEN, &facts()));
        assert_eq!((forward.method.as_str(), forward.target.as_str()), (method, target));
        assert!(forward.body.is_none_or(|body| body.is_empty()));
    }
}

#[test]
fn refuses_what_deletes_volumes_and_what_it_does_not_know() {
    for line in [
        "DELETE /v1.45/volumes/x",
        "DELETE /volumes/x?force=1",
        "POST /v1.45/volumes/prune",
        "POST /volumes/prune?filters=%7B%7D",
        "PUT /v1.45/volumes/x?version=1",
        "DELETE /v1.45/containers/web?v=1",
        "DELETE /v1.45/containers/web?v=yes",
        "DELETE /v1.45/containers/web?%76=1",
        "DELETE /v1.45/containers/web?v=1&v=0",
        "DELETE /v1.45/containers/web?v=%31",
        "DELETE /v1.45/containers/web?force=1&v=t",
        "DELETE /v1.45/containers/web?V=1",
        "DELETE /v1.45/containers/web?volumes=1",
        "DELETE /v1.45/containers/web?v=0&%76=1",
        "DELETE /v1.45/containers/web/x?v=1",
        "DELETE /v1.45/containers/%77eb?v=1",
        "POST /system/prune?volumes=1",
        "DELETE http://docker/volumes/x",
        "DELETE //volumes/x",
        "DELETE /%76olumes/x",
        "DELETE /volumes%2Fx",
        "DELETE /v1.45/v1.45/volumes/x",
        "DELETE /v1.45/./volumes/x",
        "delete /volumes/x",
        "DELETE /VOLUMES/x",
        "PATCH /volumes/x",
        "CONNECT /volumes/x",
        "PURGE /volumes/x",
        "POST /volumes/x",
        "TRACE /info",
        "DELETE /plugins/p",
        "POST /plugins/p/upgrade",
        "POST /plugins/a/b/upgrade",
        "DELETE /services/s",
        "POST /services/create",
        "POST /services/s/update",
        "POST /swarm/leave?force=1",
        "POST /swarm/update",
        "POST /swarm/init",
        "DELETE /nodes/n",
        "POST /nodes/n/update",
        "POST /containers/web/checkpoints",
        "POST /containers/web/copy",
        "POST /new/thing",
        "POST /containers/fleeting/stop",
        "POST /containers/fleeting/kill?signal=9",
        "POST /containers/fleeting/restart",
        "POST /containers/fleeting/start",
        "POST /",
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        for policy in [OPEN, TIGHT] {
            let refusal = refusal(verdict(&request(method, target), policy, &facts()));
            assert!(refusal.message.starts_with("refused: "), "{line}: {}", refusal.message);
            assert!(matches!(refusal.status, 400 | 403), "{line}");
        }
    }
}

#[test]
fn says_what_why_and_what_instead() {
    let text = |line: &str| {
        let (method, target) = line.split_once(' ').unwrap();
        refusal(verdict(&request(method, target), TIGHT, &facts())).message
    };
    for (line, words) in [
        ("DELETE /volumes/pg", ["\"pg\"", "docker volume rm NAME", "without -v is fine"]),
        ("POST /volumes/prune", ["every volume", "docker volume rm NAME", "without --volumes is fine"]),
        ("DELETE /containers/web?v=1", ["\"web\"", "anonymous volumes", "without -v is fine"]),
        ("POST /containers/fleeting/stop", ["--rm", "abc", "docker rm -f fleeting"]),
        ("POST /containers/root/exec", ["\"root\"", "Privileged", "wharfd.toml"]),
    ] {
        words.iter().for_each(|word| assert!(text(line).contains(word), "{line}: {}", text(line)));
    }
}

#[test]
fn pins_names_and_takes_the_volumes_out() {
    for (line, target) in [
        ("DELETE /containers/web?v=0&force=1", "/containers/web?force=1"),
        ("POST /containers/web/stop?t=3", "/containers/id-web/stop?t=3"),
        ("POST /v1.45/containers/bare/kill", "/v1.45/containers/id-bare/kill"),
        ("POST /containers/web/start", "/containers/id-web/start"),
        ("POST /containers/web/restart", "/containers/id-web/restart"),
        ("POST /containers/web/wait?condition=next-exit", "/containers/id-web/wait?condition=next-exit"),
        ("POST /containers/kept/wait?condition=next-exit", "/containers/id-kept/wait?condition=removed"),
        (
            "POST /containers/kept/wait?condition=not-running",
            "/containers/id-kept/wait?condition=not-running",
        ),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        assert_eq!(forwarded(verdict(&request(method, path), TIGHT, &facts())).target, target);
    }
    assert_eq!(refusal(verdict(&request("POST", "/containers/gone/stop"), TIGHT, &facts())).status, 404);
}

#[test]
fn asks_for_what_it_lacks_and_refuses_without() {
    let none = Facts::default();
    for (request, missing) in [
        (request("POST", "/containers/x/stop"), Missing::Fact(Fact::Container("x".into()))),
        (request("POST", "/containers/create"), Missing::Body),
        (
            create(&json!({"Image": "a/b:1", "HostConfig": {"AutoRemove": true}})),
            Missing::Fact(Fact::Image("a/b:1".into())),
        ),
        (
            create(&json!({"HostConfig": {"Binds": ["/srv:/x"]}})),
            Missing::Fact(Fact::RealPath("/srv".into())),
        ),
        (
            create(&json!({"HostConfig": {"VolumesFrom": ["c:ro"]}})),
            Missing::Fact(Fact::Container("c".into())),
        ),
    ] {
        assert_eq!(judge(&request, TIGHT, &none), Err(missing));
        assert_eq!(refusal(verdict(&request, TIGHT, &none)).status, 403);
    }
}

#[test]
fn switches_protocols_only_where_the_route_does() {
    for (line, upgrade, expected) in [
        ("POST /containers/web/attach", "tcp", Some(Some(Upgrade::Tcp))),
        ("POST /exec/e/start", "tcp", Some(Some(Upgrade::Tcp))),
        ("POST /session", "h2c", Some(Some(Upgrade::H2c))),
        ("POST /v1.45/grpc", "H2C", Some(Some(Upgrade::H2c))),
        ("GET /containers/web/attach/ws", "websocket", Some(Some(Upgrade::Websocket))),
        ("POST /build", "h2c", Some(None)),
        ("GET /info", "tcp", None),
        ("GET /_ping", "h2c", None),
        ("POST /grpc", "tcp", None),
        ("POST /exec/e/start", "h2c", None),
        ("POST /exec/e/start", "tcp, h2c", None),
        ("POST /exec/e/resize", "tcp", None),
        ("POST /images/create", "h2c", None),
        ("DELETE /containers/web", "tcp", None),
        ("POST /containers/web/start", "tcp", None),
        ("POST /containers/create", "tcp", None),
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = request(method, target);
        request.upgrade = Some(upgrade.to_owned());
        request.body = Some(b"{}".to_vec());
        match (verdict(&request, OPEN, &facts()), expected) {
            (Verdict::Forward(forward), Some(expected)) => assert_eq!(forward.upgrade, expected, "{line}"),
            (Verdict::Refuse(_), None) => {}
            (other, _) => panic!("{line} {upgrade}: {other:?}"),
        }
    }
}
