//! The databases that are dumped: one of a server, or several by their names.

use super::super::raw::RawPostgres;
use super::{Checked, Checker};
use std::ops::Range;
use toml::Spanned;
use wharf_proto::spec::PostgresSpec;

/// The longest name that PostgreSQL takes.
const NAME_BYTES: usize = 63;

impl Checker<'_> {
    pub(super) fn databases(&self, written: Vec<Spanned<RawPostgres>>) -> Checked<Vec<PostgresSpec>> {
        let mut checked: Vec<PostgresSpec> = Vec::new();
        for one in written {
            let span = one.span();
            for spec in self.each(one)? {
                self.no_second(&span, &checked, &spec)?;
                checked.push(spec);
            }
        }
        Ok(checked)
    }

    /// One for each database that is written.
    fn each(&self, written: Spanned<RawPostgres>) -> Checked<Vec<PostgresSpec>> {
        let (span, written) = (written.span(), written.into_inner());
        let RawPostgres { service, user, database, databases, check_sql } = written;
        let wrong = |key: &'static str, message: &str, instead: &str| {
            Err(self.value(span.clone(), key, message.to_owned(), instead))
        };
        let names: Vec<Option<String>> = match (database, databases) {
            (Some(_), Some(_)) => {
                let instead = "write the one in `databases` too";
                return wrong("postgres", "it takes either `database` or `databases`", instead);
            }
            (_, Some(names)) if names.is_empty() => {
                let instead = "name some, or leave the key out for the one that the container was made with";
                return wrong("postgres.databases", "no database is listed", instead);
            }
            (_, Some(names)) if names.len() > 1 && check_sql.is_some() => {
                let instead = "write a [[postgres]] with `database` and `check_sql` for each";
                return wrong("postgres.check_sql", "one check cannot be for several databases", instead);
            }
            (_, Some(names)) => names.into_iter().map(Some).collect(),
            (name, None) => vec![name],
        };
        for name in names.iter().flatten() {
            if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
                let message = format!("{name:?} is not a database's name");
                let instead =
                    "write 1 to 63 letters, digits and underscores, for example: database = \"myapp\"";
                return wrong("postgres.database", &message, instead);
            }
        }
        let spec = |database| PostgresSpec {
            service: service.clone(),
            user: user.clone(),
            database,
            check_sql: check_sql.clone(),
        };
        Ok(names.into_iter().map(spec).collect())
    }

    /// Which of a server's databases is which must be plain.
    fn no_second(&self, span: &Range<usize>, known: &[PostgresSpec], spec: &PostgresSpec) -> Checked<()> {
        for other in known.iter().filter(|other| other.service == spec.service) {
            let message = match (&other.database, &spec.database) {
                (Some(one), Some(two)) if one != two => continue,
                (Some(one), Some(_)) => format!("the database {one} of {} is named twice", spec.service),
                (None, _) | (_, None) => {
                    format!("{} is named twice, and once without its database", spec.service)
                }
            };
            let instead =
                "name each database of a server once, for example: databases = [\"app\", \"analytics\"]";
            return Err(self.value(span.clone(), "postgres", message, instead));
        }
        Ok(())
    }
}
