//! A post's way from the connector's report to a decision.
//!
//! reported → (rate and ban on the claimed author) → durable in the inbox → attested by egress → claim compared → read as
//! a command → answered, refused or queued as a job. Only `!ping` is answered unattested. The posts of one channel are judged in
//! the order in which they were made, whichever answer of egress comes first.

use super::line::Line;
use super::timers::Timer;
use super::{Core, CoreError, Topic};
use crate::audit::Gate;
use crate::command::{self, Builtin, approve, help, parse};
use crate::gate::{Cause, Refusal, Verdict, attest, ban};
use crate::policy::Policy;
use crate::store::inbox::MAX_UNDECIDED;
use crate::words;
use bartizan_proto::connector::{Cursor, Report};
use bartizan_proto::egress::{AttestedPost, ChannelKind, Outcome, QuestionId, Subject};
use bartizan_proto::ids::{ChannelId, PostId, UserId};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Commands of one person that wait for a decision; more are refused, so that one person leaves room for the others.
const MAX_OF_ONE: usize = 250;

/// Questions to egress that are under way at once.
const MAX_ASKED: usize = 32;

/// How often an answer is asked for before the command is given up, and how long between.
const ATTEMPTS: u32 = 4;
const BETWEEN: Duration = Duration::from_millis(750);

/// Posts without a decision.
#[derive(Debug, Default)]
pub struct Posts {
    waiting: Line,
    asked: HashMap<QuestionId, Open>,
    paused: HashMap<PostId, Open>,
    /// The posts of each channel that egress was asked about, in their order.
    order: HashMap<ChannelId, VecDeque<PostId>>,
    /// Answers that wait for those to earlier posts of their channel.
    early: HashMap<PostId, (Report, Outcome)>,
    /// When banned people were told so last, ms since 1970.
    pub(super) ban_notices: HashMap<UserId, u64>,
}

/// A post that egress is asked about.
#[derive(Debug)]
struct Open {
    report: Report,
    attempts: u32,
}

impl Posts {
    /// How many there are.
    pub fn undecided(&self) -> u64 {
        let open = self.waiting.len() + self.asked.len() + self.paused.len() + self.early.len();
        u64::try_from(open).unwrap_or(u64::MAX)
    }

    /// Takes in what was left over by the last run.
    pub(crate) fn restore(&mut self, reports: Vec<Report>) {
        for report in reports {
            self.waiting.push_back(report);
        }
    }

    /// A command that was asked about is wanted.
    pub(crate) fn again(&mut self, report: Report) {
        self.waiting.push_back(report);
    }

    /// When banned people were told so by earlier runs of the service.
    pub(crate) fn remember_notices(&mut self, notices: HashMap<UserId, u64>) {
        self.ban_notices = notices;
    }

    /// A ban was given or ended: the next one is told about at once.
    pub(crate) fn forget_notice(&mut self, user: UserId) {
        self.ban_notices.remove(&user);
    }

    /// Egress is gone: what it was asked is to be asked again.
    pub(crate) fn egress_lost(&mut self, looked_up: Vec<Report>) {
        let early = self.early.drain().map(|(_, (report, _))| report);
        let asked = self.asked.drain().map(|(_, open)| open.report);
        let mut open: Vec<Report> = asked.chain(early).chain(looked_up).collect();
        self.order.clear();
        open.sort_by_key(|report| report.created_ms);
        for report in open.into_iter().rev() {
            self.waiting.push_front(report);
        }
    }
}

