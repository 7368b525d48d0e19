//! Volumes and folders of data in backups. Part of R23–R25: what a backup holds besides files and PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wharf_tests::crash::points;
use wharf_tests::docker::folder_of;
use wharf_tests::terminal::Terminal;
use wharf_tests::{World, docker, tree};

fn state(world: &World, service: &str) -> String {
    docker::docker(&["inspect", "-f", "{{.State.Status}}", &world.container(service)])
}

fn backup(world: &World) -> serde_json::Value {
    world.backup(&world.back_up())
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

/// What is kept of a folder that was restored over, and where the engine's store has a volume.
fn kept(world: &World) -> Vec<PathBuf> {
    let is_kept = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name.starts_with(&format!(
            "{}_uploads_before_",
            world.app_dir.file_name().expect("a name").to_string_lossy()
        ))
    };
    let (kept, left): (Vec<_>, Vec<_>) = world.leftovers().into_iter().partition(is_kept);
    assert_eq!(left, Vec::<PathBuf>::new());
    kept
}

/// The volumes that what was live is kept as.
fn kept_volumes(world: &World) -> Vec<String> {
    let mut of_app = docker::volumes_named(&format!("{}_", world.project));
    of_app.retain(|name| name.contains("_before_"));
    of_app
}

/// Nothing of a job's own lies beside a volume's files.
fn store_is_clean(volume: &str) {
    let place = folder_of(volume);
    let beside = std::fs::read_dir(place.parent().expect("the volume's own folder")).expect("the store");
    let names: Vec<_> = beside.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["_data"], "{volume}");
}

#[test]
fn volumes_take_the_place_of_the_live_ones_and_what_was_live_is_kept() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mut world = World::fitnessapp();
    let probe = format!(
        "[[health]]\nurl = \"http://127.0.0.1:{}/api/workouts\"\nwithin_seconds = 3\n",
        world.web_port
    );
    world.write_config(&format!(
        "[[volume]]\npath = \"uploads\"\nmode = \"live\"\n[[volume]]\nname = \"pgdata\"\nmode = \"stop\"\n{probe}"
    ));
    world.deploy(&[]).exits(0);
    let uploads = world.app_dir.join("uploads");
    let photo = uploads.join("photo.jpg");
    std::fs::write(&photo, "old").expect("a file of the test's");
    std::fs::set_permissions(&photo, PermissionsExt::from_mode(0o640)).expect("the test's own file");
    std::os::unix::fs::chown(&photo, Some(1234), Some(56)).expect("the test runs as root");
    world.add_workout("squats");
    let id = world.back_up();
    wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
    // Nothing of these may stay: a log beside a database that is another one now would break it.
    std::fs::write(uploads.join("app.db-wal"), "of what was live").expect("a file of the test's");
    std::fs::write(&photo, "new").expect("the test's own file");
    world.add_workout("later");

    let over = |volumes: &[&str], more: &[&str]| {
        let named = volumes.iter().flat_map(|volume| ["--volume", volume]);
        let words: Vec<&str> =
            ["backup", "restore", &id].into_iter().chain(named).chain(more.to_vec()).collect();
        world.laptop.wharf(&words)
    };
    let (both, confirmed) = (["uploads", "pgdata"], ["--confirm", world.app.as_str()]);
    let before = world.fingerprint();
    over(&both, &["--yes"]).exits(2);
    over(&both, &["--confirm", "another"]).exits(3);
    over(&["none"], &confirmed).exits(2);
    let mounted = format!("{}:/data", uploads.display());
    let run = ["run", "-d", "--rm", "-v", &mounted, "wharf-base/busybox:1", "sleep", "600"];
    let other = docker::docker(&run);
    let refused = over(&both, &confirmed).exits(3);
    assert!(refused.stderr.contains("docker stop"), "{}", refused.stderr);
    docker::docker(&["rm", "-f", &other]);
    assert_eq!(world.fingerprint(), before);

    let done = over(&both, &confirmed).exits(0);
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(std::fs::read_to_string(&photo).expect("the photo"), "old");
    let found = photo.metadata().expect("the photo");
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (1234, 56, 0o640));
    assert!(!uploads.join("app.db-wal").exists());
    assert_eq!(docker::containers(&world.project), before.0, "the very same containers serve");
    let read = ["exec", &world.container("backend"), "cat", "/app/uploads/photo.jpg"];
    assert_eq!(docker::docker(&read), "old", "the back end sees it");
    let [folder] = kept(&world).try_into().expect("one folder is kept");
    let [volume] = kept_volumes(&world).try_into().expect("one volume is kept");
    assert_eq!(std::fs::read_to_string(folder.join("photo.jpg")).expect("what was live"), "new");
    assert!(folder.join("app.db-wal").is_file() && folder_of(&volume).join("PG_VERSION").is_file());
    for told in [folder.to_str().expect("UTF-8"), &volume] {
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    let listed = world.backups();
    assert_eq!(listed[0]["message"], "before a restore");
    store_is_clean(&volume);
    store_is_clean(&format!("{}_pgdata", world.project));

    a_volume_that_the_app_cannot_serve_with_is_put_back(&mut world);
    a_damaged_backup_is_not_restored(&world, &id);
}

