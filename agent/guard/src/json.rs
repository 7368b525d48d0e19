//! JSON as the engine's decoder sees it.
//!
//! **Invariants**
//! - A document with a key given twice is refused, at any depth: the engine merges such keys, others take the first or the last.
//! - In an object whose fields mean something ([`Object::fold`]) keys are compared the way Go's `encoding/json` compares them: without
//!   regard to case, and with the two letters that Unicode folds into ASCII (`ſ`, the Kelvin sign). What is sent on bears the
//!   canonical spelling, so the engine reads exactly what was judged.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// One JSON value, its keys in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(serde_json::Number),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// An object without a key given twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(Vec<(String, Json)>);

/// A key that is the same as another one once folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key {0:?} is given twice, in different spellings")]
pub struct Doubled(pub String);

impl Json {
    /// Reads one document and nothing after it.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The document as it is sent on.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether this is `null`, or as good as not given: empty, zero or false, as Go's zero values are.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Bool(true) => false,
            Self::Number(number) => number.as_f64() == Some(0.0),
            Self::String(text) => text.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Object(object) => object.0.is_empty(),
        }
    }
}

impl Object {
    /// Gives known keys their canonical spelling; two keys that fold to the same are refused.
    pub fn fold(&mut self, known: &[&str]) -> Result<(), Doubled> {
        let mut seen = HashSet::new();
        for (key, _) in &mut self.0 {
            let folded = fold(key);
            if let Some(canonical) = known.iter().find(|name| fold(name) == folded) {
                *key = (*canonical).to_owned();
            }
            if !seen.insert(folded) {
                return Err(Doubled(key.clone()));
            }
        }
        Ok(())
    }

    /// The value of a key, by its exact spelling.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets a key, replacing the value it had.
    pub fn set(&mut self, key: &str, value: Json) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    /// Every key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key if it says anything (not `null`, not Go's zero value).
    pub fn given(&self, key: &str) -> Option<&Json> {
        self.get(key).filter(|value| !value.is_empty())
    }
}

/// A key as Go compares it. Only two runes outside ASCII fold into it, and all known keys are ASCII.
pub fn fold(key: &str) -> String {
    key.chars()
        .map(|letter| match letter {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.0.len()))?;
                for (key, value) in &object.0 {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value without doubled keys")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        serde_json::Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some((key, value)) = access.next_entry::<String, Json>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key {key:?} is given twice")));
            }
            entries.push((key, value));
        }
        Ok(Json::Object(Object(entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_does_not_know_as_it_came() {
        let text = r#"{"b":[1,-2,1.5,null,true],"a":{"x":"ü\n"},"B":{}}"#;
        assert_eq!(Json::parse(text.as_bytes()).unwrap().to_bytes(), text.as_bytes());
    }

    #[test]
    fn refuses_doubled_keys_at_any_depth_and_text_after_the_end() {
        for text in
            [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"\u0061":2}}]"#, r#"{} {}"#, r#"{}x"#, "", "\u{feff}{}"]
        {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Json::parse(b"{\"\xff\":1}").is_err());
        assert!(Json::parse("[".repeat(5000).as_bytes()).is_err());
    }

    #[test]
    fn folds_as_go_does() {
        let Json::Object(mut object) =
            Json::parse("{\"Ho\u{17f}tconfig\":1,\"networ\u{212a}\":2,\"x\":3}".as_bytes()).unwrap()
        else {
            panic!("an object");
        };
        object.fold(&["HostConfig", "Network"]).unwrap();
        assert_eq!(object.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["HostConfig", "Network", "x"]);

        let Json::Object(mut doubled) =
            Json::parse("{\"hostconfig\":1,\"Ho\u{17f}tconfig\":2}".as_bytes()).unwrap()
        else {
            panic!("an object");
        };
        assert!(doubled.fold(&["HostConfig"]).is_err());
    }
}
