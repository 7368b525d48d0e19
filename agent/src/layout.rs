//! Where things lie: below the state folder, and beside the app directory while a job runs.

use std::path::{Path, PathBuf};
use wharf_proto::{AppName, JobId};

/// The folders of one agent.
#[derive(Debug, Clone)]
pub struct Layout {
    state: PathBuf,
}

impl Layout {
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn host_key(&self) -> PathBuf {
        self.state.join("host_key")
    }

    /// The address that the SSH server listens on, for those who started it with port 0.
    pub fn address_file(&self) -> PathBuf {
        self.state.join("address")
    }

    /// Where the agent listens to its own server's root.
    pub fn socket(&self) -> PathBuf {
        self.state.join("wharfd.sock")
    }

    /// Docker's socket, guarded: what the agent's children get.
    pub fn guard_socket(&self) -> PathBuf {
        self.state.join("guard.sock")
    }

    /// The same, for apps that may use what is as good as root.
    pub fn root_guard_socket(&self) -> PathBuf {
        self.state.join("guard-root.sock")
    }

    /// Held by the one agent that owns this state.
    pub fn agent_lock(&self) -> PathBuf {
        self.state.join("agent.lock")
    }

    pub fn blobs(&self) -> PathBuf {
        self.state.join("blobs")
    }

    pub fn jobs(&self) -> PathBuf {
        self.state.join("jobs")
    }

    /// Notes of the programs that run for somebody.
    pub fn programs(&self) -> PathBuf {
        self.state.join("programs")
    }

    /// Logins to registries, and Docker's configuration for children that pull.
    pub fn docker_config(&self) -> PathBuf {
        self.state.join("docker")
    }

    /// What belongs to one app: its lock, its backup repository.
    pub fn app(&self, app: &AppName) -> PathBuf {
        self.state.join("apps").join(app.as_str())
    }

    /// What a job found changed on the server, and replaced.
    pub fn saved_aside(&self, app: &AppName, job: JobId) -> PathBuf {
        self.app(app).join("saved-aside").join(format!("job{job}"))
    }

    /// How an app was described that has secrets and was not deployed yet.
    pub fn before_first_deploy(&self, app: &AppName) -> PathBuf {
        self.app(app).join("before-first-deploy.json")
    }

    /// What the next backup says of how another machine brings the app back.
    pub fn recovery_record(&self, app: &AppName) -> PathBuf {
        self.app(app).join("recovery.json")
    }

    /// What a recovery on this machine has begun with, until it is over.
    pub fn recovering(&self, app: &AppName) -> PathBuf {
        self.app(app).join("recovering.json")
    }

    pub fn app_lock(&self, app: &AppName) -> PathBuf {
        self.app(app).join("lock")
    }

    pub fn repository(&self, app: &AppName) -> PathBuf {
        self.app(app).join("backups")
    }

    /// The keys of copies in other places, and what is known of them.
    pub fn offsite(&self, app: &AppName) -> PathBuf {
        self.app(app).join("offsite")
    }

    pub fn repository_key(&self, app: &AppName) -> PathBuf {
        self.app(app).join("backups.key")
    }
}

/// The folders that a job makes beside the app directory: on the same file system, so that renaming is atomic, and gone
/// when the job is over.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The app directory.
    pub app_dir: PathBuf,
    stage: PathBuf,
    own: PathBuf,
}

impl Beside {
    /// `None` where the app directory is the root of a file system.
    pub fn new(app_dir: &Path, app: &AppName, job: JobId) -> Option<Self> {
        let parent = app_dir.parent()?;
        app_dir.file_name()?;
        let name = format!(".wharf-{app}-job{job}");
        Some(Self {
            app_dir: app_dir.to_owned(),
            own: parent.join(format!("{name}.own")),
            stage: parent.join(name),
        })
    }

    /// The same place for another job.
    pub fn of_job(&self, app: &AppName, job: JobId) -> Self {
        Self::new(&self.app_dir, app, job).unwrap_or_else(|| self.clone())
    }

    /// The next tree. It lies as deep as the app directory does, so that `../x` means the same in both.
    pub fn stage(&self) -> PathBuf {
        self.stage.clone()
    }

    /// The job's own notes.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The env file as the job changes it, where it does.
    pub fn next_env(&self) -> PathBuf {
        self.own.join("env.next")
    }

    /// The originals of what the job replaces or removes.
    pub fn undo(&self) -> PathBuf {
        self.own.join("undo")
    }

    /// Where files are written before they are renamed into place.
    pub fn incoming(&self) -> PathBuf {
        self.own.join("incoming")
    }

    /// Everything of the job's.
    pub fn folders(&self) -> [&Path; 2] {
        [&self.stage, &self.own]
    }
}
