//! One person at the prompt: who they are, where they are, and what they do.

use super::input::{COMMANDS, Input, read};
use super::show;
use super::terminal::{Printer, print_plain};
use crate::cast::PEOPLE;
use crate::service::Role;
use crate::transcript::act::reference;
use crate::transcript::play::PostRef;
use crate::transcript::report::Paint;
use crate::transcript::stage::{Stage, StageError};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next line.
    Ask,
    /// The end.
    Leave,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Channel(String),
    Direct,
}

/// The prompt's state.
pub struct Session {
    stage: Stage,
    paint: Paint,
    terminal: bool,
    print: Printer,
    who: String,
    place: Place,
    /// The thread that messages go to.
    thread: Option<PostRef>,
    last_own: Option<PostRef>,
    last_bot: Option<PostRef>,
    /// The thread that the last line shown was about.
    about: Option<String>,
    shown_posts: usize,
    shown_edits: Vec<usize>,
    shown_reactions: usize,
    /// A process was killed; it has not been seen back yet.
    hurt: bool,
}

impl Session {
    /// Alice, in #ops.
    pub fn new(stage: Stage, paint: Paint, terminal: bool) -> Self {
        Self {
            stage,
            paint,
            terminal,
            print: Box::new(print_plain),
            who: PEOPLE[0].to_owned(),
            place: Place::Channel("ops".to_owned()),
            thread: None,
            last_own: None,
            last_bot: None,
            about: None,
            shown_posts: 0,
            shown_edits: Vec::new(),
            shown_reactions: 0,
            hurt: false,
        }
    }

    /// Prints through this from now on.
    pub fn print_with(&mut self, printer: Printer) {
        self.print = printer;
    }

    /// What is running, and what to try first.
    pub fn banner(&mut self, config: &Path, dropped: Option<&str>) {
        let title = self.paint.text("1", "Bartizan");
        let lines = [
            format!("{title}: a chat server in memory, and Bartizan's real processes against it."),
            format!("  configuration  {}", config.display()),
            format!("  state          {} (removed at the end)", self.stage.service.state().display()),
            "  single-user    every process runs as the same user: nothing here keeps a script that broke out"
                .to_owned(),
            "                 of its sandbox away from the token. For development only.".to_owned(),
        ];
        lines.into_iter().for_each(|line| (self.print)(line));
        if let Some(dropped) = dropped {
            (self.print)(format!("  note           {dropped}"));
        }
        (self.print)(
            "You are alice, an admin, in #ops. Try !ping, then !help, then !run hello. /help is about this prompt."
                .to_owned(),
        );
    }

    /// What stands before the line.
    pub fn prompt(&self) -> String {
        let place = match &self.place {
            Place::Channel(name) => format!("#{name}"),
            Place::Direct => "DM".to_owned(),
        };
        let thread = if self.thread.is_some() { " (thread)" } else { "" };
        format!("{} {place}{thread}> ", self.who)
    }

    /// Says something that nobody in chat said.
    pub fn note(&mut self, text: &str) {
        (self.print)(show::note(text, self.paint));
    }

    /// Shows the next thing that happens, and whether a process that was killed is back.
    pub async fn watch(&mut self, until: Instant) {
        self.stage.next(until).await;
        self.show_new().await;
        if self.hurt && Instant::now() >= until {
            self.look_back().await;
        }
    }

    async fn look_back(&mut self) {
        let status = self.stage.service.status().await;
        if status.is_some_and(|status| status["connected"] == true) {
            self.hurt = false;
            self.note("Bartizan is connected.");
        }
    }

    /// Not on a terminal: waits until the bot has answered and is quiet.
    pub async fn settle(&mut self, pause: Duration) {
        if self.terminal {
            return;
        }
        let limit = Instant::now() + Duration::from_secs(120);
        if self.hurt {
            let _shown_by_what_follows = self.stage.service.connected().await;
            self.look_back().await;
        }
        let mut end = Instant::now() + pause;
        while Instant::now() < limit {
            let before = self.stage.log.activity();
            let happened = self.stage.next(end).await;
            self.show_new().await;
            if self.stage.log.activity() != before || (!happened && self.something_runs()) {
                end = Instant::now() + pause;
            } else if !happened {
                return;
            }
        }
    }

    /// Whether a command carries the sign of running and none of an end.
    fn something_runs(&mut self) -> bool {
        let all: Vec<(String, String)> =
            self.stage.log.reactions().iter().map(|reaction| (reaction.post.clone(), reaction.emoji.clone())).collect();
        let running = all.iter().filter(|(_, emoji)| emoji == "hourglass_flowing_sand");
        running.into_iter().any(|(post, emoji)| !all.iter().any(|(other, end)| other == post && end != emoji))
    }

