//! A PostgreSQL that is no service of the app's stack: backed up before deploys, proven, restored, migrated, and its password
//! told nowhere. Part of R23–R28.

use std::collections::BTreeSet;
use std::path::PathBuf;
use wharf_tests::crash::{RESTORE_OVER, points};
use wharf_tests::secrets::{Watch, search};
use wharf_tests::{Ran, World, await_that, docker, unique};

const IMAGE: &str = "wharf-base/postgres:17";

/// What of [`RESTORE_OVER`] runs in CI. `scripts/test --long` runs all.
const SAMPLE: &[&str] = &["restore.made", "swap.stopped", "swap.inside"];

/// A server that another project runs, with what is special in URLs in its user's password.
struct Outside {
    name: String,
    port: String,
    password: String,
}

impl Outside {
    fn start() -> Self {
        let name = format!("wharf-outside-{}", unique());
        let password = format!("planted-{}@:/%x", unique());
        let mut outside = Self { name: name.clone(), port: String::new(), password };
        docker::docker(&["network", "create", &name]);
        let admin = "POSTGRES_PASSWORD=another";
        let run =
            ["run", "-d", "--name", &name, "--network", &name, "-p", "127.0.0.1::5432", "-e", admin, IMAGE];
        docker::docker(&run);
        let port = docker::docker(&["port", &name, "5432/tcp"]);
        port.rsplit(':').next().expect("a port").clone_into(&mut outside.port);
        await_that("the server outside answers", || {
            let ask = ["exec", &outside.name, "pg_isready", "-q", "-h", "127.0.0.1"];
            std::process::Command::new("docker").args(ask).status().is_ok_and(|status| status.success())
        });
        outside.sql("postgres", &format!("CREATE ROLE app LOGIN CREATEDB PASSWORD '{}'", outside.password));
        for database in ["shop", "maps"] {
            outside.sql("postgres", &format!("CREATE DATABASE {database} OWNER app"));
        }
        let role = "SET ROLE app;";
        outside.sql("shop", &format!("{role} CREATE TABLE items AS SELECT n FROM generate_series(1, 5) n"));
        outside.sql("maps", &format!("{role} CREATE TABLE places AS SELECT n FROM generate_series(1, 30) n"));
        outside
    }

    fn sql(&self, database: &str, statement: &str) -> String {
        let run = ["exec", &self.name, "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d"];
        docker::docker(&[&run[..], &[database, "-c", statement]].concat())
    }

    fn databases(&self) -> String {
        let all = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
        self.sql("postgres", all)
    }

    fn encoded(&self) -> String {
        self.password.replace('%', "%25").replace('@', "%40").replace(':', "%3A").replace('/', "%2F")
    }

    /// As seen from the server itself.
    fn url(&self, database: &str) -> String {
        let (password, port) = (self.encoded(), &self.port);
        format!("postgresql+psycopg2://app:{password}@127.0.0.1:{port}/{database}?sslmode=prefer")
    }

    /// As seen from the other project's network.
    fn url_inside(&self, database: &str) -> String {
        format!("postgres://app:{}@{}/{database}", self.encoded(), self.name)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        for words in [["rm", "-fv", &self.name], ["network", "rm", &self.name]] {
            let _ = std::process::Command::new("docker").args(words).output();
        }
    }
}

fn write_env(world: &World, urls: &str) {
    world.write_env(&format!("BUSYBOX_IMAGE=wharf-base/busybox:1\n{urls}"));
}

fn both(outside: &Outside) -> String {
    format!(
        "[[postgres]]\nurl_env = \"DATABASE_URL\"\nimage = \"{IMAGE}\"\n\
         check_sql = \"SELECT count(*) > 0 FROM items\"\n\
         [[postgres]]\nurl_env = \"MAPS_URL\"\nimage = \"{IMAGE}\"\nnetwork = \"{}\"\n",
        outside.name
    )
}

/// The containers that Wharf made for itself.
fn toolboxes(world: &World) -> Vec<String> {
    docker::own_containers(&world.app)
}

