//! The units, on a server that boots: the agent at its work within what its unit lets it, and the guard that Docker asks.

use tempfile::TempDir;
use wharf_tests::{Booted, Laptop, await_that, unique};

struct Start {
    booted: Booted,
    laptop: Laptop,
    app: String,
    _folder: TempDir,
}

const COMPOSE: &str = "services:
  web:
    image: wharf-base/busybox:1
    command: [sh, -c, 'echo healthy >/tmp/index.html; exec httpd -f -p 8080 -h /tmp']
    stop_grace_period: 0s
    restart: unless-stopped
    ports: ['127.0.0.1:8080:8080']
    volumes: [data:/data]
volumes:
  data:
";

/// Looks at what a hook may see, and says so where the app may write.
const HOOK: &str = "docker ps -q >/dev/null && ! docker volume rm $WHARF_APP\\\\_data && ! ls /var/lib/wharf/apps && \
                    echo hooked >$WHARF_APP_DIR/hooked";

#[test]
fn the_agent_works_within_its_unit_and_docker_asks_the_guard_across_a_boot() {
    let start = Start::new();
    start.set_up();
    start.the_agent_does_its_work();
    start.it_comes_back();
    start.docker_asks_the_guard();
    start.a_volume_goes_by_the_one_way();
    start.without_the_guard_docker_serves_nobody();
    start.removed();
}

