//! Requests that would delete a volume if the guard read them otherwise than the engine does: the table of known tricks.

use crate::engine::DATA;

/// What the requests are about.
pub const VOLUME: &str = "corpus-volume";
/// A stopped container with an anonymous volume.
pub const CONTAINER: &str = "corpus-container";
/// A running one that the engine removes at its end, with its volume.
pub const FLEETING: &str = "corpus-fleeting";

/// One request in parts, so that it can be mutated and still be a request.
#[derive(Debug, Clone)]
pub struct Hostile {
    pub name: String,
    pub method: String,
    pub path: String,
    pub query: Vec<String>,
    pub headers: Vec<String>,
    pub body: Option<String>,
    /// What follows on the same connection.
    pub then: String,
    /// Whether it deletes a volume when it is sent to a bare engine of this version (measured; see the control test).
    pub deadly: bool,
}

impl Hostile {
    fn new(name: &str, method: &str, path: &str, deadly: bool) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            name: name.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect(),
            headers: Vec::new(),
            body: None,
            then: String::new(),
            deadly,
        }
    }

    fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    fn then(mut self, then: String) -> Self {
        self.then = then;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query.join("&")) };
        let mut text = format!("{} {}{query} HTTP/1.1\r\nHost: docker\r\n", self.method, self.path);
        let framed = self.headers.iter().any(|header| {
            let header = header.to_ascii_lowercase();
            header.starts_with("content-length") || header.starts_with("transfer-encoding")
        });
        for header in &self.headers {
            text += &format!("{header}\r\n");
        }
        if let Some(body) = &self.body {
            if !self.headers.iter().any(|header| header.to_ascii_lowercase().starts_with("content-type")) {
                text += "Content-Type: application/json\r\n";
            }
            if !framed {
                text += &format!("Content-Length: {}\r\n", body.len());
            }
        }
        if self.then.is_empty()
            && !self.headers.iter().any(|header| header.to_ascii_lowercase().starts_with("connection"))
        {
            text += "Connection: close\r\n";
        }
        text += "\r\n";
        text += self.body.as_deref().unwrap_or_default();
        text += &self.then;
        text.into_bytes()
    }
}