#[test]
fn a_database_outside_the_stack_is_backed_up_proven_and_restored() {
    let outside = Outside::start();
    let mut world = World::with_project("outside");
    let encoded = outside.encoded();
    let watch = Watch::start(&[outside.password.clone(), encoded.clone()]);
    let mut told = refusals(&world, &outside);

    let urls = format!("DATABASE_URL={}\nMAPS_URL={}\n", outside.url("shop"), outside.url_inside("maps"));
    write_env(&world, &urls);
    world.write_plain_config(&both(&outside));
    let planned = world.deploy(&["--dry-run"]).exits(0);
    assert!(planned.stdout.contains("DATABASE_URL (outside the stack)"), "{}", planned.stdout);
    let first = world.deploy(&[]).exits(0);
    assert!(first.stderr.contains("database shop (5 rows in 1 tables)"), "{}", first.stderr);
    assert!(first.stderr.contains("database maps (30 rows in 1 tables)"), "{}", first.stderr);
    assert_eq!(toolboxes(&world), Vec::<String>::new());

    let mut wharf = |arguments: &[&str], code: i32| {
        let ran = world.laptop.wharf(arguments).exits(code);
        told.push(ran);
        let last = told.last().expect("it was just pushed");
        (last.stdout.clone(), last.stderr.clone())
    };
    // As a managed server is: not everything of roles may be read by everybody.
    outside.sql("maps", "REVOKE SELECT ON pg_auth_members FROM PUBLIC");
    let made = wharf(&["backup", "create"], 0).1;
    assert!(made.contains("the dump of MAPS_URL has their names alone"), "{made}");
    assert!(made.contains("the dump of DATABASE_URL has roles without their passwords"), "{made}");
    let listed = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    let id = listed[0]["id"].as_str().expect("an ID").to_owned();
    let proven = wharf(&["backup", "verify", &id], 0).1;
    assert!(proven.contains("2 databases restored with 2 tables and 35 rows"), "{proven}");
    let status = wharf(&["db", "status"], 0).0;
    assert!(status.contains("DATABASE_URL") && status.contains("public.places"), "{status}");
    let status = wharf(&["status"], 0).0;
    assert!(!status.contains("no backup holds"), "{status}");
    let console = ["db", "console", "--service", "MAPS_URL"];
    let asked = world.laptop.wharf_reading(&console, "SELECT 'rows: ' || count(*) FROM places;\n").exits(0);
    assert!(asked.stdout.contains("rows: 30"), "{}", asked.stdout);

    wharf(&["backup", "restore", &id, "--database", "maps", "--as", "scratch"], 0);
    assert_eq!(outside.sql("scratch", "SELECT sum(n) FROM places"), "465");
    outside.sql("postgres", "ALTER ROLE app NOCREATEDB");
    let refused = wharf(&["backup", "restore", &id, "--database", "shop", "--as", "other"], 3).1;
    assert!(refused.contains("may not make databases"), "{refused}");
    outside.sql("postgres", "ALTER ROLE app CREATEDB");
    assert_eq!(outside.databases(), "maps postgres scratch shop");

    outside.sql("shop", "DELETE FROM items");
    outside.sql("postgres", "DROP DATABASE maps");
    // Nobody can rename the database that he is connected to, and there is no other one.
    outside.sql("postgres", "DROP DATABASE scratch");
    outside.sql("postgres", "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC");
    let refused = wharf(&["backup", "restore", &id, "--confirm", &world.app], 3).1;
    assert!(refused.contains("none can be connected to"), "{refused}");
    assert_eq!(outside.databases(), "postgres shop");
    outside.sql("postgres", "GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC");
    wharf(&["backup", "restore", &id, "--confirm", &world.app], 0);
    assert_eq!(outside.sql("shop", "SELECT count(*) FROM items"), "5");
    assert_eq!(outside.sql("maps", "SELECT count(*) FROM places"), "30");
    assert!(outside.databases().contains("shop_before_"), "{}", outside.databases());
    assert_eq!(toolboxes(&world), Vec::<String>::new());

    told.extend(migrated(&world, &outside));
    told.push(killed(&mut world, &outside, &id));
    told.extend(killed_over(&mut world, &outside, &id));
    assert_eq!(watch.stop(), BTreeSet::new(), "the password is in argument lists");
    told_nowhere(&world, &outside, &told);
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
    recovered(&mut world, &outside);
}

