//! Refusals as people are told them: why, and what to do instead.

use super::{InTheWay, List, Refusal, Unscalable};
use wharf_proto::{Failure, FailureKind};

impl Refusal {
    /// The refusal with its reasons and remedies.
    pub fn to_failure(&self) -> Failure {
        let failure = Failure::new(FailureKind::Refused, self.to_string());
        match self {
            Self::VolumeReplaced { .. }
            | Self::MountGone { .. }
            | Self::TargetMoved { .. }
            | Self::BackingChanged { .. }
            | Self::AnonymousLeftBehind { .. }
            | Self::DataLeftBehind { .. } => self.detachment(failure),
            Self::PostgresMajor { .. }
            | Self::DatabaseWithoutVolume { .. }
            | Self::DataDirectoryMoved { .. }
            | Self::VolumeNotOwned { .. }
            | Self::ExternalVolumeMissing { .. }
            | Self::VolumeDeletion { .. } => self.storage(failure),
            Self::PasswordCharacters { .. }
            | Self::MissingSecrets { .. }
            | Self::RootEquivalent { .. }
            | Self::HooksNotAllowed { .. }
            | Self::HooksNotIsolated { .. } => self.configuration(failure),
            Self::CannotScale { service, replicas, why } => scale(failure, service, *replicas, why),
            Self::TwoApps { .. } | Self::AmbiguousStacks { .. } | Self::ProjectRenamed { .. } => {
                self.project(failure)
            }
            Self::WritableMountOverwrite { .. }
            | Self::PathInTheWay { .. }
            | Self::VersionNotRaised { .. } => self.files(failure),
        }
    }

    /// A container would lose sight of what it has.
    fn detachment(&self, failure: Failure) -> Failure {
        let accept = |failure: Failure, name: &str| {
            failure.hint(format!("if that is meant: --accept-detach {name} (the data itself stays)"))
        };
        match self {
            Self::VolumeReplaced { before, after, after_exists, key, project_before, .. } => {
                let state =
                    if *after_exists { "is another volume" } else { "does not exist yet and would be empty" };
                let failure = failure.cause(format!("{after} {state}; the data is in {before}"));
                let failure = match project_before {
                    Some(project) => failure.cause(format!("the Compose project was called {project}")).hint(
                        format!("keep the project's name: [compose] project = \"{project}\" in wharf.toml"),
                    ),
                    None => failure,
                };
                let failure = failure.hint(format!(
                    "name the volume that has the data in the Compose file: volumes: {{ {key}: {{ name: {before}, external: true }} }}"
                ));
                accept(failure, before)
            }
            Self::MountGone { service, target, before, is_volume } => {
                let failure = failure.cause("the new Compose files do not mount it there any more");
                let source = if *is_volume { format!("the volume {before}") } else { before.clone() };
                accept(failure.hint(format!("mount {source} at {target} in {service} again")), before)
            }
            Self::TargetMoved { service, before, from, to } => {
                let failure = failure
                    .cause(format!(
                        "what {service} wrote at {from} is in {before}, which is mounted at {to} now"
                    ))
                    .hint(format!("mount {before} at {from} again"));
                accept(failure, before)
            }
            Self::BackingChanged { service, target, before, after } => {
                let failure = failure
                    .cause(format!("the data is in {before}; {after} does not have it"))
                    .hint(format!("mount {before} at {target} in {service}, as before"));
                accept(failure, before)
            }
            Self::AnonymousLeftBehind { service, target, volume } => {
                let failure = failure
                    .cause("Compose carries an anonymous volume over only while its place stays the same")
                    .hint(format!(
                        "keep it under a name: mount it at {target} in {service}, and declare \
                         volumes: {{ data: {{ name: {volume}, external: true }} }}"
                    ));
                accept(failure, volume)
            }
            Self::DataLeftBehind { old_service, service, target, before, after } => {
                let failure = failure
                    .cause(format!("{old_service} has {target} in {before}; {after} would be new and empty"))
                    .hint(format!("mount {before} at {target} in {service}"));
                accept(failure, before)
            }
            _ => failure,
        }
    }

