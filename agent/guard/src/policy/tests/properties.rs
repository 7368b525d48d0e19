//! What holds for any request.

use proptest::prelude::*;

use super::*;

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
