//! What needs processes of its own: supervision, the lock, and the memory of a build.
//!
//! This file is its own harness, because its executable is called again in other parts: as the process between
//! (`internal run`), as an agent that is going to be killed, and as a builder whose memory is measured.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio_util::sync::CancellationToken;
use wharf_engine::supervise::{EXIT_CANNOT_START, child_main};
use wharf_engine::{AppLock, BuildSpec, Dockerfile, Engine, LockError, SuperviseSpec, Supervisor};

const LIMIT: Duration = Duration::from_secs(30);
/// A child that left its session, one that ignores SIGTERM, and the program itself; each tells its ID.
const TREE: &str = "setsid sh -c 'echo $$; exec sleep 1000' & \
     sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & \
     echo $$; wait";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let part: Vec<&str> = args.iter().map(String::as_str).collect();
    match part.as_slice() {
        ["internal", "run", ..] => return child_main(std::env::args_os().skip(3)),
        ["agent", lock] => run(agent(Path::new(lock))),
        ["builder", context] => run(builder(Path::new(context))),
        _ => {
            for (name, test) in TESTS {
                println!("test {name} ...");
                test();
                println!("test {name} ... ok");
            }
        }
    }
    ExitCode::SUCCESS
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("a_killed_agent_takes_its_tree_along_and_then_frees_the_lock", || run(killed_agent())),
    ("ending_a_child_ends_its_tree", || run(ended_child())),
    ("a_killed_process_between_leaves_nothing", || run(killed_between())),
    ("codes_streams_and_environment_are_the_programs_own", || run(transparent())),
    ("a_build_does_not_hold_its_context", || run(build_memory())),
];

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(test);
}

fn own() -> std::path::PathBuf {
    std::env::current_exe().expect("this executable has a path")
}

fn tree() -> SuperviseSpec {
    SuperviseSpec::new("/bin/sh", ["-c", TREE])
}

/// The part of the agent: takes the lock, starts the tree, passes its lines on, and waits for its own death.
async fn agent(lock: &Path) {
    let lock = AppLock::try_acquire(lock).expect("nobody else has the lock");
    let supervisor = Supervisor::new(own(), Some(&lock)).expect("descriptors are left");
    let mut child = supervisor.spawn(&tree()).expect("this executable starts");
    let mut lines = BufReader::new(child.take_stdout().expect("it is piped")).lines();
    while let Some(line) = lines.next_line().await.expect("a pipe can be read") {
        println!("{line}");
    }
}

async fn pids(lines: &mut Lines<BufReader<ChildStdout>>) -> Vec<Pid> {
    let mut pids = Vec::new();
    while pids.len() < 3 {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await.expect("it tells its IDs in time");
        let line = line.expect("a pipe can be read").expect("it tells three IDs");
        pids.push(Pid::from_raw(line.parse().expect("a process ID")));
    }
    pids
}

fn runs(pid: Pid) -> bool {
    kill(pid, None) != Err(Errno::ESRCH)
        && std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn killed_agent() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("lock");
    let mut agent = Command::new(own())
        .arg("agent")
        .arg(&path)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this executable starts");
    let mut lines = BufReader::new(agent.stdout.take().expect("it is piped")).lines();
    let pids = pids(&mut lines).await;
    assert!(pids.iter().all(|pid| runs(*pid)), "{pids:?}");
    assert!(matches!(AppLock::try_acquire(&path), Err(LockError::Held { .. })));
    agent.kill().await.expect("it runs");
    assert!(
        matches!(AppLock::try_acquire(&path), Err(LockError::Held { .. })),
        "one of the tree ignores SIGTERM"
    );
    AppLock::acquire(&path, LIMIT).await.expect("the lock is freed");
    assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
}

