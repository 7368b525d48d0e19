//! Back, forward again, and nothing left behind. Shows 7, 10 and 12 of the ship issue (R4, R30, R43).

use wharf_tests::{World, docker, tree};

#[test]
fn rollback_goes_back_without_a_build_and_forward_again() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let old_image = docker::docker(&["inspect", "-f", "{{.Image}}", &world.container("backend")]);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.laptop.write("backend/new.txt", "new");
    world.deploy(&[]).exits(0);
    let second = tree::read(&world.app_dir);
    let new_image = docker::docker(&["inspect", "-f", "{{.Image}}", &world.container("backend")]);
    assert_ne!(old_image, new_image);

    let back = world.laptop.wharf(&["rollback", "--yes", "--json"]).exits(0).json();
    assert!(!back.iter().any(|line| line["step"] == "build"), "a rollback built something");
    assert_eq!(world.backend_version(), "1.0.0");
    assert_eq!(docker::docker(&["inspect", "-f", "{{.Image}}", &world.container("backend")]), old_image);
    assert!(!world.app_dir.join("backend/new.txt").exists());
    assert_eq!(world.workouts(), ["squats"]);

    world.laptop.wharf(&["rollback", "v2", "--yes"]).exits(0);
    assert_eq!(world.backend_version(), "2.0.0");
    assert_eq!(docker::docker(&["inspect", "-f", "{{.Image}}", &world.container("backend")]), new_image);
    assert_eq!(tree::read(&world.app_dir), second);

    world.nothing_is_left("back and forward");

    let nowhere = world.laptop.wharf(&["rollback", "v9", "--yes"]).exits(2);
    assert!(nowhere.stderr.contains("v9"), "{}", nowhere.stderr);
}

#[test]
fn the_owner_s_plain_compose_recreates_nothing_afterwards() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.deploy(&[]).exits(0);
    let before = docker::containers(&world.app);
    world.plain_compose_up(&[]);
    assert_eq!(docker::containers(&world.app), before);
}

#[test]
fn files_of_the_server_survive_ten_deploys() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    let upload = world.app_dir.join("uploads/photo.jpg");
    std::fs::create_dir_all(upload.parent().expect("a folder")).expect("a folder of the test's");
    std::fs::write(&upload, "a photo").expect("a file of the test's");
    std::fs::write(world.app_dir.join("notes.txt"), "the server's own").expect("a file of the test's");
    std::fs::create_dir_all(world.app_dir.join("backend/cache")).expect("a folder of the test's");
    std::fs::write(world.app_dir.join("backend/cache/x"), "cached").expect("a file of the test's");
    let env = std::fs::read(world.app_dir.join(".env.prod")).expect("the env file");

    for round in 0..10 {
        let remove = |path: String| {
            let _ = std::fs::remove_file(world.laptop.project.join(path));
        };
        world.laptop.write(&format!("docs/added-{round}.md"), format!("round {round}"));
        world.laptop.write("docs/changed.md", format!("round {round}"));
        if round > 1 {
            remove(format!("docs/added-{}.md", round - 2));
        }
        let (from, to) = (format!("docs/at-{round}/moved.md"), format!("docs/at-{}/moved.md", round + 1));
        world.laptop.write(&to, "moved");
        remove(from);
        // An empty folder would be shipped as one.
        let _ = std::fs::remove_dir(world.laptop.project.join(format!("docs/at-{round}")));
        world.deploy(&[]).exits(0);
        assert!(!world.app_dir.join(format!("docs/at-{round}")).exists(), "an empty folder was left");
    }

    assert_eq!(std::fs::read(&upload).expect("the upload"), b"a photo");
    assert_eq!(std::fs::read(world.app_dir.join("notes.txt")).expect("the note"), b"the server's own");
    assert_eq!(std::fs::read(world.app_dir.join("backend/cache/x")).expect("the cache"), b"cached");
    assert_eq!(std::fs::read(world.app_dir.join(".env.prod")).expect("the env file"), env);
    let docs: Vec<String> = tree::read(&world.app_dir.join("docs"))
        .keys()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    assert_eq!(docs, ["added-8.md", "added-9.md", "at-10/moved.md", "changed.md"]);
    world.nothing_is_left("ten deploys");
}

#[test]
fn a_failed_deploy_leaves_no_image_of_its_own() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    let before = docker::image_tags(&format!("{}-", world.app));
    world.laptop.edit("backend/healthcheck.py", "!= 200", "!= 299");
    world.deploy(&[]).exits(1);
    assert_eq!(docker::image_tags(&format!("{}-", world.app)), before);
    world.nothing_is_left("a failed deploy");
}