    /// Volumes and databases.
    fn storage(&self, failure: Failure) -> Failure {
        match self {
            Self::PostgresMajor { service, image, image_major, volume, volume_major } => failure
                .cause(format!("{volume} was written by PostgreSQL {volume_major}; {image} is PostgreSQL {image_major}, which does not read it"))
                .hint(format!("keep {service} at an image of PostgreSQL {volume_major}"))
                .hint(format!(
                    "to upgrade: dump with {volume_major}, start {image_major} on a new volume under another service, restore, then switch"
                )),
            Self::DatabaseWithoutVolume { service, image, data_dir, anonymous } => {
                let failure = failure.cause(format!(
                    "{image} keeps its data at {data_dir}, where {service} mounts neither a named volume nor a folder of the server's"
                ));
                match anonymous {
                    Some(volume) => failure.cause(format!("its data is in the anonymous volume {volume} now")).hint(
                        format!(
                            "keep that data under a name: mount it at {data_dir}, and declare \
                             volumes: {{ dbdata: {{ name: {volume}, external: true }} }}"
                        ),
                    ),
                    None => failure.hint(format!(
                        "add a volume to {service}: volumes: [dbdata:{data_dir}], and dbdata: to the top-level volumes"
                    )),
                }
            }
            Self::DataDirectoryMoved { service, image, data_dir, backing, found_at } => failure
                .cause(format!("{image} looks at {data_dir}; the data of {backing} is at {found_at}"))
                .cause("the database would start empty")
                .hint(format!("keep the data directory of {service} at {found_at}: stay with the image's major version, or set PGDATA")),
            Self::VolumeNotOwned { volume, project, other_project } => {
                let failure = match other_project {
                    Some(other) if other != project => {
                        failure.cause(format!("Compose made it for the project {other}; this app is {project}"))
                    }
                    Some(_) => failure.cause(format!(
                        "a project called {project} made it, but none of its containers is there to tell which app that was"
                    )),
                    None => failure.cause(format!("this app, the Compose project {project}, did not make it")),
                };
                failure
                    .hint(format!("if it is this app's data: --accept-volume {volume}"))
                    .hint("if not: choose another project name, [compose] project in wharf.toml")
            }
            Self::ExternalVolumeMissing { volume, key } => failure
                .cause(format!("the Compose files say that {key} is made elsewhere (external: true)"))
                .hint(format!("correct its name, or make it on the server: docker volume create {volume}")),
            Self::VolumeDeletion { .. } => failure
                .cause("a volume is the one copy of its data, and what deletes it cannot be undone")
                .hint("to stop the stack and keep its data: docker compose down, on the server, without --volumes")
                .hint("to delete data all the same: make a backup, then docker volume rm on the server, by hand"),
            _ => failure,
        }
    }

    /// The env file and the server's configuration.
    fn configuration(&self, failure: Failure) -> Failure {
        match self {
            Self::PasswordCharacters { key } => failure
                .cause(format!("{key} becomes part of a connection URL, where characters such as @ # : / mean something else"))
                .hint(format!("choose a value of letters, digits, '_' and '-' for {key}, in the database and in the env file"))
                .hint("of a database that runs already, this changes both: wharf db password"),
            Self::MissingSecrets { keys } => failure
                .cause("[secrets] required in wharf.toml names them; they are missing or empty")
                .hint(format!("set what is missing: wharf secrets set {}", keys.join(" "))),
            Self::RootEquivalent { app, .. } => failure
                .cause("a ship may not take over the server, unless the server's owner allows it")
                .hint(format!("remove it, or allow it in /etc/wharf/wharfd.toml: [app.{app}] root_equivalent = true")),
            Self::HooksNotAllowed { app } => failure
                .cause("[[hook]] in wharf.toml names commands that run on the server itself, as root")
                .hint(format!("remove them, or allow them in /etc/wharf/wharfd.toml, and restart wharfd: [app.{app}] hooks = true")),
            Self::HooksNotIsolated { .. } => failure
                .cause("a hook runs only where Docker's data and socket were taken out of its reach")
                .hint("run wharfd as root, on a kernel and in a container (if any) that let it make namespaces and mounts")
                .hint("or remove [[hook]] from wharf.toml"),
            _ => failure,
        }
    }

