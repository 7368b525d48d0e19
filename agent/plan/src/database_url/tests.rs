use super::*;

fn parsed(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Host, port, user, password, database.
type Parts = (String, u16, String, Option<String>, Option<String>);

fn parts(text: &str) -> Parts {
    let url = parsed(text);
    (url.host, url.port, url.user, url.password, url.database)
}

fn expected(host: &str, port: u16, user: &str, password: Option<&str>, database: Option<&str>) -> Parts {
    (host.to_owned(), port, user.to_owned(), password.map(str::to_owned), database.map(str::to_owned))
}

#[test]
fn urls_are_read_as_drivers_do() {
    let app = |port| expected("db.example", port, "app", Some("secret"), Some("shop"));
    for (text, wanted) in [
        ("postgres://app:secret@db.example:6000/shop", app(6000)),
        ("postgresql://app:secret@db.example/shop", app(5432)),
        ("  PostgreSQL://app:secret@db.example/shop\n", app(5432)),
        ("postgresql+psycopg2://app:secret@db.example/shop", app(5432)),
        ("postgresql+asyncpg://app:secret@db.example:5433/shop?ssl=require", app(5433)),
        ("postgis://app:secret@db.example/shop?schema=public&connection_limit=5", app(5432)),
        (
            "postgres://us%40er:p%3A%2F%23%25%40@10.0.0.5/my%20shop",
            expected("10.0.0.5", 5432, "us@er", Some("p:/#%@"), Some("my shop")),
        ),
        ("postgres://a:p@ss:w+d@h/d", expected("h", 5432, "a", Some("p@ss:w+d"), Some("d"))),
        ("postgres://a:p@[2001:db8::1]:5433/d", expected("2001:db8::1", 5433, "a", Some("p"), Some("d"))),
        ("postgres://a@[fe80::1%25eth0]/d", expected("fe80::1%eth0", 5432, "a", None, Some("d"))),
        ("postgres://a@h", expected("h", 5432, "a", None, None)),
        ("postgres://a:@h/", expected("h", 5432, "a", None, None)),
        ("postgres://a@h?sslmode=require", expected("h", 5432, "a", None, None)),
    ] {
        assert_eq!(parts(text), wanted, "{text}");
    }
}

#[test]
fn parameters_are_passed_on_or_left_to_their_drivers() {
    let of = |query: &str| parsed(&format!("postgres://a@h/d?{query}")).parameters;
    for (query, mode) in [
        ("", None),
        ("sslmode=verify-full", Some("verify-full")),
        ("sslmode=VERIFY_CA", Some("verify-ca")),
        ("ssl=true", Some("require")),
        ("ssl=0", Some("disable")),
        ("sslmode=no-verify", Some("require")),
        ("pool_timeout=3&sslmode=prefer&&schema=x", Some("prefer")),
    ] {
        assert_eq!(of(query).ssl_mode, mode, "{query}");
    }
    let many =
        "sslrootcert=system&channel_binding=require&options=endpoint%3Dep-1&application_name=x&keepalives=1";
    assert_eq!(
        of(many).environment,
        [
            ("PGSSLROOTCERT", "system".to_owned()),
            ("PGCHANNELBINDING", "require".to_owned()),
            ("PGOPTIONS", "endpoint=ep-1".to_owned()),
        ]
    );
}

#[test]
fn what_cannot_be_used_is_refused_and_never_quoted() {
    use UrlError as E;
    let long = format!("postgres://a@h/{}", "x".repeat(9000));
    let refused = [
        ("", E::Empty),
        (long.as_str(), E::TooLong),
        ("hunter2", E::Scheme),
        ("http://a:hunter2@h/d", E::Scheme),
        ("postgresql+psy-copg://a:hunter2@h/d", E::Scheme),
        ("jdbc:postgresql://h/d?user=a&password=hunter2", E::Jdbc),
        ("mysql+pymysql://a:hunter2@h/d", E::OtherKind),
        ("postgres://a:hunt er2@h/d", E::Blank),
        ("postgres://a:hunter2#@h/d", E::Hash),
        ("postgres://a:hunter2%@h/d", E::Percent),
        ("postgres://a:hunter2%zz@h/d", E::Percent),
        ("postgres://a:hunter2%ff@h/d", E::NotText),
        ("postgres://a:hunter2%0a@h/d", E::NotText),
        ("postgres://:hunter2@h/d", E::NoUser),
        ("postgres://h/d", E::NoUser),
        ("postgres://a:hunter2@/d", E::NoHost),
        ("postgres://a:hunter2@%2Fvar%2Frun/d", E::NoHost),
        ("postgres://a:hunter2@h1,h2/d", E::Hosts),
        ("postgres://a:hunter2@h!/d", E::Host),
        ("postgres://a:hunter2@-h/d", E::Host),
        ("postgres://a:hunter2@[::1/d", E::Host),
        ("postgres://a:hunter2@[hunter2]/d", E::Host),
        ("postgres://a:hunter2@::1/d", E::NoHost),
        ("postgres://a:hunter2@h:0/d", E::Port),
        ("postgres://a:hunt/er2@h/d", E::Port),
        ("postgres://a:hunter2@h:65536/d", E::Port),
        ("postgres://a:hunter2@h/d/e", E::Database),
        ("postgres://a@h/d?password=hunter2", E::Elsewhere),
        ("postgres://a@h/d?host=/var/run/postgresql", E::Elsewhere),
        ("postgres://a@h/d?sslrootcert=/etc/ca.pem", E::File),
        ("postgres://a@h/d?sslcert=c.pem", E::File),
        ("postgres://a@h/d?sslmode=hunter2", E::SslMode),
        ("postgres://a@h/d?channel_binding=hunter2", E::Value("channel_binding")),
        ("postgres://a@h/d?pgbouncer=true", E::Pooler),
    ];
    for (text, error) in refused {
        let found = DatabaseUrl::parse(text);
        let told = format!("{found:?} {error} {}", error.hint());
        assert_eq!(found, Err(error), "{text}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let shown = format!("{:?}", parsed("postgres://a:hunter2@h/d"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_host_of_the_stack_is_told() {
    let url = parsed("postgres://a:b@DB:5432/d");
    assert!(url.is_one_of(["web", "db"]));
    assert!(!url.is_one_of(["web", "db.example"]));
}
