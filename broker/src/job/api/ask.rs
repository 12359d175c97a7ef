//! `ask`: a question of a running job, in its thread; elsewhere and of others, see [`super::ask_others`]. The answer is a post that egress attested, like every command: what the
//! connector claims is only where to look. In a channel it is written in the job's thread, in a direct message anywhere; `-`
//! cancels, `=` is the default, and what begins with the prefix stays a command.

use super::ask_others::may_answer;
use super::refused;
use crate::command::jobs::may_see;
use crate::command::parse;
use crate::core::{Core, CoreError, TOLERANCE_MS, Timer};
use crate::policy::{Place, Requester};
use crate::store::jobs::Actor;
use crate::store::now_ms;
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::{Body, Listen, Report};
use bartizan_proto::egress::AttestedPost;
use bartizan_proto::ids::{ChannelId, JobId, PostId, UserId};
use bartizan_proto::script::{Answer, Call};
use bartizan_proto::text::escape;
use bartizan_proto::worker::CallId;
use regex::{Regex, RegexBuilder};
use std::time::Duration;

/// Most questions that are open.
const MOST_OPEN: usize = 50;
/// The longest that a question waits.
const LONGEST: u32 = 24 * 3600;
/// After so many answers that do not fit, the question is over.
const MOST_WRONG: u32 = 5;

/// Questions that are open.
#[derive(Debug, Default)]
pub struct Questions(Vec<Question>);

/// A question that is open, or will be when it stands somewhere.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) job: JobId,
    pub(super) call: CallId,
    /// Its thread. None as long as a post of its own is not there.
    pub(super) thread: Option<(ChannelId, PostId)>,
    pub(super) direct: bool,
    /// Who is asked.
    pub(super) user: UserId,
    pub(super) anybody: bool,
    /// Where it has a post of its own: what that says, in the end too.
    pub(super) own: Option<Own>,
    choices: Vec<String>,
    pattern: Option<Regex>,
    default: Option<String>,
    /// What is taken, for people, as it may be shown.
    pub(super) wanted: String,
    wrong: u32,
    since_ms: u64,
    /// What is asked, as it may be shown.
    pub(super) text: String,
    pub(super) wait: Duration,
}

/// A question's own post.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) post: Option<PostId>,
    /// The part that stays.
    pub(super) head: String,
    /// The channel, and the thread in it; a direct message where there is none.
    pub(super) goal: Option<(ChannelId, Option<PostId>)>,
}

impl Question {
    /// What an answer stands for.
    fn read(&self, text: &str) -> Option<String> {
        let text = match (text, &self.default) {
            ("=", Some(default)) => return Some(default.clone()),
            ("=", None) => return None,
            (text, _) => text,
        };
        if !self.choices.is_empty() {
            return self.choices.iter().find(|choice| choice.eq_ignore_ascii_case(text)).cloned();
        }
        match &self.pattern {
            Some(pattern) => pattern.is_match(text).then(|| text.to_owned()),
            None => Some(text.to_owned()),
        }
    }
}

impl Questions {
    /// Where it is listened, to whom: to everybody where there is no person.
    pub(crate) fn threads(&self) -> impl Iterator<Item = Listen> {
        self.0.iter().filter_map(|question| {
            let (channel, root) = question.thread?;
            Some(Listen { channel, root, user: (!question.anybody).then_some(question.user) })
        })
    }

    /// Whether a post there may be an answer, before anybody has attested it.
    pub(crate) fn listen_to(&self, report: &Report) -> bool {
        let asked = |at: usize| self.0.get(at).is_some_and(|open| open.anybody || open.user == report.author);
        self.find(report.channel, report.root, report.direct).is_some_and(asked)
    }

    pub(super) fn find(&self, channel: ChannelId, root: Option<PostId>, direct: bool) -> Option<usize> {
        self.0.iter().position(|question| {
            let Some((own_channel, own_root)) = question.thread else { return false };
            own_channel == channel && (root == Some(own_root) || (direct && question.direct))
        })
    }

    /// Whether a question of that job, or of that call alone, is open.
    pub(super) fn at(&self, job: JobId, call: Option<CallId>) -> Option<usize> {
        self.0.iter().position(|open| open.job == job && call.is_none_or(|call| call == open.call))
    }

    pub(super) fn of(&mut self, job: JobId, call: CallId) -> Option<&mut Question> {
        self.0.iter_mut().find(|open| open.job == job && open.call == call)
    }

    /// In a direct message what comes next is an answer: of one person one question.
    pub(super) fn is_asked_directly(&self, user: UserId, but: JobId) -> bool {
        self.0.iter().any(|open| open.direct && open.user == user && open.job != but)
    }

    pub(super) fn push(&mut self, question: Question) {
        self.0.push(question);
    }
}

