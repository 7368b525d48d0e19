//! The guard alone: `cargo run -p wharf-guard --example guard -- LISTEN UPSTREAM [--allow-root-equivalent]`.

use std::path::Path;

use wharf_guard::{Policy, run};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(listen), Some(upstream)) = (arguments.first(), arguments.get(1)) else {
        return Err("usage: guard LISTEN UPSTREAM [--allow-root-equivalent]".into());
    };
    let policy =
        Policy { allow_root_equivalent: arguments.iter().any(|word| word == "--allow-root-equivalent") };
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    run(Path::new(listen), Path::new(upstream), policy, stopped).await?;
    Ok(())
}
