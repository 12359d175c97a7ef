//! The transcript runner against a bot that does what it is told, on the embedded server: what must pass, and beside it
//! what must fail. Bartizan itself is not needed: a service that only claims to be connected stands in for it.

use bartizan_playground::client::{Client, Event, Incoming, Post};
use bartizan_playground::server::{Options, Server};
use bartizan_playground::service::{Source, script_directories};
use bartizan_playground::transcript::parse::parse;
use bartizan_playground::transcript::play::{Player, Stop};
use bartizan_playground::transcript::report::Paint;
use bartizan_playground::transcript::stage::{Host, Stage};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

/// Plays each transcript on one stage; `None` is a pass, otherwise what the runner shows.
fn play(transcripts: &[&str]) -> Vec<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let home = tempfile::tempdir().expect("a directory");
    program(&home.path().join("bartizan-broker"), "exec sleep 600");
    program(
        &home.path().join("bartizan"),
        "case $1 in status) echo '{\"connected\": true}';; *) echo \"ran $*\";; esac",
    );
    let config = home.path().join("bartizan.toml");
    std::fs::write(&config, "[bot]\nprefix = \"!\"\n").expect("written");
    let source = Source {
        written_at: config.clone(),
        directories: script_directories(&config, &config),
        allowlist: config.clone(),
        config,
    };
    runtime.block_on(async {
        let server = Server::start(Options::default()).expect("a server");
        let file = server.file();
        let bot = Client::new(&file, "bartizan", &file.bot.id, &file.bot.token).expect("a bot");
        let (into, mut incoming) = unbounded_channel();
        let watcher = bot.watch(into);
        assert_eq!(incoming.recv().await, Some(Incoming::Watching { who: "bartizan".to_owned() }));
        let me = file.bot.id.clone();
        let worker = tokio::spawn(async move {
            while let Some(next) = incoming.recv().await {
                if let Incoming::Event(Event::Posted { post, .. }) = next
                    && post.author != me
                {
                    obey(&bot, &post).await;
                }
            }
        });
        let mut stage = Stage::set(&Host::Foreign(Box::new(file)), &source, home.path()).await.expect("a stage");
        let mut outcomes = Vec::new();
        for text in transcripts {
            let transcript = parse(text).expect("a transcript");
            outcomes.push(match Player::new(&mut stage).play(&transcript).await {
                Ok(()) => None,
                Err(Stop::Failed(failure)) => Some(failure.shown("x.txt", text, Paint::Plain)),
                Err(Stop::Skipped(why)) => Some(format!("skipped: {why}")),
            });
        }
        stage.strike().await;
        watcher.abort();
        worker.abort();
        outcomes
    })
}

