use super::*;
use crate::render::{Style, failure};
use std::{fmt::Write as _, fs, path::Path};
use wharf_proto::Failure;

const GOOD: &str = r#"
app = "fitnessapp"
keep_releases = 7

[server]
host = "deploy@home.example:2222"
path = "/home/deploy/fitnessapp/"
identity = "keys/deploy"

[compose]
files = ["docker/docker-compose.prod.yml", "./docker/extra.yml"]
env_file = ".env.prod"
profiles = ["web"]
project = "docker"

[pack]
include = ["config/public.env"]

[[bump]]
file = "mobile/app.json"
when_changed = ["mobile/**"]

[[postgres]]
service = "db"

[[migrate]]
service = "web"
command = ["alembic", "upgrade", "head"]

[[health]]
url = "http://127.0.0.1:8080/health"

[verify]
stable_seconds = 3

[backup]
schedule = "0 3 * * *"
timezone = "Europe/Berlin"
keep = { daily = 7, weekly = 4, monthly = 6 }
drill = "weekly"

[secrets]
required = ["DB_PASSWORD", "SECRET_KEY"]

[env.staging]
keep_releases = 2
[env.staging.server]
path = "/srv/staging"
[env.staging.compose]
profiles = []
[[env.staging.health]]
url = "https://staging.example/health"
status = 204
"#;

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["docker/docker-compose.prod.yml", "docker/extra.yml", "mobile/app.json"] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
    }
    folder
}

fn parse(root: &Path, text: &str, environment: Option<&str>) -> Result<Config, ConfigError> {
    load::parse(FILE_NAME, text, root.to_owned(), environment, check::Source::Project)
}

#[test]
fn everything_that_can_be_written() {
    let project = project();
    let config = parse(project.path(), GOOD, None).unwrap();
    assert_eq!(config.server.to_string(), "deploy@home.example:2222");
    assert_eq!(config.server.identity, Some(project.path().join("keys/deploy")));
    assert_eq!(config.include, ["config/public.env"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&config.spec).unwrap());
}

#[test]
fn an_environment_merges_tables_and_replaces_the_rest() {
    let project = project();
    let config = parse(project.path(), GOOD, Some("staging")).unwrap();
    assert_eq!(config.environment.as_deref(), Some("staging"));
    assert_eq!(config.spec.path, "/srv/staging");
    assert_eq!(config.server.host, "home.example", "what the overlay does not say stays");
    assert_eq!(config.spec.keep_releases, 2);
    assert!(config.spec.compose.profiles.is_empty());
    assert_eq!(config.spec.compose.files.len(), 2);
    let urls: Vec<_> = config.spec.health.iter().map(|probe| (probe.url.as_str(), probe.status)).collect();
    assert_eq!(urls, [("https://staging.example/health", 204)]);
}

#[test]
fn what_logs_may_take_is_said_for_an_app_or_an_environment() {
    let project = project();
    let text = GOOD.replace(
        "[env.staging]\n",
        "[logs]\nmax_size = \"50MB\"\n[env.staging.logs]\nmax_files = 2\n[env.staging]\n",
    );
    let told = |environment| {
        let logs = parse(project.path(), &text, environment).unwrap().spec.logs;
        logs.limit(&wharf_proto::spec::LogsSpec::default()).unwrap().to_string()
    };
    assert_eq!([told(None), told(Some("staging"))], ["5 files of 50m", "2 files of 50m"]);
    let error = parse(project.path(), &text.replace("50MB", "much"), None).unwrap_err();
    let told = failure(&error.into(), &Style::plain());
    assert!(told.contains("max_size") && told.contains("with k, m or g"), "{told}");
}

#[test]
fn it_is_found_from_a_folder_below() {
    let project = project();
    fs::write(project.path().join(FILE_NAME), GOOD).unwrap();
    let config = load(&project.path().join("mobile"), None).unwrap();
    assert_eq!(config.root, project.path());
    let nowhere = tempfile::tempdir().unwrap();
    assert!(matches!(load(nowhere.path(), None), Err(ConfigError::NotFound(_))));
}