    /// Which Compose project an app is.
    fn project(&self, failure: Failure) -> Failure {
        match self {
            Self::TwoApps { path, other_path, .. } if other_path.starts_with(&format!("{path} (")) => failure
                .cause(format!("the app of this folder is {other_path}"))
                .hint("write that name under app in wharf.toml, or give this app a path of its own")
                .hint("to rename the app: under its old name wharf forget, then wharf deploy under the new one takes over what runs"),
            Self::TwoApps { project, path, other_path } => failure
                .cause(format!("{other_path} has containers or a record under that name; this app is at {path}"))
                .cause(format!("under {project}, Compose takes the containers of the one for the other's"))
                .hint("choose another name for this app: [compose] project in wharf.toml"),
            Self::AmbiguousStacks { projects, path } => failure
                .cause(format!("containers of the Compose projects {} were started from {path}", List(projects)))
                .hint(format!(
                    "say which one it is: [compose] project = \"{}\" in wharf.toml",
                    projects.first().map_or("…", String::as_str)
                )),
            Self::ProjectRenamed { from, .. } => failure
                .cause(format!("the containers and volumes of {from} would stay behind, and a second stack would start beside them"))
                .hint(format!("keep the name: [compose] project = \"{from}\" in wharf.toml")),
            _ => failure,
        }
    }

    /// The files of the app directory.
    fn files(&self, failure: Failure) -> Failure {
        match self {
            Self::WritableMountOverwrite { paths } => {
                let one = paths.first().map_or_else(String::new, ToString::to_string);
                failure
                    .cause("what a container wrote there is data, and shipping would overwrite it")
                    .hint(format!("do not ship it: add {one} to .wharfignore"))
                    .hint("or mount it read-only, or copy the server's version into the project first")
            }
            Self::PathInTheWay { path, what } => {
                let why = match what {
                    InTheWay::File => "a file or link that Wharf did not ship is where a folder must be",
                    InTheWay::Folder => "a folder with files that Wharf did not ship is where a file must be",
                    InTheWay::Special => "it is a device, socket or pipe",
                };
                failure
                    .cause(why)
                    .hint(format!("move {path} out of the way on the server, or rename what is shipped"))
            }
            Self::VersionNotRaised { file, live, shipped } => {
                let failure = match shipped {
                    Some(shipped) => {
                        failure.cause(format!("it ships {shipped}; {live} was started on this server"))
                    }
                    None => failure
                        .cause(format!("no version was sent for it; {live} was started on this server")),
                };
                failure
                    .cause("clients that know the version would go on showing the old front end")
                    .hint(format!("raise the version in {file} above {live}, or let wharf deploy do it"))
            }
            _ => failure,
        }
    }
}

/// A service that can have one container and no other number.
fn scale(failure: Failure, service: &str, replicas: u32, why: &Unscalable) -> Failure {
    let failure = match why {
        Unscalable::Port(port) => failure
            .cause(format!("it publishes the server's port {port}, which one container alone can have"))
            .hint(format!(
                "put a proxy before {service} that publishes the port, and take `ports:` out of {service}"
            )),
        Unscalable::ContainerName(name) => failure
            .cause(format!(
                "the Compose files name its container {name}, and a name is one container's alone"
            ))
            .hint(format!("take `container_name:` out of {service}")),
        Unscalable::HostNetwork => failure
            .cause("it is on the server's own network, where a port is one container's alone")
            .hint(format!("take `network_mode: host` out of {service}")),
        Unscalable::Database => {
            failure.cause("it is a database whose data lies on a volume: two servers on it would destroy it")
        }
    };
    match replicas {
        0 => failure.hint(format!("to stop it for a while, on the server: docker compose stop {service}")),
        _ => failure.hint(format!("go on with one: wharf scale {service}=1")),
    }
}
