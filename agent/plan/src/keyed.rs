//! Digests that say whether something changed without giving away what it is.
//!
//! **Invariant**: values of secrets, build arguments and environments enter digests only here, under a key that never
//! leaves the agent, so that a digest in the state cannot be guessed back.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use wharf_proto::Digest;

/// The agent's key for digests of inputs. It has no `Debug` on purpose.
#[derive(Clone)]
pub struct InputKey([u8; 32]);

impl InputKey {
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The keyed digest of `content`: of a secret's, say.
    pub fn digest(&self, content: &[u8]) -> Digest {
        let mut hash = self.hasher("content");
        hash.bytes(content);
        hash.finish()
    }

    /// A hasher of its own for `domain`, so that digests of different things never meet.
    pub(crate) fn hasher(&self, domain: &str) -> KeyedHasher {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        let mut hasher = KeyedHasher { mac };
        hasher.text(domain);
        hasher
    }
}

/// HMAC-SHA256 over fields whose lengths are hashed too: no two lists of fields give the same bytes.
pub(crate) struct KeyedHasher {
    mac: Hmac<Sha256>,
}

impl KeyedHasher {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.mac.update(&(bytes.len() as u64).to_be_bytes());
        self.mac.update(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.mac.update(&(count as u64).to_be_bytes());
    }

    /// A JSON value, its objects by sorted keys.
    pub(crate) fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.text("null"),
            Value::Bool(flag) => self.text(if *flag { "true" } else { "false" }),
            Value::Number(number) => {
                self.text("number");
                self.text(&number.to_string());
            }
            Value::String(text) => {
                self.text("string");
                self.text(text);
            }
            Value::Array(items) => {
                self.text("array");
                self.count(items.len());
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(fields) => {
                self.text("object");
                self.count(fields.len());
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                for (name, value) in fields {
                    self.text(name);
                    self.json(value);
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_depend_on_key_and_on_where_fields_end() {
        let one = InputKey::new([1; 32]);
        assert_ne!(one.digest(b"a"), InputKey::new([2; 32]).digest(b"a"));
        assert_ne!(one.digest(b"a"), Digest::of(b"a"));
        let of = |fields: &[&str]| {
            let mut hasher = one.hasher("test");
            fields.iter().for_each(|field| hasher.text(field));
            hasher.finish()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }

    #[test]
    fn the_order_of_an_objects_fields_does_not_matter() {
        let key = InputKey::new([1; 32]);
        let of = |json: &str| {
            let mut hasher = key.hasher("test");
            hasher.json(&serde_json::from_str(json).unwrap());
            hasher.finish()
        };
        assert_eq!(of(r#"{"a":1,"b":[true,null]}"#), of(r#"{"b":[true,null],"a":1}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
        assert_ne!(of(r#"{"a":"1"}"#), of(r#"{"a":1}"#));
    }
}
