//! The least-possible bot: what a command costs at least. A websocket, REST over kept connections, threaded replies, and
//! a script started as it is. It remembers nothing, checks nobody, limits nothing and survives nothing.

use super::http::Rest;
use super::{BenchError, io};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::io::BufRead;
use std::process::Command;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// What the bot is told in one line of JSON on its standard input. It ends when that ends.
#[derive(Debug)]
struct Told {
    /// `host:port`.
    address: String,
    token: String,
    /// What `!run hello` runs.
    script: String,
}

/// Works until standard input ends.
pub(super) fn run() -> Result<(), BenchError> {
    let told = listen().map_err(io("standard input"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io("a runtime"))?;
    runtime.block_on(work(told)).map_err(io("the bot"))
}

fn listen() -> std::io::Result<Told> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let told: Value = serde_json::from_str(&line)?;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    std::thread::spawn(|| {
        let _ended = std::io::stdin().lock().read_line(&mut String::new());
        std::process::exit(0);
    });
    Ok(Told { address: text("address"), token: text("token"), script: text("script") })
}

async fn work(told: Told) -> std::io::Result<()> {
    let rest = Arc::new(Rest::new(told.address.clone(), told.token.clone()));
    let me = rest.call("GET", "/users/me", "").await?;
    let me = me["id"].as_str().unwrap_or_default().to_owned();
    let script: Arc<str> = told.script.into();

    let address = format!("ws://{}/api/v4/websocket", told.address);
    let mut request = address.into_client_request().map_err(std::io::Error::other)?;
    let bearer = format!("Bearer {}", told.token).parse().map_err(std::io::Error::other)?;
    request.headers_mut().insert("Authorization", bearer);
    let stream = TcpStream::connect(&told.address).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.map_err(std::io::Error::other)?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.map_err(std::io::Error::other)? else { continue };
        let Some(command) = Asked::in_frame(&text, &me) else { continue };
        tokio::spawn(answer(Arc::clone(&rest), Arc::clone(&script), command));
    }
    Ok(())
}

/// A message that is a command.
#[derive(Debug)]
struct Asked {
    channel: String,
    root: String,
    run: bool,
}

impl Asked {
    fn in_frame(frame: &str, me: &str) -> Option<Self> {
        let frame: Value = serde_json::from_str(frame).ok()?;
        if frame["event"] != "posted" {
            return None;
        }
        let post: Value = serde_json::from_str(frame["data"]["post"].as_str()?).ok()?;
        if post["user_id"] == me {
            return None;
        }
        let run = match post["message"].as_str()? {
            "!ping" => false,
            "!run hello" => true,
            _ => return None,
        };
        let root = post["root_id"].as_str().filter(|root| !root.is_empty()).or(post["id"].as_str())?.to_owned();
        Some(Self { channel: post["channel_id"].as_str()?.to_owned(), root, run })
    }
}

async fn answer(rest: Arc<Rest>, script: Arc<str>, asked: Asked) {
    let message = if asked.run {
        let ran = tokio::task::spawn_blocking(move || Command::new(&*script).output()).await;
        match ran {
            Ok(Ok(output)) => format!("```\n{}\n```", String::from_utf8_lossy(&output.stdout)),
            failed => format!("it did not run: {failed:?}"),
        }
    } else {
        "Pong!".to_owned()
    };
    let body = json!({ "channel_id": asked.channel, "root_id": asked.root, "message": message }).to_string();
    if let Err(error) = rest.call("POST", "/posts", &body).await {
        eprintln!("the least bot could not reply: {error}");
    }
}