impl Core {
    /// The connector saw a post that looks meant for the bot.
    pub(crate) fn on_post(&mut self, report: Report) -> Result<(), CoreError> {
        let answer = self.is_answer(&report) || self.jobs.questions.listen_to(&report);
        // For the next start: the cursor may pass this post by.
        if self.is_ending() {
            if command::withheld(&report.text).is_none() && !answer {
                self.store.receive(&report, false)?;
            }
            return Ok(());
        }
        let ping = !answer && !self.is_subscribed(&report) && self.is_ping(&report);
        self.channel_seen(Cursor { channel: report.channel, seen_ms: report.created_ms, begun_ms: 0 })?;
        // A secret is not written down anywhere but in the brain, not even for as long as it takes to decide.
        let unwritten = ping || answer || command::withheld(&report.text).is_some();
        if !self.store.receive(&report, unwritten)? {
            return Ok(());
        }
        if let Some((refusal, cause)) = self.too_fast_as_claimed(&report) {
            return self.refuse(&report, refusal, &cause, vec![refused_by("rate")]);
        }
        if ping {
            return self.reply_to(&report, words::PONG.to_owned());
        }
        if self.posts.undecided() >= MAX_UNDECIDED {
            return self.refuse(&report, Refusal::Busy, "the inbox is full", Vec::new());
        }
        if self.posts.waiting.of(report.author) >= MAX_OF_ONE {
            return self.refuse(&report, Refusal::Busy, "too many commands of this person wait", Vec::new());
        }
        let Some(policy) = &self.policy else {
            self.posts.waiting.push_back(report);
            return Ok(());
        };
        // Whoever is to be told goes on and is told when the server has said who it is: a connector that lies uses up
        // nobody's notice.
        let line = parse::addressed(&report.text, &policy.config.bot.prefix, &policy.bot_name, report.direct);
        if let Verdict::Refuse(refusal, cause) = ban::check(report.author, policy, claimed_now(&report, policy))
            && (line.is_none() || !self.is_ban_notice_due(report.author))
        {
            // What was not said to us is only not heard.
            if line.is_none() {
                return Ok(self.store.decided(report.post)?);
            }
            return self.refuse(&report, refusal, &cause.0, vec![refused_by("ban")]);
        }
        if line.is_none() && !answer && !self.is_subscribed(&report) && !self.may_trigger(&report) {
            return Ok(self.store.decided(report.post)?);
        }
        self.posts.waiting.push_back(report);
        self.attest_waiting()
    }

    /// Whether a post is answered unattested: `ping`, of somebody who is not banned as far as the claim goes, where
    /// commands are taken.
    fn is_ping(&self, report: &Report) -> bool {
        let known = self.policy.as_ref().filter(|_| !report.caught_up && !report.webhook);
        let Some(policy) = known else { return false };
        let here = report.direct || policy.is_ours(report.channel);
        let line = parse::addressed(&report.text, &policy.config.bot.prefix, &policy.bot_name, report.direct);
        here && line.is_some_and(|line| line.trim() == Builtin::Ping.name())
            && ban::check(report.author, policy, claimed_now(report, policy)) == Verdict::Pass(())
    }

    /// Whether somebody asks too fast, as far as the connector's claim goes. Only what is addressed to us counts.
    fn too_fast_as_claimed(&mut self, report: &Report) -> Option<(Refusal, String)> {
        let policy = self.policy.as_ref()?;
        parse::addressed(&report.text, &policy.config.bot.prefix, &policy.bot_name, report.direct)?;
        let thread = report.root.unwrap_or(report.post);
        match self.limiter.claimed(report.author, thread, report.channel, &policy.config.rates) {
            Verdict::Pass(()) => None,
            Verdict::Refuse(refusal, cause) => Some((refusal, cause.0)),
        }
    }

    /// Asks egress about the posts that wait, as many as may be asked about at once.
    pub(crate) fn attest_waiting(&mut self) -> Result<(), CoreError> {
        while self.policy.is_some() && self.posts.asked.len() < MAX_ASKED && self.supervisor.egress_ready() {
            let Some(report) = self.posts.waiting.pop() else { return Ok(()) };
            self.attest(Open { report, attempts: 0 })?;
        }
        Ok(())
    }

    fn attest(&mut self, open: Open) -> Result<(), CoreError> {
        let order = self.posts.order.entry(open.report.channel).or_default();
        if !order.contains(&open.report.post) {
            order.push_back(open.report.post);
        }
        let question = self.ask_egress(Subject::Post(open.report.post))?;
        self.posts.asked.insert(question, open);
        Ok(())
    }

