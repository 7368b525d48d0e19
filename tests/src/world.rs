//! One app on one server with one laptop.

use crate::{Laptop, Server, Sshd, docker, http, tree, unique};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A test's own world. See the crate's documentation.
pub struct World {
    pub server: Server,
    pub laptop: Laptop,
    pub app: String,
    /// Compose's project name: the app's, unless a test says otherwise.
    pub project: String,
    /// The app directory on the server.
    pub app_dir: PathBuf,
    /// Where the app's front door listens on loopback.
    pub web_port: u16,
    /// The way in, where it is not the agent's own port.
    pub sshd: Option<Sshd>,
    _folder: TempDir,
}

impl World {
    /// The example project (Flask, PostgreSQL, nginx, Expo), not deployed yet.
    pub fn fitnessapp() -> Self {
        Self::with_project("fitnessapp")
    }

    /// A project of `tests/projects`, with an env file on the server and a `wharf.toml` that leads there.
    pub fn with_project(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("wharf-test-").tempdir().expect("a temporary folder");
        let laptop = Laptop::new(&folder.path().join("laptop"));
        let server = Server::start(&folder.path().join("server"), &laptop.public_key());
        let app = format!("t{}", unique());
        let app_dir = server.folder.join("apps").join(&app);
        std::fs::create_dir_all(&app_dir).expect("a folder of the test's");
        let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects");
        tree::copy(&projects.join(name), &laptop.project);
        label_images(&laptop.project, &app);
        let (project, web_port) = (app.clone(), http::free_port());
        let world = Self { server, laptop, app, project, app_dir, web_port, sshd: None, _folder: folder };
        world.write_env(&world.env());
        world.write_config("");
        world
    }

    /// What the env file holds unless a test says otherwise.
    pub fn env(&self) -> String {
        format!(
            "DB_USER=fitness\nDB_NAME=fitness\nDB_PASSWORD=planted-secret-{app}\nSECRET_KEY=another-{app}\nWEB_PORT={port}\n\
             POSTGRES_IMAGE=wharf-base/postgres:17\nPYTHON_IMAGE=wharf-base/python:3\nNGINX_IMAGE=wharf-base/nginx:1\n",
            app = self.app,
            port = self.web_port
        )
    }

    pub fn write_env(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.app_dir.join(".env.prod");
        std::fs::write(&path, text).expect("a file of the test's");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a file of the test's");
    }

    /// Writes `wharf.toml`: the example's, with this world's server, and `more` at its end. Unless that says something of
    /// backups, the agent holds no drills of its own: other jobs would meet them.
    pub fn write_config(&self, more: &str) {
        let backup = if more.contains("[backup]") { "" } else { "[backup]\ndrill = \"off\"\n" };
        let text = format!(
            r#"app = "{app}"

[server]
host = "{host}"
identity = "{key}"
path = "{path}"

[compose]
files = ["docker/docker-compose.prod.yml"]
env_file = ".env.prod"
project = "{app}"

[[bump]]
file = "mobile/app.json"
when_changed = ["mobile/**"]

[[postgres]]
service = "db"

[[health]]
url = "http://127.0.0.1:{port}/health"
within_seconds = 10

[verify]
start_timeout_seconds = 60
stable_seconds = 1

[secrets]
required = ["DB_PASSWORD", "SECRET_KEY"]

{more}
{backup}
"#,
            app = self.app,
            host = self.host(),
            key = self.laptop.key().display(),
            path = self.app_dir.display(),
            port = self.web_port,
        );
        self.laptop.write("wharf.toml", text);
    }

    /// Writes `wharf.toml` for a project whose Compose file is the `compose.yml` at its root, with `more` at its end.
    pub fn write_plain_config(&self, more: &str) {
        let text = format!(
            "app = \"{app}\"\n[server]\nhost = \"{host}\"\nidentity = \"{key}\"\npath = \"{path}\"\n\
             [compose]\nfiles = [\"compose.yml\"]\nenv_file = \".env.prod\"\nproject = \"{app}\"\n\
             [verify]\nstable_seconds = 0\n[backup]\ndrill = \"off\"\n{more}",
            app = self.app,
            host = self.host(),
            key = self.laptop.key().display(),
            path = self.app_dir.display(),
        );
        self.laptop.write("wharf.toml", text);
    }

