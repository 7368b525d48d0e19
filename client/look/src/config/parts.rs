//! The parts of a `wharf.toml`, each as text with the comments that explain it.

use super::{Answers, default_path};
use crate::{Data, Database, Findings, FrontEnd, Health, Kind};

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}

/// A list of texts as TOML writes it.
pub fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// `text`, a comment in the same column everywhere.
pub fn remarked(text: &str, comment: &str) -> String {
    format!("{text:<42} # {comment}\n")
}

pub fn server(findings: &Findings, answers: &Answers) -> String {
    let app = answers.app(findings);
    let host = answers.server.as_deref().unwrap_or("deploy@home.example:2222");
    let path = answers.path.clone().unwrap_or_else(|| default_path(host, app));
    let lines = [
        "[server]\n".to_owned(),
        remarked(&format!("host = {}", quoted(host)), "as for ssh; ~/.ssh/config applies"),
        remarked(&format!("path = {}", quoted(&path)), "the app's folder there; its parent must exist"),
    ];
    match answers.server {
        Some(_) => lines.concat(),
        // Without a server there is nothing to guess: the person finds the place to fill in.
        None => lines.iter().map(|line| format!("# {line}")).collect(),
    }
}

pub fn compose(findings: &Findings) -> String {
    let mut text = "[compose]\n".to_owned();
    text += &remarked(&format!("files = {}", list(&findings.files)), &findings.why_these_files);
    if !findings.other_files.is_empty() {
        text += &format!("# not used: {}\n", findings.other_files.join(", "));
    }
    if let Some(folder) = &findings.named_after {
        text += &format!(
            "# Compose names the project after the folder {folder}. Where another app on the server has that name too,\n"
        );
        text += &format!("# and this one does not run there yet: project = {}\n", quoted(&findings.app));
    }
    if let Some(file) = &findings.env_file {
        text += &env_file(findings);
        if let Some(example) = &file.example {
            text += &format!(
                "# To make it: copy {example} to {}, fill it in, and `wharf secrets import {0}`.\n",
                file.path
            );
        }
    }
    if !findings.profiles.is_empty() {
        text += &profiles(findings);
    }
    if !findings.other_profiles.is_empty() {
        let others = &findings.other_profiles;
        text += &format!(
            "# These profiles do not run: {}. To run one: profiles = {}\n",
            others.join(", "),
            list(&others[..1])
        );
    }
    text
}

pub fn env_file(findings: &Findings) -> String {
    let path = findings.env_file.as_ref().map_or(".env", |file| file.path.as_str());
    remarked(&format!("env_file = {}", quoted(path)), "stays on the server, and must exist there")
}

pub fn profiles(findings: &Findings) -> String {
    format!("profiles = {}\n", list(&findings.profiles))
}

pub fn front_end(front_end: &FrontEnd) -> String {
    let text = format!(
        "[[bump]]                                   # its version rises when one of these files changed; now {}\n\
         file = {}\nwhen_changed = {}\n",
        front_end.version,
        quoted(&front_end.file),
        list(&front_end.when_changed)
    );
    if front_end.built {
        return text;
    }
    let text: String = text.lines().map(|line| format!("# {line}\n")).collect();
    format!(
        "# No service builds {}. To raise its version all the same, take the # away:\n{text}",
        front_end.file
    )
}

/// The section by which a database is dumped; nothing for one that Wharf cannot dump.
pub fn database(database: &Database) -> String {
    let Some(section) = database.section() else { return String::new() };
    let header = format!("[[{section}]]");
    format!(
        "{header:<42} # dumped and checked before every deploy\nservice = {}\n",
        quoted(&database.service)
    )
}

pub fn health(health: &Health) -> String {
    let text = format!(
        "[[health]]                                 # asked from the server once the release runs\nurl = {}\nstatus = 200\n",
        quoted(&health.url)
    );
    if health.certain {
        return text;
    }
    let text: String = text.lines().map(|line| format!("# {line}\n")).collect();
    format!(
        "# {} publishes this port, and no health check names a page. If this page answers 200, take the # away:\n{text}",
        health.service
    )
}

pub fn secrets(findings: &Findings) -> String {
    let mut text = "[secrets]                                  # keys of the env file\n".to_owned();
    if !findings.required.is_empty() {
        text += &remarked(&format!("required = {}", list(&findings.required)), "no deploy without these");
    }
    if !findings.plain.is_empty() {
        text += &remarked(
            &format!("plain = {}", list(&findings.plain)),
            "in a URL: letters, digits, _ and - only",
        );
    }
    text
}

/// Commands that a person may want to run before a ship; whether they pass here only that person knows.
pub fn checks(findings: &Findings) -> String {
    if findings.checks.is_empty() {
        return String::new();
    }
    let mut text =
        "# Run on this machine before every ship, which a failure refuses. To use one, take the # away:\n"
            .to_owned();
    for check in &findings.checks {
        text += &format!("# [[check]]\n# command = {}\n", list(&check.command));
        if !check.folder.is_empty() {
            text += &format!("# folder = {}\n", quoted(&check.folder));
        }
    }
    text
}

/// What is told, and needs no key.
pub fn remarks(findings: &Findings) -> String {
    let mut lines = Vec::new();
    let data: Vec<&Data> = findings.data.iter().collect();
    if !data.is_empty() {
        lines.push("Data that outlives the containers, and that Wharf never deletes:".to_owned());
        lines.extend(data.iter().map(|data| {
            let what = if data.is_volume { "volume" } else { "folder" };
            format!("  {what} {} ({}:{})", data.source, data.service, data.target)
        }));
    }
    let others = findings.databases.iter().filter(|database| database.section().is_none());
    lines.extend(others.map(|d| match d.kind {
        Kind::Redis => {
            format!("{} is Redis without a volume: nothing of it is kept, and nothing dumped.", d.service)
        }
        kind => {
            format!("{} is {}: Wharf keeps its data, and dumps it by [[dump]] alone.", d.service, kind.name())
        }
    }));
    let given: Vec<String> = findings
        .baked
        .iter()
        .filter(|b| b.given)
        .map(|b| format!("{} ({})", b.variable, b.service))
        .collect();
    if !given.is_empty() {
        lines.push(format!("Baked into an image when it is built: {}.", given.join(", ")));
        lines.push("After a change of one, that image is built anew.".to_owned());
    }
    lines.iter().map(|line| format!("# {line}\n")).collect()
}
