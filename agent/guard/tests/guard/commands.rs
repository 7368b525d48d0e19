//! Ordinary commands, each run on the bare engine and through the guard: the same exit code, and the same output where it is stable.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::engine::{Guard, Turn, shell};

/// What is compared.
#[derive(Clone, Copy, PartialEq)]
enum Compare {
    /// Exit code and output, names and IDs aside.
    Output,
    /// The exit code; the output holds times, sizes or the machine's state.
    Exit,
}

use Compare::{Exit, Output as Same};

/// `$P` is the prefix of everything a run makes.
const COMMANDS: [(&str, Compare); 104] = [
    ("docker version --format '{{.Server.Version}} {{.Client.Version}}'", Same),
    ("docker info --format '{{.DockerRootDir}} {{.Driver}} {{.Images}}'", Same),
    ("docker pull localhost:1/none", Exit),
    ("docker volume create $P-v", Same),
    ("docker volume create --label a=b $P-w", Same),
    ("docker volume ls -q --filter name=$P-", Same),
    ("docker volume inspect $P-v --format '{{.Name}} {{.Driver}} {{.Labels}}'", Same),
    ("docker network create $P-n", Same),
    ("docker network create --label x=y --internal $P-m", Same),
    ("docker network ls -q --filter name=$P-", Same),
    ("docker network inspect $P-m --format '{{.Name}} {{.Internal}} {{.Labels}}'", Same),
    (
        "docker run -d --name $P-c --network $P-n -v $P-v:/v -e KEY=value --label role=test $I sh -c 'echo one; echo two >&2; exec sleep 3600'",
        Same,
    ),
    ("docker run --rm --network none $I echo hello", Same),
    ("docker run --rm --network none $I sh -c 'echo out; echo err >&2; exit 42'", Same),
    ("echo piped | docker run --rm -i --network none $I cat", Same),
    ("docker run --rm --network none -v $P-v:/v $I sh -c 'echo data > /v/file; ls /v'", Same),
    (
        "docker run --rm --network none -v $PWD/here:/h -w /h -u 1000 --read-only --tmpfs /tmp --memory 64m $I sh -c 'cat file; id -u; pwd'",
        Same,
    ),
    ("docker run --rm --network none --mount type=volume,src=$P-v,dst=/v,readonly $I cat /v/file", Same),
    ("docker run --rm --network none --entrypoint echo --env-file env $I entry", Same),
    ("docker run -d --rm --name $P-bg --network none $I sleep 3600 && docker stop -t 0 $P-bg", Same),
    (
        "script -qec 'docker run -it --rm --network none wharf-base/busybox:1 sh -c \"test -t 0 && echo terminal\"' /dev/null </dev/null",
        Same,
    ),
    ("docker run --rm --network none $I /no/such/thing", Same),
    ("docker run --rm no-such-image:none true", Exit),
    ("docker ps --filter name=$P-c --format '{{.Names}} {{.Image}} {{.Labels}} {{.Networks}}'", Same),
    ("docker ps -aq --no-trunc --filter name=$P-", Same),
    (
        "docker inspect $P-c --format '{{.State.Status}} {{.Config.Env}} {{.HostConfig.Binds}} {{.HostConfig.AutoRemove}}'",
        Same,
    ),
    ("docker inspect no-such-thing", Same),
    ("docker logs $P-c", Same),
    ("docker logs --tail 1 $P-c 2>&1 | wc -l", Same),
    ("timeout 2 docker logs -f $P-c", Same),
    ("docker exec $P-c sh -c 'echo in; echo err >&2; exit 3'", Same),
    ("printf 'a\\nb\\n' | docker exec -i $P-c wc -l", Same),
    ("head -c 3000000 /dev/zero | docker exec -i $P-c sh -c 'cat; echo end' | wc -c", Same),
    ("docker exec -d -e X=1 -w /tmp $P-c touch made", Same),
    (
        "script -qec \"docker exec -it $P-c sh -c 'test -t 0 && echo terminal; exit 5'\" /dev/null </dev/null",
        Same,
    ),
    (
        "(sleep 1; printf 'echo $((40+2))typed\\nexit 4\\n') | script -qec \"docker exec -it $P-c sh\" /dev/null | grep -q 42typed",
        Same,
    ),
    ("docker exec no-such-container true", Same),
    ("docker top $P-c -o pid,args", Exit),
    ("docker stats --no-stream --format '{{.Name}}' $P-c", Same),
    ("docker port $P-c", Same),
    ("docker diff $P-c | sort", Same),
    ("docker cp here/file $P-c:/tmp/copied && docker exec $P-c cat /tmp/copied", Same),
    ("docker cp $P-c:/tmp/copied - | tar -xO", Same),
    ("tar -c here | docker cp - $P-c:/tmp && docker exec $P-c ls /tmp/here", Same),
    ("docker cp $P-c:/no/such/file -", Exit),
    ("docker rename $P-c $P-d && docker rename $P-d $P-c", Same),
    ("docker update --memory 128m --memory-swap 128m $P-c", Same),
    ("docker pause $P-c && docker inspect $P-c --format '{{.State.Status}}' && docker unpause $P-c", Same),
    ("docker network connect $P-m $P-c && docker network disconnect $P-m $P-c", Same),
    ("docker network disconnect $P-m $P-c", Exit),
    ("docker kill -s USR1 $P-c", Same),
    ("docker restart -t 0 $P-c", Same),
    ("docker stop -t 0 $P-c && docker start $P-c", Same),
    ("docker create -i --name $P-cat --network none $I cat", Same),
    ("echo started | docker start -ai $P-cat", Same),
    ("docker wait $P-cat", Same),
    ("docker run -d -i --name $P-at --network none $I sh -c 'read x; echo got $x; exit 6'", Same),
    ("echo line | docker attach $P-at", Exit),
    ("docker wait $P-at; docker logs $P-at", Same),
    (
        "S=$(date +%s); docker create --name $P-ev $I true; docker rm $P-ev; timeout 20 docker events --since $S --until $(($(date +%s) + 1)) --filter container=$P-ev --format '{{.Action}}'",
        Same,
    ),
    ("docker commit -c 'ENV A=b' -m note $P-c $P-image:1", Same),
    ("docker image inspect $P-image:1 --format '{{.Config.Env}} {{.Comment}}'", Same),
    ("docker tag $P-image:1 $P-image:2", Same),
    ("docker images --format '{{.Repository}}:{{.Tag}}' $P-image", Same),
    ("docker history --format '{{.Comment}}' $P-image:1", Same),
    ("docker save $P-image:1 -o saved-$P.tar && tar -tf saved-$P.tar | grep -c manifest.json", Same),
    ("docker rmi $P-image:1 && docker load -q -i saved-$P.tar", Same),
    ("docker save $P-image:1 $P-image:2 | docker load", Same),
    ("docker export $P-c | tar -t | grep -c bin/busybox", Same),
    ("docker export $P-cat | docker import - $P-imported:1", Same),
    ("docker push localhost:1/none/$P", Exit),
    ("docker build --network none --progress plain -t $P-built:1 --build-arg WHO=world build", Exit),
    ("docker run --rm --network none $P-built:1", Same),
    ("docker build --network none -q --target first build", Same),
    ("docker build --network none --progress plain -t $P-failed -f build/Failing build", Exit),
    ("docker build --network none --secret id=s,src=env --no-cache -q -f build/Secret build", Same),
    (
        "docker buildx build --network none --output type=local,dest=out-$P --target files build && cat out-$P/file && rm -r out-$P",
        Same,
    ),
    ("DOCKER_BUILDKIT=0 docker build --network none -q -t $P-classic - < build/Classic", Same),
    ("docker run --rm --network none $P-classic cat /stamp", Same),
    ("docker buildx ls --format '{{.Name}}' 2>/dev/null || docker buildx ls", Exit),
    ("docker builder prune -f", Exit),
    ("docker compose config --services", Same),
    ("docker compose build", Exit),
    ("docker compose up -d --wait", Exit),
    ("docker compose ps --format '{{.Service}} {{.State}}'", Same),
    ("docker compose ps -q | wc -l", Same),
    ("docker compose logs --no-color --no-log-prefix web", Same),
    ("docker compose exec -T web cat /data/mark", Same),
    ("echo in | docker compose exec -T web cat", Same),
    ("docker compose run --rm -T web sh -c 'echo one-off; exit 9'", Same),
    ("docker compose cp web:/data/mark marked-$P && cat marked-$P", Same),
    ("docker compose top", Exit),
    ("docker compose up -d --scale web=2 && docker compose ps -q web | wc -l", Same),
    ("docker compose restart -t 0 web", Exit),
    ("docker compose pause && docker compose unpause", Exit),
    ("docker compose up -d --force-recreate && docker compose exec -T web cat /data/mark", Same),
    ("docker compose kill && docker compose start", Exit),
    ("docker compose images -q | wc -l", Same),
    ("docker compose ls -q --filter name=$P", Same),
    ("docker compose down -t 0", Exit),
    ("docker container prune -f --filter label=nothing", Same),
    ("docker image prune -f --filter label=nothing && docker network prune -f --filter label=nothing", Same),
    (
        "docker rm -f $P-c $P-cat $P-at && docker network rm $P-n $P-m && docker rmi -f $P-image:1 $P-image:2 $P-imported:1 $P-built:1 $P-classic",
        Exit,
    ),
    ("docker volume ls -q --filter name=$P-; docker system df --format '{{.Type}}'", Same),
];