/// Where the agent is killed while a volume is put back, and where it is killed again when it goes on with that.
const PUT_BACK_POINTS: &[(&str, Option<&str>)] = &[
    ("put_back.before", None),
    ("put_back.stopped", Some("put_back.exchanged")),
    ("put_back.exchanged", Some("put_back.inside")),
    ("put_back.inside", Some("put_back.started")),
    ("put_back.started", None),
    ("put_back.after", None),
];

/// What of it runs in CI.
const PUT_BACK_SAMPLE: &[(&str, Option<&str>)] = &[("put_back.exchanged", Some("put_back.started"))];

/// Its database lacks what the code asks for.
fn a_volume_that_the_app_cannot_serve_with_is_put_back(world: &mut World) {
    world.sql("fitness", "ALTER TABLE workouts RENAME COLUMN name TO title");
    let id = world.back_up();
    world.sql("fitness", "ALTER TABLE workouts RENAME COLUMN title TO name");
    wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
    let before = kept_volumes(world);
    let restore = ["backup", "restore", &id, "--volume", "pgdata", "--confirm", &world.app];
    let failed = world.laptop.wharf(&restore).exits(1);
    assert!(failed.stderr.contains("put back"), "{}", failed.stderr);
    assert_eq!(world.workouts(), ["squats"]);
    // Wharf deletes no volume, also not one that it made and that is empty: it says so.
    let made: Vec<String> = kept_volumes(world).into_iter().filter(|name| !before.contains(name)).collect();
    let [made] = made.as_slice() else { panic!("{made:?}") };
    assert!(failed.stderr.contains(&format!("docker volume rm {made}")), "{}", failed.stderr);
    assert_eq!(folder_of(made).read_dir().expect("the volume's folder").count(), 0);
    store_is_clean(&format!("{}_pgdata", world.project));

    for (point, again) in points(PUT_BACK_POINTS, PUT_BACK_SAMPLE) {
        println!("killing the agent at {point}, and then at {again:?}");
        world.server.is_killed_at(point, *again, &world.laptop, &restore);
        wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
        let jobs = world.jobs();
        assert_eq!(jobs[0]["outcome"]["result"], "put_back", "{point}: {}", jobs[0]);
        assert_eq!(world.workouts(), ["squats"], "{point}");
        store_is_clean(&format!("{}_pgdata", world.project));
        for empty in kept_volumes(world).into_iter().filter(|name| !before.contains(name)) {
            assert_eq!(folder_of(&empty).read_dir().expect("the volume's folder").count(), 0, "{point}");
        }
    }
}

fn a_damaged_backup_is_not_restored(world: &World, id: &str) {
    let packs = world.repository().join("data");
    let before = (world.fingerprint(), kept(world), kept_volumes(world));
    for entry in tree::files(&packs) {
        let mut content = std::fs::read(&entry).expect("a pack");
        let middle = content.len() / 3;
        content[middle] ^= 1;
        std::fs::remove_file(&entry).expect("a pack");
        std::fs::write(&entry, content).expect("a pack");
    }
    let restore = ["backup", "restore", id, "--volume", "uploads", "--confirm", &world.app];
    world.laptop.wharf(&restore).exits(1);
    assert_eq!((world.fingerprint(), kept(world), kept_volumes(world)), before);
    assert_eq!(world.workouts(), ["squats"]);
}