/// Each is refused before anything is changed, and says what to do without the value.
fn refusals(world: &World, outside: &Outside) -> Vec<Ran> {
    let one = format!("[[postgres]]\nurl_env = \"DATABASE_URL\"\nimage = \"{IMAGE}\"\n");
    let good = outside.url("shop");
    let other = |from: &str, to: &str| good.replace(from, to);
    let (busybox, absent) =
        (one.replace(IMAGE, "wharf-base/busybox:1"), one.replace(IMAGE, "postgres:nowhere"));
    let network = format!("{one}network = \"wharf-no-such-network\"\n");
    let port = format!(":{}/", outside.port);
    let mut told = Vec::new();
    for (postgres, url, code, says) in [
        (one.replace("DATABASE_URL", "SHOP_URL"), good.clone(), 3, "has no SHOP_URL"),
        (one.clone(), other("127.0.0.1", "app"), 3, "write service = \"app\""),
        (one.clone(), other("app:", "app:not-"), 1, "does not take the password"),
        (one.clone(), other("/shop", "/shoppe"), 1, "has no database shoppe"),
        (one.clone(), other(&port, ":1/"), 1, "cannot be reached"),
        (busybox, good.clone(), 2, "is none of PostgreSQL"),
        (absent, good.clone(), 2, "docker pull postgres:nowhere"),
        (network, good.clone(), 1, "is there a network wharf-no-such-network"),
    ] {
        world.write_plain_config(&postgres);
        write_env(world, &format!("DATABASE_URL={url}\n"));
        let before = world.fingerprint();
        let ran = world.deploy(&[]);
        assert_eq!(ran.code, code, "{says}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
        assert_eq!(world.fingerprint(), before, "{says}: something was touched");
        told.push(ran);
    }
    assert_eq!(toolboxes(world), Vec::<String>::new());
    told
}

/// A folder of SQL files for the database outside.
fn migrated(world: &World, outside: &Outside) -> Vec<Ran> {
    let migrate = "[[migrate]]\nservice = \"DATABASE_URL\"\nfolder = \"migrations\"\n";
    world.write_plain_config(&format!("{}{migrate}", both(outside)));
    let planned = world.deploy(&["--dry-run"]).exits(0);
    assert!(planned.stdout.contains("DATABASE_URL: 001_price.sql"), "{}", planned.stdout);
    let deployed = world.deploy(&[]).exits(0);
    assert_eq!(outside.sql("shop", "SELECT sum(price) FROM items"), "5");
    let status = world.laptop.wharf(&["migrate", "status"]).exits(0);
    assert!(status.stdout.contains("001_price.sql"), "{}", status.stdout);
    assert_eq!(toolboxes(world), Vec::<String>::new());
    vec![planned, deployed, status]
}

/// The agent dies while a dump is restored: what it made there goes when it is back, and its toolbox with it.
fn killed(world: &mut World, outside: &Outside, id: &str) -> Ran {
    let before = outside.databases();
    world.server.restart(&[("WHARFD_CRASH_AT", "restore.inside"), ("WHARFD_LOG", "debug")]);
    let restore = ["backup", "restore", id, "--database", "shop", "--as", "again"];
    let client = world.laptop.wharf_json(&restore);
    world.server.wait_for_death();
    client.kill();
    let left = toolboxes(world);
    assert_eq!(left.len(), 1);
    // What a question left is known by its label.
    let (name, label) = (format!("wharf-{}-ask", world.app), format!("dev.wharf.ask={}", world.app));
    docker::docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "--label",
        &label,
        "wharf-base/busybox:1",
        "sleep",
        "600",
    ]);
    let inspected = docker::docker(&["inspect", &left[0]]);
    let secret =
        [&outside.password, &outside.encoded()].iter().any(|value| inspected.contains(value.as_str()));
    assert!(!secret && inspected.contains("\"NetworkMode\": \"host\""), "{inspected}");
    assert!(docker::docker(&["port", &left[0]]).is_empty());
    another_in_its_place(&left[0]);
    world.server.restart(&[("WHARFD_LOG", "debug")]);
    let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0);
    assert_eq!(jobs.json()[0]["outcome"]["result"], "failed");
    assert_eq!((outside.databases(), toolboxes(world)), (before, Vec::new()));
    jobs
}

/// A container of the same name and job, which says that it connects to the same database, and is made of something else:
/// nobody is to be asked by it.
fn another_in_its_place(toolbox: &str) {
    let label = |key: &str| {
        let value =
            docker::docker(&["inspect", "-f", &format!("{{{{index .Config.Labels {key:?}}}}}"), toolbox]);
        format!("{key}={value}")
    };
    let (job, home) = (label("dev.wharf.job"), label("dev.wharf.home"));
    let name = docker::docker(&["inspect", "-f", "{{.Name}}", toolbox]);
    docker::docker(&["rm", "-f", toolbox]);
    let named = ["run", "-d", "--name", name.trim_start_matches('/'), "--label", &job, "--label", &home];
    docker::docker(&[&named[..], &["wharf-base/busybox:1", "sleep", "600"]].concat());
}

