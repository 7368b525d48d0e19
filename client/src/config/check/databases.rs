//! The databases that are dumped: one of a server, or several by their names.

use super::super::raw::{RawMysql, RawPostgres};
use super::{Checked, Checker};
use std::ops::Range;
use toml::Spanned;
use wharf_proto::spec::{DumpSpec, MysqlSpec, OutsideSpec, PostgresSpec, RedisSpec};

/// The longest name that PostgreSQL takes, and MySQL about as much.
const NAME_BYTES: usize = 63;

/// Everything that is dumped.
#[derive(Debug, Default)]
pub(super) struct Databases {
    pub postgres: Vec<PostgresSpec>,
    pub mysql: Vec<MysqlSpec>,
    pub redis: Vec<RedisSpec>,
    pub dump: Vec<DumpSpec>,
}

/// What a section says of the names of its databases.
struct Names {
    section: &'static str,
    database: Option<String>,
    databases: Option<Vec<String>>,
}

/// A database as it must not be named twice: its section, its service and its name.
type Named = (&'static str, String, Option<String>);

impl Checker<'_> {
    pub(super) fn databases(
        &self,
        postgres: Vec<Spanned<RawPostgres>>,
        mysql: Vec<Spanned<RawMysql>>,
        redis: Vec<Spanned<RedisSpec>>,
        dump: Vec<Spanned<DumpSpec>>,
        has_env_file: bool,
    ) -> Checked<Databases> {
        let mut checked = Databases::default();
        let mut known: Vec<Named> = Vec::new();
        for one in postgres {
            let (span, one) = (one.span(), one.into_inner());
            let (service, outside) = self.server_of(&span, &one, has_env_file)?;
            let RawPostgres { user, database, databases, check_sql, .. } = one;
            if databases.as_ref().is_some_and(|names| names.len() > 1) && check_sql.is_some() {
                let message = "one check cannot be for several databases".to_owned();
                let instead = "write a [[postgres]] with `database` and `check_sql` for each";
                return Err(self.value(span, "postgres.check_sql", message, instead));
            }
            for database in self.names(&span, Names { section: "postgres", database, databases })? {
                let (service, user, check_sql) = (service.clone(), user.clone(), check_sql.clone());
                let outside = outside.clone();
                let new = PostgresSpec { service, user, database, check_sql, outside };
                self.no_second(
                    &span,
                    &mut known,
                    ("postgres", new.server().to_owned(), new.database.clone()),
                )?;
                self.same_place(&span, &checked.postgres, &new)?;
                checked.postgres.push(new);
            }
        }
        for one in mysql {
            let (span, one) = (one.span(), one.into_inner());
            let RawMysql { service, user, database, databases } = one;
            for database in self.names(&span, Names { section: "mysql", database, databases })? {
                self.no_second(&span, &mut known, ("mysql", service.clone(), database.clone()))?;
                let (service, user) = (service.clone(), user.clone());
                checked.mysql.push(MysqlSpec { service, user, database });
            }
        }
        for one in redis {
            let (span, one) = (one.span(), one.into_inner());
            self.no_second(&span, &mut known, ("redis", one.service.clone(), None))?;
            checked.redis.push(one);
        }
        for one in dump {
            let (span, one) = (one.span(), one.into_inner());
            if let Some(problem) = one.problem() {
                return Err(self.value(span, problem.key, problem.message, problem.instead));
            }
            self.names(&span, Names { section: "dump", database: one.name.clone(), databases: None })?;
            self.no_second(&span, &mut known, ("dump", one.service.clone(), one.name.clone()))?;
            checked.dump.push(one);
        }
        Ok(checked)
    }

    /// The service, or what is known of a server outside the stack.
    fn server_of(
        &self,
        span: &Range<usize>,
        one: &RawPostgres,
        has_env_file: bool,
    ) -> Checked<(String, Option<OutsideSpec>)> {
        let wrong = |key: &'static str, message: &str, instead: &str| {
            Err(self.value(span.clone(), key, message.to_owned(), instead))
        };
        let Some(url_env) = &one.url_env else {
            let instead = "leave it out, or write url_env = \"DATABASE_URL\" instead of the service";
            if one.image.is_some() {
                return wrong(
                    "postgres.image",
                    "it goes with `url_env` only: a service has its own image",
                    instead,
                );
            }
            if one.network.is_some() {
                return wrong("postgres.network", "it goes with `url_env` only", instead);
            }
            let service = self.required(one.service.clone(), "postgres.service", Some(span.clone()))?;
            return Ok((service, None));
        };
        if one.service.is_some() {
            let instead = "keep `service` for a database of the stack, `url_env` for one outside it";
            return wrong("postgres", "it takes either `service` or `url_env`", instead);
        }
        if one.user.is_some() {
            let instead = "leave it out: the URL says the user";
            return wrong("postgres.user", "it goes with `service` only", instead);
        }
        let image = self.required(one.image.clone(), "postgres.image", Some(span.clone()))?;
        let outside = OutsideSpec { url_env: url_env.clone(), image, network: one.network.clone() };
        if let Some(problem) = outside.problem() {
            return wrong(problem.key, &problem.message, problem.instead);
        }
        if !has_env_file {
            let instead = "name the env file on the server too: [compose] env_file = \".env\"";
            return wrong("postgres.url_env", "there is no env file that could have that key", instead);
        }
        Ok((String::new(), Some(outside)))
    }

    /// The databases of one server are reached in one way.
    fn same_place(&self, span: &Range<usize>, known: &[PostgresSpec], new: &PostgresSpec) -> Checked<()> {
        if known.iter().all(|other| other.server() != new.server() || other.outside == new.outside) {
            return Ok(());
        }
        let message = format!("{} is named twice, with another image or network", new.server());
        let instead =
            "write the same `image` and `network`, or both databases in one: databases = [\"a\", \"b\"]";
        Err(self.value(span.clone(), "postgres", message, instead))
    }

    /// One for each database that is written.
    fn names(&self, span: &Range<usize>, written: Names) -> Checked<Vec<Option<String>>> {
        let Names { section, database, databases } = written;
        let keys = match section {
            "mysql" => ["mysql", "mysql.databases", "mysql.database"],
            "dump" => ["dump", "dump", "dump.name"],
            _ => ["postgres", "postgres.databases", "postgres.database"],
        };
        let wrong = |key: &'static str, message: &str, instead: &str| {
            Err(self.value(span.clone(), key, message.to_owned(), instead))
        };
        let names: Vec<Option<String>> = match (database, databases) {
            (Some(_), Some(_)) => {
                let instead = "write the one in `databases` too";
                return wrong(keys[0], "it takes either `database` or `databases`", instead);
            }
            (_, Some(names)) if names.is_empty() => {
                let instead = "name some, or leave the key out for the one that the container was made with";
                return wrong(keys[1], "no database is listed", instead);
            }
            (_, Some(names)) => names.into_iter().map(Some).collect(),
            (name, None) => vec![name],
        };
        for name in names.iter().flatten() {
            if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
                let message = format!("{name:?} is not a database's name");
                let instead = match section {
                    "dump" => "write 1 to 63 letters, digits and underscores, for example: name = \"people\"",
                    _ => "write 1 to 63 letters, digits and underscores, for example: database = \"myapp\"",
                };
                return wrong(keys[2], &message, instead);
            }
        }
        Ok(names)
    }

    /// Which of a server's databases is which must be plain, and a service is of one kind.
    fn no_second(&self, span: &Range<usize>, known: &mut Vec<Named>, new: Named) -> Checked<()> {
        let (section, service, name) = &new;
        let mut instead =
            "name each database of a server once, for example: databases = [\"app\", \"analytics\"]";
        for (other_section, _, other) in known.iter().filter(|(_, other, _)| other == service) {
            let message = match (other, name) {
                _ if other_section != section => {
                    instead = "keep the section that the service's image is of";
                    format!("{service} is named under [[{other_section}]] already")
                }
                (Some(one), Some(two)) if one != two => continue,
                (Some(_), Some(two)) if *section == "dump" => {
                    instead =
                        "give each [[dump]] of a service a name of its own, for example: name = \"people\"";
                    format!("two [[dump]] of {service} have the name {two}")
                }
                (Some(one), Some(_)) => format!("the database {one} of {service} is named twice"),
                (None, None) if *section == "redis" => {
                    instead = "keep one [[redis]] for it: all its databases are in one dump";
                    format!("{service} is named twice")
                }
                (None, _) | (_, None) if *section == "dump" => {
                    instead = "give each [[dump]] of a service a name, for example: name = \"people\"";
                    format!("{service} is named twice, and once without a name")
                }
                (None, _) | (_, None) => format!("{service} is named twice, and once without its database"),
            };
            return Err(self.value(span.clone(), section, message, instead));
        }
        known.push(new);
        Ok(())
    }
}
