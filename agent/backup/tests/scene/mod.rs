//! What the tests work on: a project, a database in a container, a repository. Dropping removes all of it.
#![expect(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use wharf_backup::{
    BackupError, BackupReport, BackupRequest, CheckReport, CheckRequest, Child, DumpRequest, ListReport,
    ListRequest, ProjectTree, Request, Update, init_repo, run,
};

use wharf_proto::database::DatabaseKind;

pub const PASSWORD: &str = "s3cret-of-the-test";
/// Long enough for a busy machine, short enough to notice a hang.
const LIMIT: Duration = Duration::from_secs(180);

pub struct Scene {
    pub folder: TempDir,
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub project: PathBuf,
}

impl Scene {
    /// A small project and an empty repository.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("state/repo");
        Self::with_repo(folder, repo)
    }

    pub fn with_repo(folder: TempDir, repo: PathBuf) -> Self {
        let key_file = folder.path().join("state/key");
        let project = folder.path().join("project");
        std::fs::create_dir_all(project.join("backend")).unwrap();
        std::fs::write(project.join("backend/app.py"), "print('hello')\n").unwrap();
        std::fs::write(project.join(".env.prod"), "DB_PASSWORD=x\n").unwrap();
        init_repo(&repo, &key_file).unwrap();
        Self { folder, repo, key_file, project }
    }

    /// A file of bytes that do not compress, the same ones for the same seed.
    pub fn random_file(&self, name: &str, size_bytes: usize, seed: u64) {
        random_file(&self.project.join(name), size_bytes, seed);
    }

    pub fn backup(&self, dumps: Vec<DumpRequest>) -> BackupRequest {
        BackupRequest {
            repo: self.repo.clone(),
            key_file: self.key_file.clone(),
            docker_socket: "/var/run/docker.sock".into(),
            project: Some(ProjectTree { root: self.project.clone(), exclude: vec![] }),
            dumps,
            cold: vec![],
            volumes: vec![],
            holds: vec![],
            recovery: None,
            tags: vec!["wharf".into(), "test".into()],
            host: "testhost".into(),
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
        }
    }

    pub async fn make_backup(&self, dumps: Vec<DumpRequest>) -> Result<BackupReport, BackupError> {
        ask(self.backup(dumps)).await
    }

    pub async fn list(&self) -> ListReport {
        ask(ListRequest { repo: self.repo.clone(), key_file: self.key_file.clone(), patient: true })
            .await
            .unwrap()
    }

    pub async fn check(&self, read_data: bool) -> Result<CheckReport, BackupError> {
        ask(CheckRequest {
            repo: self.repo.clone(),
            key_file: self.key_file.clone(),
            read_data,
            snapshot: None,
        })
        .await
    }

    /// No backup is there, and what a failed one left harms nobody.
    pub async fn assert_nothing_but_sound(&self) {
        assert_eq!(self.list().await.backups, []);
        self.check(true).await.unwrap();
    }

    /// The pack files, largest first.
    pub fn packs(&self) -> Vec<PathBuf> {
        let mut packs: Vec<_> = std::fs::read_dir(self.repo.join("data"))
            .unwrap()
            .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect();
        packs.sort_by_key(|path| std::cmp::Reverse(path.metadata().unwrap().len()));
        packs
    }

    /// restic on the repository, by the recovery key. `None`: there is no restic here.
    pub fn restic(&self, arguments: &[&str]) -> Option<Output> {
        self.restic_at(&self.repo, arguments)
    }

    /// The same, on another repository with this scene's recovery key.
    pub fn restic_at(&self, repo: &Path, arguments: &[&str]) -> Option<Output> {
        let password = wharf_backup::recovery_key_file(&self.key_file);
        let result = Command::new("restic")
            .args(["--no-cache", "--repo"])
            .arg(repo)
            .arg("--password-file")
            .arg(password)
            .args(arguments)
            .output();
        match result {
            Ok(output) => {
                assert!(output.status.success(), "restic {arguments:?}: {}", text(&output.stderr));
                Some(output)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("restic is not installed: interoperation is not tested");
                None
            }
            Err(error) => panic!("restic: {error}"),
        }
    }
}

/// As [`Scene::random_file`], anywhere.
pub fn random_file(path: &Path, size_bytes: usize, seed: u64) {
    use rand::{Rng, SeedableRng};
    let mut content = vec![0; size_bytes];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut content);
    std::fs::write(path, content).unwrap();
}

pub fn child() -> Child {
    Child { program: env!("CARGO_BIN_EXE_wharf-backup-child").into(), arguments: vec![] }
}

pub async fn ask<R: Request>(request: R) -> Result<R::Report, BackupError> {
    ask_child(&child(), request, |_| {}).await
}

pub async fn ask_child<R: Request>(
    child: &Child,
    request: R,
    on_update: impl FnMut(Update) + Send,
) -> Result<R::Report, BackupError> {
    tokio::time::timeout(LIMIT, run(child, request, on_update)).await.expect("the child takes too long")
}

/// A container that goes when this is dropped.
pub struct Container {
    pub name: String,
}

impl Container {
    pub fn start(image: &str, options: &[&str], command: &[&str]) -> Self {
        let container = Self { name: format!("wharf-backup-test-{:016x}", rand::random::<u64>()) };
        let mut arguments = vec!["run", "-d", "--network", "none", "--name", &container.name];
        arguments.extend(options);
        arguments.push(image);
        arguments.extend(command);
        docker(&arguments);
        container
    }

    /// PostgreSQL that asks for its password on the local socket, too.
    pub fn postgres() -> Self {
        let password = format!("POSTGRES_PASSWORD={PASSWORD}");
        let options = ["-e", "POSTGRES_USER=fit", "-e", &password, "-e", "POSTGRES_DB=fitness"];
        let container = Self::start("wharf-base/postgres:17", &options, &[]);
        // The server answers on TCP only when it is past its first start.
        container.exec(&["sh", "-c", "until pg_isready -q -h 127.0.0.1; do sleep 0.1; done"]);
        container.exec(&[
            "sed",
            "-i",
            "/^local/s/trust/scram-sha-256/",
            "/var/lib/postgresql/data/pg_hba.conf",
        ]);
        container.sql("fitness", "SELECT pg_reload_conf()");
        container
    }

    pub fn exec(&self, command: &[&str]) -> String {
        let password = format!("PGPASSWORD={PASSWORD}");
        let mut arguments = vec!["exec", "-e", &password, &self.name];
        arguments.extend(command);
        docker(&arguments)
    }

    /// As `psql` prints it.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let target = format!("dbname='{}'", database.replace('\'', "\\'"));
        self.exec(&["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "fit", "-d", &target, "-c", sql])
    }

    /// A table `rows` with so many rows of about one kilobyte, which compress well.
    pub fn fill(&self, rows: u32) {
        self.fill_with("repeat(md5(i::text), 32)", rows);
    }

    /// The same, but the rows compress to a half.
    pub fn fill_randomly(&self, rows: u32) {
        self.fill_with("(SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 32) j)", rows);
    }

    fn fill_with(&self, filler: &str, rows: u32) {
        let sql =
            format!("CREATE TABLE rows AS SELECT i, {filler} AS filler FROM generate_series(1, {rows}) i");
        self.sql("fitness", &sql);
    }

    pub fn dump(&self, label: &str) -> DumpRequest {
        DumpRequest {
            label: label.into(),
            kind: DatabaseKind::Postgres,
            container: self.name.clone(),
            user: None,
            database: None,
            commands: None,
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-fv", &self.name]).stdout(Stdio::null()).status();
    }
}

pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}