async fn ended_child() {
    let supervisor = Supervisor::new(own(), None).expect("no lock is asked for");
    let mut child = supervisor.spawn(&tree()).expect("this executable starts");
    let mut lines = BufReader::new(child.take_stdout().expect("it is piped")).lines();
    let pids = pids(&mut lines).await;
    let began = Instant::now();
    tokio::time::timeout(LIMIT, child.end()).await.expect("it ends in time").expect("it can be waited for");
    assert!(began.elapsed() >= wharf_engine::supervise::TERM_GRACE, "one of them ignores SIGTERM");
    assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
}

async fn killed_between() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("lock");
    let lock = AppLock::try_acquire(&path).expect("it is free");
    let supervisor = Supervisor::new(own(), Some(&lock)).expect("descriptors are left");
    let mut child = supervisor.spawn(&SuperviseSpec::new("sleep", ["1000"])).expect("this executable starts");
    let id = child.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
    // It leads its session once it has begun; killed before that there is no tree yet.
    while std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill(Pid::from_raw(id), Signal::SIGKILL).expect("it is ours");
    assert_eq!(child.wait().await.expect("it can be waited for"), 137);
    drop((lock, supervisor));
    AppLock::acquire(&path, LIMIT).await.expect("nothing of it is left");
}

async fn transparent() {
    let supervisor = Supervisor::new(own(), None).expect("no lock is asked for");
    let script =
        "cat; echo $ONLY $SECRET_OF_THE_AGENT; echo err >&2; test -e /proc/$$/fd/3 || echo closed; exit 42";
    let mut spec = SuperviseSpec::new("sh", ["-c", script]);
    spec.stdin = true;
    spec.env.push(("ONLY".into(), "this".into()));
    let mut child = supervisor.spawn(&spec).expect("this executable starts");
    let mut stdin = child.take_stdin().expect("it is asked for");
    stdin.write_all(b"input\n").await.expect("it reads");
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    child.take_stdout().expect("it is piped").read_to_string(&mut out).await.expect("text");
    child.take_stderr().expect("it is piped").read_to_string(&mut err).await.expect("text");
    // The control pipe is not for the program.
    assert_eq!((out.as_str(), err.as_str()), ("input\nthis\nclosed\n", "err\n"));
    assert_eq!(child.wait().await.expect("it can be waited for"), 42);

    let spec = SuperviseSpec::new("/no/such/program", [] as [&str; 0]);
    let mut child = supervisor.spawn(&spec).expect("this executable starts");
    assert_eq!(child.wait().await.expect("it can be waited for"), i32::from(EXIT_CANNOT_START));
}

/// The part of the builder: builds the context and tells the most memory that this process ever held.
async fn builder(context: &Path) {
    let engine = Engine::connect(None).await.expect("the engine runs");
    let files = ["big".parse().expect("a path")].into();
    let dockerfile =
        Dockerfile::Inline("FROM wharf-base/busybox:1\nCOPY big /\nRUN wc -c /big && rm /big\n".into());
    let mut lines = String::new();
    let spec = BuildSpec::new(context, files, dockerfile);
    let built = engine.build(spec, &CancellationToken::new(), |line| lines.push_str(&line.text)).await;
    let id = built.expect("it builds");
    engine.remove_image(&id).await.expect("it is not used");
    assert!(lines.contains("629145600 /big"), "{lines}");
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts it");
    println!("{}", peak.trim().trim_end_matches(" kB"));
}

async fn build_memory() {
    if std::env::var_os("WHARF_TEST_LONG").is_none() {
        println!("  left out: it runs with WHARF_TEST_LONG=1");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    // Sparse: what counts is what goes over the wire.
    std::fs::File::create(dir.path().join("big")).and_then(|file| file.set_len(600 << 20)).expect("a file");
    let output = Command::new(own()).arg("builder").arg(dir.path()).output().await.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let peak_kib: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    println!("  600 MiB of context, at most {} MiB resident", peak_kib / 1024);
    assert!(peak_kib < 150 * 1024, "{peak_kib} KiB");
}
