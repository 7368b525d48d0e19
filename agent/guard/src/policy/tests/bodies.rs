//! What bodies say, and what becomes of them.

use serde_json::json;

use super::*;
use crate::facts::KEEP_LABEL;

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
        json!({"PidMode": "container:root"}),
        json!({"UsernsMode": "host"}),
        json!({"Devices": [{"PathOnHost": "/dev/vda"}]}),
        json!({"Devices": [{"PathOnHost": "/dev/dri"}, {"pathonhost": "/dev/vda"}]}),
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
        json!({"VolumesFrom": ["web:ro"], "PidMode": "container:web"}),
        json!({"Devices": [{"pathOnHost": "/dev/dri"}], "DeviceRequests": [{"Driver": "nvidia", "Count": -1}]}),
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
