//! Data files that a service's code reads and its image does not get: the container finds nothing there.

use crate::{
    compose::{Model, Service, Source, path, path::Place},
    facts::Facts,
};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use wharf_plan::{dockerfile, dockerignore::Ignore};
use wharf_proto::RelPath;

/// A file that is read and not copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotCopied {
    pub service: String,
    pub code: String,
    pub data: String,
    pub dockerfile: String,
    /// What is built, where the file lies beside it: then no COPY reaches it.
    pub beside: Option<String>,
}

/// Code that is read where it lies; compiled languages take such files in when they are built.
const CODE: [&str; 8] = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".php", ".pl"];
const DATA: [&str; 18] = [
    ".json", ".csv", ".tsv", ".txt", ".sql", ".yaml", ".yml", ".toml", ".xml", ".html", ".j2", ".md", ".ini",
    ".pkl", ".onnx", ".parquet", ".xlsx", ".mmdb",
];
/// Words beside which a name is one that is read.
const READS: [&str; 9] =
    ["open(", "read", "load", "Path(", "join(", "resolve(", "File", "require", "__file__"];

static LITERAL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#""([A-Za-z0-9_@./-]{3,120})"|'([A-Za-z0-9_@./-]{3,120})'"#).ok());

/// What each service that is built would miss.
pub fn find(facts: &Facts, model: &Model, profiles: &[String]) -> Vec<NotCopied> {
    let mut found = BTreeSet::new();
    for (name, service) in model.running(profiles) {
        let Some(image) = Image::of(facts, service) else { continue };
        for code in facts.below(image.context).filter(|path| is_code(path) && image.has(path)) {
            let Some(text) = facts.text(code) else { continue };
            for data in read(facts, image.context, code, text) {
                let mounted = service.mounts.iter().any(|mount| match &mount.source {
                    Source::Bind(Place::Inside(folder)) => is_within(&data, folder),
                    _ => false,
                });
                // Compose mounts what is such a file to where the service says.
                let given = mounted || model.given_files.contains(&data);
                if !image.has(&data) && !given {
                    found.insert(NotCopied {
                        service: name.to_owned(),
                        code: code.to_owned(),
                        beside: (!is_within(&data, image.context)).then(|| image.context.to_owned()),
                        dockerfile: image.dockerfile.clone(),
                        data,
                    });
                }
            }
        }
    }
    found.into_iter().collect()
}

/// Which files of its context an image gets.
struct Image<'a> {
    context: &'a str,
    dockerfile: String,
    /// The sources of its copies; `None` where one is the whole context.
    sources: Option<Ignore>,
    ignored: Ignore,
}

impl<'a> Image<'a> {
    /// `None` where it cannot be told.
    fn of(facts: &Facts, service: &'a Service) -> Option<Self> {
        let (context, dockerfile) = (service.context()?, service.dockerfile()?);
        if service.build.as_ref().is_some_and(|build| build.more_contexts) {
            return None;
        }
        let sources = dockerfile::copied(facts.text(&dockerfile)?)?;
        let whole = sources.iter().any(|source| source == ".");
        let beside = format!("{dockerfile}.dockerignore");
        let ignored = facts.text(&beside).or_else(|| facts.text(&path::join(context, ".dockerignore")));
        Some(Self {
            context,
            dockerfile,
            sources: if whole { None } else { Some(Ignore::parse(&sources.join("\n")).ok()?) },
            ignored: Ignore::parse(ignored.unwrap_or_default()).ok()?,
        })
    }

