//! `wharf promote` against agents in memory.

use super::*;
use wharf_proto::{
    Entry, EntryKind,
    manifest::Chunk,
    message::PackEncoding,
    release::{PromotedFrom, ReleaseSource},
};

const CONFIG: &str = "app = \"fit\"\n[compose]\nfiles = [\"compose.yml\"]\n\
    [[bump]]\nfile = \"mobile/app.json\"\nwhen_changed = [\"mobile/**\"]\n\
    [env.staging.server]\nhost = \"staging.example\"\npath = \"/srv/staging\"\n\
    [env.production.server]\nhost = \"home.example\"\npath = \"/srv/fit\"\n\
    [env.other]\napp = \"fit\"\n[env.other.server]\nhost = \"home.example\"\npath = \"/srv/other\"\n";

/// A laptop that has `wharf.toml`, and nothing of what is promoted.
fn laptop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("wharf.toml"), CONFIG).unwrap();
    folder
}

fn file(path: &str, content: &[u8]) -> Entry {
    let chunk = Chunk { digest: Digest::of(content), size_bytes: content.len() as u32 };
    let size_bytes = content.len() as u64;
    let kind = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes, chunks: vec![chunk] };
    Entry { path: path.parse().unwrap(), kind }
}

fn shipped() -> Vec<Entry> {
    vec![file("compose.yml", b"services: {}\n"), file("mobile/app.json", APP_JSON.as_bytes())]
}

fn source(release: u32, live: bool) -> ReleaseSource {
    ReleaseSource {
        agent: "a1".into(),
        app: "fit".parse().unwrap(),
        release: ReleaseId(release),
        live,
        versions: [
            ("mobile/app.json".parse().unwrap(), "1.0.1".into()),
            ("old/app.json".parse().unwrap(), "3.0.0".into()),
        ]
        .into(),
        message: Some("faster login".into()),
        git_commit: Some("9fceb02d0ae598e95dc970b74767f19372d61af8".into()),
        images: None,
    }
}

/// Tells of a release that has `entries`.
async fn tells(mut end: End, expected: Option<u32>, source: ReleaseSource, entries: Vec<Entry>) {
    let request = end.greet().await;
    let wanted = Request::ReleaseSource { app: "fit".parse().unwrap(), release: expected.map(ReleaseId) };
    assert_eq!(request, wanted);
    end.say(ServerMessage::Source { source }).await;
    end.say(ServerMessage::Manifest { entries: entries[..1].to_vec(), last: false }).await;
    end.say(ServerMessage::Manifest { entries: entries[1..].to_vec(), last: true }).await;
    end.say(ServerMessage::End).await;
}

