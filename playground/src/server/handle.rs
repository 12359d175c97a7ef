//! The server from the side of whoever started it: what may be done to it, and what may be seen of it, without
//! going through HTTP.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::channels::Kind as ChannelKind;
use super::faults::{Aim, Fault};
use super::hub::Outgoing;
use super::options::Options;
use super::posts::Post;
use super::run::{Command, Place, run};
use super::state::{Counts, Shared, State};
use super::tls;
use super::users::UserOptions;
use crate::cast::{self, Bot, Named, ServerFile, User};

/// The administrator that made the team; not one of the cast.
const ADMINISTRATOR: &str = "sysadmin";

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    url: String,
    ca_pem: Option<String>,
    file: ServerFile,
    commands: UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server with the fixed cast in it; when this returns, it listens.
    ///
    /// # Errors
    /// When the address cannot be taken, or a thread or certificate not made.
    pub fn start(options: Options) -> io::Result<Server> {
        let (acceptor, ca_pem) = match options.tls {
            true => tls::acceptor().map(|(acceptor, pem)| (Some(acceptor), Some(pem)))?,
            false => (None, None),
        };
        let shared = Shared::new(options)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (place, listener) = {
            let _inside = runtime.enter();
            let place = Place::take(shared.options.listen)?;
            let listener = place.listen()?;
            (place, listener)
        };
        let scheme = if ca_pem.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", place.address());
        let file = set_up(&mut shared.lock(), url.clone(), ca_pem.clone());
        let (commands, inbox) = tokio::sync::mpsc::unbounded_channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("playground-server".into()).spawn(move || {
            if let Err(error) = runtime.block_on(run(served, place, listener, acceptor, inbox)) {
                tracing::error!(%error, "the playground's server ended");
            }
            runtime.shutdown_background();
        })?;
        Ok(Server { shared, url, ca_pem, file, commands, thread: Some(thread) })
    }

    /// The base address, without a trailing slash.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The test CA's certificate, where the server speaks TLS.
    pub fn ca_pem(&self) -> Option<String> {
        self.ca_pem.clone()
    }

    /// The fixed cast: the team, its channels and people and the bot, with tokens.
    pub fn file(&self) -> ServerFile {
        self.file.clone()
    }

    /// Ends the server and waits for it.
    pub fn stop(self) {
        drop(self);
    }

    /// Ends every connection without a word, refuses new ones for about 2 s, then serves again. Data and tokens
    /// stay, what sockets had still to hear is gone. Returns when nobody can connect any more.
    pub fn restart(&self) {
        let (begun, wait) = mpsc::sync_channel(1);
        if self.commands.send(Command::Restart(begun)).is_ok() {
            let _ = wait.recv_timeout(Duration::from_secs(10));
        }
    }

    /// Lets a fault happen to the bot.
    pub fn fault(&self, fault: Fault) {
        self.fault_at(&Aim::default(), fault);
    }

    /// Lets a fault happen to somebody else, or only to some requests.
    pub fn fault_at(&self, aim: &Aim, fault: Fault) {
        let mut state = self.shared.lock();
        let Some(user_id) = state.id_of(aim.user.as_deref().unwrap_or(cast::BOT)) else { return };
        if !fault.is_immediate() {
            state.faults.arm(user_id, aim.route.clone(), fault);
            return;
        }
        for socket in state.hub.sockets(&user_id) {
            match &fault {
                Fault::HalfOpen => socket.link.freeze(),
                Fault::CloseSocket => socket.link.cut(),
                Fault::Text { text } => state.hub.push(socket.serial, Outgoing::Reply(text.clone())),
                Fault::Garbage { bytes } => {
                    socket.link.inject(bytes);
                    state.hub.push(socket.serial, Outgoing::Ping);
                }
                // The rest waits for its event or request, above.
                _ => {}
            }
        }
    }

    /// Moves the server's clock forward.
    pub fn clock_advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Ends every token of a user. Open sockets stay, as on the real server.
    pub fn revoke_token(&self, user: &str) {
        let mut state = self.shared.lock();
        if let Some(id) = state.id_of(user) {
            state.sessions.retain(|_, user_id| *user_id != id);
        }
    }

    /// A new token for a user; none if there is no such user.
    pub fn new_token(&self, user: &str) -> Option<String> {
        let mut state = self.shared.lock();
        let id = state.id_of(user)?;
        Some(state.new_session(&id))
    }

    /// A token of the system administrator, who is not one of the cast.
    pub fn admin_token(&self) -> String {
        self.new_token(ADMINISTRATOR).unwrap_or_default()
    }

    /// Makes an account, in the team and in every channel of the cast unless it is to stay outside.
    pub fn add_user(&self, username: &str, options: UserOptions) -> User {
        let mut state = self.shared.lock();
        let id = state.add_user(username, options);
        if !options.outside {
            for channel_id in self.file.channels.values() {
                state.put_member(channel_id, &id);
            }
        }
        let token = state.new_session(&id);
        User { id, token }
    }

    /// Gives an account another username; false if the name is taken or nobody has the old one.
    pub fn rename_user(&self, from: &str, to: &str) -> bool {
        let mut state = self.shared.lock();
        let Some(id) = state.id_of(from) else { return false };
        state.rename_user(&id, to).is_ok()
    }

    /// Deactivates an account: its tokens end.
    pub fn deactivate(&self, user: &str) {
        let mut state = self.shared.lock();
        if let Some(id) = state.id_of(user) {
            state.deactivate(&id);
        }
    }

    /// Makes a channel in the team with these people in it, and returns its id.
    pub fn add_channel(&self, name: &str, kind: ChannelKind, members: &[&str]) -> String {
        let mut state = self.shared.lock();
        let creator = state.id_of(ADMINISTRATOR).unwrap_or_default();
        let id = state.add_channel(name, kind, &creator);
        for member in members {
            if let Some(user_id) = state.id_of(member) {
                state.put_member(&id, &user_id);
            }
        }
        id
    }

    /// Adds somebody to a channel, as the administrator.
    pub fn add_member(&self, user: &str, channel: &str) {
        let mut state = self.shared.lock();
        if let Some((user, channel, by)) = state.three(user, channel) {
            state.add_member(&channel, &user, &by);
        }
    }

    /// Removes somebody from a channel, as the administrator.
    pub fn remove_member(&self, user: &str, channel: &str) {
        let mut state = self.shared.lock();
        if let Some((user, channel, by)) = state.three(user, channel) {
            state.remove_member(&channel, &user, &by);
        }
    }

    /// Makes a custom group, or says who is in it from now on. No members at all: there is no such group.
    pub fn set_group(&self, name: &str, members: &[&str]) {
        self.shared.lock().set_group(name, members);
    }

    /// Takes a permission from a role, as an administrator does in the system console.
    pub fn take_permission(&self, role: &str, permission: &str) {
        self.shared.lock().taken.insert((role.to_owned(), permission.to_owned()));
    }

    /// Takes the licence for groups away.
    pub fn without_groups(&self) {
        self.shared.lock().groups = None;
    }

    /// Makes an incoming webhook of `owner`'s for a channel and returns its path, `/hooks/ID`.
    pub fn create_webhook(&self, owner: &str, channel: &str) -> Option<String> {
        let mut state = self.shared.lock();
        let (owner, channel, _) = state.three(owner, channel)?;
        Some(format!("/hooks/{}", state.add_hook(&owner, &channel, "hook")))
    }

    /// Posts as a user, without HTTP, and returns the post's id. Nothing is checked.
    pub fn say(&self, user: &str, channel: &str, message: &str) -> Option<String> {
        let mut state = self.shared.lock();
        let (user_id, channel_id, _) = state.three(user, channel)?;
        let view = state.save(Post { user_id, channel_id, message: message.to_owned(), ..Post::default() }, "");
        Some(view.id)
    }

    /// Answers in a thread as a user, without HTTP, and returns the post's id. Nothing is checked.
    pub fn say_in(&self, user: &str, root_id: &str, message: &str) -> Option<String> {
        let mut state = self.shared.lock();
        let channel_id = state.posts.alive(root_id)?.channel_id.clone();
        let user_id = state.id_of(user)?;
        let (message, root_id) = (message.to_owned(), root_id.to_owned());
        let view = state.save(Post { user_id, channel_id, root_id, message, ..Post::default() }, "");
        Some(view.id)
    }

    /// The posts of a channel (by name or id) as the API shows them, oldest first, without deleted ones.
    pub fn posts(&self, channel: &str) -> Vec<Value> {
        let state = self.shared.lock();
        let Some(id) = state.channel_id(channel) else { return Vec::new() };
        let alive = state.posts.of_channel(&id).filter(|post| post.delete_at == 0);
        alive.filter_map(|post| serde_json::to_value(state.view(post, state.reply_count(post), "")).ok()).collect()
    }

    /// The replies under a post as the API shows them, oldest first.
    pub fn replies(&self, root_id: &str) -> Vec<Value> {
        let state = self.shared.lock();
        let alive = state.posts.replies(root_id).filter(|post| post.delete_at == 0);
        alive.filter_map(|post| serde_json::to_value(state.view(post, 0, "")).ok()).collect()
    }

    /// The reactions under a post: username and emoji.
    pub fn reactions(&self, post_id: &str) -> Vec<(String, String)> {
        let state = self.shared.lock();
        let all = state.reactions_of(post_id).iter();
        all.map(|one| (state.username(&one.user_id), one.emoji_name.clone())).collect()
    }

    /// Reacts as a user, without HTTP. Nothing is checked but that there is such a user and post.
    pub fn react(&self, user: &str, post_id: &str, emoji: &str) -> bool {
        let mut state = self.shared.lock();
        let Some(user_id) = state.id_of(user).filter(|_| state.posts.alive(post_id).is_some()) else { return false };
        state.react(&user_id, post_id, emoji);
        true
    }

    /// Takes a reaction back, without HTTP.
    pub fn unreact(&self, user: &str, post_id: &str, emoji: &str) -> bool {
        let mut state = self.shared.lock();
        let Some(user_id) = state.id_of(user) else { return false };
        state.unreact(&user_id, post_id, emoji);
        true
    }

    /// The direct channel of two people, made if there is none.
    pub fn direct_channel(&self, one: &str, other: &str) -> Option<String> {
        let mut state = self.shared.lock();
        let (one, other) = (state.id_of(one)?, state.id_of(other)?);
        Some(state.direct_channel(&one, &other))
    }

    /// How many sockets a user has open.
    pub fn sockets(&self, user: &str) -> usize {
        let state = self.shared.lock();
        state.id_of(user).map_or(0, |id| state.hub.sockets(&id).len())
    }

    /// Waits until a user has a socket open; false when it takes too long.
    pub fn wait_for_socket(&self, user: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        while self.sockets(user) == 0 {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// How much has been asked so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn id_of(&self, username: &str) -> Option<String> {
        self.user_named(username).map(|user| user.id.clone())
    }

    /// A channel by name or id.
    fn channel_id(&self, channel: &str) -> Option<String> {
        self.channels.values().find(|one| one.name == channel || one.id == channel).map(|one| one.id.clone())
    }

    /// A user's id, a channel's and the administrator's.
    fn three(&self, user: &str, channel: &str) -> Option<(String, String, String)> {
        Some((self.id_of(user)?, self.channel_id(channel)?, self.id_of(ADMINISTRATOR)?))
    }
}

fn set_up(state: &mut State, url: String, ca_pem: Option<String>) -> ServerFile {
    let admin = state.add_user(ADMINISTRATOR, UserOptions { admin: true, ..UserOptions::default() });
    let bot = state.add_user(cast::BOT, UserOptions { bot: true, ..UserOptions::default() });
    let people: Vec<(String, String)> =
        cast::PEOPLE.map(|name| (name.to_owned(), state.add_user(name, UserOptions::default()))).into();
    let mut channels = BTreeMap::new();
    for name in cast::CHANNELS {
        let id = state.add_channel(name, ChannelKind::Open, &admin);
        for member in people.iter().map(|(_, id)| id).chain([&bot]) {
            state.put_member(&id, member);
        }
        channels.insert(name.to_owned(), id);
    }
    let (name, members) = cast::GROUP;
    state.set_group(name, &members);
    let users = people.into_iter().map(|(name, id)| {
        let token = state.new_session(&id);
        (name, User { id, token })
    });
    let users = users.collect();
    ServerFile {
        url,
        team: Named { name: state.team.name.clone(), id: state.team.id.clone() },
        channels,
        users,
        bot: Bot { name: cast::BOT.to_owned(), token: state.new_session(&bot), id: bot },
        ca_pem,
    }
}
