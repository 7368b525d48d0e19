//! What a URL says after its question mark: libpq's parameters, and those of drivers, which have names of their own.

use super::{UrlError, decoded};

/// Parameters for which libpq has a variable of the environment, and what they may say; empty: anything.
const PASSED_ON: [(&str, &str, &[&str]); 5] = [
    ("channel_binding", "PGCHANNELBINDING", &["disable", "prefer", "require"]),
    ("gssencmode", "PGGSSENCMODE", &["disable", "prefer", "require"]),
    ("sslnegotiation", "PGSSLNEGOTIATION", &["postgres", "direct"]),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", &["any", "read-write", "primary"]),
    // Neon and the like name the server in it.
    ("options", "PGOPTIONS", &[]),
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// They would lead elsewhere than what stands before the question mark.
const ELSEWHERE: [&str; 9] =
    ["host", "hostaddr", "port", "user", "password", "dbname", "service", "passfile", "unix_sock"];
const FILES: [&str; 6] = ["sslcert", "sslkey", "sslcrl", "sslcrldir", "sslpassword", "ssl_ca"];

/// How the connection is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// As in `PGSSLMODE`; `None`: as libpq would.
    pub ssl_mode: Option<&'static str>,
    /// Variables of libpq's, and their values.
    pub environment: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Reads what follows the question mark. What only a driver knows (`pool_timeout`, Prisma's `schema`) is left out.
    pub(super) fn parse(query: &str) -> Result<Self, UrlError> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key)?.to_ascii_lowercase(), decoded(value)?);
            match key.as_str() {
                "sslmode" | "ssl" | "ssl-mode" => found.ssl_mode = Some(ssl_mode(&value)?),
                // The list of authorities that the image comes with is in the container.
                "sslrootcert" if value == "system" => {
                    found.environment.push(("PGSSLROOTCERT", "system".to_owned()));
                }
                "sslrootcert" => return Err(UrlError::File),
                "pgbouncer" if matches!(value.as_str(), "true" | "1" | "yes") => {
                    return Err(UrlError::Pooler);
                }
                key if ELSEWHERE.contains(&key) => return Err(UrlError::Elsewhere),
                key if FILES.contains(&key) => return Err(UrlError::File),
                key => {
                    let passed_on = PASSED_ON.iter().find(|(name, ..)| *name == key);
                    if let Some((name, variable, allowed)) = passed_on {
                        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
                            return Err(UrlError::Value(name));
                        }
                        found.environment.push((variable, value));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Drivers write `ssl=true`, and mean that nobody may listen; none is understood as less than it says.
fn ssl_mode(value: &str) -> Result<&'static str, UrlError> {
    let value = value.to_ascii_lowercase().replace('_', "-");
    match value.as_str() {
        "true" | "1" | "yes" | "on" | "no-verify" | "required" => Ok("require"),
        "false" | "0" | "no" | "off" | "disabled" => Ok("disable"),
        "preferred" => Ok("prefer"),
        value => SSL_MODES.iter().find(|mode| **mode == value).copied().ok_or(UrlError::SslMode),
    }
}
