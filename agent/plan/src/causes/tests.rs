use super::*;

const DOC: &str = include_str!("../../../../docs/TROUBLESHOOTING.md");

fn told(lines: &[&str]) -> Evidence {
    Evidence { told: lines.iter().map(|line| (*line).to_owned()).collect(), ..Evidence::default() }
}

fn names(evidence: &Evidence) -> Vec<&'static str> {
    causes(evidence).iter().map(|found| found.known.name).collect()
}

fn container(oom_killed: bool) -> ContainerFacts {
    serde_json::from_value(serde_json::json!({
        "id": "1", "name": "app-web-1", "service": "web", "state": "exited", "project": "app", "config_hash": "",
        "working_dir": "", "config_files": [], "one_off": false, "image_id": "", "image": "", "health": null,
        "exit_code": 137, "oom_killed": oom_killed, "restarts": 0, "started_at": null, "restart_policy": "no", "mounts": [],
    }))
    .unwrap()
}

fn page(status: u16) -> Page {
    Page { url: "http://h/a".into(), wanted: 200, status, ..Page::default() }
}

/// The rows of the documentation's table of causes: those below the heading that the table has there.
fn documented() -> Vec<&'static str> {
    let after =
        DOC.split("| symptom | cause | remedy |\n|---|---|---|\n").nth(1).expect("the table is there");
    after.lines().take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_documentation_lists_every_row_and_no_other() {
    let rows: Vec<String> =
        TABLE.iter().map(|row| format!("| {} | {} | {} |", row.symptom, row.cause, row.remedy)).collect();
    assert_eq!(documented(), rows, "write the table of docs/TROUBLESHOOTING.md anew");
}

#[test]
fn nothing_is_named_without_facts() {
    assert_eq!(names(&Evidence::default()), <[&str; 0]>::default());
    let harmless =
        told(&["exit code: 1", "web exited (1)", "listening on port 137", "No module named 'requests'"]);
    assert_eq!(names(&harmless), <[&str; 0]>::default());
}

#[test]
fn memory() {
    let evidence = Evidence { containers: vec![container(true)], ..Evidence::default() };
    let found = causes(&evidence);
    assert!(found[0].cause.contains("web"), "{found:?}");
    assert_eq!(names(&evidence), ["out of memory"]);
    assert_eq!(names(&told(&["container app-web-1 exited (137)"])), ["out of memory"]);
    assert_eq!(
        names(&told(&["process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 137"])),
        ["out of memory"]
    );
    let killed_by_a_person = Evidence { containers: vec![container(false)], ..Evidence::default() };
    assert_eq!(names(&killed_by_a_person), <[&str; 0]>::default());
}

#[test]
fn ports() {
    for (line, port) in [
        (
            "driver failed programming external connectivity on endpoint x (abc): Bind for 127.0.0.1:8080 failed: port is already allocated",
            "port 8080",
        ),
        ("Error starting userland proxy: listen tcp4 0.0.0.0:443: bind: address already in use", "port 443"),
        ("failed to bind host port for [::]:80:172.17.0.2:80/tcp: port is already allocated", "port"),
    ] {
        let found = causes(&told(&[line]));
        assert_eq!(names(&told(&[line])), ["port in use"], "{line}");
        assert!(found[0].cause.contains(port), "{found:?}");
    }
    let within =
        Evidence { logs: vec![("web".into(), "bind: address already in use".into())], ..Evidence::default() };
    assert_eq!(names(&within), <[&str; 0]>::default());
}

#[test]
fn passwords() {
    let line =
        ("backend".to_owned(), "FATAL:  password authentication failed for user \"fitness\"".to_owned());
    let mut evidence = Evidence { logs: vec![line], ..Evidence::default() };
    assert_eq!(names(&evidence), ["password differs"]);
    evidence.odd_passwords = vec!["PGPASS".into()];
    assert_eq!(names(&evidence), ["password characters"]);
    assert!(causes(&evidence)[0].cause.contains("PGPASS"));
    evidence.logs[0].1 = "could not translate host name \"rest@db\" to address".into();
    assert_eq!(names(&evidence), ["password characters"]);
    // The host is not there, and the password has no part in it.
    evidence.logs[0].1 = "could not translate host name \"db\" to address".into();
    assert_eq!(names(&evidence), <[&str; 0]>::default());
}

