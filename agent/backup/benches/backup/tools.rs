//! The tools that are held against each other.

use crate::measure::{self, Sample, settle, shell, size_of};
use crate::scene::ask_child;
use crate::subject::Subject;
use std::path::PathBuf;
use wharf_backup::Child;

pub trait Tool {
    /// Makes one more backup of everything.
    fn back_up(&mut self, subject: &Subject) -> Sample;
}

/// The agent's own child process, as a deploy runs it: the dump's rows are counted, and everything is read back.
pub struct Wharf {
    runtime: tokio::runtime::Runtime,
    child: Child,
    report: PathBuf,
}

impl Wharf {
    pub fn new(subject: &Subject) -> Self {
        let report = subject.scene.folder.path().join("time-of-wharf");
        let mut arguments = measure::timing(&report);
        arguments.push(env!("CARGO_BIN_EXE_wharf-backup-child").into());
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            child: Child { program: "/usr/bin/time".into(), arguments },
            report,
        }
    }
}

impl Tool for Wharf {
    fn back_up(&mut self, subject: &Subject) -> Sample {
        let (before, request) =
            (size_of(&subject.scene.repo), subject.scene.backup(vec![subject.database.dump("db")]));
        settle();
        self.runtime.block_on(ask_child(&self.child, request, |_| {})).unwrap();
        let added_bytes = size_of(&subject.scene.repo) - before;
        Sample { added_bytes, ..measure::read(&self.report) }
    }
}

/// restic as its users run it: the files, then the dump through a pipe.
pub struct Restic {
    repository: PathBuf,
    password: PathBuf,
}

impl Restic {
    pub fn new(subject: &Subject) -> Self {
        let folder = subject.scene.folder.path();
        let restic = Self { repository: folder.join("restic"), password: folder.join("restic-password") };
        std::fs::write(&restic.password, "of the benchmark").unwrap();
        shell("restic init", &restic.environment(), folder);
        restic
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [
            ("RESTIC_REPOSITORY", self.repository.to_str().unwrap()),
            ("RESTIC_PASSWORD_FILE", self.password.to_str().unwrap()),
        ]
    }
}

impl Tool for Restic {
    fn back_up(&mut self, subject: &Subject) -> Sample {
        let before = size_of(&self.repository);
        let (project, cache) = (subject.scene.project.display(), subject.scene.folder.path().join("cache"));
        let restic = format!("restic --quiet --cache-dir {}", cache.display());
        let dump = subject.dump_command("-Fc -Z0");
        let script =
            format!("{restic} backup {project}\n{dump} | {restic} backup --stdin --stdin-filename db.pgdump");
        let sample = shell(&script, &self.environment(), subject.scene.folder.path());
        Sample { added_bytes: size_of(&self.repository) - before, ..sample }
    }
}

/// What people do by hand: a compressed dump and a copy of the folder, each time anew.
pub struct Plain {
    backups: PathBuf,
    made: u32,
}

impl Plain {
    pub fn new(subject: &Subject) -> Self {
        let backups = subject.scene.folder.path().join("plain");
        std::fs::create_dir(&backups).unwrap();
        Self { backups, made: 0 }
    }
}

impl Tool for Plain {
    fn back_up(&mut self, subject: &Subject) -> Sample {
        self.made += 1;
        let to = self.backups.join(self.made.to_string());
        let (to_text, dump) = (to.display(), subject.dump_command("-Fp"));
        let script = format!(
            "mkdir {to_text}\n{dump} | zstd -q -T0 -o {to_text}/db.sql.zst\ncp -r {} {to_text}/project",
            subject.scene.project.display()
        );
        let sample = shell(&script, &[], subject.scene.folder.path());
        let sample = Sample { added_bytes: size_of(&to), ..sample };
        // Ten copies of everything would fill small disks, and only their sizes are of interest.
        std::fs::remove_dir_all(&to).unwrap();
        sample
    }
}
