//! The env file from the laptop: what uses a changed key is made anew, and no value is told anywhere (R31).

use wharf_tests::terminal::Terminal;
use wharf_tests::{Ran, World, docker, http};

const COMPOSE: &str = "docker/docker-compose.prod.yml";

/// A value that is looked for everywhere afterwards.
fn planted(name: &str) -> String {
    format!("planted-{name}-{}", wharf_tests::unique())
}

/// The example with a front end that bakes a variable into its files.
fn world() -> World {
    let world = World::fitnessapp();
    world.laptop.edit(
        COMPOSE,
        "        NGINX_IMAGE: ${NGINX_IMAGE:-nginx:1}\n",
        "        NGINX_IMAGE: ${NGINX_IMAGE:-nginx:1}\n        EXPO_PUBLIC_API: ${EXPO_PUBLIC_API:-none}\n",
    );
    let bake = "RUN sh build.sh /usr/share/nginx/html\nARG EXPO_PUBLIC_API\n\
        RUN echo \"$EXPO_PUBLIC_API\" > /usr/share/nginx/html/api.txt\n";
    world.laptop.edit("mobile/Dockerfile", "RUN sh build.sh /usr/share/nginx/html\n", bake);
    world.write_env(&format!("# kept by hand\n{}", world.env()));
    world
}

fn env_file(world: &World) -> String {
    std::fs::read_to_string(world.app_dir.join(".env.prod")).unwrap()
}

fn set(world: &World, key: &str, value: &str, more: &[&str]) -> Ran {
    let mut arguments = vec!["secrets", "set", key, "--accept-new-host-key"];
    arguments.extend(more);
    world.laptop.wharf_reading(&arguments, &format!("{value}\n"))
}

fn listed(world: &World) -> Vec<serde_json::Value> {
    let lines = world.laptop.wharf(&["secrets", "list", "--json"]).exits(0).json();
    lines[0]["secrets"].as_array().unwrap().clone()
}

#[test]
fn what_uses_a_changed_key_is_made_anew_and_no_value_is_told() {
    let world = world();
    let (first, second, public) = (planted("first"), planted("second's $pecial \"key\""), planted("public"));
    let mut told: Vec<Ran> = Vec::new();

    // Before there is a release there is nothing to make anew, and what is set can be seen.
    let none = world.laptop.wharf(&["secrets", "list", "--accept-new-host-key"]).exits(2);
    assert!(none.stderr.contains("knows no app"), "{}", none.stderr);
    told.push(set(&world, "SECRET_KEY", &first, &[]).exits(0));
    assert!(env_file(&world).starts_with("# kept by hand\n"));
    assert!(env_file(&world).contains(&first));
    let set_first = listed(&world).into_iter().find(|secret| secret["key"] == "SECRET_KEY").unwrap();
    assert!(set_first["digest"].is_string() && set_first["releases"] == serde_json::json!([]), "{set_first}");
    told.push(world.deploy(&[]).exits(0));
    world.add_workout("squats");
    let of =
        |world: &World, key: &str| listed(world).into_iter().find(|secret| secret["key"] == key).unwrap();
    assert_eq!(of(&world, "DB_PASSWORD")["services"], serde_json::json!(["backend", "db"]));
    assert_eq!(of(&world, "SECRET_KEY")["releases"], serde_json::json!(["v1"]));

    // The back end is given its new key; the database is left alone, and so is everything else in the file.
    let (db, backend, before) = (world.container("db"), world.container("backend"), env_file(&world));
    told.push(set(&world, "SECRET_KEY", &second, &[]).exits(0));
    assert_eq!(world.container("db"), db);
    assert_ne!(world.container("backend"), backend);
    let environment = docker::docker(&["inspect", "-f", "{{json .Config.Env}}", &world.container("backend")]);
    let environment: Vec<String> = serde_json::from_str(&environment).unwrap();
    assert!(environment.contains(&format!("SECRET_KEY={second}")), "the value is not exactly what was given");
    let others = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("SECRET_KEY")).map(str::to_owned).collect()
    };
    assert_eq!(others(&env_file(&world)), others(&before));
    assert_eq!(of(&world, "SECRET_KEY")["releases"], serde_json::json!(["v2"]));
    assert_eq!(of(&world, "DB_PASSWORD")["releases"], serde_json::json!(["v2", "v1"]));

    // What bakes a variable into its image is built anew, and nothing else is touched.
    let backend = world.container("backend");
    told.push(set(&world, "EXPO_PUBLIC_API", &public, &[]).exits(0));
    let served = http::get(world.web_port, "/api.txt").map(|answer| answer.body);
    assert_eq!(served.as_deref().map(str::trim), Some(public.as_str()));
    assert_eq!(world.container("backend"), backend);

    // The file alone.
    let third = planted("third");
    told.push(set(&world, "SECRET_KEY", &third, &["--no-restart"]).exits(0));
    assert_eq!(world.container("backend"), backend);
    assert!(env_file(&world).contains(&third));
    told.push(world.laptop.wharf(&["secrets", "list"]).exits(0));

    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
    for value in [&first, &second, &third, &planted_password(&world)] {
        assert_told_nowhere(&world, &told, value);
    }
}

