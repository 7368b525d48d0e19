//! What the OpenSSH client itself makes of its configuration: `ssh -G host`.
//!
//! It knows every keyword, `Include`, `Match` and canonical names, which no parser of ours would.

use crate::{error::SshError, host_text::HostText, settings::Settings};
use std::{ffi::OsString, io, path::Path, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command};

/// `Match exec` may run commands of the person's own.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Real output is a few kilobytes.
const OUTPUT_BYTES: u64 = 1024 * 1024;

/// The settings of `host`; `None` where there is no OpenSSH client.
pub async fn settings(host: &HostText, config: Option<&Path>) -> Result<Option<Settings>, SshError> {
    let mut command = Command::new("ssh");
    command.args(arguments(host, config));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SshError::RunSsh { source }),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        tokio::try_join!(read(stdout, &mut out), read(stderr, &mut err))?;
        Ok((child.wait().await?, out, err))
    };
    let (status, out, err) = match tokio::time::timeout(TIMEOUT, reading).await {
        Ok(Ok(done)) => done,
        Ok(Err(source)) => return Err(SshError::RunSsh { source }),
        Err(_) => return Err(SshError::RunSsh { source: io::ErrorKind::TimedOut.into() }),
    };
    if !status.success() {
        return Err(SshError::SshConfig { said: String::from_utf8_lossy(&err).trim().to_owned() });
    }
    Ok(Some(parse(&String::from_utf8_lossy(&out))))
}

async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> io::Result<()> {
    if let Some(stream) = stream {
        stream.take(OUTPUT_BYTES).read_to_end(bytes).await?;
    }
    Ok(())
}

fn arguments(host: &HostText, config: Option<&Path>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-G".into()];
    if let Some(config) = config {
        arguments.extend(["-F".into(), config.into()]);
    }
    if let Some(port) = host.port {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = &host.user {
        arguments.extend(["-l".into(), user.into()]);
    }
    // `HostText` has seen to it that this cannot be an option.
    arguments.push(host.host.clone().into());
    arguments
}

fn parse(output: &str) -> Settings {
    let mut settings = Settings::default();
    for (keyword, value) in output.lines().filter_map(|line| line.split_once(' ')) {
        settings.take(keyword, value.trim());
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_read() {
        let settings = parse(
            "user deploy\nhostname 10.0.0.7\nport 2222\nidentitiesonly yes\nidentityfile ~/.ssh/a b\nidentityfile ~/.ssh/c\n\
             proxyjump jump.example\nuserknownhostsfile /h/a /h/b\nhashknownhosts no\n",
        );
        assert_eq!(settings.hostname.as_deref(), Some("10.0.0.7"));
        assert_eq!(settings.port, Some(2222));
        assert_eq!(settings.identity_files, ["~/.ssh/a b", "~/.ssh/c"]);
        assert_eq!(settings.proxy_jump.as_deref(), Some("jump.example"));
        assert_eq!(settings.user_known_hosts, ["/h/a", "/h/b"]);
        assert_eq!(settings.identities_only, Some(true));
    }
}
