//! The settings of a live server of MySQL's that decide how its files lie on the disk: what speaks against a restore over
//! it, and what a throwaway server must be started with that works on a copy of them.
//!
//! **Invariant**: no I/O. What is not known to be in the data folder speaks against it.

use std::collections::BTreeMap;
use std::path::Path;

/// What a live server is asked. Those that it does not know it leaves out.
pub const QUESTION: &str = "SHOW GLOBAL VARIABLES;\n";
/// What its user may do.
pub const GRANTS: &str = "SHOW GRANTS;\n";
/// How many replicas read from the server, and whether it is one itself. Sees others' connections only where it may
/// ([`sees_all`]). A replica says what it does in other words before MySQL 8.0.26.
pub const REPLICATION: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' \
    OR command LIKE 'Slave_%' OR (user = 'system user' AND command IN ('Connect', 'Query') \
    AND (state LIKE '%source%' OR state LIKE '%master%' OR state LIKE '%relay log%'));\n";
/// Whether tables may be encrypted, with a key that the throwaway server has not.
pub const ENCRYPTION: &str = "SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_status = 'ACTIVE' \
    AND (plugin_type = 'ENCRYPTION' OR plugin_name LIKE 'keyring%');\n";

/// Tables that are encrypted with the key of a component, which is no plugin. From MySQL 8 on.
pub const ENCRYPTED: &str =
    "SELECT COUNT(*) FROM information_schema.tables WHERE create_options LIKE '%ENCRYPTION=_Y_%';\n";
/// Files that may lie outside of the data folder. From MySQL 8 on: before, and in MariaDB, there is a file `*.isl` for each.
pub const FILES: &str = "SELECT file_name FROM information_schema.files WHERE file_type <> 'TEMPORARY' \
    AND (file_name LIKE '/%' OR file_name LIKE '%../%');\n";

/// What must be the same for the files, and what decides how new tables and their indexes are made.
const SAME: [&str; 24] = [
    "aria_block_size",
    "character_set_server",
    "collation_server",
    "default_storage_engine",
    "explicit_defaults_for_timestamp",
    "ft_max_word_len",
    "ft_min_word_len",
    "innodb_checksum_algorithm",
    "innodb_data_file_path",
    "innodb_default_row_format",
    "innodb_file_format",
    "innodb_file_per_table",
    "innodb_ft_enable_stopword",
    "innodb_ft_max_token_size",
    "innodb_ft_min_token_size",
    "innodb_large_prefix",
    "innodb_log_file_size",
    "innodb_log_files_in_group",
    "innodb_page_size",
    "innodb_redo_log_capacity",
    "innodb_strict_mode",
    "innodb_undo_tablespaces",
    "lower_case_table_names",
    "ngram_token_size",
];
/// Where files lie that belong to the data.
const FOLDERS: [&str; 4] =
    ["innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "aria_log_dir_path"];
/// With these, new files are encrypted, with a key that the throwaway server has not.
const ENCRYPTS: [&str; 3] =
    ["default_table_encryption", "innodb_redo_log_encrypt", "innodb_undo_log_encrypt"];
/// Lists of stop words that another server has not; a full-text index would hold something else.
const STOPWORDS: [&str; 3] =
    ["ft_stopword_file", "innodb_ft_server_stopword_table", "innodb_ft_user_stopword_table"];
const OWN_STOPWORDS: &str = "(built-in)";

/// What a server has told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    all: BTreeMap<String, String>,
    /// Where its data is, without a slash at its end.
    pub folder: String,
}

impl Settings {
    /// From the lines of the answer to [`QUESTION`]: a name, a tab, a value. `None`: it does not tell where its data is.
    pub fn read(lines: &[String]) -> Option<Self> {
        let pairs = lines.iter().filter_map(|line| line.split_once('\t'));
        let all: BTreeMap<String, String> =
            pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let folder = all.get("datadir")?.trim_end_matches('/').to_owned();
        folder.starts_with('/').then_some(Self { all, folder })
    }

    fn get(&self, name: &str) -> &str {
        self.all.get(name).map_or("", String::as_str)
    }