impl Start {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("wharf-test-").tempdir().expect("a temporary folder");
        let laptop = Laptop::new(&folder.path().join("laptop"));
        std::fs::create_dir(laptop.folder.join(".ssh")).expect("a folder of the test's");
        std::fs::copy(laptop.key(), laptop.folder.join(".ssh/id_ed25519")).expect("a key of the test's");
        let booted = Booted::start();
        booted.load("wharf-base/busybox:1");
        let (address, app) = (booted.let_in("deploy", &laptop.public_key()), format!("t{}", unique()));
        laptop.write("compose.yml", COMPOSE);
        laptop.write(
            "wharf.toml",
            format!(
                "app = \"{app}\"\n[server]\nhost = \"deploy@{address}\"\npath = \"/home/deploy/{app}\"\n\
                 [compose]\nfiles = [\"compose.yml\"]\nproject = \"{app}\"\n\
                 [[volume]]\nname = \"data\"\nmode = \"live\"\n[[volume]]\nname = \"old\"\nmode = \"live\"\n\
                 [[hook]]\nwhen = \"after-deploy\"\ncommand = [\"sh\", \"-c\", \"{HOOK}\"]\n\
                 [[health]]\nurl = \"http://127.0.0.1:8080/\"\n[verify]\nstable_seconds = 1\n[backup]\ndrill = \"off\"\n"
            ),
        );
        Self { booted, laptop, app, _folder: folder }
    }

    /// `wharf setup`, as a person runs it.
    fn set_up(&self) {
        self.laptop.wharf(&["setup", "--yes", "--accept-new-host-key"]).exits(0);
        self.booted.sh("systemctl is-active wharfd && systemctl is-enabled wharfd");
        let rights = format!("[app.{}]\\nhooks = true\\n", self.app);
        self.booted.sh(&format!("printf '{rights}' >>/etc/wharf/wharfd.toml && systemctl restart wharfd"));
        self.answers();
    }

    fn answers(&self) {
        await_that("the agent answers", || self.booted.try_sh("wharfd hello").status.success());
    }

    /// Its state, the app's folder below /home, Docker, a backup in a process of its own, a hook in namespaces of its own.
    fn the_agent_does_its_work(&self) {
        let app = &self.app;
        let kept = format!(
            "docker volume create --label com.docker.compose.project={app} --label com.docker.compose.volume=old {app}_old"
        );
        self.booted.sh(&format!(
            "{kept} && docker run --rm -v {app}_old:/d wharf-base/busybox:1 sh -c 'echo x >/d/x'"
        ));
        self.laptop.wharf(&["deploy", "--yes"]).exits(0);
        assert_eq!(self.booted.sh(&format!("cat /home/deploy/{app}/hooked")), "hooked");
        self.laptop.wharf(&["backup", "create"]).exits(0);
        self.laptop.wharf(&["backup", "verify"]).exits(0);
    }

    /// Killed, it is started again; restarted, it answers at once; its containers never notice.
    fn it_comes_back(&self) {
        let before = self.booted.sh("docker ps -q");
        let pid = self.booted.main_pid("wharfd");
        self.booted.sh(&format!("kill -KILL {pid}"));
        await_that("systemd starts it again", || ![0, pid].contains(&self.booted.main_pid("wharfd")));
        self.answers();
        self.booted.sh("systemctl restart wharfd");
        self.answers();
        assert_eq!(self.booted.sh("docker ps -q"), before);
        self.laptop.wharf(&["status"]).exits(0);
    }

    fn docker_asks_the_guard(&self) {
        let told = self.booted.try_sh("wharfd guard plugin install");
        assert_eq!(told.status.code(), Some(3), "nobody said yes");
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(said.contains("Docker refuses") && said.contains("wharfd guard plugin remove"), "{said}");
        self.booted
            .sh("mkdir -p /etc/docker && printf '{\\n  \"debug\": false\\n}\\n' >/etc/docker/daemon.json");
        let running = self.booted.sh("docker ps -q");
        self.booted.sh("wharfd guard plugin install --yes && wharfd guard plugin install --yes");
        self.refuses();
        assert_eq!(self.booted.sh("docker ps -q"), running);
        // It comes before Docker, also after a power cut, and the app is there again.
        self.booted.boot_again();
        self.refuses();
        self.answers();
        self.laptop.wharf(&["deploy", "--yes", "-m", "guarded"]).exits(0);
        self.booted.sh("docker run --rm wharf-base/busybox:1 true");
    }

    fn refuses(&self) {
        let refused = self.booted.try_sh(&format!("docker volume rm {}_old", self.app));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("wharfd volume delete NAME"), "{said}");
    }

    fn a_volume_goes_by_the_one_way(&self) {
        self.laptop.wharf(&["backup", "create"]).exits(0);
        self.laptop.wharf(&["backup", "verify"]).exits(0);
        let volume = format!("{}_old", self.app);
        let (done, said) = self.booted.at_a_terminal(&format!("wharfd volume delete {volume}"), &volume);
        assert!(done, "{said}");
        assert!(!self.booted.sh("docker volume ls -q").contains(&volume));
        assert_eq!(self.booted.sh("ls /run/wharf-guard/permits"), "");
    }

    /// It ends for good only if somebody ends it; then there is a way out without a restart of Docker.
    fn without_the_guard_docker_serves_nobody(&self) {
        let pid = self.booted.main_pid("wharf-guard");
        self.booted.sh(&format!("kill -KILL {pid}"));
        self.booted.sh("docker ps -q");
        assert_ne!(self.booted.main_pid("wharf-guard"), pid);
        self.booted.sh("systemctl stop wharf-guard");
        let refused = self.booted.try_sh("timeout 2 docker ps");
        assert_eq!(refused.status.code(), Some(124), "it waits for the guard, until it is ended");
        self.booted.sh("wharfd guard plugin remove");
        self.booted.sh("docker ps -q && test ! -e /etc/systemd/system/wharf-guard.service");
        assert_eq!(self.booted.sh("cat /etc/docker/daemon.json"), "{\n  \"debug\": false\n}");
    }

    /// Taking the agent away takes the guard away first: Docker would not start without it.
    fn removed(&self) {
        self.booted.sh("wharfd guard plugin install --yes");
        self.laptop.wharf(&["setup", "--remove", "--yes"]).exits(0);
        self.booted.sh("! ls /etc/systemd/system/wharf* && systemctl restart docker && docker ps -q");
    }
}
