//! Nothing that could lose data is begun. Shows 8 and 9 of the ship issue (R5, R20, R21, R22).

use wharf_tests::{Ran, SmallDisk, World, docker, http};

/// A deploy that must be refused, and leave everything as it was.
#[track_caller]
fn refused(world: &World, more: &[&str], code: i32) -> Ran {
    let before = world.fingerprint();
    let ran = world.deploy(more).exits(code);
    assert_eq!(world.fingerprint(), before, "something was touched");
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
    ran
}

/// The text of a refusal, without what differs from run to run.
fn rendering(world: &World, ran: &Ran) -> String {
    let start = ran.stderr.find("refused").or_else(|| ran.stderr.find("error")).unwrap_or(0);
    let text = ran.stderr[start..].replace(&world.app_dir.display().to_string(), "[app dir]");
    text.replace(&world.server.folder.display().to_string(), "[server]").replace(&world.app, "[app]")
}

const COMPOSE: &str = "docker/docker-compose.prod.yml";

#[test]
fn what_would_detach_data_is_refused() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let original = world.laptop.read(COMPOSE);

    world.laptop.edit(COMPOSE, "pgdata", "database");
    insta::assert_snapshot!("volume_renamed", rendering(&world, &refused(&world, &[], 3)));

    world.laptop.write(
        COMPOSE,
        original.replace(
            "      - pgdata:/var/lib/postgresql/data\n",
            "      - ./data:/var/lib/postgresql/data\n",
        ),
    );
    insta::assert_snapshot!("volume_replaced_by_a_folder", rendering(&world, &refused(&world, &[], 3)));

    world
        .laptop
        .write(COMPOSE, original.replace("    volumes:\n      - pgdata:/var/lib/postgresql/data\n", ""));
    insta::assert_snapshot!("database_without_a_volume", rendering(&world, &refused(&world, &[], 3)));

    world.laptop.write(
        COMPOSE,
        original.replace("pgdata:/var/lib/postgresql/data", "pgdata:/var/lib/postgresql/elsewhere"),
    );
    insta::assert_snapshot!("volume_mounted_elsewhere", rendering(&world, &refused(&world, &[], 3)));

    world.laptop.write(COMPOSE, original.replace("  web:\n", "  web:\n    privileged: true\n"));
    insta::assert_snapshot!("rights_of_root", rendering(&world, &refused(&world, &[], 3)));

    world.laptop.write(COMPOSE, original.clone());
    let down = world.laptop.wharf(&["down", "--volumes"]).exits(3);
    insta::assert_snapshot!("down_volumes", rendering(&world, &down));
    assert_eq!(world.workouts(), ["squats"]);
}

#[test]
fn a_detachment_that_is_accepted_by_name_goes_through_and_the_volume_stays() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let old = format!("{}_pgdata", world.app);
    world.laptop.edit(COMPOSE, "pgdata", "database");
    // The back end makes its tables when it starts, so it has to.
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.deploy(&["--accept-detach", &old]).exits(0);
    assert_eq!(world.workouts(), Vec::<String>::new());
    assert!(docker::volumes(&world.app).contains(&old), "the old volume is gone");
}

#[test]
fn another_major_of_postgresql_is_refused() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    // An image that says it is PostgreSQL 18, on a volume of 17.
    let tag = format!("{}-fake-postgres:18", world.app);
    let dockerfile = "FROM wharf-base/postgres:17\nENV PG_MAJOR=18\n";
    let folder = world.server.folder.join("image");
    std::fs::create_dir_all(&folder).expect("a folder of the test's");
    std::fs::write(folder.join("Dockerfile"), dockerfile).expect("a file of the test's");
    docker::docker(&["build", "-q", "-t", &tag, folder.to_str().expect("UTF-8")]);
    world.write_env(&world.env().replace("wharf-base/postgres:17", &tag));
    insta::assert_snapshot!("postgres_major", rendering(&world, &refused(&world, &[], 3)));
}

