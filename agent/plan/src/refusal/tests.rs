use super::*;

/// One of each, as people read it.
fn all() -> Vec<Refusal> {
    let s = |text: &str| text.to_owned();
    let p = |text: &str| text.parse::<RelPath>().unwrap();
    vec![
        Refusal::VolumeReplaced {
            service: s("db"),
            target: s("/var/lib/postgresql/data"),
            before: s("docker_pgdata"),
            after: s("fitnessapp_pgdata"),
            after_exists: false,
            key: s("pgdata"),
            project_before: Some(s("docker")),
        },
        Refusal::VolumeReplaced {
            service: s("db"),
            target: s("/var/lib/postgresql/data"),
            before: s("docker_pgdata"),
            after: s("docker_data2"),
            after_exists: true,
            key: s("data2"),
            project_before: None,
        },
        Refusal::MountGone {
            service: s("db"),
            target: s("/var/lib/postgresql/data"),
            before: s("docker_pgdata"),
            is_volume: true,
        },
        Refusal::TargetMoved {
            service: s("db"),
            before: s("docker_pgdata"),
            from: s("/var/lib/postgresql/data"),
            to: s("/data"),
        },
        Refusal::BackingChanged {
            service: s("backend"),
            target: s("/app/uploads"),
            before: s("/home/deploy/fitnessapp/uploads"),
            after: s("the volume docker_uploads"),
        },
        Refusal::AnonymousLeftBehind { service: s("cache"), target: s("/data"), volume: "ab".repeat(32) },
        Refusal::DataLeftBehind {
            old_service: s("db"),
            service: s("postgres"),
            target: s("/var/lib/postgresql/data"),
            before: s("docker_pgdata"),
            after: s("the volume docker_data"),
        },
        Refusal::PostgresMajor {
            service: s("db"),
            image: s("postgres:18"),
            image_major: s("18"),
            volume: s("docker_pgdata"),
            volume_major: s("17"),
        },
        Refusal::DatabaseWithoutVolume {
            service: s("db"),
            image: s("postgres:17"),
            data_dir: s("/var/lib/postgresql/data"),
            anonymous: None,
        },
        Refusal::DatabaseWithoutVolume {
            service: s("db"),
            image: s("postgres:17"),
            data_dir: s("/var/lib/postgresql/data"),
            anonymous: Some("ab".repeat(32)),
        },
        Refusal::DataDirectoryMoved {
            service: s("db"),
            image: s("postgres:18"),
            data_dir: s("/var/lib/postgresql/18/docker"),
            backing: s("docker_pgdata"),
            found_at: s("/var/lib/postgresql/data"),
        },
        Refusal::VolumeNotOwned {
            volume: s("docker_pgdata"),
            project: s("docker"),
            other_project: Some(s("docker")),
        },
        Refusal::VolumeNotOwned {
            volume: s("shared"),
            project: s("docker"),
            other_project: Some(s("nutrition")),
        },
        Refusal::VolumeNotOwned { volume: s("shared"), project: s("docker"), other_project: None },
        Refusal::ExternalVolumeMissing { volume: s("shared"), key: s("data") },
        Refusal::PasswordCharacters { key: s("DB_PASSWORD") },
        Refusal::MissingSecrets { keys: vec![s("DB_PASSWORD"), s("SECRET_KEY")] },
        Refusal::TwoApps {
            project: s("docker"),
            path: s("/home/deploy/fitnessapp"),
            other_path: s("/home/deploy/fitnessapp (fit)"),
        },
        Refusal::TwoApps {
            project: s("docker"),
            path: s("/home/deploy/fitnessapp"),
            other_path: s("/home/deploy/nutrition/docker"),
        },
        Refusal::AmbiguousStacks {
            projects: vec![s("docker"), s("fit")],
            path: s("/home/deploy/fitnessapp"),
        },
        Refusal::ProjectRenamed { from: s("docker"), to: s("fitnessapp") },
        Refusal::WritableMountOverwrite { paths: vec![p("uploads/a.png"), p("uploads/b.png")] },
        Refusal::PathInTheWay { path: p("data"), what: InTheWay::Folder },
        Refusal::PathInTheWay { path: p("data"), what: InTheWay::File },
        Refusal::PathInTheWay { path: p("data"), what: InTheWay::Special },
        Refusal::VersionNotRaised { file: p("mobile/app.json"), live: s("1.0.1"), shipped: Some(s("1.0.1")) },
        Refusal::VersionNotRaised { file: p("mobile/app.json"), live: s("1.0.1"), shipped: None },
        Refusal::RootEquivalent {
            app: s("fitnessapp"),
            reasons: vec![s("traefik (binds /var/run/docker.sock)"), s("agent (privileged)")],
        },
        Refusal::HooksNotAllowed { app: s("fitnessapp") },
        Refusal::HooksNotIsolated { why: s("only root can") },
        Refusal::CannotScale { service: s("web"), replicas: 3, why: Unscalable::Port(s("8080")) },
        Refusal::CannotScale { service: s("web"), replicas: 3, why: Unscalable::ContainerName(s("the-web")) },
        Refusal::CannotScale { service: s("web"), replicas: 3, why: Unscalable::HostNetwork },
        Refusal::CannotScale { service: s("db"), replicas: 0, why: Unscalable::Database },
        Refusal::VolumeDeletion { what: s("wharf down --volumes") },
    ]
}

#[test]
fn every_refusal_reads_well() {
    let mut text = String::new();
    for refusal in all() {
        let failure = refusal.to_failure();
        assert_eq!(failure.exit_code(), 3);
        assert!(!failure.causes.is_empty() && !failure.hints.is_empty(), "{refusal}");
        text.push_str(&format!("refused: {}\n", failure.message));
        for cause in &failure.causes {
            text.push_str(&format!("  because {cause}\n"));
        }
        for hint in &failure.hints {
            text.push_str(&format!("  do: {hint}\n"));
        }
        text.push('\n');
    }
    insta::assert_snapshot!("refusals", text);
}

#[test]
fn lists_are_bounded() {
    let keys: Vec<String> = (0..50).map(|n| format!("K{n}")).collect();
    let told = Refusal::MissingSecrets { keys }.to_string();
    assert!(told.ends_with("K9 and 40 more"), "{told}");
}

#[test]
fn urls_are_told_without_passwords() {
    for (url, expected) in [
        ("https://me:pw@host/x.git", "https://host/x.git"),
        ("https://host/a@b", "https://host/a@b"),
        ("/srv/x", "/srv/x"),
        ("ssh://git@host", "ssh://host"),
    ] {
        assert_eq!(without_credentials(url), expected);
    }
}