#[test]
fn values_that_do_not_do_are_put_back_or_refused() {
    let world = world();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let (before, containers) = (env_file(&world), docker::containers(&world.project));
    let untouched = |world: &World, what: &str| {
        assert_eq!(env_file(world), before, "{what}");
        assert_eq!(docker::containers(&world.project), containers, "{what}");
    };

    let refused = set(&world, "DB_PASSWORD", "p@ss/word", &[]).exits(3);
    assert!(!refused.stderr.contains("p@ss"), "{}", refused.stderr);
    untouched(&world, "characters that break URLs");
    world.laptop.wharf(&["secrets", "unset", "DB_PASSWORD"]).exits(3);
    untouched(&world, "a required key");
    world.laptop.wharf(&["secrets", "unset", "NOBODY"]).exits(2);
    world.laptop.wharf(&["secrets", "set", "SECRET_KEY=on-the-command-line"]).exits(2);
    set(&world, "NOT A NAME", "x", &[]).exits(2);
    set(&world, "EXTRA", "x", &["--dry-run"]).exits(0);
    // What a pipe brings whose left side failed is no value.
    let empty = world.laptop.wharf_reading(&["secrets", "set", "SECRET_KEY"], "").exits(2);
    assert!(empty.stderr.contains("standard input has no value for SECRET_KEY"), "{}", empty.stderr);
    world.laptop.wharf_reading(&["secrets", "import", "-"], "").exits(2);
    untouched(&world, "bad input, and a dry run");
    stopped_at_a_question(&world);
    untouched(&world, "questions that nobody answered");

    // The database knows another password: the back end never becomes healthy, and everything is put back.
    let wrong = planted("wrong");
    let put_back = set(&world, "DB_PASSWORD", &wrong, &[]).exits(1);
    assert_eq!(env_file(&world), before);
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
    assert_told_nowhere(&world, &[put_back], &wrong);

    // A whole file at once; what is the same already stays as it is written.
    world.laptop.write("secrets.local", "SECRET_KEY='from a file'\nDB_NAME=fitness\n# not taken\n");
    world.laptop.wharf(&["secrets", "import", "secrets.local"]).exits(0);
    assert!(env_file(&world).contains("SECRET_KEY='from a file'\n"));
    assert!(!env_file(&world).contains("not taken"));
    assert_eq!(world.workouts(), ["squats"]);
}

/// Ctrl-C at a question ends the command at once, hidden answer or not.
fn stopped_at_a_question(world: &World) {
    for (arguments, question) in [
        (&["secrets", "set", "SECRET_KEY"][..], "Value of SECRET_KEY"),
        (&["db", "password", "--prompt"], "Value of the new password"),
        (&["forget"], "Type the app's name"),
        (&["backup", "restore", "abcd"], "Type the app's name"),
    ] {
        let mut terminal = Terminal::start(&world.laptop, arguments, 100, 30);
        let shown = terminal.answer(question, "\x03");
        assert_eq!(terminal.finish(), 130, "{arguments:?}: {shown}");
    }
    // One with keys for answers hides the cursor.
    let (known, aside) =
        (world.laptop.folder.join("known_hosts"), world.laptop.folder.join("known_hosts.aside"));
    std::fs::rename(&known, &aside).unwrap();
    let mut terminal = Terminal::start(&world.laptop, &["status"], 100, 30);
    terminal.answer("from now on?", "\x03");
    terminal.wait_for("\x1b[?25l");
    terminal.wait_for("\x1b[?25h");
    assert_eq!(terminal.finish(), 130);
    std::fs::rename(&aside, &known).unwrap();
}

#[test]
fn a_databases_password_changes_in_both_places_or_in_neither() {
    let world = world();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let password = |world: &World| {
        let text = env_file(world);
        let line = text.lines().find(|line| line.starts_with("DB_PASSWORD=")).unwrap().to_owned();
        line["DB_PASSWORD=".len()..].to_owned()
    };
    let logs_in = |world: &World, password: &str| {
        let url = format!("postgresql://fitness:{password}@127.0.0.1/fitness");
        let db = world.container("db");
        let tried =
            std::process::Command::new("docker").args(["exec", &db, "psql", &url, "-c", "SELECT 1"]).output();
        tried.unwrap().status.success()
    };
    let old = password(&world);
    assert!(logs_in(&world, &old) && !logs_in(&world, "another"));

    let told = world.laptop.wharf(&["db", "password"]).exits(0);
    let new = password(&world);
    assert_ne!(new, old);
    assert!(logs_in(&world, &new) && !logs_in(&world, &old));
    assert_eq!(world.workouts(), ["squats"]);
    assert_told_nowhere(&world, &[told], &new);

    // A back end that does not take the new one: both are back.
    let picky = "import os\nimport sys\nif 'typed' in os.environ['DATABASE_URL']: sys.exit(1)\n";
    world.laptop.edit("backend/healthcheck.py", "import sys\n", picky);
    world.deploy(&[]).exits(0);
    let typed = planted("typed");
    let told = world.laptop.wharf_reading(&["db", "password", "--prompt"], &typed).exits(1);
    assert_eq!(password(&world), new);
    assert!(logs_in(&world, &new) && !logs_in(&world, &typed));
    assert_eq!(world.workouts(), ["squats"]);
    assert_told_nowhere(&world, &[told], &typed);
    world.laptop.wharf(&["db", "password", "nobody"]).exits(2);
}

fn planted_password(world: &World) -> String {
    format!("planted-secret-{}", world.app)
}

/// Not in what commands printed, not in the agent's log, and in no file of the agent's: backups are encrypted.
#[track_caller]
fn assert_told_nowhere(world: &World, told: &[Ran], value: &str) {
    for ran in told {
        assert!(!ran.stdout.contains(value) && !ran.stderr.contains(value), "a command printed a secret");
    }
    assert!(!world.server.log().contains(value), "the agent logged a secret");
    let mut found = Vec::new();
    wharf_tests::secrets::search(&world.server.folder.join("state"), value.as_bytes(), &mut found);
    assert_eq!(found, Vec::<std::path::PathBuf>::new(), "files of the agent's hold a secret");
}
