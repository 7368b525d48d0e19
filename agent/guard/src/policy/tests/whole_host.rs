//! The same policy where the engine asks before it serves a request.

use serde_json::json;

use super::*;
use crate::policy::whole_host::{Answer, answer, judge};

fn denied(request: &Request) -> String {
    match answer(request, &facts()) {
        Answer::Deny(why) => why,
        Answer::Allow => panic!("allowed: {request:?}"),
    }
}

fn allowed(request: &Request) {
    assert_eq!(answer(request, &facts()), Answer::Allow, "{request:?}");
}

#[test]
fn what_deletes_volumes_is_denied_and_names_the_one_way() {
    for line in [
        "DELETE /v1.45/volumes/x",
        "DELETE /volumes/x?force=1",
        "POST /volumes/prune",
        "DELETE /containers/web?v=1",
        "DELETE /v1.45/containers/web?force=1&v=yes",
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        let mut facts = facts();
        facts.know_permit("x", false);
        let Answer::Deny(why) = answer(&request(method, target), &facts) else { panic!("{line}") };
        assert!(why.contains("wharfd volume delete NAME") && !why.contains("socket"), "{line}: {why}");
    }
    for line in [
        "DELETE /%76olumes/x",
        "DELETE http://docker/volumes/x",
        "DELETE //volumes/x",
        "DELETE /containers/web?v=0&v=1",
        "POST /containers/fleeting/stop",
        "POST /containers/fleeting/start",
        "POST /services/create",
        "DELETE /plugins/x",
        "POST /unheard/of",
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        denied(&request(method, target));
    }
}

#[test]
fn reads_and_what_is_not_there_are_the_engines_own_business() {
    // Without a fact: the guard's own reads are among them.
    let none = Facts::default();
    for line in [
        "GET /containers/web/json",
        "GET /v1.45/images/a/b:1/json",
        "HEAD /_ping",
        "GET /containers/web/attach/ws",
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        assert_eq!(judge(&request(method, target), &none), Ok(Answer::Allow), "{line}");
    }
    for line in [
        "POST /containers/gone/stop",
        "POST /containers/web/stop?t=0",
        "POST /containers/bare/kill",
        "POST /containers/kept/wait?condition=next-exit",
        "DELETE /containers/web?force=1&v=0",
        "POST /images/create?fromImage=x",
        "POST /plugins/x/enable",
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        allowed(&request(method, target));
    }
}

#[test]
fn a_permit_is_for_one_plainly_named_volume() {
    let mut facts = facts();
    facts.know_permit("x", true);
    assert_eq!(answer(&request("DELETE", "/v1.45/volumes/x"), &facts), Answer::Allow);
    assert!(judge(&request("DELETE", "/volumes/y"), &facts).is_err());
    for target in
        ["/volumes/x?force=1", "/volumes/x?y=1", "/%76olumes/x", "/volumes/.x", "/volumes/y", "/volumes/x/y"]
    {
        assert!(matches!(answer(&request("DELETE", target), &facts), Answer::Deny(_)), "{target}");
    }
    // It opens no guarded socket.
    assert!(matches!(verdict(&request("DELETE", "/volumes/x"), OPEN, &facts), Verdict::Refuse(_)));
}

#[test]
fn with_rm_only_what_takes_no_volume_along() {
    let rm = |mut more: serde_json::Value, image: &str| {
        more["AutoRemove"] = json!(true);
        create(&json!({"Image": image, "HostConfig": more}))
    };
    for allowed_one in [
        rm(json!({}), "plain"),
        rm(json!({}), "none"),
        rm(json!({"Binds": ["name:/x", "/srv:/y:ro"]}), "plain"),
        rm(json!({"Binds": ["name:/data"]}), "data"),
        rm(json!({"Binds": ["name:/data/:ro"]}), "data"),
        rm(json!({"Mounts": [{"Type": "volume", "Source": "name", "Target": "/data"}]}), "data"),
        rm(json!({"Mounts": [{"type": "tmpfs", "target": "/data"}]}), "data"),
        create(&json!({"Image": "data", "Volumes": {"/y": {}}})),
    ] {
        allowed(&allowed_one);
    }
    for denied_one in [
        rm(json!({}), "data"),
        rm(json!({"Binds": ["name:/data/x"]}), "data"),
        rm(json!({"Binds": ["/data"]}), "data"),
        rm(json!({"Binds": [":/data"]}), "data"),
        rm(json!({"Tmpfs": {"/data": ""}}), "data"),
        rm(json!({"Mounts": [{"Type": "volume", "Target": "/data"}]}), "data"),
        rm(json!({"VolumesFrom": ["web"]}), "plain"),
        create(&json!({"Image": "plain", "Volumes": {"/y": {}}, "HostConfig": {"AutoRemove": true}})),
    ] {
        let why = denied(&denied_one);
        assert!(why.contains("-v NAME:/path"), "{why}");
    }
}

#[test]
fn what_the_engine_does_not_show_is_denied() {
    // Longer than it passes on, not declared as JSON, or `Content-Length: 0` and chunks behind it.
    for kind in [None, Some("application/json"), Some("text/plain")] {
        let request =
            Request { content_type: kind.map(str::to_owned), ..request("POST", "/containers/create") };
        let why = denied(&request);
        assert!(why.contains("does not show") || why.contains("not declared"), "{why}");
    }
    denied(&create(&json!([])));
    allowed(&request("POST", "/v1.45/build?t=x"));
}
