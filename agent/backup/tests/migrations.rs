//! Migrations by a real `psql`: a file and its row are committed together, or not at all.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use scene::{Container, Scene};
use std::time::Duration;
use wharf_backup::{BackupError, script, sql};
use wharf_migrations::{Ledger, LookError, Move, Script, look, read_look, statements, with_lines_of};

const TABLE: &str = "schema_migrations";
const SOCKET: &str = "/var/run/docker.sock";
const UP: Move<'static> = Move::Up { release: "v7" };

struct Database {
    scene: Scene,
    container: Container,
}

impl Database {
    async fn look(&self) -> Result<Ledger, LookError> {
        let at = self.container.dump("db");
        let lines = sql(SOCKET.as_ref(), &self.scene.repo, &at, &look(TABLE)).await.unwrap();
        read_look(TABLE, &lines)
    }

    async fn send(&self, sent: &str, limit: Duration) -> Result<(), BackupError> {
        script(SOCKET.as_ref(), &self.scene.repo, &self.container.dump("db"), sent, limit).await
    }

    async fn run(&self, name: &str, text: &str, way: Move<'_>) -> Result<(), String> {
        let sent = sent(name, text, way);
        match self.send(&sent, Duration::from_secs(60)).await {
            Err(BackupError::SqlFailed { stderr, .. }) => Err(with_lines_of(name, &sent, &stderr)),
            ended => {
                ended.unwrap();
                Ok(())
            }
        }
    }

    /// The names in the table, with `?` behind those that are unfinished.
    async fn applied(&self) -> Vec<String> {
        let applied = self.look().await.unwrap().applied;
        let name = |one: &wharf_migrations::Applied| match one.at_seconds {
            Some(_) => one.name.clone(),
            None => format!("{}?", one.name),
        };
        applied.iter().map(name).collect()
    }

    fn ask(&self, sql: &str) -> String {
        self.container.sql("fitness", sql)
    }
}

fn sent(name: &str, text: &str, way: Move<'_>) -> String {
    statements("public", TABLE, name, &Script::read(text.as_bytes()).unwrap(), way)
}

#[tokio::test]
async fn a_file_is_applied_wholly_with_its_row_or_not_at_all() {
    let database = Database { scene: Scene::new(), container: Container::postgres() };
    let none = database.look().await.unwrap();
    assert_eq!((none.database.as_str(), none.schema.as_str(), none.applied.len()), ("fitness", "public", 0));

    let odd = "CREATE TABLE a (t text);\n\
        INSERT INTO a VALUES ('it''s \\ ; COMMIT;'), (E'\\'; COMMIT; --'), ($q$ \\d; ROLLBACK; $q$);\n\
        CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;\n\
        SELECT repeat('x', 6000000);\n\
        SET search_path = pg_catalog; SET ROLE pg_monitor -- no semicolon";
    // Cut off anywhere, it is rolled back.
    let whole = sent("1.sql", odd, UP);
    for tenth in 1..10 {
        let _ = database.send(&whole[..whole.len() * tenth / 10], Duration::from_secs(60)).await;
        assert_eq!(database.applied().await, Vec::<String>::new(), "{tenth}");
    }
    let _ = database.send(whole.trim_end().strip_suffix("COMMIT;").unwrap(), Duration::from_secs(60)).await;
    assert_eq!(database.ask("SELECT to_regclass('public.a') IS NULL"), "t");
    database.run("1.sql", odd, UP).await.unwrap();
    assert_eq!(database.applied().await, ["1.sql"]);
    assert_eq!(database.ask("SELECT count(*) FROM a"), "3");

    let said = database.run("2.sql", "ALTER TABLE a ADD b int;\n\nSELECT nope;", UP).await.unwrap_err();
    assert!(said.starts_with("2.sql:3: ERROR:"), "{said}");
    let late = "CREATE TABLE c (i int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1), (1);";
    assert!(database.run("2.sql", late, UP).await.unwrap_err().contains("duplicate key"));
    assert_eq!(database.applied().await, ["1.sql"]);
    let slow = database.send(&sent("2.sql", "SELECT pg_sleep(60)", UP), Duration::from_secs(1)).await;
    assert!(slow.unwrap_err().failure().causes.iter().any(|cause| cause.contains("within 1 seconds")));
    let again = database.run("1.sql", "SELECT 1", UP).await.unwrap_err();
    assert!(again.contains("duplicate key"), "{again}");

    database.run("1.sql", "DROP FUNCTION f; DROP TABLE a", Move::Down).await.unwrap();
    assert_eq!(database.applied().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_transaction_is_unfinished_until_it_ends() {
    let database = Database { scene: Scene::new(), container: Container::postgres() };
    database.ask("CREATE TABLE a AS SELECT 1 AS i UNION ALL SELECT 1");
    let within = database.run("1.sql", "CREATE INDEX CONCURRENTLY i ON a (i);", UP).await.unwrap_err();
    assert!(within.contains("cannot run inside a transaction block"), "{within}");
    let good = "-- wharf: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (i);";
    database.run("1.sql", good, UP).await.unwrap();
    let bad = "-- wharf: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY u ON a (i);";
    let said = database.run("2.sql", bad, UP).await.unwrap_err();
    assert!(said.starts_with("2.sql:2: ERROR:"), "{said}");
    assert_eq!(database.applied().await, ["1.sql", "2.sql?"]);

    database
        .ask("DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version varchar PRIMARY KEY)");
    assert!(matches!(database.look().await, Err(LookError::OtherTable { .. })));
}
