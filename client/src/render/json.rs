//! JSON lines; `docs/JSON.md` describes them.

use serde::Serialize;

/// One object on one line: `type` first, then the body's fields.
pub fn line(kind: &str, body: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Line<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        body: &'a T,
    }
    let line = match serde_json::to_string(&Line { r#type: kind, body }) {
        Ok(json) => json + "\n",
        // Only a body that is no object gets here, and none of ours is; a script still gets a line that it can read.
        Err(_) => format!("{{\"type\":\"{kind}\"}}\n"),
    };
    #[cfg(test)]
    super::schema::check(kind, &line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_stands_beside_the_bodys_fields() {
        let failure = wharf_proto::Failure::new(wharf_proto::FailureKind::Refused, "no");
        assert_eq!(
            line("failure", &failure),
            "{\"type\":\"failure\",\"kind\":\"refused\",\"message\":\"no\"}\n"
        );
    }
}
