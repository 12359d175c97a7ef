//! Another program in the place of one of the service's: the test plays the process.
//!
//! [`Puppets::instead_of`] makes a directory of programs in which one is `bartizan-puppet`. Each time the launcher starts
//! it, the test's next [`Part`] is played with that process's end of its first channel; when there is no part left, the
//! process becomes the real one.

use super::ground;
use bartizan_playground::server::Server;
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{FromConnector, Report, ToConnector};
use bartizan_proto::{Role, Text, Version};
use std::collections::VecDeque;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// What is done with one process's channel.
pub type Part = Box<dyn FnOnce(Channel) + Send>;

/// A directory of programs with a puppet in it.
#[derive(Debug)]
pub struct Puppets {
    folder: TempDir,
    played: Arc<AtomicUsize>,
}

impl Puppets {
    /// Puts the puppet in the place of this role's program.
    pub fn instead_of(role: Role, parts: Vec<Part>) -> Self {
        let programs = ground::programs();
        let folder = tempfile::Builder::new().prefix("bartizan-puppets-").tempdir_in("/tmp").expect("a directory");
        let name = format!("bartizan-{role}");
        fs::create_dir(folder.path().join("real")).expect("a directory");
        for entry in fs::read_dir(&programs).expect("the programs").flatten() {
            let file = entry.file_name();
            let to = if file == *name { folder.path().join("real").join(&file) } else { folder.path().join(&file) };
            fs::hard_link(entry.path(), to).expect("a link");
        }
        fs::rename(folder.path().join("bartizan-puppet"), folder.path().join(&name)).expect("in its place");
        let listener = UnixListener::bind(folder.path().join("puppets.sock")).expect("a socket");
        let played = Arc::new(AtomicUsize::new(0));
        // The first worker of a service tries the sandbox out, and that one is real.
        let first = (role == Role::Worker).then_some(None);
        let parts: VecDeque<Option<Part>> = first.into_iter().chain(parts.into_iter().map(Some)).collect();
        let (parts, done) = (Mutex::new(parts), Arc::clone(&played));
        std::thread::spawn(move || {
            for process in listener.incoming().flatten() {
                let part = parts.lock().unwrap_or_else(PoisonError::into_inner).pop_front().flatten();
                let done = Arc::clone(&done);
                std::thread::spawn(move || play(process.into(), part, &done));
            }
        });
        Self { folder, played }
    }

    /// The directory.
    pub fn programs(&self) -> &Path {
        self.folder.path()
    }

    /// How many parts have been played to their end.
    pub fn played(&self) -> usize {
        self.played.load(Ordering::SeqCst)
    }
}

fn play(mut process: Channel, part: Option<Part>, done: &AtomicUsize) {
    let Ok(Some((_name, mut fds))) = process.receive_with::<String>() else { return };
    let channel: Option<OwnedFd> = fds.pop();
    let (Some(part), Some(channel)) = (part, channel) else {
        let _gone = process.send(&false);
        return;
    };
    if process.send(&true).is_ok() {
        part(channel.into());
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sends bytes as they are, whatever they are.
pub fn raw(channel: &Channel, mut bytes: &[u8]) {
    use std::os::fd::AsFd;
    while !bytes.is_empty() {
        // A peer that has dropped us is what the test waits for.
        match rustix::net::send(channel.as_fd(), bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Says who it is, without looking at the answer.
pub fn greet(channel: &mut Channel, role: Role) {
    channel.send(&Version::of(role)).expect("the core listens");
}

/// Reads until the other side has closed the channel.
pub fn until_dropped(channel: &Channel) {
    use std::os::fd::AsFd;
    let mut bytes = [0; 4096];
    loop {
        match rustix::net::recv(channel.as_fd(), &mut bytes[..], rustix::net::RecvFlags::empty()) {
            Ok((0, _)) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// A part that ends when the other side has hung up.
pub fn part(play: impl FnOnce(&mut Channel) + Send + 'static) -> Part {
    Box::new(move |mut channel| {
        play(&mut channel);
        until_dropped(&channel);
    })
}

/// A connector that gets as far as reading chat, then does as it likes. Its ends of verbs and carrier are given along.
pub fn connector(play: impl FnOnce(&mut Channel, &mut [Channel; 2]) + Send + 'static) -> Part {
    part(move |channel| {
        channel.greet(Role::Connector, Role::Core).expect("the core");
        let mut ends = None;
        loop {
            match channel.receive_with::<ToConnector>().expect("a frame").expect("open") {
                (ToConnector::Attach, fds) => {
                    ends = <[OwnedFd; 2]>::try_from(fds).ok().map(|fds| fds.map(Channel::from));
                }
                (ToConnector::Start(_), _) => break,
                (ToConnector::Deliver(_) | ToConnector::Listen(_) | ToConnector::Hear(_), _) => {}
            }
        }
        let mut ends = ends.expect("attached before the start");
        for end in &mut ends {
            end.greet(Role::Connector, Role::Egress).expect("egress");
        }
        channel.send(&FromConnector::Connected { resumed: false }).expect("sent");
        play(channel, &mut ends);
    })
}

/// An honest report of a post.
pub fn report_of(server: &Server, channel: &str, id: &str) -> Report {
    let post = server.posts(channel).into_iter().find(|post| post["id"] == *id).expect("it is in that channel");
    let text = |key: &str| post[key].as_str().unwrap_or_default().to_owned();
    Report {
        post: id.parse().expect("an id"),
        channel: text("channel_id").parse().expect("an id"),
        author: text("user_id").parse().expect("an id"),
        root: text("root_id").parse().ok(),
        text: Text::cut(text("message")),
        created_ms: post["create_at"].as_u64().unwrap_or(0),
        direct: false,
        caught_up: false,
        webhook: false,
    }
}