#[test]
fn secrets_that_break_urls_or_are_missing_are_refused_without_being_told() {
    let world = World::fitnessapp();
    world.write_env(&world.env().replace("planted-secret-", "pl@nted/secret#"));
    let ran = refused(&world, &[], 3);
    assert!(!ran.stderr.contains("pl@nted"), "the password is in the text");
    insta::assert_snapshot!("password_characters", rendering(&world, &ran));

    world.write_env(&world.env().replace("SECRET_KEY=", "#SECRET_KEY="));
    insta::assert_snapshot!("missing_secret", rendering(&world, &refused(&world, &[], 3)));

    std::fs::remove_file(world.app_dir.join(".env.prod")).expect("the env file");
    insta::assert_snapshot!("missing_env_file", rendering(&world, &refused(&world, &[], 3)));
}

#[test]
fn shipped_content_does_not_overwrite_what_containers_wrote() {
    let world = World::fitnessapp();
    // .gitignore leaves the folder out, so the file is named.
    world.write_config("[pack]\ninclude = [\"uploads/welcome.txt\"]");
    world.laptop.write("uploads/welcome.txt", "shipped");
    world.deploy(&[]).exits(0);
    std::fs::write(world.app_dir.join("uploads/welcome.txt"), "written by the app")
        .expect("a file of the test's");
    world.laptop.write("uploads/welcome.txt", "shipped again");
    insta::assert_snapshot!("writable_mount", rendering(&world, &refused(&world, &[], 3)));

    // The same release, without what it ships there: the front end changed and its version did not.
    world.write_config("");
    world.laptop.edit("mobile/src/App.js", "\n", "\n// changed\n");
    insta::assert_snapshot!(
        "version_not_raised",
        rendering(&world, &refused(&world, &["--bump", "none"], 3))
    );
}

#[test]
fn a_stack_or_volume_that_may_be_another_s_is_not_taken() {
    let world = World::fitnessapp();
    // Two stacks that were started from the app's own files.
    let by_hand: Vec<String> = ["one", "two"].map(|name| started_from_here(&world, name)).into();
    let ran = refused(&world, &[], 3);
    by_hand.iter().for_each(|id| drop(docker::docker(&["rm", "-f", id])));
    insta::assert_snapshot!("two_candidates", rendering(&world, &ran));

    let volume = format!("{}_pgdata", world.app);
    let label = format!("com.docker.compose.project={}", world.app);
    docker::docker(&["volume", "create", "--label", &label, &volume]);
    insta::assert_snapshot!("volume_of_nobody_known", rendering(&world, &refused(&world, &[], 3)));
    assert_eq!(docker::containers(&world.app), Vec::<String>::new());
    world.deploy(&["--accept-volume", &volume]).exits(0);
    assert_eq!(http::get(world.web_port, "/health").map(|answer| answer.status), Some(200));
}

/// A container as Compose would have made it from the app's files, under another project's name.
fn started_from_here(world: &World, name: &str) -> String {
    let folder = world.app_dir.join("docker");
    let labels = [
        format!("com.docker.compose.project={}-{name}", world.app),
        "com.docker.compose.service=web".to_owned(),
        format!("com.docker.compose.project.working_dir={}", folder.display()),
        format!("com.docker.compose.project.config_files={}", world.app_dir.join(COMPOSE).display()),
    ];
    let mut arguments = vec!["create"];
    labels.iter().for_each(|label| arguments.extend(["--label", label]));
    arguments.extend(["wharf-base/busybox:1", "true"]);
    docker::docker(&arguments)
}

#[test]
fn two_apps_under_one_project_are_refused() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    let other_dir = world.server.folder.join("other");
    std::fs::create_dir_all(&other_dir).expect("a folder of the test's");
    std::fs::copy(world.app_dir.join(".env.prod"), other_dir.join(".env.prod")).expect("the env file");
    let config = world.laptop.read("wharf.toml");
    let other = config
        .replace(&format!("app = \"{}\"", world.app), "app = \"other\"")
        .replace(&world.app_dir.display().to_string(), &other_dir.display().to_string());
    world.laptop.write("wharf.toml", other);
    let before = std::fs::read_dir(&other_dir).expect("a folder of the test's").count();
    let ran = refused(&world, &[], 3);
    assert_eq!(std::fs::read_dir(&other_dir).expect("a folder of the test's").count(), before);
    insta::assert_snapshot!("two_apps", rendering(&world, &ran));
}