fn program(path: &Path, body: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// The message is what the bot does: `post a / edit b / react x / aside c / wait 100`, with `_` for a line break.
async fn obey(bot: &Client, order: &Post) {
    let root = if order.root.is_empty() { &order.id } else { &order.root };
    let mut last = None;
    for step in order.message.split(" / ") {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let text = rest.replace('_', "\n");
        match verb {
            "post" => last = Some(bot.post(&order.channel, Some(root), &text).await.expect("posted").id),
            "aside" => drop(bot.post(&order.channel, None, &text).await.expect("posted")),
            "edit" => bot.edit(last.as_deref().expect("a post"), &text).await.expect("edited"),
            "react" => bot.react(&order.id, &text).await.expect("reacted"),
            "wait" => tokio::time::sleep(Duration::from_millis(text.parse().expect("a number"))).await,
            _ => {}
        }
    }
}

fn passes(transcripts: &[&str]) {
    for (text, outcome) in transcripts.iter().zip(play(transcripts)) {
        assert_eq!(outcome, None, "this must pass:\n{text}");
    }
}

/// Each transcript must fail, at a line and with words like these.
fn fails(transcripts: &[(&str, &str)]) {
    let texts: Vec<&str> = transcripts.iter().map(|(text, _)| *text).collect();
    for ((text, reason), outcome) in transcripts.iter().zip(play(&texts)) {
        let shown = outcome.unwrap_or_else(|| panic!("this must fail:\n{text}"));
        assert!(shown.contains(reason), "{shown} instead of {reason}");
    }
}

#[test]
fn what_is_as_it_should_be_passes() {
    passes(&[
        "alice #ops> post Pong!\n  bartizan> Pong!\n",
        "alice DM> post Pong!\n  bartizan> Pong!\n",
        "alice #ops> aside Pong!\n  bartizan> Pong!\n",
        "alice #ops> post a / post b\n  bartizan> a\n  bartizan> b\n",
        "alice #ops> post a_b_c\n  bartizan> a\n    ...\n    c\n",
        "alice #ops> react x / post a / react y\n  reacts> y\n  bartizan> a\n  reacts> x\n",
        "alice #ops> post a / edit b / edit c\n  bartizan> a\n  updates> b\n  updates> c\n",
        "alice #ops> post a / edit b / edit c / edit d\n  bartizan> a\n  updates…> c\n  updates> d\n",
        "alice #ops> post a / post b / post c\n  ...\n  bartizan> b\n  bartizan> c\n",
        "alice #ops> post a / post b / post c\n  bartizan> a\n  ...\n",
        "alice #ops> post a / wait 1500 / post b\n  bartizan> a\n  (silence)\n  within 3s\n  bartizan> b\n",
        "alice #ops> nothing\n  (silence)\n",
        "alice #ops> post job 17\n  bartizan job> job [id=[0-9]+]\nbob in job> post end of $id\n  bartizan> end of $id\n",
        "alice #ops> post one\n| _two\n  bartizan> one\n\n    two\n",
        "alice #ops> post @alice\n  bartizan> @alice\n  notifies> alice\nbob #ops> post `@alice`\n  bartizan> `@alice`\n  notifies> none\n",
        "alice #ops> wait 200 / post late\nbob #ops> post soon\n  bartizan> soon\nwait 500ms\n  bartizan> late\n",
        "$ bartizan kill 7\n  ran kill 7\n$ bartizan ps\n",
    ]);
}

#[test]
fn what_comes_unexpected_fails() {
    fails(&[
        ("alice #ops> post Pong!\n", "x.txt:1: after this, a post came in ops that no line expects"),
        ("alice #ops> post a / post b\n  bartizan> a\n", "x.txt:1: after this"),
        ("alice #ops> post a / aside b\n  bartizan> a\n", "that no line expects"),
        ("alice #ops> post a / post b\n  bartizan> b\n", "x.txt:2: the bot posted something else"),
        ("alice #ops> wait 300 / post a\n  (silence)\n", "x.txt:2: this was not silence"),
        ("alice #ops> react x\n  (silence)\n", "reacted with x"),
        ("alice #ops> post a / wait 200 / edit b\n  bartizan> a\n  (silence)\n", "x.txt:3: this was not silence"),
        ("alice #ops> post a / post b\n  ...\n  bartizan> a\n", "no line expects"),
    ]);
}

#[test]
fn what_is_missing_or_different_fails() {
    fails(&[
        ("alice #ops> post Pong!\n  bartizan> Pong?\n", "- Pong?\n    + Pong!"),
        ("alice #ops> post a_b\n  bartizan> a\n", "x.txt:2"),
        ("alice #ops> post a_b\n  bartizan> a\n    c\n", "- c\n    + b"),
        ("alice #ops> nothing\n  within 500ms\n  bartizan> a\n", "x.txt:3: no such post came within 0.5 s"),
        (
            "alice #ops> post a / wait 1200 / post b\n  bartizan> a\n  within 500ms\n  bartizan> b\n",
            "x.txt:4: no such post",
        ),
        ("alice #ops> post a / edit b / edit c\n  bartizan> a\n  updates> c\n", "the next edit says something else"),
        ("alice #ops> post a / edit b\n  bartizan> a\n  within 500ms\n  updates…> c\n", "no such edit came"),
        ("alice #ops> react x\n  within 500ms\n  reacts> y\n", "its reactions so far: x"),
        ("alice #ops> react x\n  reacts> x\n  within 500ms\n  reacts> x\n", "x.txt:4: the bot did not react"),
        ("alice #ops> post a\n  bartizan> a\n  within 500ms\n  file> a.txt\n", "no file came"),
        ("alice #ops> post @alice\n  bartizan> @alice\n  notifies> none\n", "notifies others than expected"),
        ("alice #ops> post 1 / post 2\n  bartizan> [n=.]\n  bartizan> $n\n", "x.txt:3: the bot posted something else"),
        ("alice #ops> post a / post b\n  ...\n  within 500ms\n  bartizan> c\n", "no such post came"),
        (
            "alice #ops> post a\n  bartizan> a\nbob #random> nothing\n  within 500ms\n  bartizan> a\n",
            "x.txt:5: no such post",
        ),
        ("$ bartizan ps\n  something else\n", "the command printed something else"),
        ("$ bartizan ps\n  (silence)\n", "the command printed something else"),
        ("zoe #ops> hi\n", "there is no user zoe"),
        ("alice #lobby> hi\n", "there is no channel #lobby"),
        ("alice in req> hi\n", "no post above has the label req"),
        ("clock +5m\n", "skipped: line 1: moving the clock needs the embedded server"),
    ]);
}

#[test]
fn what_an_earlier_transcript_left_behind_does_not_count() {
    let late = "alice #ops> wait 900 / post late\n";
    let outcomes = play(&[
        "alice #ops> wait 1800 / post late\n  (silence)\n",
        "bob #ops> post soon\n  bartizan> soon\n  (silence)\n",
        late,
    ]);
    assert_eq!(outcomes[1], None, "the post came in a thread of the first one");
    assert!(outcomes[2].is_some(), "and in one of its own it counts");
}
