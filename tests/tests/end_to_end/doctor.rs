//! What a deploy needs, looked at, and what nobody needs, removed: issue 4, "Operations" (R33, R43).

use serde_json::Value;
use std::process::{Command, Stdio};
use wharf_tests::{Tls, World, await_that, docker};

/// In place of a restart policy.
const OWN_LOGGING: &str = "    logging: { driver: json-file, options: { max-size: 3m } }\n";
/// What Wharf gives where nobody says otherwise.
const LIMITED: &str = r#"{"Type":"json-file","Config":{"max-file":"5","max-size":"20m"}}"#;

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let mut world = World::fitnessapp();
    before_the_first_deploy(&world);
    let compose = world.laptop.read("docker/docker-compose.prod.yml");
    let (others, web) = compose.split_once("  web:\n").expect("the example has it");
    let without = web.replacen("    restart: unless-stopped\n", OWN_LOGGING, 1);
    world.laptop.write("docker/docker-compose.prod.yml", format!("{others}  web:\n{without}"));
    world.deploy(&[]).exits(0);
    world.laptop.wharf(&["backup", "create"]).exits(0);
    let found = doctor(&world, &[], 0);
    assert_eq!(ails(&found), ["restart policy", "backup age", "recovery key", "backup contents"]);
    assert!(text_of(&found, "restart policy").starts_with("web: "), "{found:?}");
    assert!(text_of(&found, "backup contents").contains("uploads"), "{found:?}");
    let shown = world.laptop.wharf(&["doctor"]).exits(0);
    assert!(shown.stdout.contains("wharf backup key --saved"), "{}", shown.stdout);

    unlimited_log(&world);

    // Each remedy remedies.
    world.laptop.write("docker/docker-compose.prod.yml", compose);
    world.write_config(
        "[[volume]]\npath = \"uploads\"\n[backup]\ndrill = \"off\"\nschedule = \"0 3 * * *\"\n",
    );
    world.deploy(&[]).exits(0);
    world.laptop.wharf(&["backup", "key", "--saved"]).exits(0);
    assert_eq!(ails(&doctor(&world, &[], 0)), Vec::<String>::new());
    assert_eq!([log(&world, "backend"), log(&world, "web")], [LIMITED, LIMITED]);
    let quiet = world.laptop.wharf(&["doctor", "--quiet"]).exits(0).stdout;
    assert!(!quiet.contains("ok  "), "{quiet}");

    pruned(&world);
    certificates(&mut world);

    // A server that lives in another year.
    let (variable, clock) = world.server.set_clock("2026-01-01T00:00:00Z");
    world.server.restart(&[(variable, clock.as_str())]);
    let found = doctor(&world, &[], 1);
    assert!(ails(&found).contains(&"clock"), "{found:?}");

    world.server.kill();
    let found = doctor(&world, &[], 4);
    assert_eq!(ails(&found), ["connection"]);
    assert_eq!(found.last().expect("a check")["level"], "failed");
    assert!(found.iter().any(|check| check["check"] == "wharf.toml" && check["level"] == "ok"), "{found:?}");
}

fn log(world: &World, service: &str) -> String {
    docker::docker(&["inspect", "-f", "{{json .HostConfig.LogConfig}}", &world.container(service)])
}

/// Containers have a limit from their making, but for what the Compose files say and for what somebody makes by hand.
fn unlimited_log(world: &World) {
    let own = r#"{"Type":"json-file","Config":{"max-size":"3m"}}"#;
    assert_eq!([log(world, "db"), log(world, "backend"), log(world, "web")], [LIMITED, LIMITED, own]);
    let before = docker::containers(&world.project);
    world.plain_compose_up(&["--wait"]);
    assert_eq!(docker::containers(&world.project), before, "the limit is none of Compose's business");
    world.plain_compose_up(&["--wait", "--no-deps", "--force-recreate", "backend"]);
    assert_eq!(
        log(world, "backend"),
        r#"{"Type":"json-file","Config":{}}"#,
        "this engine sets a limit itself"
    );
    let found = doctor(world, &[], 0);
    let told = text_of(&found, "container logs");
    assert!(told.starts_with("that of backend (now ") && !told.contains("db"), "{told}");
    let plan = world.laptop.wharf(&["deploy", "--dry-run"]).exits(0);
    let told = plan.stdout + &plan.stderr;
    assert!(told.contains("its log has no limit"), "{told}");
    assert!(told.contains("at most 5 files of 20m for each container of backend\n"), "{told}");
}

/// The server is not known yet, then the app is not.
fn before_the_first_deploy(world: &World) {
    assert_eq!(ails(&doctor(world, &[], 4)), ["host key"]);
    let found = doctor(world, &["--accept-new-host-key"], 0);
    assert_eq!(ails(&found), Vec::<String>::new());
    assert!(text_of(&found, "app").contains("was not deployed there yet"), "{found:?}");
    let config = world.laptop.read("wharf.toml");
    world.laptop.write("wharf.toml", config.replace("[server]", "[sever]"));
    assert_eq!(ails(&doctor(world, &[], 1)), ["wharf.toml"]);
    world.laptop.write("wharf.toml", config);
}