    /// Why a copy of the data folder alone would not be all of the server; `None`: nothing speaks against it.
    pub fn against(&self) -> Option<String> {
        let on = |name: &str| matches!(self.get(name).to_uppercase().as_str(), "ON" | "1");
        if on("wsrep_on") || !self.get("group_replication_group_name").is_empty() {
            return Some("it is of a cluster: the others would give it their data again".to_owned());
        }
        for name in FOLDERS {
            let value = self.get(name);
            if !self.is_within(value) {
                return Some(format!("a part of its data lies elsewhere: {name} is {value}"));
            }
        }
        let files = self.get("innodb_data_file_path");
        if files.contains('/') {
            return Some(format!("a part of its data lies elsewhere: innodb_data_file_path is {files}"));
        }
        if let Some(name) = ENCRYPTS.into_iter().find(|name| on(name)) {
            return Some(format!("it encrypts its files, with a key that no other server has: {name} is on"));
        }
        let list = STOPWORDS.into_iter().find(|name| !["", OWN_STOPWORDS].contains(&self.get(name)));
        list.map(|name| {
            format!(
                "its full-text indexes are made with a list that no other server has: {name} is {}",
                self.get(name)
            )
        })
    }

    /// The first of the server's files ([`FILES`]) that is not in its data folder.
    pub fn outside<'a>(&self, files: &'a [String]) -> Option<&'a str> {
        files.iter().map(String::as_str).find(|file| !self.is_within(file))
    }

    /// Whether the server keeps in tables of its own where its files are, and may have components: MySQL from 8 on.
    pub fn keeps_a_dictionary(&self) -> bool {
        self.all.contains_key("innodb_directories")
    }

    /// As the server lists a database that somebody calls `name`.
    pub fn listed(&self, name: &str) -> String {
        if self.get("lower_case_table_names") == "1" { name.to_lowercase() } else { name.to_owned() }
    }

    fn is_within(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let stays = !Path::new(path).components().any(|part| part == std::path::Component::ParentDir);
        stays && (!path.starts_with('/') || Path::new(path).starts_with(&self.folder))
    }

    /// What a server on a copy of the files is started with.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec![format!("--datadir={}", self.folder)];
        // A folder within the data folder, too: without it, the server would make new logs in another.
        options.extend(SAME.iter().chain(&FOLDERS).filter_map(|name| {
            let value = self.all.get(*name).filter(|value| !value.is_empty())?;
            Some(format!("--{}={value}", name.replace('_', "-")))
        }));
        // Empty, it means that there are none.
        let none = self.all.get("ft_stopword_file").is_some_and(String::is_empty);
        options.extend(none.then(|| "--ft-stopword-file=".to_owned()));
        options.extend(self.all.get("socket").map(|socket| format!("--socket={socket}")));
        options
    }

    /// The folder of the server's socket, where that is one of its own.
    pub fn socket_folder(&self) -> Option<String> {
        let folder = Path::new(self.get("socket")).parent()?.to_str()?;
        let own = folder.starts_with('/') && !["/", "/tmp", "/var/tmp"].contains(&folder);
        (own && !Path::new(folder).starts_with(&self.folder)).then(|| folder.to_owned())
    }
}