#[test]
fn a_dump_that_fails_keeps_everything_as_it_was() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    let database = world.container("db");

    // The database is stopped.
    docker::docker(&["stop", "-t", "5", &database]);
    let ran = refused(&world, &[], 1);
    assert!(ran.stderr.contains("not running"), "{}", ran.stderr);
    docker::docker(&["start", &database]);
    wharf_tests::http::get_when_up(world.web_port, "/health");

    // The wrong user.
    let config = world.laptop.read("wharf.toml");
    world
        .laptop
        .write("wharf.toml", config.replace("service = \"db\"", "service = \"db\"\nuser = \"nobody_here\""));
    let ran = refused(&world, &[], 1);
    assert!(ran.stderr.contains("nobody_here"), "{}", ran.stderr);
    world.laptop.write("wharf.toml", config);

    // pg_dump is missing.
    let missing =
        "for f in /usr/bin/pg_dump /usr/lib/postgresql/17/bin/pg_dump; do [ ! -e $f ] || mv $f $f.away; done";
    docker::docker(&["exec", &database, "sh", "-c", missing]);
    refused(&world, &[], 1);
    let back = "for f in /usr/bin/pg_dump.away /usr/lib/postgresql/17/bin/pg_dump.away; do [ -e $f ] && mv $f ${f%.away}; done; true";
    docker::docker(&["exec", &database, "sh", "-c", back]);

    // pg_dump dies half-way: a wrapper writes the beginning of a dump and is killed.
    let half = "f=/usr/lib/postgresql/17/bin/pg_dump; mv $f $f.real; printf '#!/bin/sh\\ncase \"$*\" in *-Fc*|*custom*) %s \"$@\" | head -c 600; kill -9 $$;; *) exec %s \"$@\";; esac\\n' $f.real $f.real > $f; chmod 755 $f";
    docker::docker(&["exec", "-u", "root", &database, "sh", "-c", half]);
    refused(&world, &[], 1);
    let whole = "f=/usr/lib/postgresql/17/bin/pg_dump; mv $f.real $f";
    docker::docker(&["exec", "-u", "root", &database, "sh", "-c", whole]);

    world.deploy(&[]).exits(0);
    assert_eq!(world.backend_version(), "2.0.0");
    assert_eq!(world.workouts(), ["squats"]);
}

#[test]
fn a_full_disk_keeps_everything_as_it_was() {
    let mut world = World::fitnessapp();
    world.server.kill();
    let Some(disk) = SmallDisk::mount(&world.server.folder.join("state"), "64m") else {
        eprintln!("only root can mount a small disk: not tested");
        return;
    };
    world.server.restart(&[]);
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    // A dump that is larger than what will be left, also when it is compressed.
    let bulk = "CREATE TABLE bulk AS SELECT md5(random()::text) FROM generate_series(1, 300000)";
    world.sql("fitness", bulk);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");

    // Room for the journal and the upload, and not for the dump.
    disk.fill(2 << 20);
    let ran = refused(&world, &[], 1);
    insta::assert_snapshot!("disk_full_for_the_backup", rendering(&world, &ran));
    // Room for nothing.
    disk.fill(0);
    let ran = refused(&world, &[], 1);
    assert!(rendering(&world, &ran).contains("disk is full"), "{}", ran.stderr);
    assert_eq!(world.backend_version(), "1.0.0");

    disk.make_room();
    world.deploy(&[]).exits(0);
    assert_eq!(world.backend_version(), "2.0.0");
    assert_eq!(world.workouts(), ["squats"]);
    world.nothing_is_left("a full disk");
    // The agent has files open there.
    world.server.kill();
}