#[test]
fn pages() {
    let with = |page: Page| Evidence { pages: vec![page], ..Evidence::default() };
    let lost = Page { start_page: Some(200), nginx_without_try_files: Some("web".into()), ..page(404) };
    assert_eq!(names(&with(lost.clone())), ["deep link without try_files"]);
    assert_eq!(names(&with(Page { nginx_without_try_files: None, ..lost.clone() })), <[&str; 0]>::default());
    assert_eq!(names(&with(Page { start_page: Some(404), ..lost.clone() })), <[&str; 0]>::default());
    assert_eq!(names(&with(Page { status: 500, ..lost.clone() })), <[&str; 0]>::default());
    let twin = |status| Some(("http://h/a/".to_owned(), status));
    for status in [404, 301, 308] {
        assert_eq!(names(&with(Page { twin: twin(200), ..page(status) })), ["trailing slash"]);
        assert_eq!(names(&with(Page { twin: twin(404), ..page(status) })), <[&str; 0]>::default());
    }
    assert_eq!(names(&with(Page { twin: twin(200), ..page(500) })), <[&str; 0]>::default());
    // A page behind a login is found, even though it does not answer 200.
    let login = Page { twin: twin(302), location: Some("/a/".into()), ..page(308) };
    assert_eq!(names(&with(login)), ["trailing slash"]);
    assert_eq!(names(&with(Page { twin: twin(200), ..lost })), ["trailing slash"]);
}

#[test]
fn files_that_the_project_has() {
    let shipped = [
        "backend/data/foods.json",
        "backend/app.py",
        "backend/app/tools.py",
        "web/src/menu.ts",
        "shared/names/__init__.py",
    ];
    for (line, file) in [
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'data/foods.json'",
            Some("backend/data/foods.json"),
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/app/foods.json'",
            Some("backend/data/foods.json"),
        ),
        (
            "Error: ENOENT: no such file or directory, open '/srv/data/foods.json'",
            Some("backend/data/foods.json"),
        ),
        ("Error: Cannot find module './menu'", Some("web/src/menu.ts")),
        ("panic: open data/foods.json: no such file or directory", Some("backend/data/foods.json")),
        (
            "failed to calculate checksum of ref x: \"/data/foods.json\": not found",
            Some("backend/data/foods.json"),
        ),
        ("cat: /app/data/foods.json: No such file or directory", Some("backend/data/foods.json")),
        ("ModuleNotFoundError: No module named 'app.tools'", Some("backend/app/tools.py")),
        ("ModuleNotFoundError: No module named 'names'", Some("shared/names/__init__.py")),
        ("python3: No module named tools", Some("backend/app/tools.py")),
        ("ModuleNotFoundError: No module named 'other.tools'", None),
        ("Error: Cannot find module 'express'", None),
        ("No such file or directory: 'secrets.json'", None),
    ] {
        let evidence = Evidence { shipped: shipped.map(str::to_owned).to_vec(), ..told(&[line]) };
        let found = causes(&evidence);
        match file {
            Some(file) => assert!(found.iter().any(|found| found.cause.contains(file)), "{line}: {found:?}"),
            None => assert_eq!(found, [], "{line}"),
        }
    }
}

#[test]
fn full_disks() {
    assert_eq!(names(&told(&["write /var/lib/x: No space left on device"])), ["disk full"]);
    let log = Evidence {
        logs: vec![("db".into(), "could not extend file: No space left on device".into())],
        ..Evidence::default()
    };
    assert_eq!(names(&log), ["disk full"]);
}

#[test]
fn no_line_of_a_log_is_repeated() {
    let secret = "FATAL: password authentication failed for postgres://u:planted@db, No such file or directory: 'app.py' no space left on device";
    let evidence = Evidence {
        odd_passwords: vec!["KEY".into()],
        shipped: vec!["backend/app.py".into()],
        ..told(&[secret])
    };
    let found = causes(&evidence);
    assert_eq!(found.len(), 3);
    assert!(!format!("{found:?}").contains("planted"));
}

#[test]
fn a_registry_that_lets_nobody_in() {
    for (line, host) in [
        (
            "Head \"http://127.0.0.1:5000/v2/team/python/manifests/3\": no basic auth credentials",
            "127.0.0.1:5000",
        ),
        (
            "failed to resolve source metadata for reg.example/team/python:3: unexpected status from HEAD request to \
             https://reg.example/v2/team/python/manifests/3: 401 Unauthorized",
            "reg.example",
        ),
        (
            "pull access denied for team/app, repository does not exist or may require 'docker login'",
            "docker.io",
        ),
        ("Error: pull access denied for reg.example:5000/team/app, denied", "reg.example:5000"),
        (
            "Get \"https://registry-1.docker.io/v2/team/app\": unauthorized: authentication required",
            "docker.io",
        ),
    ] {
        let evidence = told(&[line]);
        assert_eq!(names(&evidence), ["private registry"], "{line}");
        let remedy = &causes(&evidence)[0].remedy;
        assert!(remedy.contains(&format!("wharf registry login {host} -u USER")), "{remedy}");
    }
    let of_the_app = told(&["GET /admin 401 Unauthorized", "authentication required"]);
    assert_eq!(names(&of_the_app), <[&str; 0]>::default());
}
