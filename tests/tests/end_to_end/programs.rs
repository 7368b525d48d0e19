//! `exec`, `run` and `db console`: at a terminal and without one.

use wharf_tests::terminal::Terminal;
use wharf_tests::{World, await_that, docker};

#[test]
fn programs_run_on_the_server_as_if_they_were_here() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    let volumes = docker::volumes(&world.project);
    without_a_terminal(&world);
    at_a_terminal(&world);
    in_a_container_of_its_own(&world);
    in_the_database(&world);
    nothing_outlives_its_client(&mut world);
    told_in_the_audit(&world);
    assert_eq!(docker::volumes(&world.project), volumes);
}

fn without_a_terminal(world: &World) {
    let script = "echo out; echo err >&2; exit 7";
    let ran = world.laptop.wharf(&["exec", "-T", "backend", "--", "sh", "-c", script]).exits(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    // More than may be under way, both ways at once, and every byte that there is.
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (code, received) = world.laptop.wharf_fed(&["exec", "-T", "backend", "cat"], &sent);
    assert_eq!((code, received.len()), (0, sent.len()));
    assert!(received == sent, "the bytes came back changed");
    // A program that reads none of it ends as it likes.
    assert_eq!(world.laptop.wharf_fed(&["exec", "-T", "backend", "--", "sh", "-c", "exit 4"], &sent).0, 4);
    world.laptop.wharf(&["exec", "backend", "--", "sh", "-c", "kill -9 $$"]).exits(137);
    let code = world.laptop.wharf(&["exec", "backend", "no-such-program"]).code;
    assert!(matches!(code, 126 | 127), "a missing program: {code}");
    let ran = world.laptop.wharf(&["exec", "-u", "nobody", "backend", "--", "id", "-un"]).exits(0);
    assert_eq!(ran.stdout, "nobody\n");
    let ran = world.laptop.wharf(&["exec", "nosuch", "true"]).exits(2);
    assert!(ran.stderr.contains("backend, db, web"), "{}", ran.stderr);
}

fn at_a_terminal(world: &World) {
    let mut terminal = Terminal::start(&world.laptop, &["exec", "-it", "backend", "sh"], 101, 37);
    terminal.type_in("PS1=ready'> '\n");
    terminal.wait_for("ready> ");
    terminal.type_in("stty size; echo $TERM\n");
    terminal.wait_for("37 101\r\nxterm\r\n");
    terminal.resize(88, 22);
    // The size travels beside what is typed: asked until it is there.
    terminal.type_in("until [ \"$(stty size)\" = '22 88' ]; do :; done; echo resi''zed\n");
    terminal.wait_for("resized\r\n");
    // It speaks itself, so that it has the terminal when the key comes, and not the shell.
    terminal.type_in("sh -c \"echo begin''s; exec sleep 100000\"\n");
    terminal.wait_for("begins\r\n");
    terminal.type_in("\x03");
    terminal.wait_for("ready> ");
    terminal.type_in("exit 3\n");
    assert_eq!(terminal.finish(), 3);
    // The terminal is put back also where the client is told to stop.
    let mut terminal = Terminal::start(&world.laptop, &["exec", "backend", "--", "sh"], 80, 24);
    terminal.type_in("echo her''e\n");
    terminal.wait_for("here\r\n");
    terminal.terminate();
    assert_eq!(terminal.finish(), 130);
}

fn in_a_container_of_its_own(world: &World) {
    let before = docker::containers(&world.project);
    let script = "echo $SECRET_KEY; hostname; exit 9";
    let ran = world.laptop.wharf(&["run", "backend", "--", "sh", "-c", script]).exits(9);
    let mut lines = ran.stdout.lines();
    assert_eq!(lines.next(), Some(format!("another-{}", world.app).as_str()));
    assert!(!world.container("backend").starts_with(lines.next().expect("a host name")));
    // The database is reached by its name, as the service does.
    let ask = "import socket; socket.create_connection(('db', 5432), 10)";
    world.laptop.wharf(&["run", "backend", "python3", "-c", ask]).exits(0);
    world.laptop.wharf(&["run", "backend", "no-such-program"]).exits(127);
    let mut terminal = Terminal::start(&world.laptop, &["run", "backend", "--", "sh"], 90, 30);
    terminal.type_in("stty size; exit 6\n");
    terminal.wait_for("30 90\r\n");
    assert_eq!(terminal.finish(), 6);
    assert_eq!(docker::containers(&world.project), before);
}

fn in_the_database(world: &World) {
    let mut terminal = Terminal::start(&world.laptop, &["db", "console"], 80, 24);
    terminal.wait_for("fitness=#");
    terminal.type_in("SELECT 'from the ' || current_user;\n");
    terminal.wait_for("from the fitness");
    // It speaks itself, so that it runs when the key comes.
    terminal.type_in("DO $$ BEGIN RAISE NOTICE 'be%', 'gun'; PERFORM pg_sleep(100000); END $$;\n");
    terminal.wait_for("begun");
    terminal.type_in("\x03");
    terminal.wait_for("canceling statement due to user request");
    terminal.type_in("\\q\n");
    assert_eq!(terminal.finish(), 0);
    let (code, out) = world.laptop.wharf_fed(&["db", "console", "-T"], b"\\t\nSELECT 6 * 7;\n");
    assert!(code == 0 && String::from_utf8_lossy(&out).contains("42"));
    let status = world.laptop.wharf(&["db", "status", "--json"]).exits(0).json();
    let database = &status[0];
    assert_eq!(database["database"], "fitness", "{database}");
    assert!(database["size_bytes"].as_u64() > Some(1_000_000) && database["max_connections"] == 100);
    let tables = database["tables"].as_array().expect("a list");
    assert!(tables.iter().any(|table| table["table"] == "public.workouts"), "{database}");
    let text = world.laptop.wharf(&["db", "status"]).exits(0).stdout;
    assert!(text.contains("of 100 connections") && text.contains("public.workouts"), "{text}");
    blocked_and_slow(world);
}

fn blocked_and_slow(world: &World) {
    let begin = |sql: &str, wait: &str| {
        let mut terminal = Terminal::start(&world.laptop, &["db", "console"], 80, 24);
        terminal.wait_for("fitness=#");
        terminal.type_in(&format!("{sql}\n"));
        terminal.wait_for(wait);
        terminal
    };
    let holder = begin("BEGIN; LOCK TABLE workouts; SELECT 'ho' || 'lds';", "holds");
    let waiter = begin("SELECT 'as' || 'ks'; DELETE FROM workouts;", "asks");
    await_that("a blocked query is shown", || {
        let status = world.laptop.wharf(&["db", "status", "--json", "--slow", "0"]).exits(0).json();
        let blocked = status[0]["blocked"].as_array().expect("a list").clone();
        let slow = status[0]["slow"].as_array().expect("a list").clone();
        blocked.iter().any(|query| query["command"] == "DELETE")
            && slow.iter().any(|query| query["state"] == "idle in transaction")
    });
    drop((waiter, holder));
}

fn nothing_outlives_its_client(world: &mut World) {
    let runs = |world: &World, what: &str| {
        docker::docker(&["top", &world.container("backend"), "-eo", "pid,args"]).contains(what)
    };
    // A child of a child, so that killing the program alone would leave it.
    let script = "echo go''es; sh -c 'sleep 100017; true'; true";
    let arguments = ["exec", "backend", "--", "sh", "-c", script];
    let mut terminal = Terminal::start(&world.laptop, &arguments, 80, 24);
    terminal.wait_for("goes");
    await_that("the program runs", || runs(world, "sleep 100017"));
    terminal.kill();
    await_that("the program ends with its client", || !runs(world, "sleep 100017"));
    // And when it is the agent that dies.
    let before = docker::containers(&world.project);
    let script = "echo go''es; sleep 100018";
    let mut exec = Terminal::start(&world.laptop, &["exec", "backend", "sh", "-c", script], 80, 24);
    exec.wait_for("goes");
    let mut run = Terminal::start(&world.laptop, &["run", "backend", "sh", "-c", script], 80, 24);
    run.wait_for("goes");
    assert_eq!(docker::containers(&world.project).len(), before.len() + 1);
    world.server.restart(&[]);
    assert!(!runs(world, "sleep 100018"));
    assert_eq!(docker::containers(&world.project), before);
    assert_eq!(exec.finish(), 4);
    assert_eq!(run.finish(), 4);
}

fn told_in_the_audit(world: &World) {
    let audit = world.laptop.wharf(&["audit", "-n", "1000", "--json"]).exits(0).stdout;
    for told in ["exec backend: sh", "run backend: python3", "db console db: sh", "exit code 7"] {
        assert!(audit.contains(told), "{told} in {audit}");
    }
    assert!(!audit.contains("100017"), "arguments are told: {audit}");
}
