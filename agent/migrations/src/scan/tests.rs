use super::*;

#[test]
fn what_may_stand_in_a_file() {
    for good in [
        "",
        "-- nothing but COMMIT;",
        "CREATE TABLE t (a text DEFAULT ';COMMIT;');",
        "CREATE TABLE t (a text)",
        "INSERT INTO t VALUES ('it''s \\ a path'), (E'it\\'s; COMMIT; \\\\'), (U&'\\0041');",
        "INSERT INTO t VALUES (E'a\\''\n  -- goes on\n '\\';COMMIT;');",
        "SELECT 'a'\n'b';",
        "COMMENT ON TABLE t IS 'COMMIT'; SELECT \"a;\\COMMIT\" FROM t;",
        "/* outer /* COMMIT; */ \\d */ SELECT 1;",
        "DO $$ BEGIN PERFORM 1; END $$;",
        "DO $body$ BEGIN PERFORM '$$'; RAISE NOTICE $a$ \\x $a$; END; $body$;",
        "CREATE FUNCTION f(a$b int) RETURNS int LANGUAGE sql AS 'SELECT $1; SELECT 2';",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
        "create or replace procedure p() begin atomic delete from t; end; SELECT 1;",
        "SAVEPOINT s; INSERT INTO t VALUES (1); ROLLBACK TO s; ROLLBACK WORK TO SAVEPOINT s; RELEASE s;",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v);",
        "COPY t FROM '/srv/t.csv'; COPY t TO STDOUT; PREPARE p AS SELECT 1;",
        "SELECT a -- \\ no command\n FROM t; SELECT 1 - -1, 4 / 2;",
        "CREATE TABLE commit (\"end\" int); INSERT INTO begin_log VALUES (1);",
        "SELECT $1$2; SELECT a$b$c FROM t;",
        "ÄNDERE_nichts;",
    ] {
        assert_eq!(scan(good), Ok(()), "{good}");
    }
}

#[test]
fn what_may_not() {
    let command = |line| ScanError::Command { line };
    let transaction = |line, word: &str| ScanError::Transaction { line, word: word.into() };
    let unended = |line, what| ScanError::Unended { line, what };
    for (bad, why) in [
        ("\\i other.sql", command(1)),
        ("SELECT 1;\nSELECT 2 \\gexec", command(2)),
        ("SELECT 'a'\\; SELECT 2;", command(1)),
        ("INSERT INTO t VALUES ('\\'); \\! id\n--');", command(1)),
        ("BEGIN;", transaction(1, "BEGIN")),
        ("-- first\nbegin", transaction(2, "BEGIN")),
        ("CREATE TABLE t (a int);\n\n commit;", transaction(3, "COMMIT")),
        ("SELECT 1; /* x */ End;", transaction(1, "END")),
        ("abort", transaction(1, "ABORT")),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE;", transaction(1, "START TRANSACTION")),
        ("PREPARE TRANSACTION 'a';", transaction(1, "PREPARE TRANSACTION")),
        ("ROLLBACK;", transaction(1, "ROLLBACK")),
        ("ROLLBACK AND CHAIN;", transaction(1, "ROLLBACK")),
        ("ROLLBACK PREPARED 'a';", transaction(1, "ROLLBACK")),
        ("DO $$ BEGIN NULL; END $$; COMMIT;", transaction(1, "COMMIT")),
        ("COPY t (a, b) FROM stdin WITH (FORMAT csv);\n1,2\n", ScanError::CopyFromStdin { line: 1 }),
        ("SELECT 1;\nSELECT 'a;\n", unended(2, "string")),
        ("SELECT E'a\\';", unended(1, "string")),
        ("/* /* */", unended(1, "comment")),
        ("SELECT \"a;", unended(1, "quoted name")),
        ("DO $a$ BEGIN END $b$;", unended(1, "dollar quote")),
        ("CREATE TABLE t (\na int;", unended(1, "parenthesis")),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", unended(1, "body")),
    ] {
        assert_eq!(scan(bad), Err(why), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_or_hang(text in r#"[a-eE$'"\\/*\-;() \n0-1ä]{0,60}"#) {
        let _ = scan(&text);
    }
}
