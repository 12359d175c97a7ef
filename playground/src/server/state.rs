//! Everything the server knows, in memory, behind one lock that is never held across a wait.
//! The rules of each resource are written as methods of [`State`] in that resource's file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::channels::{Channel, Member};
use super::clock::Clock;
use super::faults::Faults;
use super::files::StoredFile;
use super::gateway::Limiter;
use super::groups::Group;
use super::hooks::Hook;
use super::hub::Hub;
use super::ids::new_id;
use super::listen::Links;
use super::options::Options;
use super::posts::Posts;
use super::reactions::Reaction;
use super::statuses::Status;
use super::teams::Team;
use super::timer::Timer;
use super::users::User;

/// What every handler has at hand.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) timer: Timer,
    pub(crate) links: Links,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> std::io::Result<Arc<Shared>> {
        let clock = Clock::default();
        let state = Mutex::new(State::new(clock.now_ms(), options.max_post));
        Ok(Arc::new(Shared { options, clock, timer: Timer::start()?, links: Links::default(), state }))
    }

    /// The state, with its time brought up to now. A panic under the lock is a failed test already; going on
    /// with what is there loses nothing.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = self.clock.now_ms();
        state
    }

    /// Waits until the service time that `pick` names has passed since `arrived`, where there are such times.
    pub(crate) async fn serve(
        &self,
        arrived: Instant,
        pick: impl Fn(&super::options::ServiceTimes) -> std::time::Duration,
    ) {
        if let Some(times) = &self.options.service_times {
            self.timer.until(arrived + pick(times)).await;
        }
    }
}

/// The server's data.
#[derive(Debug)]
pub(crate) struct State {
    /// Milliseconds since 1970 by the server's clock, fresh whenever the lock is taken.
    pub(crate) now: u64,
    pub(crate) max_post: usize,
    pub(crate) team: Team,
    pub(crate) team_members: Vec<String>,
    pub(crate) users: BTreeMap<String, User>,
    /// User ids by token.
    pub(crate) sessions: HashMap<String, String>,
    pub(crate) channels: BTreeMap<String, Channel>,
    /// Members by channel id and user id.
    pub(crate) members: HashMap<String, BTreeMap<String, Member>>,
    pub(crate) posts: Posts,
    /// Reactions by post id, oldest first.
    pub(crate) reactions: HashMap<String, Vec<Reaction>>,
    pub(crate) files: HashMap<String, StoredFile>,
    pub(crate) hooks: HashMap<String, Hook>,
    /// Custom groups; none where the server has no licence for them.
    pub(crate) groups: Option<Vec<Group>>,
    /// Permissions that an administrator took from a role.
    pub(crate) taken: HashSet<(String, String)>,
    /// Values by user id, category and name.
    pub(crate) preferences: BTreeMap<(String, String, String), String>,
    pub(crate) statuses: HashMap<String, Status>,
    /// What became of each `pending_post_id`: a post id (none while it is being saved), and until when it counts.
    pub(crate) pending: HashMap<String, (Option<String>, u64)>,
    /// When to look next for those that count no longer.
    pub(crate) prune_pending_at: u64,
    /// Root posts whose first reply is being saved.
    pub(crate) first_replies: HashSet<String>,
    pub(crate) hub: Hub,
    pub(crate) faults: Faults,
    pub(crate) limiter: Limiter,
    pub(crate) counts: Counts,
}

/// How much a server has been asked, for tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were routed, websocket upgrades included.
    pub requests: u64,
    /// Posts saved, system posts included.
    pub posts: u64,
    /// Answers with a status of 400 and more.
    pub refused: u64,
}

impl State {
    fn new(now: u64, max_post: usize) -> State {
        State {
            now,
            max_post,
            team: Team::new(now),
            team_members: Vec::new(),
            users: BTreeMap::new(),
            sessions: HashMap::new(),
            channels: BTreeMap::new(),
            members: HashMap::new(),
            posts: Posts::default(),
            reactions: HashMap::new(),
            files: HashMap::new(),
            hooks: HashMap::new(),
            groups: Some(Vec::new()),
            taken: HashSet::new(),
            preferences: BTreeMap::new(),
            statuses: HashMap::new(),
            pending: HashMap::new(),
            prune_pending_at: now,
            first_replies: HashSet::new(),
            hub: Hub::default(),
            faults: Faults::default(),
            limiter: Limiter::default(),
            counts: Counts::default(),
        }
    }

    /// Forgets what a new server process would not know. Data and tokens stay.
    pub(crate) fn begin_anew(&mut self) {
        self.hub.forget_all();
        self.pending.clear();
        self.first_replies.clear();
        self.statuses.clear();
    }

    /// A new token for the user, as a personal access token or a log-in gives one.
    pub(crate) fn new_session(&mut self, user_id: &str) -> String {
        let token = new_id();
        self.sessions.insert(token.clone(), user_id.to_owned());
        token
    }

    /// Whose token this is, if it is good: deactivating a user ends all of them.
    pub(crate) fn session(&self, token: &str) -> Option<&User> {
        self.sessions.get(token).and_then(|id| self.users.get(id)).filter(|user| user.delete_at == 0)
    }
}
