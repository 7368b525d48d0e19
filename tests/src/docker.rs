//! What the engine says, asked with its own command line.

use std::path::PathBuf;
use std::process::Command;

/// Standard output of `docker ARGS…`, trimmed.
///
/// # Panics
/// Where the command fails.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker is on the path");
    assert!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// IDs of a Compose project's containers, running or not.
pub fn containers(project: &str) -> Vec<String> {
    let mut found = lines(&docker(&[
        "ps",
        "-aq",
        "--no-trunc",
        "--filter",
        &format!("label=com.docker.compose.project={project}"),
    ]));
    found.sort();
    found
}

/// The ID of a service's one container.
///
/// # Panics
/// Where it has none, or several.
pub fn container(project: &str, service: &str) -> String {
    let found = lines(&docker(&[
        "ps",
        "-aq",
        "--no-trunc",
        "--filter",
        &format!("label=com.docker.compose.project={project}"),
        "--filter",
        &format!("label=com.docker.compose.service={service}"),
    ]));
    assert_eq!(found.len(), 1, "containers of {service}: {found:?}");
    found[0].clone()
}

/// Names of a project's volumes.
pub fn volumes(project: &str) -> Vec<String> {
    let mut found = lines(&docker(&[
        "volume",
        "ls",
        "-q",
        "--filter",
        &format!("label=com.docker.compose.project={project}"),
    ]));
    found.sort();
    found
}

/// Names of the volumes whose name begins with `prefix`, whoever has them.
pub fn volumes_named(prefix: &str) -> Vec<String> {
    let all = docker(&["volume", "ls", "-q"]);
    lines(&all).into_iter().filter(|name| name.starts_with(prefix)).collect()
}

/// Where the engine's store has a volume's files.
pub fn folder_of(volume: &str) -> PathBuf {
    docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).into()
}

/// Names of the containers that Wharf made for itself and an app's sake (toolboxes), running or not.
pub fn own_containers(app: &str) -> Vec<String> {
    let own = format!("wharf-{app}-");
    let found = docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &format!("name={own}")]);
    lines(&found).into_iter().filter(|name| name.starts_with(&own)).collect()
}

/// Tags of the images whose repository begins with `prefix`.
pub fn image_tags(prefix: &str) -> Vec<String> {
    let all = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    let mut found: Vec<String> = lines(&all).into_iter().filter(|tag| tag.starts_with(prefix)).collect();
    found.sort();
    found
}

/// The label by which the images that are built from a test's project are told from all others, also without a name.
pub const APP_LABEL: &str = "wharf.test.app";

/// IDs of the images built from a test's project that no name leads to any more.
pub fn dangling_images(app: &str) -> Vec<String> {
    let label = format!("label={APP_LABEL}={app}");
    lines(&docker(&["image", "ls", "-q", "--no-trunc", "--filter", "dangling=true", "--filter", &label]))
}

/// Names and states of a project's containers that do not run.
pub fn stopped(project: &str) -> Vec<String> {
    let all = docker(&[
        "ps",
        "-a",
        "--format",
        "{{.State}} {{.Names}}",
        "--filter",
        &format!("label=com.docker.compose.project={project}"),
    ]);
    lines(&all).into_iter().filter(|line| !line.starts_with("running ")).collect()
}

/// Removes what a test made. Volumes are the test's own too, and Wharf never touches them, so the test does.
pub fn remove_project(project: &str, app: &str) {
    let quiet = |arguments: &[&str]| {
        let _ = Command::new("docker").args(arguments).output();
    };
    for id in containers(project) {
        quiet(&["rm", "-f", "-v", &id]);
    }
    // Toolboxes, which are none of the project's.
    for name in own_containers(app) {
        quiet(&["rm", "-f", &name]);
    }
    let label = format!("label=com.docker.compose.project={project}");
    for kind in ["network", "volume"] {
        for name in lines(&docker(&[kind, "ls", "-q", "--filter", &label])) {
            quiet(&[kind, "rm", &name]);
        }
    }
    // What was live when a volume was restored over, and is none of the project's any more.
    for name in volumes_named(&format!("{project}_")).iter().filter(|name| name.contains("_before_")) {
        quiet(&["volume", "rm", name]);
    }
    for prefix in [app, project] {
        for tag in image_tags(&format!("{prefix}-")) {
            quiet(&["image", "rm", &tag]);
        }
    }
    for id in dangling_images(app) {
        quiet(&["image", "rm", &id]);
    }
}
