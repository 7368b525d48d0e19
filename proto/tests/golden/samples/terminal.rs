//! Programs on the server, and databases.

use super::{only, text};
use wharf_proto::database::{Blocked, DatabaseStatus, SlowQuery, TableSize};
use wharf_proto::message::{ClientMessage, Reply, Request, ServerMessage};
use wharf_proto::terminal::{ConsoleRequest, ExecRequest, OutputStream, Terminal, TerminalSize};

const SIZE: TerminalSize = TerminalSize { columns: 120, rows: 40 };

fn exec() -> [ExecRequest; 2] {
    let full = ExecRequest {
        app: text("fitnessapp"),
        service: "api".into(),
        command: vec!["sh".into(), "-c".into(), "id".into()],
        user: Some("app".into()),
        terminal: Some(Terminal { size: SIZE, kind: "xterm-256color".into() }),
    };
    let minimal = ExecRequest { user: None, terminal: None, command: vec!["id".into()], ..full.clone() };
    [full, minimal]
}

pub fn requests() -> Vec<[Request; 2]> {
    let console = |service: Option<&str>, database: Option<&str>, terminal| {
        Request::DbConsole(ConsoleRequest {
            app: text("fitnessapp"),
            service: service.map(Into::into),
            database: database.map(Into::into),
            terminal,
        })
    };
    vec![
        exec().map(Request::Exec),
        exec().map(Request::Run),
        [
            console(Some("db"), Some("fitness"), Some(Terminal { size: SIZE, kind: "xterm".into() })),
            console(None, None, None),
        ],
        only(Request::DbStatus { app: text("fitnessapp"), slow_seconds: 5 }),
    ]
}

pub fn client_messages() -> Vec<[ClientMessage; 2]> {
    vec![
        only(ClientMessage::Resize { size: SIZE }),
        only(ClientMessage::InputEnd),
        only(ClientMessage::Taken { bytes: 65_536 }),
    ]
}

pub fn server_messages() -> Vec<[ServerMessage; 2]> {
    vec![
        only(ServerMessage::Started),
        [
            ServerMessage::Stream { stream: OutputStream::Stderr },
            ServerMessage::Stream { stream: OutputStream::Stdout },
        ],
        only(ServerMessage::Taken { bytes: 65_536 }),
        [ServerMessage::Exited { code: 137 }, ServerMessage::Exited { code: 0 }],
    ]
}

pub fn reply() -> [Reply; 2] {
    let full = DatabaseStatus {
        service: "db".into(),
        database: "fitness".into(),
        version: "17.2".into(),
        size_bytes: 8_123_456,
        connections: 7,
        max_connections: 100,
        slow: vec![SlowQuery {
            pid: 41,
            user: "fitness".into(),
            seconds: 12,
            state: "active".into(),
            waits_for: Some("Lock: relation".into()),
            command: "UPDATE".into(),
        }],
        blocked: vec![Blocked { pid: 41, by: vec![40], seconds: 12, command: "UPDATE".into() }],
        tables: vec![TableSize { table: "public.workouts".into(), size_bytes: 65_536, rows: 12 }],
        problem: None,
    };
    let lost = DatabaseStatus { problem: Some("it does not run".into()), ..DatabaseStatus::default() };
    [Reply::DbStatus { databases: vec![full, lost] }, Reply::DbStatus { databases: vec![] }]
}
