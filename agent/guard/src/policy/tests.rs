use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::facts::{ContainerFact, EngineFact, ImageFact, KEEP_LABEL};

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
        ("DELETE /volumes/pg", ["\"pg\"", "wharfd volume delete", "without -v is fine"]),
        ("POST /volumes/prune", ["every volume", "wharfd volume delete", "without --volumes is fine"]),
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

#[test]
fn refuses_bodies_that_can_be_read_in_two_ways() {
    let rm = r#"{"Image":"plain","HostConfig":{"AutoRemove":true}}"#;
    for body in [
        "",
        "null",
        "[]",
        "\"x\"",
        "{",
        "{}{}",
        "{\"a\":\"\\ud800\"}",
        "\u{feff}{}",
        r#"{"HostConfig":{},"HostConfig":{"AutoRemove":true}}"#,
        r#"{"HostConfig":{},"hostconfig":{"AutoRemove":true}}"#,
        "{\"HostConfig\":{},\"Ho\u{17f}tConfig\":{}}",
        r#"{"HostConfig":{"AutoRemove":false,"autoremove":true}}"#,
        r#"{"HostConfig":{"AutoRemove":"true"}}"#,
        r#"{"HostConfig":{"AutoRemove":1}}"#,
        r#"{"HostConfig":[]}"#,
        r#"{"HostConfig":{"Mounts":{}}}"#,
        r#"{"HostConfig":{"Mounts":[null]}}"#,
        r#"{"HostConfig":{"Mounts":[{"Type":"Volume"}]}}"#,
        r#"{"HostConfig":{"Mounts":[{"Type":"volume","type":"bind"}]}}"#,
        r#"{"HostConfig":{"Mounts":[{"Type":"quantum","Source":"x"}]}}"#,
        r#"{"AutoRemove":true,"Image":"data"}"#,
        r#"{"VolumesFrom":["web"]}"#,
        r#"{"binds":["/:/x"]}"#,
        r#"{"HostConfig":{"AutoRemove":true,"RestartPolicy":{"name":"always"}}}"#,
        r#"{"Image":"plain/../../x","HostConfig":{"AutoRemove":true}}"#,
        r#"{"Image":"plain/json?x=","HostConfig":{"AutoRemove":true}}"#,
        r#"{"Image":["data"],"HostConfig":{"AutoRemove":true}}"#,
        r#"{"Labels":[],"Image":"data","HostConfig":{"AutoRemove":true}}"#,
    ] {
        for policy in [OPEN, TIGHT] {
            assert_eq!(
                refusal(verdict(&with_body("POST", "/containers/create", body), policy, &facts())).status,
                400,
                "{body}"
            );
        }
    }
    for kind in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/json, application/x-www-form-urlencoded",
    ] {
        let request =
            Request { content_type: Some(kind.into()), ..with_body("POST", "/containers/create", rm) };
        assert_eq!(refusal(verdict(&request, OPEN, &facts())).status, 400, "{kind}");
    }
    let form = Request {
        content_type: Some("Application/X-WWW-Form-Urlencoded".into()),
        ..request("POST", "/images/create")
    };
    assert_eq!(refusal(verdict(&form, OPEN, &facts())).status, 400);
}

#[test]
fn keeps_volumes_that_a_container_would_take_along() {
    let rm = |mut body: serde_json::Value| {
        body["HostConfig"]["AutoRemove"] = true.into();
        create(&body)
    };
    for body in [
        json!({"Image": "data"}),
        json!({"Image": "none"}),
        json!({}),
        json!({"Image": "plain", "Volumes": {"/x": {}}}),
        json!({"Image": "plain", "vOLUMES": {"/x": {}}}),
        json!({"Image": "plain", "HostConfig": {"Binds": ["/x"]}}),
        json!({"Image": "plain", "HostConfig": {"VolumesFrom": ["web"]}}),
        json!({"Image": "plain", "HostConfig": {"volumeſfrom": ["web"]}}),
        json!({"Image": "plain", "HostConfig": {"volumesfrom": ["web"]}}),
        json!({"Image": "plain", "HostConfig": {"mountſ": [{"tYpe": "volume", "Target": "/x"}]}}),
        json!({"Image": "plain", "HostConfig": {"Mounts": [{"Type": "volume", "Source": "", "Target": "/x"}]}}),
        json!({"Image": "data", "Labels": {"a": "b"}}),
    ] {
        let Verdict::ForwardKeepingVolumes(forward) = verdict(&rm(body.clone()), OPEN, &facts()) else {
            panic!("{body}")
        };
        let sent: serde_json::Value = serde_json::from_slice(&forward.body.unwrap()).unwrap();
        assert_eq!(sent["HostConfig"]["AutoRemove"], false, "{sent}");
        assert!(sent["Labels"][KEEP_LABEL].is_string(), "{sent}");
    }
    for spelling in ["hostconfig", "HOSTCONFIG", "Hoſtconfig", "hOstConfig"] {
        for key in ["autoremove", "AUTOREMOVE", "AutoRemove"] {
            let request = create(&json!({"image": "data", spelling: {key: true}}));
            let Verdict::ForwardKeepingVolumes(forward) = verdict(&request, OPEN, &facts()) else {
                panic!("{spelling} {key}")
            };
            let sent: serde_json::Value = serde_json::from_slice(&forward.body.unwrap()).unwrap();
            assert_eq!(sent["HostConfig"], json!({"AutoRemove": false}));
        }
    }
    let Verdict::Forward(plain) =
        verdict(&rm(json!({"Image": "plain", "HostConfig": {"Binds": ["named:/x"]}})), OPEN, &facts())
    else {
        panic!("forwarded")
    };
    assert_eq!(plain.afterwards, Afterwards::CheckVolumes);
    // Nobody but the guard marks containers for removal.
    let sent = forwarded(verdict(
        &create(&json!({"Image": "data", "Labels": {KEEP_LABEL: "x", "a": "b"}})),
        OPEN,
        &facts(),
    ))
    .body
    .unwrap();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&sent).unwrap(),
        json!({"Image": "data", "Labels": {"a": "b"}})
    );
}