#[test]
fn environments_that_do_not_exist_and_servers_that_are_not_set() {
    let project = project();
    let without = GOOD.replace("[server]\nhost = \"deploy@home.example:2222\"\npath = \"/home/deploy/fitnessapp/\"\nidentity = \"keys/deploy\"\n", "");
    assert_ne!(without, GOOD);
    let mut told = String::new();
    for (text, environment) in
        [(GOOD, Some("production")), (without.as_str(), None), (without.as_str(), Some("staging"))]
    {
        let error = parse(project.path(), text, environment).unwrap_err();
        writeln!(told, "{environment:?}\n{}", failure(&error.into(), &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

/// Each line is one change to the good file: what to look for, and what to put there.
const MISTAKES: &[(&str, &str)] = &[
    ("app = \"fitnessapp\"", ""),
    ("app = \"fitnessapp\"", "app = \"Fitness App\""),
    ("app = \"fitnessapp\"", "app = 5"),
    ("app = \"fitnessapp\"", "app = \"fitnessapp"),
    ("app = \"fitnessapp\"", "app = \"fitnessapp\"\nhost = \"x\""),
    ("app = \"fitnessapp\"", "app = \"fitnessapp\"\nzebra_crossing = 1"),
    ("[compose]", "[composer]"),
    ("[secrets]", "[secret]"),
    ("host = \"deploy", "hots = \"deploy"),
    ("host = \"deploy@home.example:2222\"", ""),
    ("host = \"deploy@home.example:2222\"", "host = \"ssh://home.example\""),
    ("host = \"deploy@home.example:2222\"", "host = \"home.example:http\""),
    ("path = \"/home/deploy/fitnessapp/\"", ""),
    ("path = \"/home/deploy/fitnessapp/\"", "path = \"fitnessapp\""),
    ("path = \"/home/deploy/fitnessapp/\"", "path = \"~/fitnessapp\""),
    ("path = \"/home/deploy/fitnessapp/\"", "path = \"/\""),
    ("path = \"/home/deploy/fitnessapp/\"", "path = \"/home/../etc\""),
    ("keep_releases = 7", "keep_releases = 0"),
    ("keep_releases = 7", "keep_releases = -1"),
    ("keep_releases = 7", "keep_releases = \"seven\""),
    ("\"./docker/extra.yml\"", "\"docker-compose.yml\""),
    ("\"./docker/extra.yml\"", "\"../docker-compose.yml\""),
    ("\"./docker/extra.yml\"", "5"),
    ("files = [\"docker/docker-compose.prod.yml\", \"./docker/extra.yml\"]", "files = []"),
    (
        "files = [\"docker/docker-compose.prod.yml\", \"./docker/extra.yml\"]",
        "files = \"docker-compose.yml\"",
    ),
    ("files = [\"docker/docker-compose.prod.yml\", \"./docker/extra.yml\"]", ""),
    ("env_file = \".env.prod\"", "env_file = \"/etc/app.env\""),
    ("project = \"docker\"", "project = \"My Project\""),
    ("include = [\"config/public.env\"]", "include = [\"/etc/passwd\"]"),
    ("file = \"mobile/app.json\"", "file = \"mobile/app.jsn\""),
    ("when_changed = [\"mobile/**\"]", "when_changed = []"),
    ("when_changed = [\"mobile/**\"]", "when_changed = [\"mobile/[\"]"),
    ("service = \"db\"", "servcie = \"db\""),
    ("service = \"db\"", ""),
    ("command = [\"alembic\", \"upgrade\", \"head\"]", "command = \"alembic upgrade head\""),
    ("command = [\"alembic\", \"upgrade\", \"head\"]", "command = []"),
    ("url = \"http://127.0.0.1:8080/health\"", "url = \"127.0.0.1:8080/health\""),
    ("url = \"http://127.0.0.1:8080/health\"", "url = \"http://127.0.0.1:8080/health\"\nstatus = 99"),
    ("stable_seconds = 3", "stable_seconds = 100000"),
    ("stable_seconds = 3", "stable = 3"),
    ("schedule = \"0 3 * * *\"", "schedule = \"daily\""),
    ("schedule = \"0 3 * * *\"", "schedule = \"0 25 * * *\""),
    ("schedule = \"0 3 * * *\"", "schedule = \"0 3 30 2 *\""),
    ("timezone = \"Europe/Berlin\"", "timezone = \"Berlin\""),
    ("keep = { daily = 7, weekly = 4, monthly = 6 }", "keep = { daily = 0 }"),
    ("drill = \"weekly\"", "drill = \"daily\""),
    ("monthly = 6", "anually = 6"),
    ("[env.staging]", "[env.staging.env]\n[env.staging]"),
    ("url = \"https://staging.example/health\"", "uri = \"https://staging.example/health\""),
];

#[test]
fn each_mistake_is_told_with_its_line_and_what_to_write_instead() {
    let project = project();
    let mut told = String::new();
    for (from, to) in MISTAKES {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let error = parse(project.path(), &text, None).expect_err(to);
        let error = Failure::from(error);
        assert_eq!(error.exit_code(), 2);
        assert!(!error.hints.is_empty() || error.message.contains("not TOML"), "{to}: {error:?}");
        writeln!(told, "{from}  =>  {to}\n{}", failure(&error, &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_holds_before_a_ship() {
    let project = project();
    let with = |more: &str| parse(project.path(), &format!("{GOOD}\n{more}\n"), None);
    let config =
        with("[git]\nbranch = \"main\"\n[[check]]\ncommand = [\"npm\", \"test\"]\nfolder = \"mobile\"");
    let config = config.unwrap();
    assert_eq!(config.git, GitRules { clean: false, branch: Some("main".into()) });
    let expected = Check {
        command: vec!["npm".into(), "test".into()],
        folder: project.path().join("mobile"),
        timeout_seconds: 600,
    };
    assert_eq!(config.checks, [expected]);
    for (wrong, says) in [
        ("command = []", "empty"),
        ("command = [\"a\"]\nfolder = \"nowhere\"", "no folder"),
        ("command = [\"a\"]\nfolder = \"../x\"", ".."),
        ("command = [\"a\"]\ntimeout_seconds = 0", "out of bounds"),
    ] {
        let error = Failure::from(with(&format!("[[check]]\n{wrong}")).expect_err(wrong));
        assert!(error.message.contains(says) || error.causes.iter().any(|c| c.contains(says)), "{error:?}");
    }
}

#[test]
fn several_databases_of_a_server_are_told_apart() {
    let project = project();
    let with = |more: &str| parse(project.path(), &GOOD.replace("service = \"db\"", more), None);
    let all =
        with("service = \"db\"\nuser = \"u\"\ndatabases = [\"app\", \"analytics\"]").unwrap().spec.postgres;
    let names: Vec<_> = all.iter().map(|one| (one.service.as_str(), one.database.as_deref())).collect();
    assert_eq!(names, [("db", Some("app")), ("db", Some("analytics"))]);
    let twice =
        "service = \"db\"\ndatabase = \"app\"\ncheck_sql = \"SELECT true\"\n[[postgres]]\nservice = \"db\"\n";
    let apart = with(&format!("{twice}database = \"analytics\"")).unwrap().spec.postgres;
    assert!(apart[0].check_sql.is_some() && apart[1].check_sql.is_none());
    let mut told = String::new();
    for wrong in [
        "service = \"db\"\ndatabase = \"a\"\ndatabases = [\"b\"]",
        "service = \"db\"\ndatabases = []",
        "service = \"db\"\ndatabases = [\"a\", \"a\"]",
        "service = \"db\"\ndatabases = [\"a\", \"b\"]\ncheck_sql = \"SELECT true\"",
        "service = \"db\"\ndatabase = \"\"",
        twice,
    ] {
        let error = with(wrong).expect_err(wrong);
        writeln!(told, "{wrong}\n{}", failure(&Failure::from(error), &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_database_outside_the_stack_is_named_by_the_key_of_its_url() {
    let project = project();
    let with = |more: &str| parse(project.path(), &GOOD.replace("service = \"db\"", more), None);
    let good = "url_env = \"DATABASE_URL\"\nimage = \"postgres:17\"\n";
    let spec = with(good).unwrap().spec.postgres.remove(0);
    assert_eq!((spec.server(), spec.service.as_str(), spec.database.as_deref()), ("DATABASE_URL", "", None));
    let both = with(&format!("{good}network = \"x_default\"\ndatabases = [\"a\", \"b\"]")).unwrap();
    assert_eq!(both.spec.postgres.len(), 2);
    let mut told = String::new();
    let again = format!("{good}database = \"a\"\n[[postgres]]\nurl_env = \"DATABASE_URL\"\nimage = ");
    for wrong in [
        &format!("{good}service = \"db\""),
        &format!("{good}user = \"app\""),
        "url_env = \"DATABASE_URL\"",
        "user = \"app\"",
        "url_env = \"postgres://app:hunter2@db/shop\"\nimage = \"postgres:17\"",
        "url_env = \"DATABASE_URL\"\nimage = \"post gres\"",
        &format!("{good}network = \"host\""),
        "service = \"db\"\nimage = \"postgres:17\"",
        "service = \"db\"\nnetwork = \"x\"",
        &format!("{again}\"postgres:16\"\ndatabase = \"b\""),
        &format!("{again}\"postgres:17\"\ndatabase = \"a\""),
    ] {
        let error = failure(&Failure::from(with(wrong).expect_err(wrong)), &Style::plain());
        assert!(!error.contains("hunter2"), "{error}");
        writeln!(told, "{wrong}\n{error}").unwrap();
    }
    let no_env_file = GOOD.replace("service = \"db\"", good).replace("env_file", "# env_file");
    let error = parse(project.path(), &no_env_file, None).expect_err("no env file");
    writeln!(told, "{}", failure(&Failure::from(error), &Style::plain())).unwrap();
    insta::assert_snapshot!(told);
}

#[test]
fn databases_of_other_kinds_are_named_once_too() {
    let project = project();
    let with = |more: &str| parse(project.path(), &format!("{GOOD}\n{more}\n"), None);
    let maria = "[[mysql]]\nservice = \"maria\"\n";
    let spec = with(&format!("{maria}databases = [\"shop\", \"stock\"]\n[[redis]]\nservice = \"cache\""))
        .unwrap()
        .spec;
    let names: Vec<_> =
        spec.mysql.iter().map(|one| (one.service.as_str(), one.database.as_deref())).collect();
    assert_eq!(names, [("maria", Some("shop")), ("maria", Some("stock"))]);
    assert_eq!(spec.redis[0].service, "cache");
    let mut told = String::new();
    for wrong in [
        &format!("{maria}{maria}"),
        &format!("{maria}databases = []"),
        &format!("{maria}database = \"\""),
        "[[mysql]]\nservice = \"db\"",
        "[[redis]]\nservice = \"cache\"\n[[redis]]\nservice = \"cache\"",
        "[[redis]]\nservice = \"cache\"\ndatabase = \"0\"",
    ] {
        let error = with(wrong).expect_err(wrong);
        writeln!(told, "{wrong}\n{}", failure(&Failure::from(error), &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn commands_that_dump_are_words_and_their_services_are_told_apart() {
    let project = project();
    let with = |more: &str| parse(project.path(), &format!("{GOOD}\n{more}\n"), None);
    let docs = "[[dump]]\nservice = \"docs\"\n";
    let good = format!("{docs}dump = [\"mongodump\", \"--archive\"]\n");
    let spec = with(&format!("{good}restore = [\"mongorestore\"]\nready = [\"true\"]")).unwrap().spec;
    assert_eq!((spec.dump[0].called(), spec.dump[0].restore.len()), ("docs", 1));
    let named = |name: &str| format!("{good}name = \"{name}\"\n");
    assert_eq!(with(&(named("a") + &named("b"))).unwrap().spec.dump[1].called(), "b");
    let mut told = String::new();
    for wrong in [
        docs,
        &format!("{docs}dump = [\"mongodump --archive\"]"),
        &format!("{docs}dump = \"mongodump\""),
        &format!("{good}ready = [\"true\"]"),
        &format!("{good}restores = [\"mongorestore\"]"),
        &format!("{good}name = \"\""),
        &format!("{good}{}", named("a")),
        &(named("a") + &named("a")),
        &format!("{good}[[redis]]\nservice = \"docs\""),
        "[[dump]]\ndump = [\"mongodump\"]",
    ] {
        let error = with(wrong).expect_err(wrong);
        writeln!(told, "{wrong}\n{}", failure(&Failure::from(error), &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn data_that_is_named_wrongly_is_told_so() {
    let project = project();
    let with = |volume: &str| parse(project.path(), &format!("{GOOD}\n[[volume]]\n{volume}\n"), None);
    let path = with("path = \"./uploads/\"\nmode = \"live\"").unwrap().spec.volume.remove(0);
    assert_eq!(path.path.as_deref(), Some("uploads"));
    assert_eq!(path.mode, wharf_proto::spec::VolumeMode::Live);
    assert!(with("path = \"/srv/media\"").is_ok() && with("name = \"up_loads.2\"").is_ok());
    let mut told = String::new();
    for wrong in [
        "mode = \"live\"",
        "name = \"a\"\npath = \"b\"",
        "name = \"../a\"",
        "path = \"../a\"",
        "path = \"/\"",
        "name = \"a\"\nmode = \"hot\"",
        "name = \"a\"\n[[volume]]\nname = \"a\"",
    ] {
        let error = with(wrong).expect_err(wrong);
        writeln!(told, "{wrong}\n{}", failure(&Failure::from(error), &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_folder_of_migrations_is_for_a_database_that_is_named() {
    let project = project();
    fs::create_dir(project.path().join("sql")).unwrap();
    let with = |migrate: &str| parse(project.path(), &format!("{GOOD}\n[[migrate]]\n{migrate}\n"), None);
    let spec = with("service = \"db\"\nfolder = \"sql\"").unwrap().spec;
    assert_eq!(spec.migrate[1].folder.as_ref().map(ToString::to_string).as_deref(), Some("sql"));
    let mut told = String::new();
    for wrong in [
        "service = \"db\"",
        "service = \"db\"\nfolder = \"nowhere\"",
        "service = \"db\"\nfolder = \"../sql\"",
        "service = \"db\"\nfolder = \"sql\"\ncommand = [\"up\"]",
        "service = \"web\"\nfolder = \"sql\"",
        "service = \"db\"\nfolder = \"sql\"\ndatabase = \"other\"",
        "service = \"db\"\nfolder = \"sql\"\ntable = \"public.m\"",
        "service = \"web\"\ncommand = [\"up\"]\ntable = \"m\"",
        "service = \"db\"\nfolder = \"sql\"\n[[migrate]]\nservice = \"db\"\nfolder = \"sql\"",
    ] {
        let error = with(wrong).expect_err(wrong);
        writeln!(told, "{wrong}\n{}", failure(&Failure::from(error), &Style::plain())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn local_is_this_machine_and_needs_nothing_written() {
    let project = project();
    let config = parse(project.path(), GOOD, Some("local")).unwrap();
    assert!(config.server.is_here);
    assert_eq!(config.server.to_string(), "this machine");
    assert!(Path::new(&config.spec.path).is_absolute() && config.spec.path.ends_with("/wharf/fitnessapp"));
    assert!(!parse(project.path(), GOOD, None).unwrap().server.is_here);

    let with =
        |more: &str| parse(project.path(), &format!("{GOOD}\n[env.local.server]\n{more}\n"), Some("local"));
    let chosen = with("path = \"/srv/here\"").unwrap();
    assert!(chosen.server.is_here && chosen.spec.path == "/srv/here");
    // Another machine may be called so.
    assert!(!with("host = \"ada@local\"\npath = \"/srv/here\"").unwrap().server.is_here);
    // And this one may be any environment's.
    let text = GOOD.replace("[env.staging.server]\n", "[env.staging.server]\nhost = \"local\"\n");
    let staging = parse(project.path(), &text, Some("staging")).unwrap();
    assert!(staging.server.is_here && staging.spec.path == "/srv/staging");
}

#[test]
fn an_app_on_this_machine_is_kept_away_from_the_project() {
    let project = project();
    let link = tempfile::tempdir().unwrap();
    let linked = link.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(project.path(), &linked).unwrap();
    let at = |path: &Path| format!("{GOOD}\n[env.local.server]\npath = \"{}\"\n", path.display());
    let inside =
        [project.path().to_owned(), project.path().join("deployed"), project.path().parent().unwrap().into()];
    for path in inside.into_iter().chain(cfg!(unix).then(|| linked.join("deployed"))) {
        let error = parse(project.path(), &at(&path), Some("local")).unwrap_err();
        assert!(error.to_string().contains("in one another"), "{}: {error}", path.display());
    }
    let beside = tempfile::tempdir().unwrap();
    parse(project.path(), &at(beside.path()), Some("local")).unwrap();
}

#[test]
fn what_is_promoted_need_not_lie_in_the_project() {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join(FILE_NAME), GOOD).unwrap();
    assert!(load(elsewhere.path(), None).is_err());
    let config = load_for_promotion(elsewhere.path(), "staging").unwrap();
    assert_eq!(config.spec.path, "/srv/staging");
}