/// Where the agent is killed while a folder and a volume are restored over what is live.
const POINTS: &[&str] = &[
    "back_up.before",
    "back_up.after",
    "restore.before",
    "restore.inside",
    "restore.after",
    "check.before",
    "check.after",
    "swap.before",
    "swap.stopped",
    "swap.laid",
    "swap.inside",
    "swap.started",
    "swap.after",
];

/// What runs in CI. `scripts/test --long` runs all.
const SAMPLE: &[&str] = &["restore.inside", "swap.stopped", "swap.laid", "swap.inside", "swap.started"];

#[test]
fn a_killed_restore_of_volumes_leaves_wholly_the_old_or_wholly_the_new() {
    let mut world = World::fitnessapp();
    let media = volume_of_an_earlier_release(&world);
    world.write_config(
        "[[volume]]\npath = \"uploads\"\nmode = \"live\"\n[[volume]]\nname = \"media\"\nmode = \"live\"\n",
    );
    world.deploy(&[]).exits(0);
    let places = [world.app_dir.join("uploads"), folder_of(&media)];
    let write = |text: &str| {
        places
            .iter()
            .for_each(|place| std::fs::write(place.join("file"), text).expect("a file of the test's"));
    };
    let read = |place: &Path| std::fs::read_to_string(place.join("file")).expect("the file");
    write("of the backup");
    let id = world.back_up();
    for point in points(POINTS, SAMPLE) {
        println!("killing the agent at {point}");
        write("live");
        let volumes = ["--volume", "uploads", "--volume", "media"];
        let restore = [&["backup", "restore", &id, "--confirm", &world.app], &volumes[..]].concat();
        world.server.is_killed_at(point, None, &world.laptop, &restore);
        wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
        assert_eq!(state(&world, "backend"), "running", "{point}");
        let jobs = world.jobs();
        let outcome = jobs[0]["outcome"]["result"].as_str().expect("an outcome");
        let (folders, kept_volumes) = (kept(&world), kept_volumes(&world));
        match [read(&places[0]), read(&places[1])].each_ref().map(String::as_str) {
            ["live", "live"] => {
                assert!(outcome == "failed" || outcome == "put_back", "{point}: {outcome}");
                assert_eq!(folders, Vec::<PathBuf>::new(), "{point}");
            }
            ["of the backup", "of the backup"] => {
                assert_eq!(outcome, "done", "{point}");
                let of_volume = folder_of(&kept_volumes[0]);
                assert_eq!([&folders[0], &of_volume].map(|place| read(place)), ["live", "live"], "{point}");
            }
            other => panic!("{point}: {other:?}"),
        }
        store_is_clean(&media);
        for folder in folders {
            std::fs::remove_dir_all(folder).expect("the test's own folder");
        }
        for volume in kept_volumes {
            store_is_clean(&volume);
            docker::docker(&["volume", "rm", &volume]);
        }
    }
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
    let all = world.backups();
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
    freeze_unseen(&world.container("backend"));
    assert_eq!(state(&world, "backend"), "running", "as far as the engine knows");
    world.server.restart(&[]);
    wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
    assert_eq!(state(&world, "backend"), "running");
    let jobs = world.jobs();
    assert_eq!(jobs[0]["outcome"]["result"], "failed", "{}", jobs[0]);
    assert_eq!(backup(&world)["volumes"][0]["files"], 6);
    assert_eq!(state(&world, "backend"), "running");
}

/// What the kernel goes on to do on control groups of version 2 after the engine has given up on freezing a container.
fn freeze_unseen(container: &str) {
    let pid = docker::docker(&["inspect", "-f", "{{.State.Pid}}", container]);
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let group = |of: &str| {
        let mut paths = groups.lines().filter_map(|line| line.split_once(':')?.1.strip_prefix(of));
        paths.next().map(|path| path.trim_start_matches('/'))
    };
    let root = Path::new("/sys/fs/cgroup");
    match group("freezer:") {
        Some(group) => {
            std::fs::write(root.join("freezer").join(group).join("freezer.state"), "FROZEN").expect("frozen");
        }
        None => {
            let group = group(":").expect("a group of version 2");
            std::fs::write(root.join(group).join("cgroup.freeze"), "1").expect("frozen");
        }
    }
}

fn wait_for(world: &World, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while state(world, "backend") != wanted {
        assert!(Instant::now() < until, "the back end is never {wanted}");
    }
}
