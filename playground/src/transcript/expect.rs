//! The expectations: what must be seen, each within its time.

use super::act::reference;
use super::log::Seen;
use super::model::{Content, Expectation, What};
use super::pattern::Pattern;
use super::play::{Outcome, Player, stage_stop};
use super::report::Failure;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How long silence is.
const SILENCE: Duration = Duration::from_secs(1);

impl Player<'_> {
    /// Waits for what a line says. `first` is the first line under its act.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn expect(&mut self, expectation: &Expectation, first: bool) -> Outcome {
        let end = Instant::now() + expectation.within;
        match &expectation.what {
            What::Post { label, pattern } => self.post(expectation, label.as_deref(), pattern, end).await,
            What::Update { later, pattern } => {
                self.update(expectation, *later || expectation.skipping, pattern, end).await
            }
            What::Reaction(emoji) => self.reaction(expectation, emoji, end).await,
            What::File { name, content } => self.file(expectation, name, content.as_ref(), end).await,
            What::Notifies(names) => self.notifies(expectation, names).await,
            What::Silence => self.silence(expectation.line, first).await,
            What::Anything => {
                self.let_be.extend(self.scene.place.iter().map(|place| place.root.clone()));
                Ok(())
            }
        }
    }

    /// The next post of the bot here; after `...`, the next one that matches.
    async fn post(
        &mut self,
        expectation: &Expectation,
        label: Option<&str>,
        pattern: &Pattern,
        end: Instant,
    ) -> Outcome {
        loop {
            let waiting = self.waiting();
            for (number, at) in waiting.iter().copied().enumerate() {
                let seen = &self.stage.log.posts()[at];
                let Some(captured) = pattern.captures_post(&seen.post.message, &self.captures) else {
                    if expectation.skipping {
                        continue;
                    }
                    let failure = Failure::new(expectation.line, "the bot posted something else".to_owned());
                    return Err(failure.differs(pattern, &seen.post.message, &self.captures).stop());
                };
                let post = reference(&seen.post);
                self.captures.extend(captured);
                if let Some(label) = label {
                    self.labels.insert(label.to_owned(), post.clone());
                }
                self.last_bot = Some(post);
                for at in &waiting[..=number] {
                    if let Some(seen) = self.stage.log.post_mut(*at) {
                        seen.taken = true;
                    }
                }
                return Ok(());
            }
            if !self.stage.next(end).await {
                let failure = self.late(expectation, "no such post came", waiting.last().copied());
                return Err(failure.expected(pattern.written()).stop());
            }
        }
    }

    /// Places of the bot's posts that no line has taken and that are looked at here, oldest first.
    fn waiting(&self) -> Vec<usize> {
        let all = self.stage.log.posts().iter().enumerate().skip(self.start);
        all.filter(|(_, seen)| !seen.taken && self.in_scene(seen)).map(|(at, _)| at).collect()
    }

    async fn update(&mut self, expectation: &Expectation, later: bool, pattern: &Pattern, end: Instant) -> Outcome {
        let Some(post) = self.last_bot.clone() else {
            let none = "there is no post of the bot above that could change";
            return Err(Failure::new(expectation.line, none.to_owned()).stop());
        };
        loop {
            let at = self.stage.log.place_of(&post.id);
            let seen = at.and_then(|at| self.stage.log.post_mut(at));
            let (edits, taken) = seen.map(|seen| (seen.edits.clone(), seen.edits_taken)).unwrap_or_default();
            for (number, text) in edits.iter().enumerate().skip(taken) {
                let captured = pattern.captures_post(text, &self.captures);
                if captured.is_none() && later {
                    continue;
                }
                let Some(captured) = captured else {
                    let failure = Failure::new(expectation.line, "the next edit says something else".to_owned());
                    return Err(failure.differs(pattern, text, &self.captures).stop());
                };
                self.captures.extend(captured);
                if let Some(seen) = at.and_then(|at| self.stage.log.post_mut(at)) {
                    seen.edits_taken = number + 1;
                }
                return Ok(());
            }
            if !self.stage.next(end).await {
                let failure = self.late(expectation, "no such edit came", at);
                return Err(failure.expected(pattern.written()).stop());
            }
        }
    }

    async fn reaction(&mut self, expectation: &Expectation, emoji: &str, end: Instant) -> Outcome {
        loop {
            let subjects = &self.scene.subjects;
            let mut here: Vec<_> =
                self.stage.log.reactions().iter_mut().filter(|reaction| subjects.contains(&reaction.post)).collect();
            if let Some(found) = here.iter_mut().find(|reaction| reaction.emoji == emoji && !reaction.taken) {
                found.taken = true;
                return Ok(());
            }
            let others: Vec<String> = here.iter().map(|reaction| reaction.emoji.clone()).collect();
            if !self.stage.next(end).await {
                let waiting = self.waiting().last().copied();
                let failure = self.late(expectation, &format!("the bot did not react with {emoji}"), waiting);
                return Err(failure
                    .note(match others.is_empty() {
                        true => "it has not reacted at all".to_owned(),
                        false => format!("its reactions so far: {}", others.join(", ")),
                    })
                    .stop());
            }
        }
    }

    async fn file(
        &mut self,
        expectation: &Expectation,
        name: &Pattern,
        content: Option<&Content>,
        end: Instant,
    ) -> Outcome {
        let post = loop {
            let last = self.last_here().map(|seen| seen.post.clone());
            if let Some(post) = last.filter(|post| !post.files.is_empty()) {
                break post;
            }
            if !self.stage.next(end).await {
                return Err(self.late(expectation, "no file came", None).expected(name.written()).stop());
            }
        };
        let people: Vec<String> = self.last_of.keys().cloned().collect();
        let reader =
            people.first().ok_or_else(|| Failure::new(expectation.line, "nobody is here".to_owned()).stop())?;
        let owner = people.iter().find(|who| self.scene.place.is_some() && self.last_of[*who].channel == post.channel);
        let reader = self.stage.person(owner.unwrap_or(reader)).map_err(|error| stage_stop(expectation.line, error))?;
        let mut names = Vec::new();
        for id in &post.files {
            let got = reader.file(id).await.map_err(|error| stage_stop(expectation.line, error.into()))?;
            let text = String::from_utf8_lossy(&got.1).into_owned();
            let Some(mut captured) = name.captures(&got.0, &self.captures) else {
                names.push(got.0);
                continue;
            };
            let inside = match content {
                None => Some(Default::default()),
                Some(Content::Whole(pattern)) => pattern.captures(&text, &self.captures),
                Some(Content::Line(pattern)) => text
                    .lines()
                    .find_map(|line| pattern.captures(line, &self.captures))
                    .or_else(|| pattern.captures(&text, &self.captures)),
            };
            let Some(inside) = inside else {
                let failure = Failure::new(expectation.line, format!("{} holds something else", got.0));
                return Err(match content {
                    Some(Content::Whole(pattern)) => failure.differs(pattern, &text, &self.captures).stop(),
                    Some(Content::Line(pattern)) => failure.expected(pattern.written()).got(&text).stop(),
                    None => failure.stop(),
                });
            };
            captured.extend(inside);
            self.captures.extend(captured);
            return Ok(());
        }
        let failure = Failure::new(expectation.line, "the attached files have other names".to_owned());
        Err(failure.expected(name.written()).got(&names.join("\n")).stop())
    }

    /// The bot's last post that a line took, or while there is none, the first that waits for its line.
    fn last_here(&self) -> Option<&Seen> {
        let waiting = || self.waiting().first().copied();
        let taken = self.last_bot.as_ref().filter(|post| {
            self.scene.place.as_ref().is_none_or(|place| place.root == post.root || place.channel == post.channel)
        });
        let at = taken.and_then(|post| self.stage.log.place_of(&post.id)).or_else(waiting)?;
        self.stage.log.posts().get(at)
    }

    async fn notifies(&mut self, expectation: &Expectation, names: &[String]) -> Outcome {
        // Everybody's copy of the post is asked; the last one may still be on its way.
        let end = Instant::now() + Duration::from_millis(200);
        while self.stage.next(end).await {}
        let Some(seen) = self.last_here() else {
            return Err(Failure::new(expectation.line, "there is no post of the bot above".to_owned()).stop());
        };
        // Everything in a direct channel is for the other one; that is no mention.
        let direct = self.stage.is_direct(&seen.post.channel);
        let got: BTreeSet<&str> = seen.mentions.iter().map(|id| self.stage.name_of(id)).collect();
        let got: BTreeSet<&str> = if direct && names.is_empty() {
            got.into_iter()
                .filter(|name| self.last_of.get(*name).is_none_or(|last| last.channel != seen.post.channel))
                .collect()
        } else {
            got
        };
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if got == wanted {
            return Ok(());
        }
        let list = |names: &BTreeSet<&str>| match names.is_empty() {
            true => "none".to_owned(),
            false => names.iter().copied().collect::<Vec<_>>().join(" "),
        };
        let failure = Failure::new(expectation.line, "the post notifies others than expected".to_owned());
        Err(failure.expected(&[list(&wanted)]).got(&list(&got)).stop())
    }

    /// Nothing new for a second: no post and no edit, and directly under an act no reaction either.
    async fn silence(&mut self, line: usize, first: bool) -> Outcome {
        let edits = |player: &Self| -> usize {
            let bots = player.stage.log.posts().iter().filter(|seen| player.stage.log.is_bots(&seen.post));
            bots.map(|seen| seen.edits.len()).sum()
        };
        let before = edits(self);
        let end = Instant::now() + SILENCE;
        loop {
            let failure = Failure::new(line, "this was not silence".to_owned());
            if let Some(at) = self.waiting().first().copied() {
                return Err(failure.got(&self.stage.log.posts()[at].post.message).stop());
            }
            if edits(self) > before {
                return Err(failure.note("the bot changed a post".to_owned()).stop());
            }
            let subjects = &self.scene.subjects;
            let mut reactions = self.stage.log.reactions().iter().skip(self.reactions_before);
            let reaction = reactions.find(|reaction| !reaction.taken && subjects.contains(&reaction.post));
            if let Some(reaction) = reaction.filter(|_| first && self.scene.place.is_some()) {
                return Err(failure.note(format!("the bot reacted with {}", reaction.emoji)).stop());
            }
            if !self.stage.next(end).await {
                return Ok(());
            }
        }
    }

    fn late(&self, expectation: &Expectation, what: &str, last: Option<usize>) -> Failure {
        let failure = Failure::new(expectation.line, format!("{what} within {} s", expectation.within.as_secs_f32()));
        match last.and_then(|at| self.stage.log.posts().get(at)) {
            Some(seen) => failure.got(seen.edits.last().unwrap_or(&seen.post.message)),
            None => failure,
        }
    }
}
