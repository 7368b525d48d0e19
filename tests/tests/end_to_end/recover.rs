//! `wharfd recover`: the server is gone, and a new one brings the app back from a copy and the recovery key alone.
//! Show 6 of the data issue: from a folder, from an SFTP server (OpenSSH) and from an S3-compatible one (s3s-fs).

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use wharf_tests::{Restic, S3, Sshd, World, docker};

/// What `wharfd recover` ended with: exit code (-1: it was killed) and everything that it wrote.
pub fn recover(world: &World, more: &[&str]) -> (i32, String) {
    recover_until(world, more, "")
}

/// The same, killed at a crash point.
fn recover_until(world: &World, more: &[&str], point: &str) -> (i32, String) {
    let output = Command::new(wharf_tests::program("WHARFD_BIN", "wharfd"))
        .arg("recover")
        .arg("--config")
        .arg(world.server.folder.join("wharfd.toml"))
        .arg("--state")
        .arg(world.server.folder.join("state"))
        .args(more)
        .env("WHARFD_CRASH_AT", point)
        .output()
        .expect("wharfd starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// Where the copies go. The servers end with it.
struct Copies {
    /// By the names that `wharfd.toml` has for them: where their files lie on this machine.
    places: Vec<(&'static str, PathBuf)>,
    key: PathBuf,
    _sshd: Sshd,
    _s3: Option<S3>,
}

/// `wharfd.toml` with a folder, an SFTP server and a bucket.
fn offsite(world: &World) -> Copies {
    let folder = &world.server.folder;
    let (disk, nas) = (folder.join("disk"), folder.join("nas"));
    std::fs::create_dir(&disk).unwrap();
    let sshd = Sshd::start(&folder.join("sshd"));
    let (identity, known_hosts) = sshd.let_in_a_new_key();
    let mut config = format!(
        "[[offsite]]\nname = \"disk\"\npath = \"{}\"\n[[offsite]]\nname = \"nas\"\nsftp = \"{}{}\"\n\
         identity = \"{}\"\nknown_hosts = \"{}\"\n",
        disk.display(),
        sshd.host(),
        nas.display(),
        identity.display(),
        known_hosts.display()
    );
    let mut places = vec![("disk", disk), ("nas", nas)];
    let s3 = S3::start(&folder.join("s3"));
    if let Some(s3) = &s3 {
        let (access, secret) = s3.credentials();
        config += &format!(
            "[[offsite]]\nname = \"bucket\"\ns3 = {{ endpoint = \"{}\", bucket = \"{}\", prefix = \"wharf\", \
             access_key_file = \"{}\", secret_key_file = \"{}\" }}\n",
            s3.endpoint(),
            wharf_tests::s3::BUCKET,
            access.display(),
            secret.display()
        );
        places.push(("bucket", s3.folder().join("wharf")));
    }
    std::fs::write(folder.join("wharfd.toml"), config).unwrap();
    Copies { places, key: folder.join("put-away.key"), _sshd: sshd, _s3: s3 }
}

/// Copies of a live app's backups, and the recovery key that its owner put away.
fn copied(world: &mut World) -> Copies {
    let copies = offsite(world);
    world.server.restart(&[]);
    let compose = "docker/docker-compose.prod.yml";
    let uploads = "      - ../uploads:/app/uploads\n";
    world.laptop.edit(compose, uploads, &format!("{uploads}      - media:/srv/media\n"));
    world.laptop.edit(compose, "volumes:\n  pgdata:", "volumes:\n  media:\n  pgdata:");
    world.write_config(
        "[[volume]]\npath = \"uploads\"\nmode = \"live\"\n[[volume]]\nname = \"media\"\nmode = \"pause\"\n",
    );
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.add_workout("rows");
    std::fs::write(world.app_dir.join("uploads/photo.jpg"), "a photo").unwrap();
    std::fs::write(world.app_dir.join("notes-of-the-owner.txt"), "made on the server").unwrap();
    let film =
        "echo a film > /srv/media/film && chown 1234:1234 /srv/media/film && chmod 640 /srv/media/film";
    docker::docker(&["exec", "-u", "0", &world.container("backend"), "sh", "-c", film]);
    world.laptop.wharf(&["backup", "create"]).exits(0);
    let apps = world.server.folder.join("state/apps").join(&world.app);
    std::fs::copy(apps.join("backups.key.recovery"), &copies.key).unwrap();
    std::fs::set_permissions(&copies.key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (made, until) = (world.restic().count(), Instant::now() + Duration::from_secs(120));
    for (name, place) in &copies.places {
        let there = Restic { repository: place.join(&world.app), key: copies.key.clone() };
        while there.count() != made {
            assert!(Instant::now() < until, "the copies never came to {name}: {}", world.server.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    copies
}

/// The server burns down: agent, containers, volumes, images, files.
pub fn lose(world: &mut World) {
    world.server.kill();
    docker::remove_project(&world.project, &world.app);
    std::fs::remove_dir_all(&world.app_dir).unwrap();
    std::fs::remove_dir_all(world.server.folder.join("state")).unwrap();
}

/// The app serves as it did: rows, env file, the server's own files, the folder and the volume of data.
#[track_caller]
fn is_back(world: &World, env: &[u8]) {
    assert_eq!(world.workouts(), ["squats", "rows"]);
    let path = world.app_dir.join(".env.prod");
    assert_eq!(std::fs::read(&path).unwrap(), env);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(world.app_dir.join("notes-of-the-owner.txt").is_file());
    assert_eq!(std::fs::read(world.app_dir.join("uploads/photo.jpg")).unwrap(), b"a photo");
    let film = "cat /srv/media/film && stat -c '%u:%g %a' /srv/media/film";
    let film = docker::docker(&["exec", &world.container("backend"), "sh", "-c", film]);
    assert_eq!(film, "a film\n1234:1234 640");
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn an_app_comes_back_on_an_empty_machine_from_a_folder_by_sftp_and_from_s3() {
    let mut world = World::fitnessapp();
    let copies = copied(&mut world);
    let env = std::fs::read(world.app_dir.join(".env.prod")).unwrap();
    let key = copies.key.to_str().unwrap();
    let from = |place| ["--from", place, "--key-file", key];

    // The agent still runs.
    let (code, text) = recover(&world, &from("disk"));
    assert_eq!(code, 3, "{text}");
    lose(&mut world);
    from_a_folder(&world, &copies);
    is_back(&world, &env);
    goes_on(&mut world);
    let (code, text) = recover(&world, &[&from("disk")[..], &["--app", &world.app]].concat());
    assert_eq!(code, 3, "{text}");

    lose(&mut world);
    by_sftp_and_killed(&world, &from("nas"));
    is_back(&world, &env);
    if copies.places.iter().any(|(name, _)| *name == "bucket") {
        lose(&mut world);
        let (code, text) = recover(&world, &from("bucket"));
        assert_eq!(code, 0, "{text}");
        is_back(&world, &env);
    }
}

/// What cannot be, and what is in the way: nothing is changed by it. Then it comes back.
fn from_a_folder(world: &World, copies: &Copies) {
    let key = copies.key.to_str().unwrap();
    let from = ["--from", "disk", "--key-file", key];
    let wrong = world.server.folder.join("wrong.key");
    std::fs::write(&wrong, "another-key").unwrap();
    std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, text) = recover(world, &["--from", "disk", "--key-file", wrong.to_str().unwrap()]);
    assert!(code == 1 && text.contains("does not open the backups of"), "{code}: {text}");
    assert!(text.contains("wharf backup key") && !text.contains("another-key"), "{text}");
    let (code, text) = recover(world, &["--from", "tape", "--key-file", key]);
    assert!(code == 2 && text.contains("names: disk, nas"), "{code}: {text}");
    let disk = &copies.places[0].1;
    std::fs::create_dir_all(disk.join("other")).unwrap();
    std::fs::copy(disk.join(&world.app).join("config"), disk.join("other/config")).unwrap();
    let (code, text) = recover(world, &from);
    assert!(code == 2 && text.contains("several apps") && text.contains(&world.app), "{code}: {text}");
    let from = [&from[..], &["--app", &world.app]].concat();
    let (code, text) = recover(world, &[&from[..], &["--list"]].concat());
    assert!(code == 0 && text.contains("1 databases (2 rows), 2 volumes"), "{code}: {text}");
    std::fs::create_dir_all(&world.app_dir).unwrap();
    std::fs::write(world.app_dir.join("mine"), "keep").unwrap();
    let (code, text) = recover(world, &from);
    assert!(code == 3 && text.contains("is not empty"), "{code}: {text}");
    assert_eq!(std::fs::read(world.app_dir.join("mine")).unwrap(), b"keep");
    std::fs::remove_file(world.app_dir.join("mine")).unwrap();

    // A volume that is no part of the backup, and whose name the app wants.
    let pgdata = format!("{}_pgdata", world.project);
    let label = format!("com.docker.compose.project={}", world.project);
    docker::docker(&["volume", "create", "--label", &label, &pgdata]);
    let (code, text) = recover(world, &from);
    let accept = ["--accept-volume", &pgdata];
    assert!(code == 3 && text.contains(&accept.join(" ")), "{code}: {text}");
    let (code, text) = recover(world, &[&from[..], &accept].concat());
    assert_eq!(code, 0, "{text}");
    docker::docker(&["volume", "inspect", &pgdata]);
}

/// Killed within the files, between files and volumes, and within the job; each time the same command goes on.
fn by_sftp_and_killed(world: &World, from: &[&str]) {
    let sample = ["recover.inside", "recover.files", "restore.inside"];
    let more = ["build.inside", "apply.after", "restore.before", "start.before", "commit.before"];
    let more = if wharf_tests::long() { &more[..] } else { &[] };
    for point in sample.iter().chain(more) {
        let (code, text) = recover_until(world, from, point);
        assert_eq!(code, -1, "{point} was never reached: {text}");
    }
    let (code, text) = recover(world, from);
    assert_eq!(code, 0, "{text}");
}

/// The agent goes on as before: the same backups, the next release, and files that nobody shipped stay.
fn goes_on(world: &mut World) {
    world.server.restart(&[]);
    let _ = std::fs::remove_file(world.laptop.folder.join("known_hosts"));
    let listed = world.laptop.wharf(&["--accept-new-host-key", "backup", "list", "--json"]).exits(0);
    assert!(!listed.json().is_empty());
    world.deploy(&[]).exits(0);
    assert_eq!(world.workouts(), ["squats", "rows"]);
    assert!(world.app_dir.join("notes-of-the-owner.txt").is_file());
    let releases = world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    let names: Vec<&str> = releases.iter().filter_map(|line| line["release"].as_str()).collect();
    assert_eq!(names, ["v2", "v1"]);
    world.nothing_is_left("after a recovery and a deploy");
    world.server.kill();
}
