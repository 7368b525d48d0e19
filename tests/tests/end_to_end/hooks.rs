//! Commands of the project's on the server itself: only where the server allows them, and never with a way to the data.
//! Show 2 of the data issue (R20).

use std::path::Path;
use wharf_tests::{World, docker};

/// Puts a file of `tests/projects/hooks` into the project.
fn ship(world: &World, name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/hooks").join(name);
    world.laptop.write(name, std::fs::read(file).expect("a file of the tests'"));
}

fn hook(when: &str, script: &str) -> String {
    format!("[[hook]]\nwhen = \"{when}\"\ncommand = [\"sh\", \"-c\", {script:?}]\n")
}

fn report(world: &World) -> String {
    std::fs::read_to_string(world.app_dir.join("report.txt")).unwrap_or_default()
}

#[test]
fn a_hook_runs_where_the_server_allows_it_and_cannot_reach_the_data() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let volumes = docker::volumes(&world.project);

    // Not allowed: refused, with what to do.
    ship(&world, "attack.sh");
    world.write_config(&hook("after-deploy", "sh attack.sh"));
    let before = world.fingerprint();
    let refused = world.deploy(&[]).exits(3);
    let remedy = format!("[app.{}] hooks = true", world.app);
    assert!(refused.stderr.contains(&remedy), "{}", refused.stderr);
    assert_eq!(world.fingerprint(), before);

    let rights = format!("[app.{}]\nhooks = true\n", world.app);
    std::fs::write(world.server.folder.join("wharfd.toml"), rights).expect("a file of the test's");
    world.server.restart(&[]);

    // Before the deploy: it sees the next files, cannot touch the app's, and stops the deploy. Then the other one runs.
    let fails = "test -f attack.sh && ! touch $WHARF_APP_DIR/mark && ! touch mark && docker ps -q >/dev/null && echo stop here; exit 7";
    let told = "echo told: $WHARF_FAILURE >$WHARF_APP_DIR/report.txt";
    world.write_config(&(hook("before-deploy", fails) + &hook("after-failure", told)));
    let failed = world.deploy(&[]).exits(1);
    assert!(
        failed.stderr.contains("exit code 7") && failed.stderr.contains("stop here"),
        "{}",
        failed.stderr
    );
    assert!(report(&world).starts_with("told: the hook"), "{}", report(&world));
    std::fs::remove_file(world.app_dir.join("report.txt")).expect("the hook's report");
    assert_eq!(world.fingerprint(), before);

    // After it, with every trick there is.
    world.write_config(&hook("after-deploy", "sh attack.sh"));
    let ran = world.deploy(&[]).exits(0);
    let report = report(&world);
    assert!(report.ends_with("end\n"), "{report}\n{}", ran.stderr);
    assert!(report.contains("uid 0") && !report.contains("container none"), "{report}");
    assert!(!report.contains("DONE"), "{report}");
    assert!(report.matches("refused ").count() >= 30, "{report}");
    assert_eq!(docker::volumes(&world.project), volumes);
    assert_eq!(world.workouts(), ["squats"]);

    // One that takes the app down takes no data, and one that hangs is ended.
    let down = format!("docker compose -p {} down -v; sleep 1000", world.app);
    world.write_config(&(hook("after-deploy", &down) + "timeout_seconds = 20\n"));
    let ran = world.deploy(&[]).exits(0);
    assert!(ran.stderr.contains("was ended after 20 seconds"), "{}", ran.stderr);
    assert_eq!(docker::volumes(&world.project), volumes);
    world.write_config("");
    world.deploy(&[]).exits(0);
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}
