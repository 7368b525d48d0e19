//! What runs in one environment goes to another as it is: R13. And the environment that needs no server at all.

use std::path::{Path, PathBuf};
use wharf_tests::{Engine, Ran, Server, World, await_that, docker, http};

/// An app of this test's somewhere.
struct Place {
    app: String,
    folder: PathBuf,
    api_port: u16,
    web_port: u16,
}

impl Place {
    /// With its env file, which is all that a server has before the first deploy.
    fn new(world: &World, name: &str, folder: &Path) -> Self {
        // Compose names a project by its folder.
        let app = format!("{}-{name}", world.app);
        let (api_port, web_port) = (http::free_port(), http::free_port());
        let place = Self { folder: folder.join(&app), app, api_port, web_port };
        std::fs::create_dir_all(&place.folder).expect("a folder of the test's");
        let env = format!("API_PORT={}\nWEB_PORT={}\nSITE_NAME={name}\n", place.api_port, place.web_port);
        std::fs::write(place.folder.join(".env"), env).expect("a file of the test's");
        place
    }

    fn api(&self) -> String {
        text(self.api_port, "/version.txt")
    }

    fn web(&self) -> String {
        text(self.web_port, "/site.txt")
    }

    fn image(&self, service: &str) -> String {
        docker::docker(&["inspect", "-f", "{{.Image}}", &docker::container(&self.app, service)])
    }

