use super::*;

fn images_of(text: &str) -> Result<Vec<String>, DockerfileError> {
    from_images(text, &BTreeMap::new(), None, &BTreeMap::new())
}

#[test]
fn the_images_of_a_build_are_found() {
    for (text, expected) in [
        ("FROM debian:12", vec!["debian:12"]),
        ("from --platform=linux/amd64 debian as build\nFROM build", vec!["debian"]),
        ("FROM scratch\nCOPY a /", vec![]),
        ("ARG V=3.13\nFROM python:${V}-slim", vec!["python:3.13-slim"]),
        ("ARG V\nFROM python:${V:-3}-slim", vec!["python:3-slim"]),
        ("ARG V=\nFROM python:${V:-3}${V:+x}", vec!["python:3"]),
        ("ARG A=1\nARG B=$A.2\nFROM x:$B", vec!["x:1.2"]),
        ("ARG I=\"debian:12\"\nFROM \"$I\"", vec!["debian:12"]),
        ("ARG I=a J=b\nFROM $I-$J", vec!["a-b"]),
        (
            "# syntax=docker/dockerfile:1\n# escape=`\nFROM a `\n  AS b\nFROM b\nRUN c:\\x `\n FROM z",
            vec!["a"],
        ),
        ("FROM a \\\n# a comment\n\n  AS b\nFROM b", vec!["a"]),
        (
            "FROM a AS one\nFROM b AS two\nCOPY --from=one /x /\nCOPY --chown=1 --from=nginx:1 /y /",
            vec!["a", "b", "nginx:1"],
        ),
        ("FROM a\nFROM b\nCOPY --from=0 /x /", vec!["a", "b"]),
        ("FROM a AS unused\nFROM b", vec!["b"]),
        (
            "FROM a\nRUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c make",
            vec!["a", "tools"],
        ),
        ("FROM a\nRUN <<EOF\nFROM notthis\nEOF\nCOPY --from=b x y", vec!["a", "b"]),
        ("FROM a\nRUN cat <<-'E 1' >x <<B\nFROM no\n\tE 1\nFROM no\nB\nCOPY --from=b x y", vec!["a", "b"]),
        ("FROM a\nCOPY <<one <<two /d/\nFROM x\none\nFROM y\ntwo\nCOPY --from=b x y", vec!["a", "b"]),
        ("FROM a\nRUN echo $((1<<2)) \\\n && cat <<<text\nCOPY --from=b x y", vec!["a", "b"]),
        ("FROM a AS X\nFROM x", vec!["a"]),
        ("FROM base\nFROM base AS base\nFROM base", vec!["base"]),
        ("\u{feff}FROM a\r\nRUN x\r\n", vec!["a"]),
        ("FROM r.io:5000/a/b@sha256:00", vec!["r.io:5000/a/b@sha256:00"]),
    ] {
        let found = images_of(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_cannot_be_told_is_an_error() {
    for text in [
        "",
        "# nothing",
        "FROM",
        "FROM $UNSET",
        "FROM ${UNSET}",
        "FROM a-${TARGETARCH}",
        "FROM a-${TARGETARCH:-amd64}",
        "ARG V=1\nFROM a:${V/1/2}",
        "ARG V=1\nFROM a:${V#1}",
        "ARG V=1\nFROM a:${V",
        "FROM \"a",
        "ARG J=b\nFROM a\nCOPY --from=$J x y",
        "ARG V=\nFROM $V",
        "FROM a\nRUN <<EOF\nCOPY --from=b x y",
    ] {
        assert!(images_of(text).is_err(), "{text:?}: {:?}", images_of(text));
    }
}

#[test]
fn arguments_win_over_defaults_where_they_are_declared() {
    let args = BTreeMap::from([("V".to_owned(), Some("9".to_owned())), ("N".to_owned(), None)]);
    let of = |text: &str| from_images(text, &args, None, &BTreeMap::new());
    assert_eq!(of("ARG V=1\nFROM a:$V").unwrap(), ["a:9"]);
    assert_eq!(of("ARG N=1\nFROM a:$N").unwrap(), ["a:1"]);
    assert!(of("FROM a:$V").is_err());
}

#[test]
fn a_target_needs_its_own_stages_only() {
    let text = "FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=one x y";
    let of = |target: &str| from_images(text, &BTreeMap::new(), Some(target), &BTreeMap::new());
    assert_eq!(of("two").unwrap(), ["b"]);
    assert_eq!(of("THREE").unwrap(), ["a", "c"]);
    assert_eq!(of("0").unwrap(), ["a"]);
    assert_eq!(of("four"), Err(DockerfileError::NoStage("four".into())));
}

#[test]
fn additional_contexts_stand_for_images() {
    let contexts = BTreeMap::from([
        ("base".to_owned(), "docker-image://debian:12".to_owned()),
        ("assets".to_owned(), "/srv/app/assets".to_owned()),
    ]);
    let text = "FROM base\nCOPY --from=assets a b\nCOPY --from=other a b";
    assert_eq!(from_images(text, &BTreeMap::new(), None, &contexts).unwrap(), ["debian:12", "other"]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(FROM|ARG|RUN|COPY|#|<<|[$`\\\\{}\"'=:\\-a-z \n])*") {
        let _ = images_of(&text);
    }
}
