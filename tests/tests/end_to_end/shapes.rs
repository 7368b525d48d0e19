//! Projects in the shapes that people have: what `wharf init --yes` writes deploys without an edit (Show 8 of the operate
//! issue). The example is one more such shape, in `init.rs`.

use std::path::Path;
use std::process::Command;
use wharf_tests::{World, docker, http};

/// A project of `tests/projects` as a person has it: a key where ssh looks for it, a name that nobody else's project has,
/// and `env`, filled in, on the server as `file`. `files` are those that say the project's name and the port.
fn shape(project: &str, name: &str, files: &[&str], file: &str, env: &str) -> World {
    let world = World::with_project(project);
    let laptop = &world.laptop;
    std::fs::remove_file(laptop.project.join("wharf.toml")).expect("the world wrote it");
    std::fs::remove_file(world.app_dir.join(".env.prod")).expect("the world wrote it");
    std::fs::create_dir(laptop.folder.join(".ssh")).expect("a folder of the test's");
    std::fs::copy(laptop.key(), laptop.folder.join(".ssh/id_ed25519")).expect("a key of the test's");
    laptop.edit(files[0], &format!("name: {name}\n"), &format!("name: {}\n", world.app));
    let (from, to) = files[1].rsplit_once('=').expect("NAME=value");
    let example = format!("{file}.example");
    laptop.edit(&example, &format!("{from}={to}"), &format!("{from}={}", world.web_port));
    let images = "POSTGRES_IMAGE=wharf-base/postgres:17\nNGINX_IMAGE=wharf-base/nginx:1\nREDIS_IMAGE=wharf-base/redis:8\n\
        PYTHON_IMAGE=wharf-base/django:4\nNODE_IMAGE=wharf-base/node:20\nBUSYBOX_IMAGE=wharf-base/busybox:1\nRUN_IMAGE=wharf-base/busybox:1\n";
    let text = format!("{env}WEB_PORT={}\n{images}", world.web_port);
    std::fs::write(world.app_dir.join(file), text).expect("a file of the test's");
    world
}

/// `wharf init --yes`, and a deploy with what it wrote.
#[track_caller]
fn init_and_deploy(world: &World) -> String {
    let server = format!("tester@{}", world.server.address);
    let path = world.app_dir.display().to_string();
    world.laptop.wharf(&["init", "--yes", "--server", &server, "--path", &path]).exits(0);
    let written = world.laptop.read("wharf.toml");
    world.deploy(&[]).exits(0);
    world.laptop.wharf(&["init", "--yes"]).exits(0);
    assert_eq!(world.laptop.read("wharf.toml"), written, "a second init changed the file");
    assert_eq!(docker::stopped(&world.app), Vec::<String>::new());
    written
}

#[track_caller]
fn page(world: &World, path: &str) -> String {
    let answer = http::get(world.web_port, path).expect("the app answers");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body.trim().to_owned()
}