    fn has(&self, file: &str) -> bool {
        let inside = match self.context {
            "" => Some(file),
            context => file.strip_prefix(context).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(inside) = inside.and_then(|inside| RelPath::new(inside).ok()) else { return false };
        !self.ignored.excludes(&inside)
            && self.sources.as_ref().is_none_or(|sources| sources.excludes(&inside))
    }
}

fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Code that the container runs: no tests, no configuration of tools.
fn is_code(file: &str) -> bool {
    let name = path::name(file);
    let aside = |part: &str| {
        matches!(part, "test" | "tests" | "__tests__" | "scripts" | "node_modules" | "migrations")
    };
    CODE.iter().any(|ending| name.ends_with(ending))
        && !name.starts_with("test_")
        && ![".test.", ".spec.", "_test.", ".config."].iter().any(|part| name.contains(part))
        && !path::folder(file).split('/').any(aside)
}

/// The project's data files that a text names where it reads something.
fn read(facts: &Facts, context: &str, code: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(literal) = LITERAL.as_ref() else { return found };
    for line in text.lines().filter(|line| READS.iter().any(|word| line.contains(word))) {
        for name in literal.captures_iter(line).filter_map(|c| c.get(1).or_else(|| c.get(2))) {
            let name = name.as_str();
            if DATA.iter().any(|ending| name.ends_with(ending)) {
                found.extend(resolved(facts, context, code, name));
            }
        }
    }
    found
}

/// The file that is meant: seen from the code or the context, else the only one of its name in the context. Where that has none of
/// the name, it is seen from the project's own folder, if it is a path of several parts: a `config.json` may be anybody's.
fn resolved(facts: &Facts, context: &str, code: &str, name: &str) -> Option<String> {
    let seen_from = |from: &str, name: &str| match path::resolve(from, name) {
        Place::Inside(file) if facts.has(&file) => Some(file),
        _ => None,
    };
    // In the image the code lies in a folder of its own: /app/data/foods.json.
    let is_absolute = name.starts_with('/');
    let name = match name.strip_prefix('/') {
        Some(rest) => rest.split_once('/')?.1,
        None => name,
    };
    let seen = seen_from(path::folder(code), name).or_else(|| seen_from(context, name));
    if seen.is_some() {
        return seen;
    }
    let mut alike = facts.below(context).filter(|file| {
        path::name(file) == name || file.strip_suffix(name).is_some_and(|before| before.ends_with('/'))
    });
    match (alike.next(), alike.next()) {
        (None, _) => seen_from("", name).filter(|_| name.contains('/')),
        (Some(only), None) if !is_absolute => Some(only.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose;

    /// What is missing, with this Dockerfile and these ignore rules, from a back end whose code is `app`.
    fn missing(dockerfile: &str, ignore: &str, app: &str, mounts: &str) -> Vec<String> {
        let compose = format!("services: {{api: {{build: ./api, volumes: [{mounts}]}}}}\n");
        found(dockerfile, ignore, app, &compose).into_iter().map(|missing| missing.data).collect()
    }

    fn found(dockerfile: &str, ignore: &str, app: &str, compose: &str) -> Vec<NotCopied> {
        let mut facts = Facts::default();
        for (path, text) in [
            ("compose.yaml", compose),
            ("api/Dockerfile", dockerfile),
            ("api/.dockerignore", ignore),
            ("api/app.py", app),
            ("api/test_app.py", "open('data/only_tests.json')"),
            ("api/data/foods.json", "{}"),
            ("api/data/only_tests.json", "{}"),
            ("shared/units.csv", ""),
            ("tables/sizes.csv", ""),
            ("api/src/lists/units.csv", ""),
            ("lists/units.csv", ""),
            ("settings.json", "{}"),
        ] {
            facts.paths.insert(path.into());
            facts.texts.insert(path.into(), text.into());
        }
        let model = compose::load(&facts, &["compose.yaml".into()], &|_| None);
        find(&facts, &model, &[])
    }

    #[test]
    fn what_lies_beside_the_context_may_come_another_way() {
        let all = "FROM a\nCOPY . .\n";
        let app = "open('tables/sizes.csv')\n";
        let build = |more: &str| format!("services: {{api: {{build: {{context: ./api{more}}}}}}}\n");
        let beside = |compose: &str| -> Vec<_> {
            found(all, "", app, compose).into_iter().map(|missing| missing.beside).collect()
        };
        assert_eq!(beside(&build("")), [Some("api".to_owned())]);
        assert_eq!(beside(&build(", additional_contexts: {tables: ./tables}")), []);
        for kind in ["configs", "secrets"] {
            assert_eq!(
                beside(&format!("{}{kind}: {{sizes: {{file: ./tables/sizes.csv}}}}\n", build(""))),
                []
            );
        }
        let inside = found("FROM a\nCOPY *.py ./\n", "", "open('data/foods.json')\n", &build(""));
        assert_eq!(inside.into_iter().map(|missing| missing.beside).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn what_is_read_must_be_copied() {
        let (all, code) = ("FROM a\nCOPY . .\n", "FROM a\nWORKDIR /app\nCOPY *.py ./\n");
        let foods = "FOODS = json.load(open('data/foods.json'))\n";
        let none: [&str; 0] = [];
        for (dockerfile, ignore, app, mounts, expected) in [
            (all, "", foods, "", &none[..]),
            (code, "", foods, "", &["api/data/foods.json"]),
            (code, "", "P = Path(__file__).parent / 'data' / 'foods.json'\n", "", &["api/data/foods.json"]),
            ("FROM a\nCOPY app.py ./\nCOPY data ./data\n", "", foods, "", &none),
            (all, "data\n", foods, "", &["api/data/foods.json"]),
            (all, "*\n!app.py\n", foods, "", &["api/data/foods.json"]),
            (code, "", foods, "\"./api/data:/app/data:ro\"", &none),
            (all, "", "open('../shared/units.csv')\n", "", &["shared/units.csv"]),
            // Beside the context, where no COPY can reach.
            (all, "", "open('tables/sizes.csv')\n", "", &["tables/sizes.csv"]),
            (all, "", "open('/app/tables/sizes.csv')\n", "", &["tables/sizes.csv"]),
            (all, "", "open('/app/tables/sizes.csv')\n", "\"./tables:/app/tables:ro\"", &none),
            // The image has one of the name, wherever the code says that it lies.
            (all, "", "open('lists/units.csv')\n", "", &none),
            (all, "", "open('/app/lists/units.csv')\n", "", &none),
            (all, "", "open('settings.json')\n", "", &none),
            (code, "", "open('/app/data/foods.json')\n", "", &["api/data/foods.json"]),
            (all, "", "open('/app/data/foods.json')\n", "", &none),
            (all, "", "open('/etc/hosts.json')\n", "", &none),
            (code, "", "NAME = 'data/foods.json'\n", "", &none),
            (code, "", "open('data/not_there.json')\n", "", &none),
            ("FROM a\nCOPY ${WHAT} ./\n", "", foods, "", &none),
            // The code itself is not in the image either.
            ("FROM a\nCOPY main.py ./\n", "", foods, "", &none),
        ] {
            assert_eq!(
                missing(dockerfile, ignore, app, mounts),
                expected,
                "{dockerfile} {ignore} {app} {mounts}"
            );
        }
    }
}
