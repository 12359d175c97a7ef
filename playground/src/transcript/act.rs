//! The acts: what people, the operator and the world do.

use super::model::{Act, Place, Step};
use super::pattern::fill_in;
use super::play::{Outcome, Player, PostRef, Scene, Stop, stage_stop};
use super::report::Failure;
use super::stage::StageError;
use crate::client::{ClientError, Post};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

impl Player<'_> {
    /// Does what a step says.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn act(&mut self, step: &Step) -> Outcome {
        let line = step.line;
        match &step.act {
            Act::Say { who, place, label, text } => {
                let post = self.say(line, who, place, text).await?;
                if let Some(label) = label {
                    self.labels.insert(label.clone(), post.clone());
                }
                self.at(line, post, None);
                Ok(())
            }
            Act::Edit { who, text } => {
                let unknown =
                    || Failure::new(line, format!("{who} has posted nothing here that could be edited")).stop();
                let post = self.last_of.get(who).cloned().ok_or_else(unknown)?;
                let text = fill_in(text, &self.captures);
                let person = self.stage.person(who).map_err(|error| stage_stop(line, error))?;
                person.edit(&post.id, &text).await.map_err(|error| client_stop(line, error))?;
                self.at(line, post, None);
                Ok(())
            }
            Act::React { who, label, emoji } => {
                let post = self.target(line, who, label.as_deref())?;
                let person = self.stage.person(who).map_err(|error| stage_stop(line, error))?;
                person.react(&post.id, emoji).await.map_err(|error| client_stop(line, error))?;
                let root = post.root.clone();
                self.at(line, post, Some(root));
                Ok(())
            }
            Act::Webhook { owner, channel, text } => {
                let text = fill_in(text, &self.captures);
                let before = self.stage.log.posts().len();
                self.stage.webhook(owner, channel, &text).await.map_err(|error| stage_stop(line, error))?;
                let post = self.arrived(line, before, &text).await?;
                self.at(line, post, None);
                Ok(())
            }
            Act::Operator { command, .. } => self.operator(step, command).await,
            Act::Code { name, secret, ahead } => {
                let secret = fill_in(secret, &self.captures);
                let code = code(&secret, *ahead);
                let code = code.ok_or_else(|| Failure::new(line, "that is no secret in base32".to_owned()).stop())?;
                self.captures.insert(name.clone(), code);
                Ok(())
            }
            Act::Wait(time) => {
                let end = Instant::now() + *time;
                while self.stage.next(end).await {}
                self.anywhere();
                Ok(())
            }
            Act::Clock(by) => self.world(line, |player| player.stage.advance_clock(*by)),
            Act::Fault(text) => self.world(line, |player| player.stage.fault(text)),
            Act::Restart(role) => {
                self.anywhere();
                let done = self.stage.service.restart(*role).await;
                done.map_err(|error| Failure::new(line, error.to_string()).stop())
            }
            Act::Kill(role) => {
                self.anywhere();
                let done = self.stage.service.kill(*role).await;
                done.map_err(|error| Failure::new(line, error.to_string()).stop())
            }
        }
    }

    async fn say(&mut self, line: usize, who: &str, place: &Place, text: &str) -> Result<PostRef, Stop> {
        let fail = |error: StageError| stage_stop(line, error);
        let person = self.stage.person(who).map_err(fail)?;
        let (channel, root) = match place {
            Place::Channel(name) => (self.stage.channel(name).map_err(fail)?, None),
            Place::Direct => (self.stage.direct(who).await.map_err(fail)?, None),
            Place::Thread(label) => {
                let post = self.labelled(line, label)?;
                (post.channel, Some(post.root))
            }
        };
        let text = fill_in(text, &self.captures);
        let post = person.post(&channel, root.as_deref(), &text).await.map_err(|error| client_stop(line, error))?;
        self.stage.posted_at(post.created_ms);
        let post = reference(&post);
        self.last_of.insert(who.to_owned(), post.clone());
        Ok(post)
    }

    /// From now on expectations look at this post's thread and channel.
    fn at(&mut self, line: usize, post: PostRef, also: Option<String>) {
        // What is said in a thread begins none of its own; the line that went before is the better one to name.
        self.threads.entry(post.root.clone()).or_insert(line);
        self.let_be.remove(&post.root);
        let subjects = std::iter::once(post.id.clone()).chain(also).collect();
        self.scene = Scene { place: Some(post), subjects };
    }

    fn anywhere(&mut self) {
        self.scene.place = None;
    }

    fn world(&mut self, line: usize, act: impl Fn(&Self) -> Result<(), StageError>) -> Outcome {
        self.anywhere();
        act(self).map_err(|error| stage_stop(line, error))
    }

    fn labelled(&self, line: usize, label: &str) -> Result<PostRef, Stop> {
        let unknown = || Failure::new(line, format!("no post above has the label {label}")).stop();
        self.labels.get(label).cloned().ok_or_else(unknown)
    }

    fn target(&self, line: usize, who: &str, label: Option<&str>) -> Result<PostRef, Stop> {
        let last = || self.last_bot.clone().or_else(|| self.last_of.get(who).cloned());
        match label {
            Some(label) => self.labelled(line, label),
            None => last().ok_or_else(|| Failure::new(line, "there is no post to react to".to_owned()).stop()),
        }
    }

    /// The post that a webhook made: it answers without its id.
    async fn arrived(&mut self, line: usize, before: usize, text: &str) -> Result<PostRef, Stop> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let new = self.stage.log.posts().iter().skip(before);
            if let Some(seen) = new.into_iter().find(|seen| seen.post.from_webhook && seen.post.message == text) {
                return Ok(reference(&seen.post));
            }
            if !self.stage.next(end).await {
                return Err(Failure::new(line, "the webhook's post did not arrive".to_owned()).stop());
            }
        }
    }

    async fn operator(&mut self, step: &Step, command: &str) -> Outcome {
        let Act::Operator { output, .. } = &step.act else { return Ok(()) };
        self.anywhere();
        let command = fill_in(command, &self.captures);
        let ran = self.stage.service.operator_line(&command).await;
        let finished = ran.map_err(|error| Failure::new(step.line, error.to_string()).stop())?;
        let Some(status) = finished.status else {
            let late = Failure::new(step.line, "the command did not end within 10 s".to_owned());
            return Err(late.got(&finished.output).stop());
        };
        match output {
            None if status.success() => Ok(()),
            None => {
                Err(Failure::new(step.line, format!("the command ended with {status}")).got(&finished.output).stop())
            }
            Some(pattern) => match pattern.captures(&finished.output, &self.captures) {
                Some(captured) => {
                    self.captures.extend(captured);
                    Ok(())
                }
                None => {
                    let what = format!("the command printed something else ({status})");
                    Err(Failure::new(step.line, what).differs(pattern, &finished.output, &self.captures).stop())
                }
            },
        }
    }
}

/// What an authenticator shows (RFC 6238), by this machine's clock.
fn code(secret: &str, ahead: u64) -> Option<String> {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let mut mac = Hmac::<Sha1>::new_from_slice(&secret).ok()?;
    mac.update(&(now / 30 + ahead).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
    Some(format!("{:06}", number % 1_000_000))
}

fn client_stop(line: usize, error: ClientError) -> Stop {
    stage_stop(line, error.into())
}

/// How later lines refer to a post.
pub fn reference(post: &Post) -> PostRef {
    let root = if post.root.is_empty() { post.id.clone() } else { post.root.clone() };
    PostRef { id: post.id.clone(), root, channel: post.channel.clone() }
}