/// The agent dies while both databases are restored over what is live: both are of the backup then, or neither is.
fn killed_over(world: &mut World, outside: &Outside, id: &str) -> Vec<Ran> {
    // Each of the two is renamed from the other one.
    outside.sql("postgres", "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC");
    let mut told = Vec::new();
    for point in points(RESTORE_OVER, SAMPLE) {
        println!("killing the agent at {point}");
        outside.sql("shop", "DELETE FROM items WHERE n = 5");
        outside.sql("maps", "DELETE FROM places WHERE n = 30");
        let before = outside.databases();
        world.server.restart(&[("WHARFD_CRASH_AT", point), ("WHARFD_LOG", "debug")]);
        let client = world.laptop.wharf_json(&["backup", "restore", id, "--confirm", &world.app]);
        world.server.wait_for_death();
        client.kill();
        if *point == "swap.inside" {
            // One is swapped, and who swaps the other one dies, too.
            world.server.dies_again("settle.inside");
        }
        world.server.restart(&[("WHARFD_LOG", "debug")]);
        let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0);
        let outcome = jobs.json()[0]["outcome"]["result"].as_str().expect("an outcome").to_owned();
        let rows = ["items", "places"].map(|table| {
            let database = if table == "items" { "shop" } else { "maps" };
            outside.sql(database, &format!("SELECT count(*) FROM {table}"))
        });
        match rows.each_ref().map(String::as_str) {
            ["4", "29"] => {
                assert!(outcome == "failed" || outcome == "put_back", "{point}: {outcome}");
                assert_eq!(outside.databases(), before, "{point}");
            }
            ["5", "30"] => {
                assert_eq!(outcome, "done", "{point}");
                assert!(!outside.databases().contains("wharf_"), "{point}: {}", outside.databases());
            }
            other => panic!("{point}: {other:?}"),
        }
        let running = docker::docker(&["inspect", "-f", "{{.State.Running}}", &world.container("app")]);
        assert_eq!((running.as_str(), toolboxes(world)), ("true", Vec::new()), "{point}");
        told.push(jobs);
    }
    outside.sql("postgres", "GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC");
    told
}

fn told_nowhere(world: &World, outside: &Outside, told: &[Ran]) {
    let values = [outside.password.clone(), outside.encoded()];
    let more =
        ["status", "jobs", "audit", "releases"].map(|list| world.laptop.wharf(&[list, "--json"]).exits(0));
    let mut texts: Vec<String> =
        told.iter().chain(&more).map(|ran| ran.stdout.clone() + &ran.stderr).collect();
    texts.push(world.server.log());
    for (at, text) in texts.iter().enumerate() {
        assert!(!values.iter().any(|value| text.contains(value)), "text {at} has the password");
    }
    let env_file = world.app_dir.join(".env.prod");
    for value in &values {
        let mut found = Vec::new();
        search(world.server.folder.parent().expect("a world's folder"), value.as_bytes(), &mut found);
        found.retain(|path| *path != env_file);
        assert_eq!(found, Vec::<PathBuf>::new());
    }
}

/// The server is lost, and the database is not: the app comes back from its backups, and nothing is written to what has rows
/// that are newer.
fn recovered(world: &mut World, outside: &Outside) {
    world.laptop.wharf(&["backup", "create"]).exits(0);
    outside.sql("shop", "INSERT INTO items VALUES (6)");
    world.server.kill();
    let (copy, state) = (world.server.folder.join("copy"), world.server.folder.join("state"));
    let app = state.join("apps").join(&world.app);
    std::fs::create_dir(&copy).expect("a folder of the test's");
    std::fs::rename(app.join("backups"), copy.join(&world.app)).expect("the backups lie there");
    let key = world.server.folder.join("put-away.key");
    std::fs::rename(app.join("backups.key.recovery"), &key).expect("the key lies there");
    docker::remove_project(&world.project, &world.app);
    for folder in [&world.app_dir, &state] {
        std::fs::remove_dir_all(folder).expect("a folder of the test's");
    }
    let output = std::process::Command::new(wharf_tests::program("WHARFD_BIN", "wharfd"))
        .args(["recover", "--app", &world.app, "--from"])
        .arg(&copy)
        .arg("--key-file")
        .arg(&key)
        .arg("--state")
        .arg(&state)
        .output()
        .expect("wharfd starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("shop lies outside the stack, at the URL in DATABASE_URL"), "{said}");
    assert!(!said.contains(&outside.password) && !said.contains(&outside.encoded()));
    assert_eq!(outside.sql("shop", "SELECT count(*) FROM items"), "6");
    assert_eq!(docker::containers(&world.project).len(), 1);
    assert_eq!(toolboxes(world), Vec::<String>::new());
}