    /// Does what a line says.
    pub async fn enter(&mut self, line: &str) -> Next {
        match read(line) {
            Input::Quit => return Next::Leave,
            Input::Empty => {}
            Input::Say(text) => {
                let done = self.say(&text).await;
                self.report(done);
            }
            Input::As(name) => self.become_person(&name),
            Input::Join(name) => match self.stage.channel(&name) {
                Ok(_) => (self.place, self.thread) = (Place::Channel(name), None),
                Err(error) => self.note(&error.to_string()),
            },
            Input::Direct => (self.place, self.thread) = (Place::Direct, None),
            Input::Thread(true) if self.last_bot.is_none() => self.note("The bot has not posted anything yet."),
            Input::Thread(into) => self.thread = self.last_bot.clone().filter(|_| into),
            Input::React(emoji) => {
                let done = self.react(&emoji).await;
                self.report(done);
            }
            Input::Edit(text) => {
                let done = self.edit(&text).await;
                self.report(done);
            }
            Input::More => {
                let last = self.last_bot.as_ref().and_then(|post| self.stage.log.place_of(&post.id));
                let seen = last.and_then(|at| self.stage.log.posts().get(at));
                let text = seen.map(|seen| show::whole(seen.edits.last().unwrap_or(&seen.post.message)));
                (self.print)(text.unwrap_or_else(|| "  The bot has not posted anything yet.".to_owned()));
            }
            Input::File => {
                let done = self.file().await;
                self.report(done);
            }
            Input::Webhook(text) => {
                let Place::Channel(channel) = self.place.clone() else {
                    self.note("A webhook posts to a channel: /join one.");
                    return Next::Ask;
                };
                let done = self.stage.webhook(&self.who, &channel, &text).await;
                if done.is_ok() {
                    self.note(&format!("Posted in #{channel} through a webhook of {}'s.", self.who));
                }
                self.report(done);
            }
            Input::Who => self.note(
                "alice admin · bob operator · carol user · dave not listed, so a user · mallory banned\n\
                 #ops #deployments #random #town-square",
            ),
            Input::Operator(arguments) => self.operator(&arguments).await,
            Input::Kill(role) => self.kill(role).await,
            Input::Restart(role) => match self.stage.service.restart(role).await {
                Ok(()) => self.note(&format!("{role} was restarted.")),
                Err(error) => self.note(&error.to_string()),
            },
            Input::Fault(name) => {
                let done = self.stage.fault(&name);
                self.report(done);
            }
            Input::Clock(by) => {
                let done = self.stage.advance_clock(by);
                self.report(done);
            }
            Input::Wait(time) => {
                let end = Instant::now() + time;
                while self.stage.next(end).await {
                    self.show_new().await;
                }
            }
            Input::Log => {
                let tail = self.stage.service.log_tail(30);
                self.note(&tail);
            }
            Input::State => {
                let (state, socket) = (self.stage.service.state(), self.stage.service.socket());
                self.note(&format!("state   {}\nsocket  {}", state.display(), socket.display()));
            }
            Input::Help => {
                let rows = COMMANDS.iter().map(|(usage, what)| format!("{usage:<16} {what}"));
                let rows = rows.collect::<Vec<_>>().join("\n");
                self.note(&format!(
                    "Everything else is said in chat, as the person and in the place of the prompt.\n{rows}"
                ));
            }
            Input::Wrong(why) => self.note(&why),
        }
        Next::Ask
    }

    /// Ends everything.
    pub async fn leave(mut self) {
        if self.terminal {
            self.note("Ending Bartizan …");
        }
        self.stage.strike().await;
    }