#[test]
fn ordinary_commands_behave_as_without_the_guard() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let mut wrong = Vec::new();
    for (script, compare) in COMMANDS {
        let script = script.replace("$I", "wharf-base/busybox:1");
        let bare = shell(&turn.socket(), folder.path(), "aaqx", &script);
        let guarded = shell(&guard.socket(), folder.path(), "bbqx", &script);
        let same = bare.status.code() == guarded.status.code()
            && (compare == Exit || plain(&bare) == plain(&guarded));
        let hung = guarded.status.code() == Some(124) && !script.contains("timeout");
        if !same || hung || complains(&guarded) {
            let said = |name, output: &Output| {
                format!(
                    "  {name}: {} {}{}",
                    output.status,
                    plain(output),
                    String::from_utf8_lossy(&output.stderr)
                )
            };
            wrong.push(format!("{script}\n{}\n{}", said("bare", &bare), said("guarded", &guarded)));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn project(folder: &Path) {
    for (name, content) in [
        ("env", "WHO=env\n"),
        ("here/file", "content\n"),
        (
            "build/Dockerfile",
            "FROM wharf-base/busybox:1 AS first\nARG WHO=nobody\nRUN echo hello $WHO > /greeting\nCOPY file /file\nFROM scratch AS files\nCOPY --from=first /file /file\nFROM first\nCMD [\"cat\", \"/greeting\", \"/file\"]\n",
        ),
        ("build/Failing", "FROM wharf-base/busybox:1\nRUN exit 3\n"),
        (
            "build/Secret",
            "FROM wharf-base/busybox:1\nRUN --mount=type=secret,id=s grep -q WHO /run/secrets/s\n",
        ),
        ("build/Classic", "FROM wharf-base/busybox:1\nRUN echo stamped > /stamp\n"),
        ("build/file", "built\n"),
        (
            "compose.yml",
            "services:\n  web:\n    build: {context: build, network: none}\n    command: sh -c 'echo mark > /data/mark; echo ready; exec sleep 3600'\n    stop_grace_period: 0s\n    volumes: [data:/data, /scratch]\n    healthcheck: {test: test -f /data/mark, interval: 1s, start_period: 5s}\n  helper:\n    image: wharf-base/busybox:1\n    command: sleep 3600\n    stop_grace_period: 0s\n    depends_on: {web: {condition: service_healthy}}\nvolumes:\n  data:\n",
        ),
    ] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A refusal, or the guard's own trouble, where there should be none.
fn complains(output: &Output) -> bool {
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    said.contains("refused: ") || said.contains("the volume guard")
}

/// The output without what differs between any two runs: names, IDs, what a terminal echoes of a closed input.
fn plain(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout)
        .replace("aaqx", "P")
        .replace("bbqx", "P")
        .replace("^@", "")
        .replace('\0', "");
    let mut words = String::new();
    let mut run = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_hexdigit() {
            run.push(letter);
            continue;
        }
        words += if run.len() >= 12 { "ID" } else { &run };
        run.clear();
        words.push(letter);
    }
    words
}
