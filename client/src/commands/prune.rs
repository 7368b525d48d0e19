//! `wharf prune`.

use super::{
    follow::{WatchArgs, watch},
    scale::size,
    wrong_reply,
};
use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Free the disk of what Docker holds and nobody needs: images of releases that are no longer listed, old build cache
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How much build cache stays: 500m, 2g
    #[arg(long, value_name = "SIZE", default_value = "2g", value_parser = size)]
    keep_cache: u64,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    job: WatchArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    if args.dry_run {
        return super::interruptible(context, show, args.keep_cache).await;
    }
    let app = context.config()?.spec.app;
    let (keep_cache_bytes, lock_wait_seconds) = (args.keep_cache, args.job.lock_wait);
    watch(context, Request::Prune { app, keep_cache_bytes, dry_run: false, lock_wait_seconds }, &args.job)
        .await
}

async fn show(keep_cache_bytes: u64, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let request = Request::Prune { app, keep_cache_bytes, dry_run: true, lock_wait_seconds: 0 };
    let Reply::DockerPrunePlan { plan } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("what nobody needs"));
    };
    if context.console.json {
        context.console.object("docker_prune_plan", &plan);
    } else {
        let text = render::docker_prune_plan(&plan, &context.console.out_style);
        context.console.data(&text);
    }
    Ok(Exit::DONE)
}