#[test]
fn containers_that_are_as_good_as_root_depend_on_the_socket() {
    let host = |host: serde_json::Value| create(&json!({"Image": "plain", "HostConfig": host}));
    for tight in [
        json!({"Privileged": true}),
        json!({"privileged": true}),
        json!({"CapAdd": ["SYS_ADMIN"]}),
        json!({"CapAdd": "ALL"}),
        json!({"CapAdd": ["cap_sys_ptrace"]}),
        json!({"PidMode": "host"}),
        json!({"PidMode": "container:web"}),
        json!({"UsernsMode": "host"}),
        json!({"Devices": [{"PathOnHost": "/dev/vda"}]}),
        json!({"DeviceCgroupRules": ["b *:* rwm"]}),
        json!({"SecurityOpt": ["apparmor=unconfined"]}),
        json!({"MaskedPaths": []}),
        json!({"ReadonlyPaths": []}),
        json!({"Runtime": "runsc"}),
        json!({"Annotations": {"org.systemd.property.X": "1"}}),
        json!({"BrandNew": true}),
        json!({"Binds": ["/:/host:ro"]}),
        json!({"Binds": ["/var:/x"]}),
        json!({"Binds": ["/link:/x"]}),
        json!({"Binds": ["/proc/1:/x:ro"]}),
        json!({"Binds": ["/run/docker.sock:/s:ro"]}),
        json!({"Binds": ["/run:/r"]}),
        json!({"Binds": ["/etc:/r"]}),
        json!({"Mounts": [{"Type": "bind", "Source": "/link", "Target": "/x", "ReadOnly": true}]}),
        json!({"mounts": [{"type": "bind", "source": "/", "target": "/x"}]}),
        json!({"VolumesFrom": ["root"]}),
        json!({"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/link"}}}}]}),
        json!({"Mounts": [{"Type": "volume", "Target": "/x", "volumeoptions": {"driverconfig": {"name": "local", "options": {"type": "ext4", "device": "/dev/vda"}}}}]}),
    ] {
        assert_eq!(refusal(verdict(&host(tight.clone()), TIGHT, &facts())).status, 403, "{tight}");
        forwarded(verdict(&host(tight), OPEN, &facts()));
    }
    for fine in [
        json!({"Binds": ["/srv:/x", "/srv/:/y:rw", "named:/z", "/etc/localtime:/etc/localtime:ro"]}),
        json!({"CapAdd": ["NET_BIND_SERVICE"], "CapDrop": ["ALL"]}),
        json!({"SecurityOpt": ["no-new-privileges:true"]}),
        json!({"MaskedPaths": null, "ReadonlyPaths": null, "Privileged": false, "PidMode": ""}),
        json!({"Mounts": [{"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {}}, {"Type": "tmpfs", "Target": "/t"}]}),
        json!({"VolumesFrom": ["web:ro"]}),
    ] {
        forwarded(verdict(&host(fine), TIGHT, &facts()));
    }
    assert_eq!(refusal(verdict(&host(json!({"Binds": ["/srv/../x:/x"]})), TIGHT, &facts())).status, 400);
}

#[test]
fn a_tight_socket_watches_what_reaches_into_containers_too() {
    for (method, target, body) in [
        ("POST", "/containers/web/exec", r#"{"Cmd":["sh"],"privileged":true}"#),
        ("POST", "/containers/root/exec", r#"{"Cmd":["sh"]}"#),
        ("POST", "/containers/root/start", ""),
        ("POST", "/containers/root/attach", ""),
        ("PUT", "/containers/root/archive?path=%2F", ""),
        ("POST", "/containers/web/update", r#"{"Devices":[{}]}"#),
        ("POST", "/volumes/create", r#"{"driveropts":{"type":"none","o":"rbind,rw","device":"/link"}}"#),
        (
            "POST",
            "/volumes/create",
            r#"{"Driver":"local","DriverOpts":{"type":"ext4","device":"/dev/vda1"}}"#,
        ),
        ("POST", "/plugins/pull", ""),
        ("POST", "/swarm/join", ""),
        (
            "POST",
            "/volumes/create",
            r#"{"DriverOpts":{"type":"overlay","o":"lowerdir=/,upperdir=/srv,workdir=/srv","device":"overlay"}}"#,
        ),
    ] {
        assert_eq!(
            refusal(verdict(&with_body(method, target, body), TIGHT, &facts())).status,
            403,
            "{target} {body}"
        );
    }
    for (target, body) in [
        ("/containers/web/exec", r#"{"Cmd":["sh"],"Privileged":false}"#),
        ("/volumes/create", r#"{"Name":"x"}"#),
        ("/volumes/create", r#"{"DriverOpts":{"type":"nfs","o":"addr=h,rw","device":":/x"}}"#),
        ("/volumes/create", r#"{"DriverOpts":{"type":"none","o":"bind","device":"/srv"}}"#),
        ("/containers/web/update", r#"{"Memory":1}"#),
    ] {
        assert_eq!(
            forwarded(verdict(&with_body("POST", target, body), TIGHT, &facts())).body.as_deref(),
            Some(body.as_bytes())
        );
    }
}

/// What may reach the engine at all, said once more and in another way: by looking at what would be sent.
fn deletes_a_volume(forward: &Forward) -> bool {
    let target = Target::parse(&forward.target).unwrap();
    let body: serde_json::Value =
        forward.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    match (forward.method.as_str(), target.segments().first().copied()) {
        ("GET" | "HEAD" | "OPTIONS", _) => false,
        (_, Some("volumes")) => target.segments() != ["volumes", "create"],
        ("DELETE", Some("containers")) => target.query().get("v").is_some(),
        _ => {
            body["HostConfig"]["AutoRemove"] == true
                && (body["Image"] != "plain"
                    || !body["Volumes"].is_null()
                    || !body["HostConfig"]["VolumesFrom"].is_null())
        }
    }
}

fn hostile_target() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("volumes"),
        Just("containers"),
        Just("web"),
        Just("create"),
        Just("prune"),
        Just("v1.45"),
        Just("%76olumes"),
        Just(".."),
        Just(""),
        Just("images"),
        Just("fleeting"),
        Just("stop")
    ];
    let pair = prop_oneof![
        Just("v=1"),
        Just("%76=1"),
        Just("v=0"),
        Just("force=1"),
        Just("V=1"),
        Just("v"),
        Just("v=%00"),
        Just(";v=1")
    ];
    (prop::collection::vec(part, 0..5), prop::collection::vec(pair, 0..3))
        .prop_map(|(parts, pairs)| format!("/{}?{}", parts.join("/"), pairs.join("&")))
}

fn hostile_body() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("HostConfig"),
        Just("hostconfig"),
        Just("Ho\u{17f}tConfig"),
        Just("AutoRemove"),
        Just("autoremove"),
        Just("Image"),
        Just("Volumes"),
        Just("VolumesFrom"),
        Just("volumeſFrom")
    ];
    let leaf = prop_oneof![
        Just("true"),
        Just("false"),
        Just("null"),
        Just("\"plain\""),
        Just("\"data\""),
        Just("[\"web\"]"),
        Just("{\"/x\":{}}")
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop::collection::vec((key.clone(), inner), 0..5).prop_map(|pairs| {
            let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("{{{}}}", pairs.join(","))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_answered(method in "[A-Z]{0,8}", target in any::<String>(), body in any::<Option<Vec<u8>>>(), kind in any::<Option<String>>(), tight in any::<bool>()) {
        let request = Request { body, content_type: kind, ..request(&method, &target) };
        let _ = verdict(&request, Policy { allow_root_equivalent: !tight }, &facts());
    }

    #[test]
    fn nothing_that_is_sent_on_deletes_a_volume(method in "GET|POST|PUT|DELETE", target in hostile_target(), body in hostile_body()) {
        if let Verdict::Forward(forward) | Verdict::ForwardKeepingVolumes(forward) = verdict(&with_body(&method, &target, &body), OPEN, &facts()) {
            prop_assert!(!deletes_a_volume(&forward), "{:?}", forward);
        }
    }

    #[test]
    fn nothing_that_is_created_takes_a_volume_along(body in hostile_body()) {
        if let Verdict::Forward(forward) | Verdict::ForwardKeepingVolumes(forward) = verdict(&with_body("POST", "/containers/create", &body), OPEN, &facts()) {
            prop_assert!(!deletes_a_volume(&forward), "{:?}", forward);
        }
    }
}