#[test]
fn a_rollback_across_a_migration_asks_first() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let add = "import os, psycopg\nwith psycopg.connect(os.environ['DATABASE_URL']) as db: db.execute('ALTER TABLE workouts ADD COLUMN IF NOT EXISTS note text')\n";
    world.laptop.write("backend/migrate.py", add);
    world.write_config("[[migrate]]\nservice = \"backend\"\ncommand = [\"python3\", \"/app/migrate.py\"]\n");
    world.deploy(&[]).exits(0);
    let before = world.fingerprint();

    let refused = world.laptop.wharf(&["rollback"]).exits(3);
    assert!(refused.stderr.contains("another schema now than when v1 was live"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-schema"), "{}", refused.stderr);
    assert_eq!(world.fingerprint(), before, "something was touched");
    world.laptop.wharf(&["rollback", "--accept-schema"]).exits(0);
    assert_eq!(world.workouts(), ["squats"]);
    // Forward again: that release has lived with the schema that there is.
    world.laptop.wharf(&["rollback", "v2"]).exits(0);
    assert_eq!(world.workouts(), ["squats"]);
    a_folder_is_applied_file_by_file(&world);
    and_taken_back_and_applied_again(&world);
}

/// Name and state of every migration.
fn migrations(world: &World) -> Vec<(String, String)> {
    let told = world.laptop.wharf(&["migrate", "status", "--json"]).exits(0).json();
    let all = told[0]["migrations"].as_array().expect("a list").clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (text(&one["name"]), text(&one["state"]))).collect()
}

fn states(states: &[(&str, &str)]) -> Vec<(String, String)> {
    states.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

/// R28: in order, each once; an edited one is refused; one that fails leaves the old release and the schema.
fn a_folder_is_applied_file_by_file(world: &World) {
    let first = "CREATE TABLE notes (body text NOT NULL);\nINSERT INTO notes VALUES ('first; COMMIT;');\n";
    world.laptop.write("backend/sql/0001_notes.sql", first);
    world
        .laptop
        .write("backend/sql/0002_length.sql", "ALTER TABLE notes ADD COLUMN length int -- no semicolon");
    world.laptop.write("backend/sql/0002_length.down.sql", "ALTER TABLE notes DROP COLUMN length;\n");
    world.write_config("[[migrate]]\nservice = \"db\"\nfolder = \"backend/sql\"\n");
    let plan = world.deploy(&["--dry-run"]).exits(0).stdout;
    assert!(plan.contains("db: 0001_notes.sql") && plan.contains("db: 0002_length.sql"), "{plan}");
    world.deploy(&[]).exits(0);
    let both = states(&[("0001_notes.sql", "applied"), ("0002_length.sql", "applied")]);
    assert_eq!(migrations(world), both);

    let before = world.fingerprint();
    world.laptop.write("backend/sql/0001_notes.sql", first.replace("first", "1st"));
    let refused = world.deploy(&[]).exits(3);
    assert!(refused.stderr.contains("applied migrations were edited: 0001_notes.sql"), "{}", refused.stderr);
    assert_eq!(world.fingerprint(), before, "something was touched");
    world.laptop.write("backend/sql/0001_notes.sql", first);

    let version = world.backend_version();
    world.laptop.write("backend/version.py", "VERSION = \"9.0.0\"\n");
    world.laptop.write("backend/sql/0003_bad.sql", "ALTER TABLE notes ADD COLUMN bad int;\nSELECT nope;\n");
    let failed = world.deploy(&[]).exits(1).stderr;
    for says in ["0003_bad.sql:2: ERROR", "it was rolled back", "the schema is as it was before"] {
        assert!(failed.contains(says), "no {says:?} in:\n{failed}");
    }
    assert_eq!(world.backend_version(), version);
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(migrations(world), both);
}

fn and_taken_back_and_applied_again(world: &World) {
    let unconfirmed = world.laptop.wharf(&["migrate", "down"]).exits(2);
    assert!(unconfirmed.stderr.contains("--yes"), "{}", unconfirmed.stderr);
    let no_way_back = world.laptop.wharf(&["migrate", "down", "--steps", "2", "--yes"]).exits(3);
    assert!(no_way_back.stderr.contains("0001_notes.sql has no way back"), "{}", no_way_back.stderr);
    world.laptop.wharf(&["migrate", "down", "--to", "0001_notes.sql", "--yes"]).exits(0);
    assert_eq!(migrations(world), states(&[("0001_notes.sql", "applied"), ("0002_length.sql", "pending")]));
    world.laptop.wharf(&["migrate", "up"]).exits(0);
    assert_eq!(migrations(world), states(&[("0001_notes.sql", "applied"), ("0002_length.sql", "applied")]));
    assert_eq!(world.workouts(), ["squats"]);
}