impl Core {
    /// A question as the script wants it, checked. `Err` is for the script.
    pub(super) fn read_question(&self, job: JobId, call: CallId, what: Call) -> Result<Question, String> {
        let Call::Ask { question, anybody, choices, pattern, default, seconds, user: _, place: _ } = what else {
            return Err("not a question".to_owned());
        };
        let Some(entry) = self.jobs.all.get(&job) else { return Err("no such job".to_owned()) };
        if self.jobs.questions.at(job, None).is_some() {
            return Err("this job has a question open already".to_owned());
        }
        if self.jobs.questions.0.len() >= MOST_OPEN {
            return Err("too many questions are open; try again".to_owned());
        }
        let intent = &entry.intent;
        let pattern = match pattern.is_empty() {
            true => None,
            false => match RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(256 * 1024).nest_limit(50).build()
            {
                Ok(regex) => Some((regex, pattern.to_string())),
                Err(_) => return Err("the pattern is no regular expression, or too large".to_owned()),
            },
        };
        let text = entry.cleaned(&question);
        if text.trim().is_empty() {
            return Err("there is nothing to ask".to_owned());
        }
        let choices: Vec<String> =
            choices.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let default = default.map(Text::into_string);
        // Masked before it is made markdown of, which may change its characters.
        let clean = |text: &str| entry.cleaned(text);
        let (choices_shown, default_shown) =
            (choices.iter().map(|one| clean(one)).collect::<Vec<_>>(), default.as_deref().map(clean));
        let pattern_shown = pattern.as_ref().map(|(_, text)| clean(text));
        let lines: Vec<String> = text.trim().lines().map(escape).collect();
        Ok(Question {
            job,
            call,
            thread: Some((intent.channel, intent.root)),
            direct: intent.direct,
            user: intent.user,
            // Of a job that nobody asked for, whoever may see it.
            anybody: anybody || intent.actor != Actor::Person,
            own: None,
            wanted: words::wanted_answer(&choices_shown, pattern_shown.as_deref(), default_shown.as_deref()),
            choices,
            pattern: pattern.map(|(regex, _)| regex),
            default,
            wrong: 0,
            since_ms: self.policy.as_ref().map_or_else(now_ms, crate::policy::Policy::now_ms),
            text: lines.join("\n"),
            wait: Duration::from_secs(seconds.clamp(1, LONGEST).into()),
        })
    }

