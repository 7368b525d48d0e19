//! `[logs]`: how much the log of an app's container may take where nobody says it nearer to the app.

use serde::Deserialize;
use wharf_proto::spec::{LogFiles, LogSize, LogsSpec};

/// Both keys as in `wharf.toml`, which goes before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    pub max_size: Option<LogSize>,
    pub max_files: Option<LogFiles>,
}

impl Logs {
    pub fn spec(&self) -> LogsSpec {
        LogsSpec { max_size: self.max_size.clone(), max_files: self.max_files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_and_what_is_none_is_named() {
        let logs = |text: &str| toml::from_str::<Logs>(text);
        let told = |text: &str| LogsSpec::default().limit(&logs(text).unwrap().spec()).map(|l| l.to_string());
        assert_eq!(told("").unwrap(), "5 files of 20m");
        assert_eq!(told("max_size = \"1g\"\nmax_files = 2").unwrap(), "2 files of 1g");
        assert_eq!(told("max_size = \"off\""), None);
        for (text, why) in [
            ("max_size = \"20\"", "with k, m or g"),
            ("max_files = 0", "1 to 100 files"),
            ("max_file = 5", "max_files"),
        ] {
            assert!(logs(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