    /// The time to ask once more has come.
    pub(crate) fn attest_again(&mut self, post: PostId) -> Result<(), CoreError> {
        match self.posts.paused.remove(&post) {
            Some(open) if self.supervisor.egress_ready() => self.attest(open),
            Some(open) => {
                self.posts.waiting.push_front(open.report);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Egress answered about a post. `false` when the question is not about one.
    pub(crate) fn on_attested(&mut self, question: QuestionId, outcome: Outcome) -> Result<bool, CoreError> {
        let Some(Open { report, attempts }) = self.posts.asked.remove(&question) else { return Ok(false) };
        match outcome {
            Outcome::Unavailable { why } if attempts + 1 < ATTEMPTS => {
                tracing::warn!(post = %report.post, %why, "not attested, asking again");
                self.timers.after(BETWEEN * (attempts + 1), Timer::Attest(report.post));
                self.posts.paused.insert(report.post, Open { report, attempts: attempts + 1 });
            }
            outcome => {
                let channel = report.channel;
                self.posts.early.insert(report.post, (report, outcome));
                self.answered_in_order(channel)?;
            }
        }
        self.attest_waiting()?;
        Ok(true)
    }

    /// The posts of a channel whose turn has come.
    fn answered_in_order(&mut self, channel: ChannelId) -> Result<(), CoreError> {
        while let Some(first) = self.posts.order.get(&channel).and_then(|order| order.front().copied())
            && let Some((report, outcome)) = self.posts.early.remove(&first)
        {
            if let Some(order) = self.posts.order.get_mut(&channel) {
                order.pop_front();
                if order.is_empty() {
                    self.posts.order.remove(&channel);
                }
            }
            self.answered(&report, outcome)?;
        }
        Ok(())
    }

    /// What egress says of a post, for good.
    pub(super) fn answered(&mut self, report: &Report, outcome: Outcome) -> Result<(), CoreError> {
        if self.takes_care(report, &outcome)? {
            return Ok(());
        }
        self.faults.judging(&report.text);
        match outcome {
            Outcome::Post(post) => self.judge(report, &post),
            Outcome::NotFound => self.refuse(report, Refusal::Silence, "the server knows no such post", Vec::new()),
            Outcome::Unavailable { why } => self.refuse(report, Refusal::Unattested, &why, Vec::new()),
            Outcome::User(_)
            | Outcome::Channel(_)
            | Outcome::Reactions(_)
            | Outcome::Group(_)
            | Outcome::OwnRights(_) => {
                Err(CoreError::Start("egress answered a question about a post with something else".to_owned()))
            }
        }
    }

    /// The post as the server has it: does the claim agree, does it count, what does it ask for?
    fn judge(&mut self, report: &Report, post: &AttestedPost) -> Result<(), CoreError> {
        if self.policy.is_none() {
            return Ok(());
        }
        // One that its author was asked about is known by its id alone; the connector claims nothing.
        let said_ms = self.wanted.said(report.post);
        let lied = is_lie(report, post) || (said_ms.is_none() && *report.text != *post.text);
        if post.edited_ms == 0 && lied {
            let what = format!(
                "the connector reported post {} with another author, channel or text than the server has",
                post.id
            );
            self.refuse(report, Refusal::Silence, &what, Vec::new())?;
            return self.drop_connector(&what);
        }
        // From here on when it was written, and where, is the server's word, too.
        let direct = post.channel.kind == ChannelKind::Direct;
        let report = &Report { text: post.text.clone(), created_ms: post.created_ms, direct, ..report.clone() };
        let answer = self.is_answer(report) || (!post.author.bot && self.jobs.questions.listen_to(report));
        if !answer && let Some(triggered) = self.triggered(post) {
            return self.obey_trigger(report, post, triggered);
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        if let Some(impostor) = attest::impostor(post, policy)
            && let Some(line) = parse::addressed(&post.text, &policy.config.bot.prefix, &policy.bot_name, false)
            && self.is_near(line)
        {
            let what = format!("{impostor}: {}", self.without_secrets(line));
            self.alert(Topic::Impostor, &what)?;
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        let (requester, place) = match attest::check_since(post, said_ms.unwrap_or(0), policy) {
            Verdict::Pass(attested) => attested,
            Verdict::Refuse(Refusal::Stale(age), cause) => return self.stale(report, post, age, &cause),
            Verdict::Refuse(refusal, cause) => return self.refuse(report, refusal, &cause.0, Vec::new()),
        };
        self.set_clock(post.server_ms)?;
        self.see_name(&requester)?;
        let Some(policy) = &self.policy else { return Ok(()) };
        let prefix = policy.config.bot.prefix.clone();
        // Talk that was looked at for a trigger's sake only: it is not counted, and not refused.
        let called = parse::addressed(&post.text, &prefix, &policy.bot_name, place.direct).is_some();
        if !answer && !called && !self.is_subscribed(report) {
            return Ok(self.store.decided(report.post)?);
        }
        let rates = &policy.config.rates;
        if let Verdict::Refuse(refusal, cause) = self.limiter.attested(requester.user, place.channel, rates) {
            return self.refuse(report, refusal, &cause.0, vec![refused_by("rate")]);
        }
        if let Verdict::Refuse(refusal, cause) = ban::check(requester.user, policy, policy.now_ms()) {
            return self.refuse(report, refusal, &cause.0, vec![refused_by("ban")]);
        }
        // What is confided to the bot is an answer to nobody, whoever has asked.
        let confided = self.is_confided(&requester, &post.text)?;
        if confided && answer && !command::is_confiding(&post.text) {
            return self.burn_answer(report, &requester);
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        let signed =
            parse::addressed(&post.text, &prefix, &policy.bot_name, place.direct).is_some_and(approve::is_signed);
        if !confided
            && !signed
            && (self.on_given(report, post, &requester)?
                || self.answers_question(report, post, &requester, &place)?
                || self.runs_subscribed(report, &requester, &place)?)
        {
            return Ok(());
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        let line = parse::addressed(&post.text, &prefix, &policy.bot_name, place.direct).map(str::to_owned);
        if !place.direct && (confided || line.is_some()) {
            self.burn_codes(report, &requester, line.as_deref().unwrap_or(&post.text))?;
        }
        let Some(line) = line.as_deref() else { return Ok(self.store.decided(report.post)?) };
        let Some(policy) = &self.policy else { return Ok(()) };
        // A bang word of ordinary talk, that nobody could have meant for a command, is left alone.
        let called = !post.text.trim_start().starts_with(&prefix) || place.direct;
        if !called && !self.is_near(line) {
            return Ok(self.store.decided(report.post)?);
        }
        match parse::command(&approve::on_one_line(line)) {
            Ok(Some(command)) => self.obey(report, line, command, requester, place),
            // Our name alone, or nothing at all in a direct message: what can be said here?
            Ok(None) => self.answer(report, Vec::new(), help::all(&requester, &place, policy)),
            Err(error) => {
                let error = error.to_string();
                self.refuse(report, Refusal::Unreadable(error.clone()), &error, Vec::new())
            }
        }
    }

    /// It waited too long. Ordinary talk is left alone, and banned people are told what they always are.
    fn stale(&mut self, report: &Report, post: &AttestedPost, age: Duration, cause: &Cause) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let prefix = &policy.config.bot.prefix;
        let line = parse::addressed(&post.text, prefix, &policy.bot_name, report.direct);
        let called = !post.text.trim_start().starts_with(prefix.as_str()) || report.direct;
        if !line.is_some_and(|line| called || self.is_near(line)) {
            return Ok(self.store.decided(report.post)?);
        }
        match ban::check(post.author.id, policy, policy.now_ms()) {
            Verdict::Pass(()) => self.ask_whether_wanted(report, post, age, cause),
            Verdict::Refuse(refusal, cause) => self.refuse(report, refusal, &cause.0, Vec::new()),
        }
    }

    /// Whether the first word is a name that we know.
    pub(crate) fn is_command(&self, line: &str) -> bool {
        let name = line.split_whitespace().next().unwrap_or_default();
        name.parse().is_ok_and(|name| self.config.allowlist.get(&name).is_some()) || Builtin::named(name).is_some()
    }

    /// The same, or close to one.
    fn is_near(&self, line: &str) -> bool {
        if self.is_command(line) {
            return true;
        }
        let name = line.split_whitespace().next().unwrap_or_default();
        let builtins = Builtin::ALL.into_iter().map(Builtin::name);
        self.config.allowlist.nearest(name, |_| true).is_some() || crate::config::nearest(name, builtins).is_some()
    }
}

/// For the log: the gate at which it ended.
fn refused_by(name: &'static str) -> Gate {
    Gate { name, passed: false }
}

/// The time, as far as a post tells: the server's clock may have gone on since it was last asked.
fn claimed_now(report: &Report, policy: &Policy) -> u64 {
    policy.now_ms().max(report.created_ms)
}

/// Whether the connector claimed what the server does not say, about something else than the text.
fn is_lie(report: &Report, post: &AttestedPost) -> bool {
    report.author != post.author.id || report.channel != post.channel.id || report.root != post.root
}