/// The plain deletion, to hide behind something else.
pub fn delete() -> String {
    format!("DELETE /volumes/{VOLUME} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
}

/// The known tricks.
pub fn table() -> Vec<Hostile> {
    let mut table = paths();
    table.extend(queries());
    table.extend(bodies());
    table.extend(framings());
    table
}

fn paths() -> Vec<Hostile> {
    let spelled = [
        ("/volumes/V", true),
        ("/v1.45/volumes/V", true),
        ("/v1.24/volumes/V", true),
        ("/volumes/V?force=1", true),
        ("/%76olumes/V", true),
        ("/v1.45/%76%6f%6c%75%6d%65%73/V", true),
        ("/volumes%2FV", true),
        ("/volumes/corpus%2dvolume", true),
        ("/%2fvolumes/V", false),
        ("http://docker/volumes/V", true),
        ("http://docker/v1.45/volumes/V", true),
        ("unix:///volumes/V", true),
        ("//volumes/V", false),
        ("/volumes//V", false),
        ("/./volumes/V", false),
        ("/x/../volumes/V", false),
        ("/containers/../volumes/V", false),
        ("/volumes/V/", false),
        ("/v1.45/v1.45/volumes/V", false),
        ("/v1.045/volumes/V", true),
        ("/v1.45.0/volumes/V", true),
        ("/v01.45/volumes/V", true),
        ("/V1.45/volumes/V", false),
        ("/v1.12/volumes/V", false),
        ("/v9.99/volumes/V", false),
        ("/VOLUMES/V", false),
        ("/volumes/V;x", false),
        ("/volumes/V%00", false),
        ("/volumes/V#x", false),
        ("/volumes\\V", false),
        ("/volumes/V?", true),
        ("/%2576olumes/V", false),
        ("docker/volumes/V", false),
        ("*", false),
        ("/containers/json/../../volumes/V", false),
        ("/images/%2e%2e/volumes/V", false),
        ("/networks/../volumes/V", false),
        ("/ignored?/volumes/V", false),
        ("http:/volumes/V", true),
        ("http://x@docker:1/volumes/V", true),
    ];
    let mut all: Vec<Hostile> = spelled
        .iter()
        .map(|(path, deadly)| {
            Hostile::new(
                path,
                "DELETE",
                &path
                    .replace('V', VOLUME)
                    .replace(&format!("/{VOLUME}OLUMES"), "/VOLUMES")
                    .replace(&format!("/{VOLUME}1"), "/V1"),
                *deadly,
            )
        })
        .collect();
    for method in ["POST", "PUT", "PATCH", "delete", "Delete", "PURGE", "DELETE\t", "CONNECT"] {
        all.push(Hostile::new(&format!("by {method}"), method, &format!("/volumes/{VOLUME}"), false));
    }
    all.push(
        Hostile::new("method override", "POST", &format!("/volumes/{VOLUME}"), false)
            .header("X-HTTP-Method-Override: DELETE"),
    );
    all.push(Hostile::new("method in query", "POST", &format!("/volumes/{VOLUME}?_method=DELETE"), false));
    for (path, deadly) in [
        ("/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D", true),
        ("/v1.40/volumes/prune", true),
        ("/volumes/%70rune?filters={%22all%22:{%22true%22:true}}", true),
        ("/system/prune?volumes=1", false),
        ("/volumes/prune/?filters=%7B%22all%22%3A%5B%22true%22%5D%7D", false),
    ] {
        all.push(Hostile::new(path, "POST", path, deadly));
    }
    all
}

fn queries() -> Vec<Hostile> {
    let spelled = [
        ("v=1", true),
        ("v=true", true),
        ("v=yes", true),
        ("v=f", true),
        ("v=2", true),
        ("v=-", true),
        ("%76=1", true),
        ("v=%31", true),
        ("v=1&v=0", true),
        ("v=0&v=1", false),
        ("v=+1", true),
        ("v=%201", true),
        ("v=no&%76=1", false),
        ("%76=1&v=0", true),
        ("force=1&v=1", true),
        ("v=TRUE", true),
        ("V=1", false),
        ("v=1;v=0", false),
        ("a;b&v=1", false),
        ("v=1&link=0", true),
        ("v=%00", true),
        ("v=%C2%A01", true),
        ("volumes=1", false),
        ("v[]=1", false),
        ("v=1&&", true),
        ("&v=1", true),
        ("v=1&x=%zz", false),
        ("v=none1", true),
        ("v=1#", true),
    ];
    let mut all: Vec<Hostile> = spelled
        .iter()
        .map(|(query, deadly)| {
            Hostile::new(
                &format!("rm with {query}"),
                "DELETE",
                &format!("/containers/{CONTAINER}?{query}"),
                *deadly,
            )
        })
        .collect();
    all.push(Hostile::new(
        "rm by an encoded name",
        "DELETE",
        &format!("/%63ontainers/{CONTAINER}?v=1"),
        true,
    ));
    all.push(
        Hostile::new("rm with a form", "DELETE", &format!("/containers/{CONTAINER}"), false)
            .header("Content-Type: application/x-www-form-urlencoded")
            .body("v=1&force=1"),
    );
    for (action, deadly) in
        [("stop?t=0", true), ("kill", true), ("kill?signal=TERM", false), ("stop?t=0&signal=KILL", true)]
    {
        all.push(Hostile::new(
            &format!("{action} what was run with --rm"),
            "POST",
            &format!("/containers/{FLEETING}/{action}"),
            deadly,
        ));
    }
    all
}

fn bodies() -> Vec<Hostile> {
    let spelled = [
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":true}}"#, true),
        (r#"{"image":"DATA","hostconfig":{"autoremove":true}}"#, true),
        (r#"{"IMAGE":"DATA","HOSTCONFIG":{"AUTOREMOVE":true}}"#, true),
        ("{\"Image\":\"DATA\",\"Ho\u{17f}tconfig\":{\"AutoRemove\":true}}", true),
        ("{\"Image\":\"DATA\",\"Ho\\u017ftConfig\":{\"AutoRemove\":true}}", true),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":false},"HostConfig":{"AutoRemove":true}}"#, true),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":true},"HostConfig":{"Memory":0}}"#, true),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":true},"hostconfig":{}}"#, true),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":false,"AutoRemove":true}}"#, true),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":false,"autoRemove":true}}"#, true),
        (r#"{"Image":"DATA","\u0048ostConfig":{"\u0041utoRemove":true}}"#, true),
        (r#"{"Image":"BUSY","Image":"DATA","HostConfig":{"AutoRemove":true}}"#, true),
        (r#"{"Image":"BUSY","image":"DATA","HostConfig":{"AutoRemove":true}}"#, true),
        (r#"{"Image":"BUSY","Cmd":["true"],"Volumes":{"/x":{}},"HostConfig":{"AutoRemove":true}}"#, true),
        (r#"{"Image":"BUSY","Cmd":["true"],"volumes":{"/x":{}},"HostConfig":{"AutoRemove":true}}"#, true),
        (r#"{"Image":"BUSY","Cmd":["true"],"HostConfig":{"AutoRemove":true,"Binds":["/x"]}}"#, true),
        (r#"{"Image":"BUSY","Cmd":["true"],"HostConfig":{"AutoRemove":true,"binds":["/x"]}}"#, true),
        (
            r#"{"Image":"BUSY","Cmd":["true"],"HostConfig":{"AutoRemove":true,"Mounts":[{"Type":"volume","Target":"/x"}]}}"#,
            true,
        ),
        (
            "{\"Image\":\"BUSY\",\"Cmd\":[\"true\"],\"HostConfig\":{\"AutoRemove\":true,\"mount\u{17f}\":[{\"type\":\"volume\",\"target\":\"/x\"}]}}",
            true,
        ),
        (r#"{"Image":"BUSY","Cmd":["true"],"HostConfig":{"AutoRemove":true,"VolumesFrom":["CONT"]}}"#, false),
        (r#"{"Image":"BUSY","Cmd":["true"],"HostConfig":{"AutoRemove":true,"volumesfrom":["CONT"]}}"#, false),
        (r#"{"Image":"DATA","AutoRemove":true}"#, true),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":1}}"#, false),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":"true"}}"#, false),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":true}} {"Image":"BUSY"}"#, false),
        (r#"{"Image":"DATA","HostConfig":null,"HostConfig":{"AutoRemove":true}}"#, true),
        (r#"[{"Image":"DATA"}]"#, false),
        (r#"{"Image":"DATA","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"no"}}}"#, true),
        (
            r#"{"Image":"DATA","Labels":{"dev.wharf.guard.remove":"x"},"HostConfig":{"AutoRemove":true}}"#,
            true,
        ),
    ];
    let mut all = Vec::new();
    for (body, deadly) in spelled {
        let body =
            body.replace("DATA", DATA).replace("BUSY", crate::engine::BUSYBOX).replace("CONT", CONTAINER);
        all.push(
            Hostile::new(&format!("create {body}"), "POST", "/v1.45/containers/create", deadly).body(&body),
        );
    }
    let rm = format!(r#"{{"Image":"{DATA}","HostConfig":{{"AutoRemove":true}}}}"#);
    let create =
        |name: &str, deadly: bool| Hostile::new(name, "POST", "/containers/create", deadly).body(&rm);
    all.push(create("create without a type", false).header("Content-Type:"));
    all.push(create("create as text", false).header("Content-Type: text/plain"));
    all.push(create("create with a charset", true).header("Content-Type: application/json; charset=utf-8"));
    all.push(create("create as a form", false).header("Content-Type: application/x-www-form-urlencoded"));
    let chunked = format!("{:x};x=y\r\n{rm}\r\n0\r\n\r\n", rm.len());
    all.push(
        Hostile::new("create in chunks", "POST", "/containers/create", true)
            .header("Transfer-Encoding: chunked")
            .header("Content-Type: application/json")
            .body(&chunked),
    );
    all
}

fn framings() -> Vec<Hostile> {
    let ping = |name: &str, deadly: bool| Hostile::new(name, "GET", "/_ping", deadly);
    let smuggled = delete();
    vec![
        ping("pipelined", true).then(delete()),
        ping("pipelined twice", true).then(format!("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n{}", delete())),
        ping("hidden in a body", false).header(&format!("Content-Length: {}", smuggled.len())).then(delete()),
        ping("length and chunks", true)
            .header(&format!("Content-Length: {}", smuggled.len() + 5))
            .header("Transfer-Encoding: chunked")
            .then(format!("0\r\n\r\n{smuggled}")),
        ping("chunks and length", true)
            .header("Transfer-Encoding: chunked")
            .header("Content-Length: 4")
            .then(format!("0\r\n\r\n{smuggled}")),
        ping("two lengths", false)
            .header("Content-Length: 0")
            .header(&format!("Content-Length: {}", smuggled.len()))
            .then(delete()),
        ping("a signed length", false).header("Content-Length: +0").then(delete()),
        ping("unknown coding", false).header("Transfer-Encoding: xchunked").then(delete()),
        ping("two codings", false)
            .header("Transfer-Encoding: identity, chunked")
            .then(format!("0\r\n\r\n{smuggled}")),
        ping("coding with a tab", true)
            .header("Transfer-Encoding:\tchunked")
            .then(format!("0\r\n\r\n{smuggled}")),
        ping("space before the colon", false)
            .header("Transfer-Encoding : chunked")
            .then(format!("0\r\n\r\n{smuggled}")),
        ping("folded header", true).header("X: y\r\n z").then(delete()),
        ping("bare line feeds", true)
            .header("X: y\n\nDELETE /volumes/corpus-volume HTTP/1.1\nHost: d\n")
            .then(delete()),
        ping("chunk size overflow", false)
            .header("Transfer-Encoding: chunked")
            .then(format!("10000000000000000\r\n\r\n{smuggled}")),
        ping("negative chunk", false)
            .header("Transfer-Encoding: chunked")
            .then(format!("-1\r\n\r\n{smuggled}")),
        ping("trailer", true)
            .header("Transfer-Encoding: chunked")
            .header("Trailer: X")
            .then(format!("0\r\nX: y\r\n\r\n{smuggled}")),
        ping("upgrade, then delete", true)
            .header("Connection: Upgrade")
            .header("Upgrade: tcp")
            .then(delete()),
        ping("upgrade to h2c, then delete", true)
            .header("Connection: Upgrade, HTTP2-Settings")
            .header("Upgrade: h2c")
            .header("HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
            .then(delete()),
        Hostile::new("attach to nothing, then delete", "POST", "/containers/nobody/attach", false)
            .header("Connection: Upgrade")
            .header("Upgrade: tcp")
            .then(delete()),
        Hostile::new(
            "attach without switching, then delete",
            "POST",
            &format!("/containers/{CONTAINER}/attach?logs=1"),
            false,
        )
        .then(delete()),
        Hostile::new("exec of nothing, then delete", "POST", "/exec/nobody/start", true)
            .header("Connection: Upgrade")
            .header("Upgrade: tcp")
            .header("Content-Length: 2")
            .header("Content-Type: application/json")
            .then(format!("{{}}{smuggled}")),
        Hostile::new("session, then delete", "POST", "/session", false)
            .header("Connection: Upgrade")
            .header("Upgrade: h2c")
            .then(delete()),
        Hostile::new("expectation", "DELETE", &format!("/volumes/{VOLUME}"), true)
            .header("Expect: 100-continue"),
        Hostile::new("named header", "DELETE", &format!("/volumes/{VOLUME}"), true)
            .header("Connection: close, Host"),
        Hostile::new("PRI", "PRI", "*", false).then("SM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned()),
        Hostile::new(
            "two lines in one",
            "GET",
            "/_ping HTTP/1.1\r\nHost: d\r\n\r\nDELETE /volumes/corpus-volume",
            true,
        ),
        Hostile::new(
            "old protocol",
            "GET",
            "/_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\nDELETE /volumes/corpus-volume",
            true,
        ),
        Hostile::new("no protocol", "GET", "/_ping\r\n\r\nDELETE /volumes/corpus-volume", false),
    ]
}