    fn host(&self) -> String {
        self.sshd.as_ref().map_or_else(|| format!("tester@{}", self.server.address), Sshd::host)
    }

    /// From here on the laptop comes in through OpenSSH; its key has these limits (`--role read`).
    pub fn enter_through_openssh(&mut self, limits: &str) {
        if self.sshd.is_none() {
            self.sshd = Some(Sshd::start(&self.server.folder.join("sshd")));
        }
        if let Some(sshd) = &self.sshd {
            sshd.let_in(&self.key_line(limits));
        }
        self.write_config("");
    }

    /// A line for sshd's `authorized_keys`.
    pub fn key_line(&self, limits: &str) -> String {
        let wharfd = crate::program("WHARFD_BIN", "wharfd");
        let socket = self.server.folder.join("state/wharfd.sock");
        let (wharfd, socket, key) = (wharfd.display(), socket.display(), self.laptop.public_key());
        format!("restrict,command=\"{wharfd} connect --socket {socket} {limits}\" {key}")
    }

    /// `wharf deploy --yes` and more arguments.
    pub fn deploy(&self, more: &[&str]) -> crate::Ran {
        let mut arguments = vec!["deploy", "--yes", "--accept-new-host-key"];
        arguments.extend_from_slice(more);
        self.laptop.wharf(&arguments)
    }

    /// The app's jobs as they are listed, newest first.
    #[track_caller]
    pub fn jobs(&self) -> Vec<serde_json::Value> {
        self.laptop.wharf(&["jobs", "--json"]).exits(0).json()
    }

    /// Adds a row through the app.
    #[track_caller]
    pub fn add_workout(&self, name: &str) {
        let answer =
            http::post(self.web_port, "/api/workouts", &format!(r#"{{"name":"{name}","minutes":30}}"#));
        assert_eq!(answer.expect("the app answers").status, 201);
    }

    /// The names of the rows, through the app.
    #[track_caller]
    pub fn workouts(&self) -> Vec<String> {
        let answer = http::get(self.web_port, "/api/workouts").expect("the app answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let rows: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let name = |row: &serde_json::Value| row["name"].as_str().expect("a name").to_owned();
        rows.as_array().expect("a list").iter().map(name).collect()
    }

    /// The back end's version, through the app.
    #[track_caller]
    pub fn backend_version(&self) -> String {
        let answer = http::get(self.web_port, "/api/version").expect("the app answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let version: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        version["version"].as_str().expect("a version").to_owned()
    }

    /// The front end's version, as nginx serves it.
    #[track_caller]
    pub fn frontend_version(&self) -> String {
        let answer = http::get(self.web_port, "/version.json").expect("the app answers");
        let version: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        version["version"].as_str().expect("a version").to_owned()
    }

    /// `docker compose up -d` and more arguments, as the example's owner would run it on the server.
    pub fn plain_compose_up(&self, more: &[&str]) {
        let file = self.app_dir.join("docker/docker-compose.prod.yml").display().to_string();
        let env = self.app_dir.join(".env.prod").display().to_string();
        let up = ["compose", "-f", &file, "--env-file", &env, "-p", &self.project, "up", "-d"];
        docker::docker(&[&up[..], more].concat());
    }

    /// Asks the example's PostgreSQL, as its superuser; the rows, their columns with `|` between them.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let db = self.container("db");
        let client = ["exec", &db, "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "fitness", "-d", database];
        docker::docker(&[&client[..], &["-c", statement]].concat())
    }

    pub fn container(&self, service: &str) -> String {
        docker::container(&self.project, service)
    }

    /// What a test compares to see that nothing was touched: container IDs, volumes, and every file on the server.
    pub fn fingerprint(&self) -> (Vec<String>, Vec<String>, tree::Tree) {
        (docker::containers(&self.project), docker::volumes(&self.project), tree::read(&self.app_dir))
    }
}

/// Lets every image that is built from the project say whose it is, so that one without a name is found on an engine that
/// other tests share.
pub fn label_images(project: &Path, app: &str) {
    for path in tree::read(project).into_keys().filter(|path| path.ends_with("Dockerfile")) {
        let path = project.join(path);
        let text = std::fs::read_to_string(&path).expect("a file of the project");
        std::fs::write(path, format!("{text}LABEL {}={app}\n", docker::APP_LABEL))
            .expect("a file of the test's");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.kill();
        docker::remove_project(&self.project, &self.app);
    }
}