    /// What `ask` says in the job's thread; from then on the question is open. `Err` is for the script.
    pub(super) fn open_question(
        &mut self,
        job: JobId,
        call: CallId,
        what: Call,
    ) -> Result<Result<Body, String>, CoreError> {
        let asked = match self.read_question(job, call, what) {
            Ok(asked) => asked,
            Err(why) => return Ok(Err(why)),
        };
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(Err("no such job".to_owned())) };
        let intent = &entry.intent;
        let (channel, root) = (intent.channel, intent.root);
        let taken = self.jobs.questions.find(channel, Some(root), intent.direct).is_some()
            || (intent.direct && self.jobs.questions.is_asked_directly(intent.user, job));
        if taken {
            return Ok(Err("another job has a question open in this place; try again".to_owned()));
        }
        let to = match intent.direct || asked.anybody {
            true => String::new(),
            false => words::addressed(&intent.user_name),
        };
        let body = words::question(&to, &asked.text, &asked.wanted, asked.wait, intent.direct);
        self.timers.after(asked.wait, Timer::Asked(job, call));
        self.jobs.questions.push(asked);
        self.listen()?;
        Ok(Ok(Body::Markup(Text::cut(body))))
    }

    /// Its time is over.
    pub(crate) fn asked_in_vain(&mut self, job: JobId, call: CallId) -> Result<(), CoreError> {
        match self.jobs.questions.at(job, Some(call)) {
            Some(at) => self.question_over(at, Answer::Nothing(Text::cut("nobody answered in time")), words::NO_ANSWER),
            None => Ok(()),
        }
    }

    /// Who asked is gone, or the whole job.
    pub(super) fn question_dropped(&mut self, job: JobId, call: Option<CallId>) -> Result<(), CoreError> {
        let Some(at) = self.jobs.questions.at(job, call) else { return Ok(()) };
        self.close_question(at, words::ASKED_NO_MORE).map(drop)
    }

    /// It is answered, or will never be. `end` is what its own post says then.
    pub(super) fn question_over(&mut self, at: usize, answer: Answer, end: &str) -> Result<(), CoreError> {
        let question = self.close_question(at, end)?;
        self.answer_call(question.job, question.call, answer)
    }

    fn close_question(&mut self, at: usize, end: &str) -> Result<Question, CoreError> {
        let question = self.jobs.questions.0.remove(at);
        self.timers.cancel(&Timer::Asked(question.job, question.call));
        if let Some(Own { post: Some(post), head, .. }) = &question.own {
            self.edit_protected(*post, &words::question_ended(head, end))?;
        }
        self.listen()?;
        Ok(question)
    }

    /// Whether an attested post answers a question, and is done with. Its author is neither banned nor too fast.
    pub(crate) fn answers_question(
        &mut self,
        report: &Report,
        post: &AttestedPost,
        requester: &Requester,
        place: &Place,
    ) -> Result<bool, CoreError> {
        let Some(policy) = &self.policy else { return Ok(false) };
        let Some(at) = self.jobs.questions.find(place.channel, post.root, place.direct) else { return Ok(false) };
        let prefix = policy.config.bot.prefix.as_str();
        let text = post.text.trim();
        if !prefix.is_empty() && text.starts_with(prefix) {
            return Ok(false);
        }
        let text = parse::addressed(text, prefix, &policy.bot_name, place.direct).unwrap_or(text).trim().to_owned();
        let Some(question) = self.jobs.questions.0.get(at) else { return Ok(false) };
        // Whom somebody else's job asks in a direct message goes on giving commands there.
        let in_thread = question.thread.is_some_and(|(_, root)| post.root == Some(root));
        let is_choice = question.choices.iter().any(|choice| choice.eq_ignore_ascii_case(&text));
        if question.own.is_some() && !in_thread && !is_choice && self.is_command(&text) {
            return Ok(false);
        }
        let job = question.job;
        let may = match self.jobs.all.get(&job) {
            Some(entry) if question.own.is_some() => {
                (question.anybody || question.user == requester.user)
                    && may_answer(&entry.intent.script, requester, policy)
            }
            Some(entry) if question.anybody => may_see(&entry.into(), requester, place, policy),
            Some(_) => question.user == requester.user,
            None => false,
        };
        if !may || post.created_ms.saturating_add(TOLERANCE_MS) < question.since_ms {
            return Ok(false);
        }
        let (answer, wanted, wrong) = (question.read(&text), question.wanted.clone(), question.wrong + 1);
        self.record_decision(report, &format!("(answers job {job})"), None, Vec::new());
        self.store.decided(report.post)?;
        if text == "-" {
            let why = format!("cancelled by {}", requester.name);
            self.question_over(at, Answer::Nothing(Text::cut(why)), &words::cancelled_by(&requester.name))?;
            return Ok(true);
        }
        match answer {
            Some(answer) => {
                self.question_over(at, Answer::Value(Text::cut(answer)), &words::answered_by(&requester.name))?;
            }
            None => {
                if wrong >= MOST_WRONG {
                    self.question_over(at, refused("the answers did not fit"), words::NO_ANSWER)?;
                } else {
                    if let Some(question) = self.jobs.questions.0.get_mut(at) {
                        question.wrong = wrong;
                    }
                    self.reply_to(report, words::does_not_fit(&wanted))?;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: std::str::FromStr>(letter: char) -> T
    where
        T::Err: std::fmt::Debug,
    {
        letter.to_string().repeat(26).parse().expect("an id")
    }

    fn question(choices: &[&str], pattern: Option<&str>, default: Option<&str>) -> Question {
        Question {
            job: JobId(1),
            call: CallId(1),
            thread: Some((id('c'), id('r'))),
            direct: false,
            user: id('u'),
            anybody: false,
            own: None,
            choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
            pattern: pattern.map(|pattern| Regex::new(&format!("^(?:{pattern})$")).expect("a regex")),
            default: default.map(str::to_owned),
            wanted: String::new(),
            wrong: 0,
            since_ms: 0,
            text: String::new(),
            wait: Duration::from_secs(1),
        }
    }

    #[test]
    fn an_answer_is_one_of_the_choices_or_matches_whole_or_is_the_default() {
        let yes = question(&["yes", "no"], None, Some("no"));
        assert_eq!(yes.read("YES").as_deref(), Some("yes"));
        assert_eq!(yes.read("=").as_deref(), Some("no"));
        assert_eq!(yes.read("yes please"), None);
        let number = question(&[], Some("[0-9]+"), None);
        assert_eq!(number.read("12").as_deref(), Some("12"));
        assert_eq!((number.read("12a"), number.read("=")), (None, None));
        assert_eq!(question(&[], None, None).read("anything").as_deref(), Some("anything"));
    }

    #[test]
    fn only_the_thread_of_the_question_is_listened_to_and_in_a_direct_message_all_of_it() {
        let mut open = Questions(vec![question(&[], None, None)]);
        assert!(open.find(id('c'), Some(id('r')), false).is_some());
        assert!(open.find(id('c'), None, false).is_none());
        assert!(open.find(id('c'), Some(id('x')), false).is_none());
        assert!(open.find(id('d'), Some(id('r')), false).is_none());
        open.0[0].direct = true;
        assert!(open.find(id('c'), None, true).is_some());
    }
}