#[test]
fn django_with_gunicorn_nginx_and_a_worker() {
    let env = "POSTGRES_PASSWORD=of-the-test\nDJANGO_SECRET_KEY=of-the-test\n";
    let world = shape("django", "shop", &["compose.yaml", "WEB_PORT=8000"], ".env", env);
    let written = init_and_deploy(&world);
    for part in ["[[postgres]]", "/health/\"", "required = [\"DJANGO_SECRET_KEY\", \"POSTGRES_PASSWORD\"]"] {
        assert!(written.contains(part), "{part}\n{written}");
    }
    assert!(page(&world, "/static/shop/style.css").contains("sans-serif"));
    let posted = http::post(world.web_port, "/api/orders", r#"{"item":"tea"}"#);
    assert_eq!(posted.map(|answer| answer.status), Some(201));
    let shipped = || page(&world, "/api/orders").contains(r#""shipped": true"#);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !shipped() {
        assert!(std::time::Instant::now() < until, "the worker does not work");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let backups = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    assert!(!backups.is_empty());

    // Services that only use the database have its password in their environment, too.
    let arguments = ["secrets", "set", "POSTGRES_PASSWORD", "--dry-run", "--json"];
    let lines = world.laptop.wharf_reading(&arguments, "another\n").exits(0).json();
    let plan = &lines.iter().find(|line| line["type"] == "plan").expect("a plan")["plan"];
    let warnings = plan["warnings"].as_array().expect("a list").iter().filter_map(|warning| warning.as_str());
    let told: Vec<&str> = warnings.filter(|warning| warning.contains("is the password of")).collect();
    assert!(told.len() == 1 && told[0].contains("POSTGRES_PASSWORD is the password of db"), "{plan}");
}

#[test]
fn node_with_a_front_end_that_bakes_variables() {
    let env = "SESSION_SECRET=of-the-test\nVITE_API_URL=/api\n";
    let files = ["docker-compose.yml", "WEB_PORT=8080"];
    let world = shape("node", "notes", &files, ".env.production", env);
    let written = init_and_deploy(&world);
    assert!(written.contains(r#"files = ["docker-compose.yml", "docker-compose.prod.yml"]"#), "{written}");
    assert!(written.contains("Baked into an image when it is built: VITE_API_URL (web)"), "{written}");
    assert!(page(&world, "/main.js").contains(r#"const url = "/api";"#));
    assert_eq!(page(&world, "/api/notes"), r#"["Welcome"]"#);

    // A baked variable that changes makes the front end anew, and the notes stay.
    let posted = http::post(world.web_port, "/api/notes", r#"{"text":"kept"}"#);
    assert_eq!(posted.map(|answer| answer.status), Some(201));
    let api = world.container("api");
    world.laptop.wharf_reading(&["secrets", "set", "VITE_API_URL"], "/api/\n").exits(0);
    assert!(page(&world, "/main.js").contains(r#"const url = "/api/";"#));
    assert_eq!((page(&world, "/api/notes"), world.container("api")), (r#"["Welcome","kept"]"#.into(), api));
}

#[test]
fn a_rust_service_with_redis() {
    let files = ["docker-compose.yml", "WEB_PORT=8080"];
    let world = shape("rust-redis", "hits", &files, ".env", "REDIS_PASSWORD=of-the-test\n");
    build_statically(&world.laptop.project);
    let written = init_and_deploy(&world);
    assert!(written.contains("/health\"") && written.contains("[[redis]]"), "{written}");
    assert_eq!((page(&world, "/hits/a"), page(&world, "/hits/a")), ("1".into(), "2".into()));
    // Redis is left alone by a deploy of the service, and knows what it knew.
    let cache = world.container("cache");
    world.laptop.edit("Dockerfile", "EXPOSE 8080", "EXPOSE 8080\nENV ANOTHER=1");
    world.deploy(&[]).exits(0);
    assert_eq!((page(&world, "/hits/a"), world.container("cache")), ("3".into(), cache));
}

/// As the project's README has it.
fn build_statically(project: &Path) {
    std::fs::create_dir_all(project.join("bin")).expect("a folder of the test's");
    let built = Command::new("rustc")
        .args(["--edition", "2021", "-C", "target-feature=+crt-static", "-o", "bin/hits", "src/main.rs"])
        .current_dir(project)
        .output();
    let built = built.expect("rustc compiled this test, and is on the path");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[test]
fn compose_files_that_are_split() {
    let world = shape("split", "split", &["compose.yaml", "WEB_PORT=8080"], ".env", "GREETING=hi\n");
    let written = init_and_deploy(&world);
    assert!(written.contains(r#"files = ["compose.yaml", "compose.override.yaml"]"#), "{written}");
    assert!(written.contains(r#"profiles = ["production"]"#), "{written}");
    assert_eq!(page(&world, "/"), "<!doctype html><title>Split</title>");
    assert_eq!(page(&world, "/store/report"), "written by jobs");
    assert_eq!(docker::containers(&world.app).len(), 3, "a profile that nobody asked for runs");
}
