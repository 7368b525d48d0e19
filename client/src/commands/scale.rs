//! `wharf scale`.

use super::{
    follow::{WatchArgs, watch},
    wrong_reply,
};
use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure, FailureKind,
    message::{Reply, Request},
    operate::{ScaleChange, parse_size},
};

/// Give services more or fewer containers, or another limit of memory, for this and every later release
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many containers a service has; without any, what is set is shown
    #[arg(value_name = "SERVICE[=COUNT]", value_parser = target)]
    services: Vec<Target>,
    /// The memory that each container of these services may take: 512m, 2g
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Go back to what the Compose files say, but for what is named here beside it
    #[arg(long)]
    reset: bool,
    #[command(flatten)]
    job: WatchArgs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    service: String,
    replicas: Option<u32>,
}

fn target(text: &str) -> Result<Target, String> {
    let (service, count) = match text.split_once('=') {
        Some((service, count)) => (service, Some(count)),
        None => (text, None),
    };
    if service.is_empty() || service.starts_with('-') {
        return Err("a service, or a service and a number: web=3".into());
    }
    let replicas = count.map(|count| count.parse().map_err(|_| "a number of containers: web=3".to_owned()));
    Ok(Target { service: service.to_owned(), replicas: replicas.transpose()? })
}

/// A size as Docker takes it: a number with b, k, m or g, by powers of 1,024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "a number with k, m or g: 512m, 2g".to_owned())
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    if args.services.is_empty() {
        if args.memory.is_some() || args.reset {
            return Err(Failure::new(FailureKind::Config, "no service was named")
                .hint("name one: wharf scale web --memory 512m"));
        }
        return super::interruptible(context, show, ()).await;
    }
    let changes: Vec<ScaleChange> = args.services.iter().map(|target| args.change(target)).collect();
    if let Some(change) = changes.iter().find(|change| is_nothing(change)) {
        let service = &change.service;
        return Err(Failure::new(FailureKind::Config, format!("nothing is said of {service}")).hint(format!(
            "say how many containers (wharf scale {service}=2), how much memory (--memory 512m), or --reset"
        )));
    }
    let app = context.config()?.spec.app;
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::Scale { app, changes, lock_wait_seconds }, &args.job).await
}

impl Args {
    fn change(&self, target: &Target) -> ScaleChange {
        ScaleChange {
            service: target.service.clone(),
            reset: self.reset,
            replicas: target.replicas,
            memory_bytes: self.memory,
        }
    }
}

fn is_nothing(change: &ScaleChange) -> bool {
    !change.reset && change.replicas.is_none() && change.memory_bytes.is_none()
}

async fn show(_: (), context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let request = Request::Scales { app: config.spec.app.clone() };
    let Reply::Scales { scales } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("how services are scaled"));
    };
    context.console.list("scale", &scales, "every service is as the Compose files say", render::scales);
    Ok(Exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_numbers_as_they_are_typed() {
        let web = |replicas| Ok(Target { service: "web".into(), replicas });
        assert_eq!(target("web"), web(None));
        assert_eq!(target("web=3"), web(Some(3)));
        assert_eq!(target("web=0"), web(Some(0)));
        for text in ["", "=3", "web=", "web=three", "web=-1", "web=1.5", "web=3=4", "--web"] {
            assert!(target(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_as_docker_takes_them() {
        for (text, bytes) in [
            ("512m", 512 << 20),
            ("2g", 2 << 30),
            ("64K", 64 << 10),
            ("9b", 9),
            ("1GB", 1 << 30),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "m", "512", "-1m", "1.5g", "1t", "1mm", "99999999999999999999g", "18446744073709551615k"]
        {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
