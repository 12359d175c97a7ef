//! The core's order as the worker takes it (`worker/src/order.rs`): plain paths, no NUL, or refused.

use bartizan_proto::channel::Channel;
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::worker::ToWorker;
use bartizan_worker::order::Job;
use std::fs::File;
use std::os::fd::AsFd;

/// # Panics
/// When an order is taken that asks for what it must not.
pub fn target(data: &[u8]) {
    // What does not decode is the target `messages`; and nobody reads while this is written.
    let Some(message) = frame::decode::<ToWorker>(data).ok().filter(|_| data.len() <= 100_000) else { return };
    let (mut core, mut worker) = Channel::pair().expect("a socket pair");
    let script = File::open("/proc/self/exe").expect("a file");
    core.send_with(&message, &[script.as_fd()]).expect("it fits the socket's buffer");
    let Ok(Some(job)) = Job::receive(&mut worker) else { return };
    let order = &job.order;
    let profile = &order.profile;
    let paths = profile.read.iter().chain(&*profile.write).chain(&*profile.exec).chain([&order.path]);
    for path in paths {
        assert!(path.starts_with('/') && !path.contains('\0'), "{path:?}");
        assert!(!path.split('/').any(|part| part == ".."), "{path:?}");
    }
    assert!(!order.arguments.iter().any(|argument| argument.contains('\0')));
    assert!(order.environment.iter().all(|(name, value)| !name.contains(['=', '\0']) && !value.contains('\0')));
}

/// Orders, and what comes out of turn.
pub fn corpus() -> Vec<Vec<u8>> {
    let order = super::messages::order();
    let mut bare = order.clone();
    bare.arguments = Default::default();
    bare.environment = Default::default();
    let orders = [
        ToWorker::Order(Box::new(order)),
        ToWorker::Order(Box::new(bare)),
        ToWorker::Inspect,
        ToWorker::Probe { network: false },
    ];
    orders.iter().filter_map(|order| Some(frame::encode(order).ok()?[HEADER..].to_vec())).collect()
}