/// Whether a user of these rights ([`GRANTS`]) sees the connections of others.
pub fn sees_all(grants: &[String]) -> bool {
    let everywhere = grants.iter().filter_map(|line| line.strip_prefix("GRANT ")?.split_once(" ON *.* TO "));
    let mut rights = everywhere.flat_map(|(rights, _)| rights.split(", "));
    rights.any(|right| ["ALL PRIVILEGES", "PROCESS"].contains(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let plain = [
            ("datadir", "/var/lib/mysql/"),
            ("innodb_data_home_dir", ""),
            ("innodb_log_group_home_dir", "./"),
            ("innodb_data_file_path", "ibdata1:12M:autoextend"),
            ("innodb_page_size", "16384"),
            ("socket", "/run/mysqld/mysqld.sock"),
            ("wsrep_on", "OFF"),
        ];
        let lines: Vec<String> =
            plain.iter().chain(more).map(|(name, value)| format!("{name}\t{value}")).collect();
        Settings::read(&lines).unwrap()
    }

    #[test]
    fn what_is_not_in_the_folder_speaks_against_it() {
        for (name, value, expected) in [
            ("innodb_undo_directory", "/var/lib/mysql/undo/", None),
            ("innodb_undo_directory", "./", None),
            ("innodb_undo_directory", "/mnt/undo", Some("innodb_undo_directory is /mnt/undo")),
            ("innodb_undo_directory", "/var/lib/mysql-undo", Some("lies elsewhere")),
            ("innodb_undo_directory", "../undo", Some("lies elsewhere")),
            ("innodb_data_file_path", "/mnt/ibdata1:12M", Some("innodb_data_file_path")),
            ("wsrep_on", "ON", Some("cluster")),
            ("group_replication_group_name", "aaaa", Some("cluster")),
            ("innodb_redo_log_encrypt", "ON", Some("encrypts its files")),
            ("default_table_encryption", "OFF", None),
            ("ft_stopword_file", "(built-in)", None),
            ("ft_stopword_file", "/etc/mysql/words.txt", Some("ft_stopword_file is /etc/mysql/words.txt")),
            ("innodb_ft_server_stopword_table", "shop/words", Some("innodb_ft_server_stopword_table")),
        ] {
            let found = settings(&[(name, value)]).against();
            match expected {
                None => assert_eq!(found, None, "{name} {value}"),
                Some(text) => assert!(found.as_ref().is_some_and(|found| found.contains(text)), "{found:?}"),
            }
        }
    }

    #[test]
    fn a_server_on_the_copy_reads_the_files_as_the_live_one() {
        let more = [
            ("lower_case_table_names", "1"),
            ("tmpdir", "/tmp"),
            ("ft_min_word_len", "2"),
            ("ft_stopword_file", ""),
            ("innodb_undo_directory", "/var/lib/mysql/undo/"),
        ];
        assert_eq!(
            settings(&more).options(),
            [
                "--datadir=/var/lib/mysql",
                "--ft-min-word-len=2",
                "--innodb-data-file-path=ibdata1:12M:autoextend",
                "--innodb-page-size=16384",
                "--lower-case-table-names=1",
                "--innodb-log-group-home-dir=./",
                "--innodb-undo-directory=/var/lib/mysql/undo/",
                "--ft-stopword-file=",
                "--socket=/run/mysqld/mysqld.sock",
            ]
        );
    }

    #[test]
    fn a_file_outside_of_the_folder_is_seen() {
        let found = settings(&[]);
        for (file, is_outside) in [
            ("/var/lib/mysql/shop/items.ibd", false),
            ("./shop/items.ibd", false),
            ("/ext/shop/items.ibd", true),
            ("../ext/items.ibd", true),
        ] {
            assert_eq!(found.outside(&[file.to_owned()]).is_some(), is_outside, "{file}");
        }
        assert!(!found.keeps_a_dictionary());
        assert!(settings(&[("innodb_directories", "")]).keeps_a_dictionary());
    }

    #[test]
    fn a_name_is_told_as_the_server_lists_it() {
        for (kept, expected) in [("0", "Shop"), ("1", "shop"), ("2", "Shop")] {
            assert_eq!(settings(&[("lower_case_table_names", kept)]).listed("Shop"), expected, "{kept}");
        }
    }

    #[test]
    fn who_sees_others_is_told_by_rights_on_everything() {
        for (grants, expected) in [
            (vec!["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], true),
            (
                vec![
                    "GRANT SELECT, PROCESS, FILE ON *.* TO `root`@`%`",
                    "GRANT PROXY ON ''@'' TO 'root'@'%'",
                ],
                true,
            ),
            (vec!["GRANT USAGE ON *.* TO `app`@`%`", "GRANT ALL PRIVILEGES ON `shop`.* TO `app`@`%`"], false),
            (vec!["GRANT SELECT ON *.* TO `PROCESS`@`%`"], false),
            (vec![], false),
        ] {
            let lines: Vec<String> = grants.iter().map(|&line| line.to_owned()).collect();
            assert_eq!(sees_all(&lines), expected, "{grants:?}");
        }
    }

    #[test]
    fn a_socket_has_a_folder_of_its_own_or_none() {
        for (socket, expected) in [
            ("/run/mysqld/mysqld.sock", Some("/run/mysqld")),
            ("/var/lib/mysql/mysql.sock", None),
            ("/tmp/mysql.sock", None),
            ("mysql.sock", None),
            ("", None),
        ] {
            let found = settings(&[("socket", socket)]).socket_folder();
            assert_eq!(found.as_deref(), expected, "{socket}");
        }
        assert_eq!(Settings::read(&["datadir\tdata".to_owned()]), None);
    }
}
