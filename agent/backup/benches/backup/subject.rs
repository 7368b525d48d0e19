//! What is backed up: a project's files and a database in a container.

use crate::measure::{Sample, shell};
use crate::scene::{Container, PASSWORD, Scene};
use crate::tree::Tree;

pub struct Subject {
    pub scene: Scene,
    pub database: Container,
    tree: Tree,
    changes: u32,
}

impl Subject {
    pub fn new(files: usize, rows: u32) -> Self {
        let scene = Scene::new();
        let tree = Tree::new(&scene.project, files);
        let database = Container::postgres();
        database.fill_randomly(rows);
        Self { scene, database, tree, changes: 0 }
    }

    pub fn change_files(&mut self) {
        self.tree.change();
    }

    /// One row in a hundred, spread over the table as an app's users would.
    pub fn change_rows(&mut self) {
        self.changes += 1;
        let sql = format!(
            "UPDATE rows SET filler = md5(random()::text) || substr(filler, 33) WHERE i % 100 = {}",
            self.changes
        );
        self.database.sql("fitness", &sql);
    }

    /// `pg_dump` of the database to standard output, as a shell runs it; `format` is one of its own.
    pub fn dump_command(&self, format: &str) -> String {
        let name = &self.database.name;
        format!("docker exec -e PGPASSWORD={PASSWORD} {name} pg_dump -U fit -d fitness {format}")
    }

    /// `pg_dump` and nothing else.
    pub fn dump_alone(&self) -> Sample {
        shell(&format!("{} >/dev/null", self.dump_command("-Fc -Z0")), &[], self.scene.folder.path())
    }
}
