use super::*;

const CONFIG: &[u8] = b"{\"rootfs\":{}}";
const LAYERS: [&[u8]; 2] = [b"the lower layer", &[7; 3000]];

fn ids() -> (Digest, Vec<Digest>) {
    (Digest::of(CONFIG), LAYERS.iter().map(|layer| Digest::of(layer)).collect())
}

fn blob(content: &[u8]) -> (String, Vec<u8>) {
    (format!("{BLOBS}{}", Digest::of(content).to_hex()), content.to_vec())
}

fn list(names: &str) -> String {
    let layers: Vec<String> = LAYERS.iter().map(|layer| format!("\"{}\"", blob(layer).0)).collect();
    format!(
        "[{{\"Config\":\"{}\",\"RepoTags\":{names},\"Layers\":[{}],\"LayerSources\":{{}}}}]",
        blob(CONFIG).0,
        layers.join(",")
    )
}

/// What `docker save ID` writes.
fn entries() -> Vec<(String, Vec<u8>)> {
    let index = "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:00\"}]}";
    let mut all: Vec<_> = LAYERS.iter().map(|layer| blob(layer)).chain([blob(CONFIG)]).collect();
    all.push(("index.json".into(), index.into()));
    all.push(("manifest.json".into(), list("null").into()));
    all.push(("oci-layout".into(), b"{}".to_vec()));
    all
}

fn with(name: &str, content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = entries();
    all.retain(|(other, _)| other != name);
    all.push((name.to_owned(), content.to_vec()));
    all
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// In pieces of so many bytes.
fn pass(bytes: &[u8], pieces: usize, without: &[Digest]) -> Result<Vec<u8>, PassageError> {
    let (image, layers) = ids();
    let mut passage = Passage::new(image, &layers, without.iter().copied());
    let mut through = Vec::new();
    for piece in bytes.chunks(pieces) {
        through.extend(passage.pass(piece)?);
    }
    passage.finish().map(|()| through)
}

#[test]
fn an_archive_of_the_one_image_goes_through_as_it_is_whatever_its_pieces() {
    let whole = archive(&entries());
    for pieces in [1, 7, 511, 512, 513, 100_000] {
        assert_eq!(pass(&whole, pieces, &[]).as_ref(), Ok(&whole), "{pieces}");
    }
}

#[test]
fn layers_that_are_there_are_left_out_on_one_side_and_not_missed_on_the_other() {
    let (_, layers) = ids();
    let less = pass(&archive(&entries()), 700, &layers[..1]).unwrap();
    let names: Vec<String> = tar::Archive::new(less.as_slice())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names.len(), entries().len() - 1);
    assert!(!names.contains(&blob(LAYERS[0]).0), "{names:?}");
    assert_eq!(pass(&less, 700, &layers[..1]).as_ref(), Ok(&less));
    assert_eq!(pass(&less, 700, &[]), Err(PassageError::Lacks(format!("the blob {}", layers[0]))));
}

#[test]
fn nothing_else_goes_through() {
    let (image, layers) = ids();
    let other = |text: &str| text.replace(&image.to_hex(), &layers[0].to_hex());
    let twice = format!("[{0},{0}]", list("null").trim_matches(['[', ']']));
    let more = |key: &str| list(&format!("null,{key}"));
    let cases = [
        ("a name", with("manifest.json", list("[\"shop-db:latest\"]").as_bytes())),
        (
            "a name by another key",
            with("manifest.json", more("\"repotags\":[\"shop-db:latest\"]").as_bytes()),
        ),
        ("a name by a third key", with("manifest.json", more("\"repoTag\u{17f}\":[\"shop-db\"]").as_bytes())),
        (
            "another image by a second key",
            with("manifest.json", more("\"config\":\"blobs/sha256/0\"").as_bytes()),
        ),
        ("another image", with("manifest.json", other(&list("null")).as_bytes())),
        ("two images", with("manifest.json", twice.as_bytes())),
        ("no list", with("manifest.json", b"{}")),
        (
            "other layers",
            with("manifest.json", list("null").replace(&layers[1].to_hex(), &layers[0].to_hex()).as_bytes()),
        ),
        (
            "a name in the index",
            with("index.json", b"{\"manifests\":[{\"annotations\":{\"io.containerd.image.name\":\"a\"}}]}"),
        ),
        ("names of the oldest kind", with("repositories", b"{}")),
        ("a stranger", with("etc/passwd", b"root")),
        ("a blob that is not", with(&blob(CONFIG).0, b"{\"rootfs\":[]}")),
        ("a second list", [entries(), with("manifest.json", list("null").as_bytes())].concat()),
        ("no configuration", entries().into_iter().filter(|(name, _)| *name != blob(CONFIG).0).collect()),
    ];
    for (what, entries) in cases {
        assert!(pass(&archive(&entries), 600, &[]).is_err(), "{what}");
    }
    let whole = archive(&entries());
    assert!(pass(&whole[..whole.len() - 1024], 600, &[]).is_err(), "cut off");
    assert!(pass(&[whole.as_slice(), &whole].concat(), 600, &[]).is_err(), "a second archive");
}

#[test]
fn a_link_does_not_go_through() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, blob(LAYERS[0]).0, "/etc/shadow").unwrap();
    let bytes = archive.into_inner().unwrap();
    assert!(matches!(pass(&bytes, 512, &[]), Err(PassageError::Stranger(_))));
}
