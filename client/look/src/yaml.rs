//! YAML as people write it for Compose, read into a plain tree.
//!
//! **Invariants**: every scalar stays text (a port is never a number in base 60). Aliases and merge keys are expanded, up
//! to a bound, so that a small file cannot become a large tree.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::{borrow::Cow, collections::HashMap};

/// Nodes of one file, aliases expanded.
const NODES: usize = 200_000;
const DEPTH: usize = 64;

/// A value; mappings keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    Null,
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

/// Why a file is not YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    #[error("line {line}: {message}")]
    Syntax { line: usize, message: String },
    #[error("it is nested deeper than {DEPTH} levels, or larger than {NODES} values")]
    TooLarge,
}

impl Yaml {
    /// Reads the first document of `text`; an empty one is [`Yaml::Null`].
    ///
    /// # Errors
    /// What is not YAML, or too large.
    pub fn read(text: &str) -> Result<Self, YamlError> {
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            let (event, _) = event.map_err(|error| YamlError::Syntax {
                line: error.marker().line(),
                message: error.info().to_owned(),
            })?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            builder.take(event)?;
        }
        Ok(builder.root.unwrap_or(Self::Null))
    }

    /// The value of a mapping's key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The text of a mapping's key.
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub fn pairs(&self) -> &[(String, Self)] {
        if let Self::Map(pairs) = self { pairs } else { &[] }
    }

    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// A list of texts, or one text.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(items) => items.iter().filter_map(Self::text).collect(),
            _ => Vec::new(),
        }
    }

    /// Calls `visit` with every scalar.
    pub fn each_text(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Self::Null => {}
            Self::Text(text) => visit(text),
            Self::List(items) => items.iter().for_each(|item| item.each_text(visit)),
            Self::Map(pairs) => pairs.iter().for_each(|(_, value)| value.each_text(visit)),
        }
    }

    fn count(&self) -> usize {
        1 + match self {
            Self::Null | Self::Text(_) => 0,
            Self::List(items) => items.iter().map(Self::count).sum(),
            Self::Map(pairs) => pairs.iter().map(|(_, value)| value.count()).sum(),
        }
    }
}

/// A collection that is not closed yet.
struct Open {
    anchor: usize,
    value: Yaml,
    /// The key whose value comes next.
    key: Option<String>,
    /// Compose's `!reset`: as if it were not there.
    reset: bool,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Yaml>,
    nodes: usize,
    root: Option<Yaml>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let null = is_reset(tag.as_ref())
                    || (style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null"));
                let value = if null { Yaml::Null } else { Yaml::Text(text.into_owned()) };
                self.close(anchor, value)
            }
            Event::SequenceStart(anchor, tag) => self.start(anchor, Yaml::List(Vec::new()), tag.as_ref()),
            Event::MappingStart(anchor, tag) => self.start(anchor, Yaml::Map(Vec::new()), tag.as_ref()),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.close(open.anchor, if open.reset { Yaml::Null } else { open.value }),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or(Yaml::Null);
                self.close(0, value)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, anchor: usize, value: Yaml, tag: Option<&Cow<'_, Tag>>) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH {
            return Err(YamlError::TooLarge);
        }
        self.open.push(Open { anchor, value, key: None, reset: is_reset(tag) });
        Ok(())
    }

    fn close(&mut self, anchor: usize, value: Yaml) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(value.count());
        if self.nodes > NODES {
            return Err(YamlError::TooLarge);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(value);
            return Ok(());
        };
        match (&mut open.value, open.key.take()) {
            (Yaml::List(items), _) => items.push(value),
            (Yaml::Map(pairs), Some(key)) if key == "<<" => merge(pairs, value),
            (Yaml::Map(pairs), Some(key)) => set(pairs, key, value),
            (Yaml::Map(_), None) => open.key = Some(value.text().unwrap_or_default().to_owned()),
            _ => {}
        }
        Ok(())
    }
}

fn is_reset(tag: Option<&Cow<'_, Tag>>) -> bool {
    tag.is_some_and(|tag| tag.suffix == "reset")
}

fn set(pairs: &mut Vec<(String, Yaml)>, key: String, value: Yaml) {
    match pairs.iter_mut().find(|(name, _)| *name == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

/// What is merged in gives way to what the mapping says itself.
fn merge(pairs: &mut Vec<(String, Yaml)>, from: Yaml) {
    match from {
        Yaml::Map(more) => {
            for (key, value) in more {
                if !pairs.iter().any(|(name, _)| *name == key) {
                    pairs.push((key, value));
                }
            }
        }
        Yaml::List(items) => items.into_iter().for_each(|item| merge(pairs, item)),
        Yaml::Null | Yaml::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_merge_and_own_keys_win() {
        let text = "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: {b: 4, <<: [*x, {c: 5}]}\n";
        let yaml = Yaml::read(text).unwrap();
        let at = |table: &str, key: &str| yaml.get(table).unwrap().text_at(key).unwrap().to_owned();
        assert_eq!((at("y", "a"), at("y", "b")), ("1".into(), "3".into()));
        assert_eq!((at("z", "a"), at("z", "b"), at("z", "c")), ("1".into(), "4".into(), "5".into()));
    }

    #[test]
    fn scalars_stay_text_and_resets_are_nothing() {
        let yaml = Yaml::read("a: 22:22\nb: ~\nc: \"~\"\nd: !reset [1]\ne: !override [1]\nf:\n").unwrap();
        assert_eq!(yaml.text_at("a"), Some("22:22"));
        assert_eq!(yaml.get("b"), Some(&Yaml::Null));
        assert_eq!(yaml.text_at("c"), Some("~"));
        assert_eq!(yaml.get("d"), Some(&Yaml::Null));
        assert_eq!(yaml.get("e").map(|e| e.texts()), Some(vec!["1"]));
        assert_eq!(yaml.get("f"), Some(&Yaml::Null));
        assert_eq!(Yaml::read("").unwrap(), Yaml::Null);
    }

    #[test]
    fn what_is_not_yaml_names_its_line() {
        let error = Yaml::read("a: 1\nb: [\n").unwrap_err();
        assert!(matches!(error, YamlError::Syntax { line, .. } if line >= 2), "{error}");
    }

    #[test]
    fn a_small_file_does_not_become_a_large_tree() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..20 {
            let below = vec![format!("*a{}", n - 1); 10].join(",");
            text.push_str(&format!("a{n}: &a{n} [{below}]\n"));
        }
        assert_eq!(Yaml::read(&text), Err(YamlError::TooLarge));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(Yaml::read(&nested(DEPTH + 1)), Err(YamlError::TooLarge));
        // The parser has a limit of its own, further away.
        assert!(Yaml::read(&nested(10_000)).is_err());
    }
}