/// An image with nothing in it, as if it was built for a Compose project.
fn image(world: &World, project: &str, name: Option<&str>) -> String {
    let labels =
        [format!("{}={}", docker::APP_LABEL, world.app), format!("com.docker.compose.project={project}")];
    let mut command = Command::new("docker");
    command.arg("import");
    for label in labels {
        command.args(["--change", &format!("LABEL {label}")]);
    }
    // No two are the same.
    command.args(["--message", &wharf_tests::unique(), "-"]).args(name);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker is on the path");
    let archive = [0; 1024];
    let mut stdin = child.stdin.take().expect("stdin is piped");
    std::io::Write::write_all(&mut stdin, &archive).expect("docker reads");
    drop(stdin);
    let output = child.wait_with_output().expect("docker ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What nobody needs goes, and nothing else.
fn pruned(world: &World) {
    let old = format!("{}-web:v999", world.app);
    let nameless = image(world, &world.project, None);
    let named = image(world, &world.project, Some(&old));
    let others = image(world, "another-project", None);
    let used = image(world, &world.project, None);
    let label = format!("com.docker.compose.project={}", world.project);
    let container = docker::docker(&["create", "--label", &label, &used, "nothing"]);
    let there = |id: &str| {
        let output =
            Command::new("docker").args(["image", "inspect", id]).output().expect("docker is on the path");
        output.status.success()
    };
    let (volumes, tags) = (docker::volumes(&world.project), docker::image_tags(&world.app));
    let keep = ["--keep-cache", "1000g"];

    let plan = world.laptop.wharf(&[&["prune", "--dry-run", "--json"][..], &keep].concat()).exits(0).json();
    let mut planned: Vec<&str> = plan[0]["images"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| image["name"].as_str().or(image["id"].as_str()).expect("a name or an ID"))
        .collect();
    planned.sort_unstable();
    let mut expected = [nameless.as_str(), old.as_str()];
    expected.sort_unstable();
    assert_eq!(planned, expected);
    assert!(there(&nameless) && there(&named), "a dry run changed something");

    let told = world.laptop.wharf(&[&["prune"][..], &keep].concat()).exits(0).stderr;
    assert!(told.contains("2 images removed, 0.0 MB of build cache dropped"), "{told}");
    assert_eq!([&nameless, &named, &others, &used].map(|id| there(id)), [false, false, true, true]);
    docker::docker(&["rm", &container]);
    assert_eq!(docker::volumes(&world.project), volumes);
    let kept: Vec<String> = tags.into_iter().filter(|tag| *tag != old).collect();
    assert_eq!(docker::image_tags(&world.app), kept);
    let audit = world.laptop.wharf(&["audit"]).exits(0).stdout;
    assert!(audit.lines().any(|line| line.contains("  prune  ")), "{audit}");
    // A listed release can still be gone back to.
    world.laptop.wharf(&["rollback", "v1", "--yes"]).exits(0);
}

/// What a host shows is in every place where somebody looks, and nobody waits for one that is gone.
fn certificates(world: &mut World) {
    let none = world.laptop.wharf(&["status", "--json"]).exits(0).json();
    assert!(none[0].get("certificates").is_none(), "{none:?}");
    let tls = Tls::start(&world.server.folder.join("tls"), 5);
    world.server.restart(&[("SSL_CERT_FILE", &tls.certificate.display().to_string())]);
    let host = format!("127.0.0.1:{}", tls.port);
    world.write_config(&format!("[[health]]\nurl = \"https://{host}/\"\nwithin_seconds = 10\n"));
    world.deploy(&[]).exits(0);
    let mut status = Vec::new();
    // A status does not wait long for it; a later one has what came of it.
    await_that("the certificate is seen", || {
        status = world.laptop.wharf(&["status", "--json"]).exits(0).json();
        status[0]["certificates"][0]["days_left"].is_i64()
    });
    let [seen] = status[0]["certificates"].as_array().expect("a list").as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!((seen["host"].as_str(), seen["days_left"].as_i64()), (Some(host.as_str()), Some(4)));
    let warned = format!("the certificate of {host} expires in 4 days");
    assert!(status[0]["warnings"].to_string().contains(&warned), "{status:?}");
    for arguments in [["status"].as_slice(), &["report", "health"]] {
        let shown = world.laptop.wharf(arguments).exits(0).stdout;
        assert!(
            shown.contains(&format!("{host}: 4 days left, until ")) && shown.contains(&warned),
            "{shown}"
        );
    }
    let found = doctor(world, &[], 0);
    assert!(text_of(&found, "certificate").contains("expires in 4 days"), "{found:?}");
    drop(tls);
    // The doctor looks anew; a status believes what was seen last.
    let status = world.laptop.wharf(&["status"]).exits(0).stdout;
    assert!(status.contains(": 4 days left"), "{status}");
    let found = doctor(world, &[], 0);
    assert!(text_of(&found, "certificate").contains("cannot be looked at from the server"), "{found:?}");
    let status = world.laptop.wharf(&["status"]).exits(0).stdout;
    assert!(status.contains(&format!("{host}: not known, ")), "{status}");
}

#[track_caller]
fn doctor(world: &World, more: &[&str], code: i32) -> Vec<Value> {
    let found = world.laptop.wharf(&[&["doctor", "--json"], more].concat()).exits(code).json();
    assert!(found.iter().all(|check| check["type"] == "check"), "{found:?}");
    found
}

/// The checks that are not ok, but for what the machine that runs the test may be short of.
fn ails(found: &[Value]) -> Vec<&str> {
    let ail = found.iter().filter(|check| check["level"] != "ok");
    let names = ail.map(|check| {
        assert_ne!(check["remedy"], serde_json::json!([]), "{check}");
        check["check"].as_str().expect("a name")
    });
    names.filter(|name| !matches!(*name, "disk" | "memory")).collect()
}

#[track_caller]
fn text_of<'a>(found: &'a [Value], name: &str) -> &'a str {
    let check = found.iter().find(|check| check["check"] == name);
    check.and_then(|check| check["text"].as_str()).unwrap_or_else(|| panic!("no {name} in {found:?}"))
}
