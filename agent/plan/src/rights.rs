//! Which Compose features give a ship the rights of root on the server.
//!
//! **Invariant**: allowed by the server's own configuration only, never by what is shipped. Symbolic links are not
//! followed here: this is the check of an honest project, and the guard's is the one of a dishonest one.

use crate::model::{Backing, Model, Service, is_within};
use crate::refusal::Refusal;
use std::collections::BTreeMap;

/// Sockets and folders through which the engine is commanded.
const ENGINE: [&str; 6] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd",
    "/var/run/containerd",
    "/var/lib/docker",
    "/var/lib/containerd",
];
/// Folders that decide what root runs; reading them is common and harmless enough.
const SYSTEM: [&str; 12] = [
    "/etc",
    "/root",
    "/boot",
    "/proc",
    "/sys",
    "/dev",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/var/spool/cron",
    "/etc/wharf",
];
const CAPABILITIES: [&str; 8] =
    ["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "SYS_BOOT", "DAC_READ_SEARCH", "BPF"];
const DEVICES: [&str; 9] = [
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/dev/sd",
    "/dev/vd",
    "/dev/xvd",
    "/dev/nvme",
    "/dev/dm-",
    "/dev/mapper",
];
/// Mounted by everyone to have the server's time.
const HARMLESS: [&str; 2] = ["/etc/localtime", "/etc/timezone"];

/// Refuses what needs the server's consent; `allowed` says that the server gave it. `objections` are the guard's, by
/// service: it follows links and knows the engine, and would refuse the container later.
pub fn check_rights(
    app: &str,
    model: &Model,
    objections: &BTreeMap<String, String>,
    allowed: bool,
) -> Option<Refusal> {
    let mut reasons = root_equivalents(model);
    for (service, why) in objections {
        if !reasons.iter().any(|reason| reason.starts_with(&format!("{service} ("))) {
            reasons.push(format!("{service} ({why})"));
        }
    }
    (!allowed && !reasons.is_empty()).then(|| Refusal::RootEquivalent { app: app.to_owned(), reasons })
}

/// What in the model is as good as root, each as `service (what)`.
pub fn root_equivalents(model: &Model) -> Vec<String> {
    let mut reasons = Vec::new();
    for service in model.services() {
        reasons
            .extend(of_service(model, service).into_iter().map(|what| format!("{} ({what})", service.name)));
    }
    for volume in model.volumes() {
        if let Some(device) = volume.device.as_deref().filter(|device| is_dangerous(model, device, true)) {
            reasons.push(format!("volume {} (binds {device})", volume.key));
        }
    }
    reasons
}

fn of_service(model: &Model, service: &Service) -> Vec<String> {
    let mut found = Vec::new();
    if service.privileged {
        found.push("privileged".to_owned());
    }
    if service.pid.as_deref() == Some("host") {
        found.push("pid: host".to_owned());
    }
    for capability in &service.cap_add {
        let name = capability.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        if CAPABILITIES.contains(&name) {
            found.push(format!("cap_add: {name}"));
        }
    }
    for device in &service.devices {
        if DEVICES.iter().any(|prefix| device.source.starts_with(prefix)) || device.source == "/dev" {
            found.push(format!("device {}", device.source));
        }
    }
    for mount in model.mounts(service) {
        if let Backing::Bind(source) = &mount.backing
            && is_dangerous(model, source, mount.writable)
        {
            found.push(format!("binds {source}"));
        }
    }
    if service.build.as_ref().is_some_and(|build| build.privileged) {
        found.push("build: privileged".to_owned());
    }
    found
}

/// A dangerous bind that is not the app's own folder: what a release can write there it can ship there too, and where an
/// app directory may lie at all (below `/root`, say) is decided elsewhere.
fn is_dangerous(model: &Model, source: &str, writable: bool) -> bool {
    is_dangerous_bind(source, writable && model.project_path(source).is_none())
}

/// A bind of the engine's socket or root, of a folder that has them in it, or a writable one of the system's.
fn is_dangerous_bind(source: &str, writable: bool) -> bool {
    if HARMLESS.contains(&source) {
        return false;
    }
    let reaches = |path: &str| is_within(source, path) || is_within(path, source);
    ENGINE.iter().any(|path| reaches(path)) || (writable && SYSTEM.iter().any(|path| is_within(source, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_that_reach_the_engine_or_the_system_are_roots() {
        for (source, writable, expected) in [
            ("/", false, true),
            ("/var/run/docker.sock", false, true),
            ("/run", false, true),
            ("/var", true, true),
            ("/var/lib/docker/volumes/x/_data", false, true),
            ("/etc", true, true),
            ("/etc/ssl/certs", false, false),
            ("/etc/localtime", true, false),
            ("/proc", false, false),
            ("/home/deploy/app/uploads", true, false),
            ("/srv/data", true, false),
            ("/var/lib/dockerish", true, false),
        ] {
            assert_eq!(is_dangerous_bind(source, writable), expected, "{source} {writable}");
        }
    }

    #[test]
    fn an_app_below_root_s_home_may_write_in_its_own_folder() {
        let reasons = |bind: &str| {
            let volumes = format!(r#"[{{"type":"bind","source":"{bind}","target":"/data"}}]"#);
            let json = format!(r#"{{"name":"p","services":{{"a":{{"volumes":{volumes}}}}}}}"#);
            root_equivalents(&Model::parse(&json, "/root/app", "/root/app").unwrap())
        };
        assert_eq!(reasons("/root/app/uploads"), Vec::<String>::new());
        for (bind, told) in [
            ("/root", "/root"),
            ("/root/.ssh", "/root/.ssh"),
            ("/root/application", "/root/application"),
            ("/root/app/../.ssh", "/root/.ssh"),
        ] {
            assert_eq!(reasons(bind), [format!("a (binds {told})")]);
        }
    }

    #[test]
    fn every_root_equivalent_feature_is_told() {
        let model = Model::parse(
            r#"{"name":"p","services":{
                "a":{"privileged":true,"pid":"host","cap_add":["CAP_SYS_ADMIN","NET_ADMIN"],
                     "devices":[{"source":"/dev/sda","target":"/dev/sda"},{"source":"/dev/fuse","target":"/dev/fuse"}]},
                "b":{"volumes":[{"type":"bind","source":"/var/run/docker.sock","target":"/s","read_only":true},
                                {"type":"volume","source":"v","target":"/v"}]},
                "c":{"pid":"service:a"}},
              "volumes":{"v":{"name":"p_v","driver_opts":{"type":"none","o":"bind","device":"/"}}}}"#,
            "/app",
            "/app",
        )
        .unwrap();
        assert_eq!(
            root_equivalents(&model),
            [
                "a (privileged)",
                "a (pid: host)",
                "a (cap_add: SYS_ADMIN)",
                "a (device /dev/sda)",
                "b (binds /var/run/docker.sock)",
                "volume v (binds /)",
            ]
        );
        let none = BTreeMap::new();
        assert!(check_rights("p", &model, &none, true).is_none());
        assert!(check_rights("p", &model, &none, false).is_some());
    }

    #[test]
    fn what_the_guard_would_refuse_is_told_once() {
        let model = Model::parse(
            r#"{"name":"p","services":{"a":{"privileged":true,"environment":{"K":"secret"}},
                "b":{"userns_mode":"host","volumes":[{"type":"bind","source":"/srv","target":"/s","read_only":true}]}}}"#,
            "/app",
            "/app",
        )
        .unwrap();
        let service = model.service("b").unwrap();
        let asked = model.host_config(service);
        assert_eq!((&asked["UsernsMode"], &asked["Binds"][0]), (&"host".into(), &"/srv:/s:ro".into()));
        let objections = ["a", "b"].map(|name| (name.to_owned(), "its UsernsMode".to_owned())).into();
        let Some(Refusal::RootEquivalent { reasons, .. }) = check_rights("p", &model, &objections, false)
        else {
            panic!("refused")
        };
        assert_eq!(reasons, ["a (privileged)", "b (its UsernsMode)"]);
    }
}
