//! Nothing that could lose data is begun. Shows 8 and 9 of the ship issue (R5, R20, R21, R22).

use wharf_tests::{Ran, World, docker};

/// A deploy that must be refused, and leave everything as it was.
#[track_caller]
fn refused(world: &World, more: &[&str], code: i32) -> Ran {
    let before = world.fingerprint();
    let ran = world.deploy(more).exits(code);
    assert_eq!(world.fingerprint(), before, "something was touched");
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
    ran
}

/// The text of a refusal, without what differs from run to run.
fn rendering(world: &World, ran: &Ran) -> String {
    let start = ran.stderr.find("refused").or_else(|| ran.stderr.find("error")).unwrap_or(0);
    let text = ran.stderr[start..].replace(&world.app_dir.display().to_string(), "[app dir]");
    text.replace(&world.app, "[app]")
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
}

#[test]
fn two_apps_under_one_project_are_refused() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    let other_dir = world.server.folder.join("apps/other");
    std::fs::create_dir_all(&other_dir).expect("a folder of the test's");
    std::fs::copy(world.app_dir.join(".env.prod"), other_dir.join(".env.prod")).expect("the env file");
    let config = world.laptop.read("wharf.toml");
    let other = config
        .replace(&format!("app = \"{}\"", world.app), "app = \"other\"")
        .replace(&world.app_dir.display().to_string(), &other_dir.display().to_string());
    world.laptop.write("wharf.toml", other);
    let before = world.fingerprint();
    let ran = world.deploy(&[]).exits(3);
    assert_eq!(world.fingerprint(), before);
    assert!(ran.stderr.contains(&world.app), "{}", ran.stderr);
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