    fn environment(&self, name: &str, server: &str) -> String {
        format!(
            "[env.{name}]\napp = \"{app}\"\n{server}[[env.{name}.health]]\nurl = \"http://127.0.0.1:{port}/version.txt\"\n",
            app = self.app,
            port = self.api_port
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        docker::remove_project(&self.app, &self.app);
    }
}

/// What a server answers, once it does.
fn text(port: u16, path: &str) -> String {
    let mut body = String::new();
    await_that("the app answers", || {
        let answer = http::get(port, path).filter(|answer| answer.status == 200);
        answer.inspect(|answer| body.clone_from(&answer.body)).is_some()
    });
    body.trim().to_owned()
}

/// The ID of a service's container on another engine.
fn docker_container(engine: &Engine, project: &str, service: &str) -> String {
    let project = format!("label=com.docker.compose.project={project}");
    let service = format!("label=com.docker.compose.service={service}");
    engine.docker(&["ps", "-q", "--no-trunc", "--filter", &project, "--filter", &service])
}

fn promote(world: &World, arguments: &[&str]) -> Ran {
    let all = [&["promote", "--yes", "--accept-new-host-key"], arguments].concat();
    world.laptop.wharf(&all)
}

#[test]
fn the_very_source_of_staging_goes_to_production_and_a_laptop_needs_no_server() {
    let world = World::with_project("promote");
    // Another server, with an engine of its own that has what projects here build on.
    let engine = Engine::start(&world.server.folder.join("engine"));
    engine.copy_image("wharf-base/python:3");
    let folder = world.server.folder.join("other");
    std::fs::create_dir_all(&folder).expect("a folder of the test's");
    let config = format!("docker = \"{}\"\n", engine.socket().display());
    std::fs::write(folder.join("wharfd.toml"), config).expect("a file of the test's");
    let other = Server::start(&folder, &world.laptop.public_key());
    let apps = world.server.folder.join("apps");
    let staging = Place::new(&world, "staging", &apps);
    let production = Place::new(&world, "production", &apps);
    let mirror = Place::new(&world, "mirror", &other.folder.join("apps"));
    // Where the app is put that nobody has chosen a folder for.
    let local = Place::new(&world, "local", &world.laptop.folder.join(".local/share/wharf"));
    let on = |server: &Server, name: &str, place: &Place| {
        let (key, path) = (world.laptop.key(), place.folder.display().to_string());
        let host = format!("tester@{}", server.address);
        let server = format!(
            "server = {{ host = \"{host}\", identity = \"{}\", path = \"{path}\" }}\n",
            key.display()
        );
        match name {
            // Its engine publishes nothing that could be probed from here.
            "mirror" => format!("[env.{name}]\napp = \"{}\"\n{server}", place.app),
            name => place.environment(name, &server),
        }
    };
    world.laptop.write(
        "wharf.toml",
        [
            "app = \"nowhere\"\n[compose]\nfiles = [\"docker-compose.yml\"]\nenv_file = \".env\"\n"
                .to_owned(),
            "[verify]\nstable_seconds = 0\n[backup]\ndrill = \"off\"\n".to_owned(),
            on(&world.server, "staging", &staging),
            on(&world.server, "production", &production),
            on(&other, "mirror", &mirror),
            local.environment("local", ""),
        ]
        .concat(),
    );

    // Nothing to promote yet.
    let refused = promote(&world, &["staging", "production"]);
    assert!(refused.code != 0 && refused.stderr.contains("deploy it first"), "{}", refused.stderr);
    world.deploy(&["--env", "staging", "-m", "the first"]).exits(0);
    assert_eq!((staging.api(), staging.web()), ("one".to_owned(), "staging".to_owned()));

    // The laptop goes on; production gets what staging runs, and of its images those that bake nothing.
    world.laptop.write("api/version.txt", "two\n");
    let plan = promote(&world, &["staging", "production", "--dry-run", "--json"]).exits(0);
    let lines = plan.json();
    let plan = &lines.iter().find(|line| line["type"] == "plan").expect("a plan")["plan"];
    let image = |service: &str| {
        let services = plan["services"].as_array().expect("a list");
        services.iter().find(|one| one["service"] == service).expect("the service")["image"].clone()
    };
    assert_eq!((image("api"), image("web")), ("reuse".into(), "build".into()), "{plan}");
    assert_eq!(plan["promoted"]["release"], "v1", "{plan}");
    promote(&world, &["staging", "production"]).exits(0);
    assert_eq!((production.api(), production.web()), ("one".to_owned(), "production".to_owned()));
    assert_eq!(production.image("api"), staging.image("api"));
    assert_ne!(production.image("web"), staging.image("web"));
    let listed = world.laptop.wharf(&["releases", "--env", "production"]).exits(0).stdout;
    assert!(listed.contains("promoted from staging v1: the first"), "{listed}");

    let audit = world.laptop.wharf(&["audit", "--env", "production"]).exits(0).stdout;
    assert!(audit.contains(&format!("promoted from staging v1 of {}", staging.app)), "{audit}");

    // Again: nothing differs, and nothing is touched.
    let before = docker::containers(&production.app);
    promote(&world, &["staging", "production"]).exits(0);
    assert_eq!(docker::containers(&production.app), before);

    // What does not run well there goes nowhere.
    world.deploy(&["--env", "staging"]).exits(0);
    docker::docker(&["stop", "-t", "0", &docker::container(&staging.app, "api")]);
    let refused = promote(&world, &["staging", "production"]).exits(3);
    assert!(refused.stderr.contains("does not run healthily"), "{}", refused.stderr);
    assert_eq!(production.api(), "one");
    docker::docker(&["start", &docker::container(&staging.app, "api")]);
    assert_eq!(staging.api(), "two");

    // To a server that has nothing of it: the source travels, past whatever the laptop has by now, and the image that bakes
    // nothing, but for the layers that are there. The other one is built.
    world.laptop.write("api/version.txt", "three\n");
    let plan = promote(&world, &["staging", "mirror", "--dry-run"]).exits(0).stdout;
    assert!(plan.contains("which its server sends"), "{plan}");
    assert!(plan.contains("arguments, secrets or another image of the project go into it"), "{plan}");
    assert!(plan.contains("as this client says"), "{plan}");
    let on_mirror = |service: &str| docker_container(&engine, &mirror.app, service);
    let told = promote(&world, &["staging", "mirror", "--json"]).exits(0).json();
    let sent: Vec<_> = told.iter().filter(|line| line["type"] == "image_sent").collect();
    assert_eq!(sent.len(), 1, "{told:?}");
    assert_eq!(sent[0]["service"], "api");
    assert!(sent[0]["content_bytes"].as_u64() < Some(1024 * 1024), "the base is there: {}", sent[0]);
    assert_eq!(engine.docker(&["inspect", "-f", "{{.Image}}", &on_mirror("api")]), staging.image("api"));
    assert_eq!(engine.docker(&["exec", &on_mirror("api"), "cat", "version.txt"]), "two");
    assert_eq!(engine.docker(&["exec", &on_mirror("web"), "cat", "site.txt"]), "mirror");
    let listed = world.laptop.wharf(&["releases", "--env", "mirror"]).exits(0).stdout;
    assert!(
        listed.contains("promoted from staging v2 on ") && listed.contains("as the client said"),
        "{listed}"
    );
    for (environment, words) in
        [("staging", "sent to another server"), ("mirror", "comes from another server")]
    {
        let audit = world.laptop.wharf(&["audit", "--env", environment]).exits(0).stdout;
        assert!(audit.contains(words), "{audit}");
    }

    // Again: nothing differs, nothing is sent, nothing is touched.
    let before = (on_mirror("api"), on_mirror("web"));
    let told = promote(&world, &["staging", "mirror", "--json"]).exits(0).json();
    assert!(!told.iter().any(|line| line["type"] == "image_sent"), "{told:?}");
    assert_eq!((on_mirror("api"), on_mirror("web")), before);

    // And the laptop's own: no server, no key, no folder chosen.
    let nobody = world.deploy(&["--env", "local"]).exits(4);
    assert!(nobody.stderr.contains("wharfd serve --listen none"), "{}", nobody.stderr);
    let state = world.laptop.folder.join(".local/state/wharf");
    std::fs::create_dir_all(&state).expect("a folder of the test's");
    std::os::unix::fs::symlink(world.server.folder.join("state/wharfd.sock"), state.join("wharfd.sock"))
        .expect("a link of the test's");
    world.deploy(&["--env", "local"]).exits(0);
    assert_eq!((local.api(), local.web()), ("three".to_owned(), "local".to_owned()));
    assert!(local.folder.join("docker-compose.yml").is_file());
    let doctor = world.laptop.wharf(&["doctor", "--env", "local", "--json"]).json();
    let ways: Vec<_> = doctor.iter().filter(|check| check["check"] == "agent").collect();
    assert!(ways.len() == 1 && ways[0]["level"] == "ok", "{doctor:?}");
    assert!(!doctor.iter().any(|check| check["check"] == "connection"), "{doctor:?}");
}

/// `web` is taken from staging as it is; what is made from it is built here, on that very image.
#[test]
fn what_is_made_from_a_promoted_image_is_built_on_it() {
    let world = World::with_project("promote");
    let apps = world.server.folder.join("apps");
    let (staging, production) =
        (Place::new(&world, "staging", &apps), Place::new(&world, "production", &apps));
    let compose = "services:\n  api:\n    build:\n      context: ./api\n      args:\n        BASE: ${COMPOSE_PROJECT_NAME}-web\n    \
                   restart: unless-stopped\n    stop_grace_period: 1s\n    ports: [\"127.0.0.1:${API_PORT}:8000\"]\n  \
                   web:\n    build: ./web\n    restart: unless-stopped\n    stop_grace_period: 1s\n";
    world.laptop.write("docker-compose.yml", compose);
    let label = format!("LABEL {}={}\n", docker::APP_LABEL, world.app);
    let serve = "WORKDIR /srv\nCOPY version.txt .\nCMD [\"python3\", \"-m\", \"http.server\", \"8000\"]\n";
    world.laptop.write("web/Dockerfile", format!("FROM wharf-base/python:3\n{serve}{label}"));
    world.laptop.write("web/version.txt", "one");
    world.laptop.write("api/Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN cp version.txt copy.txt\n");
    let on = |name: &str, place: &Place| {
        let (key, path) = (world.laptop.key(), place.folder.display().to_string());
        let host = format!("tester@{}", world.server.address);
        let server = format!(
            "server = {{ host = \"{host}\", identity = \"{}\", path = \"{path}\" }}\n",
            key.display()
        );
        place.environment(name, &server)
    };
    let config = [
        "app = \"nowhere\"\n[compose]\nfiles = [\"docker-compose.yml\"]\nenv_file = \".env\"\n".to_owned(),
        "[verify]\nstable_seconds = 0\n[backup]\ndrill = \"off\"\n".to_owned(),
        on("staging", &staging),
        on("production", &production),
    ];
    world.laptop.write("wharf.toml", config.concat());
    for text in ["one", "two"] {
        world.laptop.write("web/version.txt", text);
        world.deploy(&["--env", "staging"]).exits(0);
        let promoted = promote(&world, &["staging", "production"]).exits(0);
        assert!(!promoted.stderr.contains("cannot be fetched"), "{}", promoted.stderr);
        assert_eq!((staging.api(), production.api()), (text.to_owned(), text.to_owned()));
        assert_eq!(production.image("web"), staging.image("web"));
    }
}
