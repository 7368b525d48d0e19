//! `wharf logs` against agents in memory.

use super::*;

#[tokio::test]
async fn logs_end_when_the_server_says_so() {
    let project = project();
    let agent = Agent::default().then(|mut end| async move {
        let Request::Logs(request) = end.greet().await else { panic!("no logs") };
        assert_eq!(
            (request.lines, request.follow, request.services.as_slice()),
            (Some(5), true, ["web".into()].as_slice())
        );
        end.say(ServerMessage::Line { app: None, service: "web".into(), line: "GET /\x1b[2J 200".into() })
            .await;
        end.say(ServerMessage::End).await;
    });
    let ran = wharf(project.path(), &agent, &["logs", "-f", "-n", "5", "web"]).await;
    assert_eq!((ran.exit, ran.told.out().as_str()), (Exit::DONE, "web | GET / 200\n"));
}

/// A pattern is looked at before anybody is asked: no conversation begins.
#[tokio::test]
async fn a_pattern_that_is_none_is_told_before_the_server_is_asked() {
    let project = project();
    let agent = Agent::default().then(|_| async { panic!("asked") });
    let ran = wharf(project.path(), &agent, &["logs", "--grep", "a("]).await;
    assert_eq!((ran.exit, agent.left()), (Exit(2), 1));
    assert!(ran.told.err().contains("--grep \"a(\" is not a pattern"), "{}", ran.told.err());
}

#[tokio::test]
async fn lines_of_all_apps_say_whose_they_are() {
    let project = project();
    let line = || ServerMessage::Line {
        app: Some("blog".parse().unwrap()),
        service: "web".into(),
        line: "GET /".into(),
    };
    let script = move |mut end: End| async move {
        let Request::Logs(request) = end.greet().await else { panic!("no logs") };
        assert_eq!((request.app, request.grep.as_deref()), (None, Some("GET")));
        end.say(line()).await;
        end.say(ServerMessage::End).await;
    };
    let agent = Agent::default().then(script).then(script);
    let ran = wharf(project.path(), &agent, &["logs", "--all", "--grep", "GET"]).await;
    assert_eq!(ran.told.out(), "blog/web | GET /\n");
    let ran = wharf(project.path(), &agent, &["logs", "--all", "--grep", "GET", "--json"]).await;
    assert_eq!(
        ran.told.out(),
        "{\"type\":\"line\",\"app\":\"blog\",\"service\":\"web\",\"line\":\"GET /\"}\n"
    );
}

#[tokio::test]
async fn lines_that_look_like_errors_are_counted() {
    let project = project();
    let script = |mut end: End| async move {
        let Request::Logs(request) = end.greet().await else { panic!("no logs") };
        assert_eq!((request.lines, request.since.as_deref(), request.follow), (None, Some("1h"), false));
        assert!(request.grep.is_some_and(|pattern| pattern.contains("traceback")));
        for service in ["web", "api", "web"] {
            end.say(ServerMessage::Line { app: None, service: service.into(), line: "ERROR".into() }).await;
        }
        end.say(ServerMessage::End).await;
    };
    let agent = Agent::default().then(script).then(script);
    let ran = wharf(project.path(), &agent, &["logs", "--errors", "--since", "1h"]).await;
    assert_eq!(ran.told.out(), "SERVICE  ERROR LINES\napi      1\nweb      2\n");
    let ran = wharf(project.path(), &agent, &["logs", "db", "--errors", "--since", "1h", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&ran.told.out()).unwrap();
    assert_eq!(
        told["counts"],
        serde_json::json!([
            {"service": "api", "lines": 1}, {"service": "db", "lines": 0}, {"service": "web", "lines": 2}
        ])
    );
}
