//! Each known cause, provoked for real and named. Show 6 of the operations issue (R39).

use std::time::Instant;
use wharf_tests::World;

const COMPOSE: &str = "docker/docker-compose.prod.yml";

/// One way to break a deploy, and how its cause is told.
struct Provoked {
    /// Besides the test's own configuration.
    config: &'static str,
    /// What is replaced by what in which file of the project.
    edit: (&'static str, &'static str, &'static str),
    /// Added to the env file.
    env: &'static str,
    /// What the text must say, besides the failure.
    says: &'static [&'static str],
}

const BACKEND_DOCKERFILE: &str = "backend/Dockerfile";
const BACKEND: &str = "backend/app.py";

fn provocations() -> Vec<Provoked> {
    let nothing = Provoked { config: "", edit: ("", "", ""), env: "", says: &[] };
    let mut all = vec![
        Provoked {
            edit: (
                BACKEND_DOCKERFILE,
                "EXPOSE 8000",
                "RUN --mount=type=tmpfs,target=/small,size=65536 head -c 1000000 /dev/zero > /small/file",
            ),
            says: &["no space is left on a disk", "docker system df", "never by pruning volumes"],
            ..nothing
        },
        Provoked {
            edit: (BACKEND_DOCKERFILE, "EXPOSE 8000", "RUN cat /app/data/foods.json"),
            says: &["the project has data/foods.json", "COPY data/foods.json in the Dockerfile"],
            ..nothing
        },
        Provoked {
            edit: (BACKEND, "from version import VERSION", "from version import VERSION\nimport tools"),
            says: &["the project has shared/tools.py", "COPY shared/tools.py in the Dockerfile"],
            ..nothing
        },
        Provoked {
            edit: (
                COMPOSE,
                "    stop_grace_period: 3s\n    environment:",
                "    stop_grace_period: 3s\n    ports: [\"127.0.0.1:${WEB_PORT}:8000\"]\n    environment:",
            ),
            says: &["of the server is in use by another container", "docker ps --filter publish="],
            ..nothing
        },
        Provoked {
            edit: (
                COMPOSE,
                "postgresql://${DB_USER}:${DB_PASSWORD}@",
                "postgresql://${DB_USER}:${APP_PASS}@",
            ),
            env: "APP_PASS=planted%41-odd\n",
            says: &["APP_PASS in the env file has characters", "wharf db password"],
            ..nothing
        },
        Provoked {
            // Not started again, so that Docker still says why it ended.
            edit: (
                COMPOSE,
                "    restart: unless-stopped\n    stop_grace_period: 3s\n    environment:",
                "    restart: \"no\"\n    mem_limit: 48m\n    memswap_limit: 48m\n    \
                 entrypoint: [\"python3\", \"-c\", \"b'x' * (512 << 20)\"]\n    environment:",
            ),
            says: &["backend ran out of memory and was killed", "raise the memory limit of backend"],
            ..nothing
        },
        Provoked {
            config: "[[health]]\nurl = \"http://127.0.0.1:PORT/api/version/\"\nwithin_seconds = 1\n",
            edit: (BACKEND, "app = Flask(__name__)", "app = Flask(__name__)  # another"),
            says: &["they differ by the slash at the end", "in [[health]]"],
            ..nothing
        },
        Provoked {
            config: "[[health]]\nurl = \"http://127.0.0.1:PORT/workouts/today\"\nwithin_seconds = 1\n",
            edit: ("nginx/nginx.conf", "try_files $uri $uri/ /index.html;", "# try_files"),
            says: &["the nginx of web looks for a file of that name", "try_files $uri $uri/ /index.html;"],
            ..nothing
        },
    ];
    if wharf_tests::long() {
        all.push(Provoked {
            edit: (
                COMPOSE,
                "postgresql://${DB_USER}:${DB_PASSWORD}@",
                "postgresql://${DB_USER}:${APP_PASS}@",
            ),
            env: "APP_PASS=planted-other\n",
            says: &["the database has another password than the env file", "wharf db password"],
            ..nothing
        });
    }
    all
}

#[test]
fn each_known_cause_is_named_and_the_old_release_serves_on() {
    let world = World::fitnessapp();
    world.laptop.write("data/foods.json", "[]\n");
    world.laptop.write("shared/tools.py", "\n");
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    for Provoked { config, edit: (file, from, to), env, says } in provocations() {
        let began = Instant::now();
        let whole = world.laptop.read(file);
        world.write_config(&config.replace("PORT", &world.web_port.to_string()));
        world.laptop.edit(file, from, to);
        world.write_env(&format!("{}{env}", world.env()));
        let ran = world.deploy(&[]).exits(1);
        for text in says {
            assert!(ran.stderr.contains(text), "{to}: no {text:?} in:\n{}", ran.stderr);
        }
        assert!(!ran.stderr.contains("planted"), "a value is told:\n{}", ran.stderr);
        world.laptop.write(file, whole);
        eprintln!("{:.1} s: {}", began.elapsed().as_secs_f32(), says[0]);
    }
    assert_eq!(world.workouts(), ["squats"]);
    world.nothing_is_left("failures one after another");
}
