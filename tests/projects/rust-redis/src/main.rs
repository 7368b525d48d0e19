//! Counts hits in Redis: `/hits/NAME` adds one and answers the sum, `/health` asks Redis whether it is there.

use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:8080")?;
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            if let Err(error) = answer(stream) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn answer(stream: TcpStream) -> Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(&stream);
    reader.read_line(&mut line)?;
    // All of the request is read before it is answered.
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = line.split(' ').nth(1).unwrap_or_default();
    let told = match path.strip_prefix("/hits/") {
        Some(name) => redis(&["INCR", name]),
        None if path == "/health" => redis(&["PING"]),
        None => return respond(&stream, "404 Not Found", "no such page"),
    };
    match told {
        Ok(told) => respond(&stream, "200 OK", &told),
        Err(error) => respond(&stream, "503 Service Unavailable", &error.to_string()),
    }
}

fn respond(mut stream: &TcpStream, status: &str, body: &str) -> Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// One command on a connection of its own, its answer without the sign of its type.
fn redis(command: &[&str]) -> Result<String> {
    let address = std::env::var("REDIS_ADDRESS").unwrap_or_else(|_| "127.0.0.1:6379".into());
    let mut stream = TcpStream::connect(address)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    if let Ok(password) = std::env::var("REDIS_PASSWORD") {
        ask(&mut stream, &mut reader, &["AUTH", &password])?;
    }
    ask(&mut stream, &mut reader, command)
}

fn ask(stream: &mut TcpStream, reader: &mut impl BufRead, command: &[&str]) -> Result<String> {
    let words: String = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    write!(stream, "*{}\r\n{words}", command.len())?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    match line.trim_end().split_at_checked(1) {
        Some(("+" | ":", told)) => Ok(told.to_owned()),
        _ => Err(Error::other("Redis refused the command")),
    }
}