/// Hands out packs of one chunk each, and hangs up after `packs` of them.
async fn hands_out(mut end: End, wanted: Vec<Digest>, packs: usize) {
    assert!(matches!(end.greet().await, Request::ReleaseContent { release: ReleaseId(12), .. }));
    let Some(ClientMessage::Wanted { digests, last: true }) = end.message().await else {
        panic!("nothing is wanted")
    };
    assert_eq!(digests, wanted);
    for digest in digests.iter().take(packs) {
        let bytes = digest.to_hex().into_bytes();
        let size_bytes = bytes.len() as u64;
        end.say(ServerMessage::Pack { encoding: PackEncoding::Zip, size_bytes, chunks: 1, content_bytes: 7 })
            .await;
        end.bulk_out(bytes).await;
    }
    if packs >= digests.len() {
        end.say(ServerMessage::End).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_staging_keeps_is_passed_on_and_what_was_passed_on_is_not_fetched_again() {
    let mut digests: Vec<Digest> =
        [b"services: {}\n", APP_JSON.as_bytes()].map(|content: &[u8]| Digest::of(content)).to_vec();
    digests.sort();
    let (missing, first, rest) = (digests.clone(), digests.clone(), vec![digests[1]]);
    let agent = Agent::default()
        .then(|end| tells(end, None, source(12, true), shipped()))
        .then(move |mut end| async move {
            let Request::Deploy(request) = end.greet().await else { panic!("no deploy") };
            assert_eq!(request.spec.path, "/srv/fit");
            let promoted = request.source.promoted.as_ref().unwrap();
            let from = PromotedFrom {
                environment: "staging".into(),
                app: "fit".parse().unwrap(),
                release: ReleaseId(12),
                host: Some("staging.example".into()),
            };
            assert_eq!((&promoted.from, promoted.agent.as_str()), (&from, "a1"));
            assert_eq!(request.options.message.as_deref(), Some("faster login"));
            let versions: Vec<_> = request.versions.iter().map(|(file, v)| format!("{file} {v}")).collect();
            assert_eq!(versions, ["mobile/app.json 1.0.1"], "what it carries, as far as it is asked for");
            let Some(ClientMessage::Manifest { entries, last: true }) = end.message().await else {
                panic!("no manifest")
            };
            assert_eq!(entries, shipped(), "and nothing of the laptop's");
            end.say(ServerMessage::Missing { digests: missing.clone(), last: true }).await;
            let mut got = Vec::new();
            loop {
                match end.message().await.unwrap() {
                    ClientMessage::Pack { size_bytes, .. } => {
                        got.push(String::from_utf8(end.bulk(size_bytes).await.unwrap()).unwrap());
                        end.say(ServerMessage::Stored { chunks: 1 }).await;
                    }
                    ClientMessage::Sent => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(got, missing.iter().map(|digest| digest.to_hex()).collect::<Vec<_>>());
            job(&mut end, Outcome::Released { release: ReleaseId(3) }).await;
        })
        .then(move |end| hands_out(end, first, 1))
        .then(move |end| hands_out(end, rest, 1));
    let laptop = laptop();
    let ran = wharf(laptop.path(), &agent, &["promote", "staging", "production"]).await;
    assert_eq!(ran.exit, Exit::DONE, "{}", ran.told.err());
    // How long it took is the machine's affair.
    let told = ran.told.err();
    let lines = told.lines().map(|line| line.find(") in ").map_or(line, |at| &line[..=at]));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn an_earlier_release_can_be_named_and_scripts_are_told() {
    let agent = Agent::default().then(|end| tells(end, Some(9), source(9, false), shipped())).then(
        |mut end| async move {
            let (request, _) = take(&mut end).await;
            assert_eq!(request.options.message.as_deref(), Some("back to it"));
            end.fail(Failure::new(FailureKind::Refused, "no")).await;
        },
    );
    let laptop = laptop();
    let args = ["promote", "staging", "production", "--release", "v9", "-m", "back to it", "--json"];
    let ran = wharf(laptop.path(), &agent, &args).await;
    assert_eq!(ran.exit, Exit(3), "{}", ran.told.err());
    insta::assert_snapshot!(regex_free_duration(&ran.told.out()));
}

#[tokio::test]
async fn what_cannot_be_promoted_is_said_before_anything_is_sent() {
    let laptop = laptop();
    for args in [
        &["promote", "production", "other"] as &[&str],
        &["promote", "staging", "productoin"],
        &["promote", "staging", "production", "--env", "local"],
    ] {
        let ran = wharf_in(laptop.path(), &Agent::default(), args).await;
        assert_eq!(ran.exit, Exit(2), "{args:?}: {}", ran.told.err());
        insta::assert_snapshot!(ran.told.err());
    }
    // The release lacks a file that this wharf.toml names.
    let entries = vec![file("compose.yml", b"x"), file("wharf.toml", b"app = \"other\"\n")];
    let agent = Agent::default().then(|end| tells(end, None, source(12, true), entries));
    let ran = wharf(laptop.path(), &agent, &["promote", "staging", "production"]).await;
    assert_eq!(ran.exit, Exit(2));
    insta::assert_snapshot!(ran.told.err());
}
