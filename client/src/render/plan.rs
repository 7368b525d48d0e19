//! A plan, for people to read before they ship.

use super::{Style, clean, table::table};
use wharf_proto::plan::{ContainerAction, DataMount, DeployPlan, ImageAction, ServicePlan};

/// Version, files, images, containers, data, dumps, migrations, logs, downtime.
pub fn plan(plan: &DeployPlan, style: &Style) -> String {
    let from = plan.live.map_or("nothing is live yet".into(), |live| format!("{live} is live"));
    let mut out =
        format!("{} of project {} ({from})\n", style.bold(&plan.release.to_string()), clean(&plan.project));
    if let Some(from) = &plan.promoted {
        out += &clean(&match &from.host {
            None => format!("  promotes {from}: the very source that {} keeps of it", from.app),
            Some(host) => format!(
                "  promotes {from} of {} on {host}, as this client says: the server cannot see that one",
                from.app
            ),
        });
        out += "\n";
    }
    if plan.adopts {
        out += "  takes over the stack that runs already and keeps it as v0\n";
    }
    out += &section(
        "versions",
        plan.versions.iter().map(|change| match &change.from {
            Some(from) if *from == change.to => format!("{} stays {from}", change.file),
            Some(from) => format!("{} {from} -> {}", change.file, change.to),
            None => format!("{} {}", change.file, change.to),
        }),
        style,
    );
    out += &section("files", files(plan), style);
    let services: Vec<Vec<String>> = plan.services.iter().map(service_row).collect();
    out += &sub_table("services", &["SERVICE", "IMAGE", "CONTAINER", "WHY"], &services, style);
    let data: Vec<Vec<String>> = plan.data.iter().map(data_row).collect();
    out += &sub_table("data", &["SERVICE", "MOUNTED AT", "NOW", "THEN"], &data, style);
    out += &section("dumped before", plan.dumps.iter().cloned(), style);
    out += &section("migrations", plan.migrations.iter().cloned(), style);
    out += &section("logs", plan.logs.iter().cloned(), style);
    let away: Vec<&str> = plan.interrupted().collect();
    let downtime =
        if away.is_empty() { "none".to_owned() } else { format!("a moment for {}", away.join(", ")) };
    out += &section("downtime", [downtime], style);
    for warning in &plan.warnings {
        out += &format!("{} {}\n", style.yellow("warning:"), clean(warning));
    }
    out
}

fn files(plan: &DeployPlan) -> Vec<String> {
    let files = &plan.files;
    let mut lines = vec![format!(
        "{} added, {} changed, {} removed, {} unchanged",
        files.added, files.changed, files.removed, files.unchanged
    )];
    lines.extend(
        files
            .drifted
            .iter()
            .map(|path| format!("{path} was changed on the server: saved aside, then replaced")),
    );
    lines
}

fn section(title: &str, lines: impl IntoIterator<Item = String>, style: &Style) -> String {
    let body: String = lines.into_iter().map(|line| format!("  {}\n", clean(&line))).collect();
    if body.is_empty() { body } else { format!("{}\n{body}", style.bold(title)) }
}

fn sub_table(title: &str, heading: &[&str], rows: &[Vec<String>], style: &Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let body = table(heading, rows, &Style { colour: false, ..style.clone() });
    let body: String = body.lines().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{body}", style.bold(title))
}

fn service_row(service: &ServicePlan) -> Vec<String> {
    let image = match service.image {
        ImageAction::Build => "build",
        ImageAction::Reuse => "reuse",
        ImageAction::Pull => "pull",
        ImageAction::Keep => "keep",
        ImageAction::Unknown => "?",
    };
    let container = match service.container {
        ContainerAction::Create => "create",
        ContainerAction::Recreate => "recreate",
        ContainerAction::Keep => "keep",
        ContainerAction::Remove => "remove",
        ContainerAction::Unknown => "?",
    };
    vec![service.service.clone(), image.into(), container.into(), service.why.join("; ")]
}

fn data_row(mount: &DataMount) -> Vec<String> {
    let (before, after) = (mount.before.as_deref(), mount.after.as_deref());
    let then = match (before, after) {
        (Some(before), Some(after)) if before == after => "same",
        (Some(_), None) => "detached",
        (_, Some(after)) => after,
        (None, None) => "-",
    };
    vec![mount.service.clone(), mount.target.clone(), before.unwrap_or("-").into(), then.into()]
}
