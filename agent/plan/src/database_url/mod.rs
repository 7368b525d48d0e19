//! The URL of a PostgreSQL database, as apps write it.
//!
//! **Invariant**: no error quotes the URL or a part of it: every text here is one of a fixed list.

mod parameters;
#[cfg(test)]
mod tests;

pub use parameters::Parameters;

/// The port where none is written.
const PORT: u16 = 5432;
/// The longest URL that is read.
const URL_BYTES: usize = 8 * 1024;

/// A database's address, with what its server wants to know.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// Secret.
    pub password: Option<String>,
    /// `None`: the URL names none.
    pub database: Option<String>,
    pub parameters: Parameters,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than 8192 bytes")]
    TooLong,
    #[error("it does not begin with postgres:// or postgresql://")]
    Scheme,
    #[error("it is a JDBC address, whose user and password stand elsewhere")]
    Jdbc,
    #[error("it is of another kind of database than PostgreSQL")]
    OtherKind,
    #[error("there is a blank or a control character in it")]
    Blank,
    #[error("there is a # in it, which ends a URL")]
    Hash,
    #[error("a % in it is not followed by two hexadecimal digits")]
    Percent,
    #[error("what its percent signs stand for is not text")]
    NotText,
    #[error("it names no user")]
    NoUser,
    #[error("it names no host: a socket of this machine's cannot be reached from a container")]
    NoHost,
    #[error("it names several hosts")]
    Hosts,
    #[error("its host is not a name or an address")]
    Host,
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error("there is a / in the name of its database")]
    Database,
    #[error("its parameters say where the database is, or as whom, a second time")]
    Elsewhere,
    #[error("its parameters name a file, which a container does not see")]
    File,
    #[error("its parameter sslmode (or ssl) is none that PostgreSQL knows")]
    SslMode,
    #[error("its parameter {0} has a value that PostgreSQL does not know")]
    Value(&'static str),
    #[error("it leads to a pooler (pgbouncer=true), through which no consistent dump can be made")]
    Pooler,
}

impl UrlError {
    /// What to write instead.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Percent | Self::NotText | Self::Blank | Self::Hash | Self::Port | Self::Database => {
                "percent-encode what is special in user, password and name: @ is %40, : is %3A, / is %2F, # is %23, % is %25"
            }
            Self::Elsewhere | Self::File | Self::Pooler | Self::Jdbc | Self::Hosts | Self::NoHost => {
                "write a URL for backups to another key of the env file, and name that key in url_env"
            }
            Self::SslMode => {
                "write sslmode=require (or disable, allow, prefer, verify-ca, verify-full with sslrootcert=system, for which the image needs certificates)"
            }
            _ => "write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        }
    }
}

/// Shows nothing of the password.
impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatabaseUrl({}@{}:{}/{:?})", self.user, self.host, self.port, self.database)
    }
}

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > URL_BYTES {
            return Err(UrlError::TooLong);
        }
        let rest = after_scheme(text)?;
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Blank);
        }
        if rest.contains('#') {
            return Err(UrlError::Hash);
        }
        let (address, query) = rest.split_once('?').map_or((rest, ""), |(address, query)| (address, query));
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        // The last @, as most drivers read it: a password with one that is not encoded works for the app, too.
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) =
            who.split_once(':').map_or((who, None), |(user, password)| (user, Some(password)));
        let (host, port) = host_and_port(place)?;
        let user = decoded(user)?;
        if user.is_empty() {
            return Err(UrlError::NoUser);
        }
        if path.contains('/') {
            return Err(UrlError::Database);
        }
        let password = password.map(decoded).transpose()?.filter(|password| !password.is_empty());
        let database = Some(decoded(path)?).filter(|name| !name.is_empty());
        Ok(Self { host, port, user, password, database, parameters: Parameters::parse(query)? })
    }

    /// Whether its host is one of these names of the app's own stack.
    pub fn is_one_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        names.into_iter().any(|name| name.eq_ignore_ascii_case(&self.host))
    }
}

/// What follows `postgresql://`, `postgresql+psycopg2://` and the like.
fn after_scheme(text: &str) -> Result<&str, UrlError> {
    let lower = text.get(..16).unwrap_or(text).to_ascii_lowercase();
    if lower.starts_with("jdbc:") {
        return Err(UrlError::Jdbc);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    let (name, driver) = scheme.split_once('+').unwrap_or((&scheme, ""));
    let plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match name {
        // The last is Django's, for PostgreSQL with PostGIS.
        "postgres" | "postgresql" | "pgsql" | "psql" | "postgis" if plain(driver) => Ok(rest),
        "mysql" | "mariadb" | "sqlite" | "mssql" | "oracle" | "mongodb" | "redis" | "rediss"
        | "cockroachdb" => Err(UrlError::OtherKind),
        _ => Err(UrlError::Scheme),
    }
}

fn host_and_port(place: &str) -> Result<(String, u16), UrlError> {
    if place.contains(',') {
        return Err(UrlError::Hosts);
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            let host = decoded(host)?;
            let address = host.split('%').next().unwrap_or_default();
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(UrlError::Host);
            }
            let port = match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => port,
                None => return Err(UrlError::Host),
            };
            (host, port)
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            (decoded(host)?, port)
        }
    };
    if host.is_empty() || host.starts_with('/') {
        return Err(UrlError::NoHost);
    }
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%');
    if !host.bytes().all(named) || host.starts_with('-') {
        return Err(UrlError::Host);
    }
    let port = match port {
        "" => PORT,
        port => port.parse().ok().filter(|port| *port > 0).ok_or(UrlError::Port)?,
    };
    Ok((host, port))
}

/// Text with its percent signs replaced by what they stand for. A plus is a plus, as in libpq.
fn decoded(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or(UrlError::Percent);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| UrlError::Percent)?);
    }
    let text = String::from_utf8(bytes).map_err(|_| UrlError::NotText)?;
    if text.chars().any(char::is_control) { Err(UrlError::NotText) } else { Ok(text) }
}
