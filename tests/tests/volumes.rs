//! Volumes and folders of data in backups. Part of R23–R25: what a backup holds besides files and PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wharf_tests::terminal::Terminal;
use wharf_tests::{World, docker};

fn state(world: &World, service: &str) -> String {
    docker::docker(&["inspect", "-f", "{{.State.Status}}", &world.container(service)])
}

fn backup(world: &World) -> serde_json::Value {
    let lines = world.laptop.wharf(&["backup", "create", "--json"]).exits(0).json();
    let id = lines.last().expect("a result")["backup"].clone();
    let all = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    all.into_iter().find(|backup| backup["id"] == id).expect("the backup is listed")
}

fn restore(world: &World, id: &str, volume: &str, to: &Path) -> i32 {
    let to = to.to_str().expect("UTF-8");
    world.laptop.wharf(&["backup", "restore", id, "--volume", volume, "--to", to]).code
}

#[test]
fn data_that_the_project_names_is_backed_up_proven_and_comes_back() {
    let world = World::fitnessapp();
    // Nobody names the uploads yet: each status says so.
    world.deploy(&[]).exits(0);
    let uploads = world.app_dir.join("uploads");
    std::fs::write(uploads.join("photo.jpg"), "a photo").expect("a file of the test's");
    let status = || world.laptop.wharf(&["status"]).exits(0).stdout;
    let warned = format!("no backup holds {}", uploads.display());
    assert!(status().contains(&warned), "{}", status());

    // What is none of the app's data is refused before anything is touched.
    for (named, told) in [
        ("name = \"upload\"", "no volume of this app"),
        ("path = \"/etc\"", "neither in the app directory nor mounted"),
        ("path = \"upload\"", "cannot be looked at"),
    ] {
        world.write_config(&format!("[[volume]]\n{named}\n"));
        let refused = world.deploy(&[]).exits(2);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    let old_media = volume_of_an_earlier_release(&world);
    world.write_config(
        "[[volume]]\npath = \"uploads\"\nmode = \"live\"\n[[volume]]\nname = \"pgdata\"\nmode = \"pause\"\n\
         [[volume]]\nname = \"media\"\nmode = \"live\"\n",
    );
    world.deploy(&[]).exits(0);
    assert!(!status().contains("no backup holds"), "{}", status());
    world.add_workout("squats");

    let made = backup(&world);
    let id = made["id"].as_str().expect("an ID");
    assert_eq!(made["volumes"][0]["label"], "uploads");
    assert_eq!(made["volumes"][0]["files"], 1);
    assert_eq!(made["volumes"][0]["mode"], "live");
    assert_eq!(made["volumes"][1]["volume"], format!("{}_pgdata", world.project));
    assert_eq!(state(&world, "db"), "running", "let go again");
    let told = world.laptop.wharf(&["backup", "list", "-v"]).exits(0).stdout;
    assert!(told.contains("folder uploads") && told.contains("volume pgdata"), "{told}");
    world.laptop.wharf(&["backup", "verify", id]).exits(0);

    let to = world.server.folder.join("looked-at");
    assert_eq!(restore(&world, id, "uploads", &to), 0);
    assert_eq!(std::fs::read_to_string(to.join("photo.jpg")).expect("the photo"), "a photo");
    let to = world.server.folder.join("pgdata");
    assert_eq!(restore(&world, id, "pgdata", &to), 0);
    assert!(to.join("PG_VERSION").is_file());
    let new = format!("{}_looked_at", world.project);
    let restore_as =
        || world.laptop.wharf(&["backup", "restore", id, "--volume", "uploads", "--as", &new]).code;
    assert_eq!(restore_as(), 0);
    let mounted = format!("{new}:/data");
    let read = ["run", "--rm", "-v", &mounted, "wharf-base/busybox:1", "cat", "/data/photo.jpg"];
    assert_eq!(docker::docker(&read), "a photo");
    assert_eq!(restore_as(), 2, "never over one that is there");
    docker::docker(&["volume", "rm", &new]);
    assert_eq!(restore(&world, id, "nothing", &world.server.folder.join("none")), 2);
    a_volume_goes_only_after_a_proven_backup(&world, &old_media);
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
}

/// A volume of the app's that no service mounts any more.
fn volume_of_an_earlier_release(world: &World) -> String {
    let name = format!("{}_media", world.project);
    let project = format!("com.docker.compose.project={}", world.project);
    let labels = ["--label", &project, "--label", "com.docker.compose.volume=media"];
    docker::docker(&[&["volume", "create"], &labels[..], &[&name]].concat());
    write_into(&name, "film");
    name
}

fn write_into(volume: &str, file: &str) {
    let (mounted, write) = (format!("{volume}:/data"), format!("echo {file} > /data/{file}"));
    docker::docker(&["run", "--rm", "-v", &mounted, "wharf-base/busybox:1", "sh", "-c", &write]);
}

/// `wharfd volume delete`, on the server itself.
fn a_volume_goes_only_after_a_proven_backup(world: &World, volume: &str) {
    let (config, state) = (world.server.folder.join("wharfd.toml"), world.server.folder.join("state"));
    let [config, state] = [config, state].map(|path| path.to_str().expect("UTF-8").to_owned());
    let command = |volume: &str| {
        ["volume", "delete", volume, "--config", &config, "--state", &state].map(str::to_owned)
    };
    let wharfd = || std::process::Command::new(wharf_tests::program("WHARFD_BIN", "wharfd"));
    let piped = wharfd().args(command(volume)).output().expect("wharfd starts");
    assert_eq!(piped.status.code(), Some(3), "{}", String::from_utf8_lossy(&piped.stderr));
    assert!(String::from_utf8_lossy(&piped.stderr).contains("at a terminal"));
    let refused = |volume: &str, code: u32, told: &str| {
        let mut terminal = Terminal::on_the_server(&command(volume));
        terminal.wait_for(told);
        assert_eq!(terminal.finish(), code, "{told}");
    };
    refused(&format!("{}_pgdata", world.project), 3, "is in use");
    refused(&format!("{}_none", world.project), 2, "there is no volume");
    write_into(volume, "another");
    refused(volume, 3, "something in it was changed");
    let made = backup(world);
    let id = made["id"].as_str().expect("an ID");
    refused(volume, 3, "something in it was changed");
    world.laptop.wharf(&["backup", "verify", id]).exits(0);

    for (typed, code, told) in [(&volume[1..], 3, "nothing was deleted"), (volume, 0, "is deleted")] {
        assert!(docker::volumes(&world.project).iter().any(|name| name == volume));
        let mut terminal = Terminal::on_the_server(&command(volume));
        terminal.wait_for("Type the volume's name");
        terminal.type_in(&format!("{typed}\n"));
        terminal.wait_for(told);
        assert_eq!(terminal.finish(), code);
    }
    assert_eq!(docker::volumes(&world.project), [format!("{}_pgdata", world.project)]);
    let all = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    assert!(all.iter().any(|backup| backup["id"] == id && backup["pinned"] == true), "{all:?}");
    let audit = world.laptop.wharf(&["audit"]).exits(0).stdout;
    assert!(audit.contains(&format!("volume delete {volume}")), "{audit}");
    let to = world.server.folder.join("media");
    assert_eq!(restore(world, id, "media", &to), 0);
    assert_eq!(std::fs::read_to_string(to.join("another")).expect("what was written last"), "another\n");
}

#[test]
fn who_is_held_when_the_agent_is_killed_runs_again() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.write_config("[[volume]]\npath = \"uploads\"\nmode = \"pause\"\n");
    world.deploy(&[]).exits(0);
    // Enough to be still read when the kill comes.
    let noise: Vec<u8> = (0..64 * 1024 * 1024_u32)
        .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).expect("a byte"))
        .collect();
    for number in 0..6_u8 {
        let mut content = noise.clone();
        content.iter_mut().for_each(|byte| *byte ^= number.wrapping_mul(37));
        std::fs::write(world.app_dir.join(format!("uploads/{number}")), content).expect("a file");
    }
    let client = world.laptop.wharf_json(&["backup", "create"]);
    wait_for(&world, "paused");
    world.server.kill();
    client.kill();
    // Also while no agent runs.
    wait_for(&world, "running");
    world.server.restart(&[]);
    wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
    assert_eq!(state(&world, "backend"), "running");
    let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0).json();
    assert_eq!(jobs[0]["outcome"]["result"], "failed", "{}", jobs[0]);
    assert_eq!(backup(&world)["volumes"][0]["files"], 6);
    assert_eq!(state(&world, "backend"), "running");
}

fn wait_for(world: &World, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while state(world, "backend") != wanted {
        assert!(Instant::now() < until, "the back end is never {wanted}");
    }
}
