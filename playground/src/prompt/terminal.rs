//! Where lines come from and where text goes: a terminal with rustyline, or plain standard input and output.
//!
//! Reading blocks, so it has a thread of its own; it reads the next line when it is asked to.

use super::complete::Words;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the keyboard gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line.
    Entered(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of standard input.
    Ended,
}

/// Prints above the line that is being typed.
pub type Printer = Box<dyn FnMut(String) + Send>;

/// The source of lines.
pub struct Keyboard {
    prompts: std::sync::mpsc::Sender<String>,
    lines: UnboundedReceiver<Line>,
    printer: Option<Printer>,
    terminal: bool,
}

/// Opens the terminal, or standard input where there is none.
///
/// # Errors
/// When the terminal cannot be used.
pub fn open(words: Words) -> io::Result<Keyboard> {
    let (prompts, asked) = std::sync::mpsc::channel();
    let (into, lines) = unbounded_channel();
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !terminal {
        std::thread::spawn(move || read_plain(&asked, &into));
        return Ok(Keyboard { prompts, lines, printer: None, terminal });
    }
    let config = Config::builder().auto_add_history(true).completion_type(rustyline::CompletionType::List).build();
    let mut editor: Editor<Words, DefaultHistory> = Editor::with_config(config).map_err(io::Error::other)?;
    editor.set_helper(Some(words));
    let history = history();
    if let Some(path) = &history {
        let _first_time = editor.load_history(path);
    }
    let mut printer = editor.create_external_printer().map_err(io::Error::other)?;
    std::thread::spawn(move || {
        while let Ok(prompt) = asked.recv() {
            let line = match editor.readline(&prompt) {
                Ok(line) => Line::Entered(line),
                Err(ReadlineError::Interrupted) => Line::Interrupted,
                Err(_) => Line::Ended,
            };
            if let Some(path) = &history {
                let _not_kept = editor.save_history(path);
            }
            if into.send(line).is_err() {
                return;
            }
        }
    });
    let print: Printer = Box::new(move |text| {
        let _terminal_gone = printer.print(format!("{text}\n"));
    });
    Ok(Keyboard { prompts, lines, printer: Some(print), terminal })
}

impl Keyboard {
    /// Whether somebody types.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// How to print from now on; once.
    pub fn printer(&mut self) -> Printer {
        self.printer.take().unwrap_or_else(|| Box::new(print_plain))
    }

    /// Asks for the next line.
    pub fn ask(&self, prompt: String) {
        let _reader_gone = self.prompts.send(prompt);
    }

    /// The next line.
    pub async fn line(&mut self) -> Line {
        self.lines.recv().await.unwrap_or(Line::Ended)
    }
}

/// Prints to standard output; a reader that has gone away is no reason to stop.
pub fn print_plain(text: String) {
    let mut out = io::stdout().lock();
    let _reader_gone = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Each line is shown after its prompt: together with the answers that makes a transcript.
fn read_plain(asked: &std::sync::mpsc::Receiver<String>, into: &UnboundedSender<Line>) {
    let mut lines = io::stdin().lock().lines();
    while let Ok(prompt) = asked.recv() {
        let line = match lines.next() {
            Some(Ok(line)) => {
                print_plain(format!("{prompt}{line}"));
                Line::Entered(line)
            }
            Some(Err(_)) | None => Line::Ended,
        };
        if into.send(line).is_err() {
            return;
        }
    }
}

/// Where lines are kept until the next time; nowhere, where this user has no home.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let folder = state.or_else(home)?.join("bartizan");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("demo-history"))
}