    fn report(&mut self, done: Result<(), StageError>) {
        if let Err(error) = done {
            self.note(&error.to_string());
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), StageError> {
        let person = self.stage.person(&self.who)?;
        let channel = match &self.place {
            Place::Channel(name) => self.stage.channel(name)?,
            Place::Direct => self.stage.direct(&self.who).await?,
        };
        let root = self.thread.as_ref().map(|post| post.root.clone());
        let post = person.post(&channel, root.as_deref(), text).await?;
        self.stage.posted_at(post.created_ms);
        let post = reference(&post);
        self.about = Some(post.root.clone());
        self.last_own = Some(post);
        Ok(())
    }

    async fn react(&mut self, emoji: &str) -> Result<(), StageError> {
        let Some(post) = self.last_bot.clone().or_else(|| self.last_own.clone()) else {
            self.note("There is nothing to react to yet.");
            return Ok(());
        };
        Ok(self.stage.person(&self.who)?.react(&post.id, emoji).await?)
    }

    async fn edit(&mut self, text: &str) -> Result<(), StageError> {
        let Some(post) = self.last_own.clone() else {
            self.note("You have not posted anything yet.");
            return Ok(());
        };
        Ok(self.stage.person(&self.who)?.edit(&post.id, text).await?)
    }

    async fn file(&mut self) -> Result<(), StageError> {
        let last = self.last_bot.as_ref().and_then(|post| self.stage.log.place_of(&post.id));
        let files = last.map(|at| self.stage.log.posts()[at].post.files.clone()).unwrap_or_default();
        if files.is_empty() {
            self.note("The bot's last post has no file.");
        }
        for id in files {
            let (name, content) = self.stage.person(&self.who)?.file(&id).await?;
            let text = String::from_utf8_lossy(&content).into_owned();
            (self.print)(show::file(&name, content.len(), self.paint));
            (self.print)(show::whole(&text));
        }
        Ok(())
    }

    fn become_person(&mut self, name: &str) {
        match self.stage.person(name) {
            Ok(_) => (self.who, self.last_own) = (name.to_owned(), None),
            Err(error) => self.note(&error.to_string()),
        }
    }

    async fn operator(&mut self, arguments: &str) {
        // By a shell, as in a transcript: what has blanks in it is put in quotes.
        match self.stage.service.operator_line(&format!("bartizan {arguments}")).await {
            Ok(finished) => (self.print)(finished.output.trim_end().to_owned()),
            Err(error) => self.note(&error.to_string()),
        }
    }

    async fn kill(&mut self, role: Role) {
        match self.stage.service.kill(role).await {
            Ok(()) => {
                self.hurt = true;
                self.note(&format!("{role} was killed."));
            }
            Err(error) => self.note(&error.to_string()),
        }
    }

    /// Shows what came in since the last time: posts, edits, reactions.
    async fn show_new(&mut self) {
        while self.shown_posts < self.stage.log.posts().len() {
            let seen = self.stage.log.posts()[self.shown_posts].clone();
            self.shown_posts += 1;
            self.shown_edits.push(0);
            if !self.stage.log.is_bots(&seen.post) || !seen.post.kind.is_empty() {
                continue;
            }
            let post = reference(&seen.post);
            self.turn_to(&post.root);
            self.last_bot = Some(post);
            (self.print)(show::post("bartizan", &seen.post.message, self.paint));
            for id in &seen.post.files {
                let reader = self.stage.person(&self.who);
                let Ok(reader) = reader else { continue };
                if let Ok((name, content)) = reader.file(id).await {
                    let hint = show::file(&name, content.len(), self.paint);
                    (self.print)(format!("{hint}; /file shows it"));
                }
            }
        }
        for at in 0..self.shown_posts {
            let seen = &self.stage.log.posts()[at];
            if seen.edits.len() > self.shown_edits[at] {
                let new = seen.edits[self.shown_edits[at]..].to_vec();
                let (bots, root) = (self.stage.log.is_bots(&seen.post), reference(&seen.post).root);
                self.shown_edits[at] += new.len();
                for text in new.iter().filter(|_| bots) {
                    self.turn_to(&root);
                    (self.print)(show::post("updates", text, self.paint));
                }
            }
        }
        let new: Vec<(String, String)> = self.stage.log.reactions()[self.shown_reactions..]
            .iter()
            .map(|reaction| (reaction.post.clone(), reaction.emoji.clone()))
            .collect();
        self.shown_reactions += new.len();
        for (post, emoji) in new {
            self.turn_to(&post);
            (self.print)(show::reaction(&emoji, self.paint));
        }
    }

    /// Says which message the next lines are about, where that is not the last one.
    fn turn_to(&mut self, root: &str) {
        if self.about.as_deref() == Some(root) {
            return;
        }
        self.about = Some(root.to_owned());
        let Some(at) = self.stage.log.place_of(root) else { return };
        let post = &self.stage.log.posts()[at].post;
        let place = match self.stage.channel_name(&post.channel) {
            "DM" => "DM".to_owned(),
            name => format!("#{name}"),
        };
        let text = format!("to {} {place}> {}", self.stage.name_of(&post.author), show::start_of(&post.message));
        self.note(&text);
    }
}
