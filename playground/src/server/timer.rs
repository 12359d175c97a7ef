//! Waits that end when they should. tokio's timer counts whole milliseconds, and the service times the bench
//! asks for are 2.5 ms; so one thread sleeps in the kernel's high-resolution timer and wakes the waiting tasks.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// What a wake-up costs here, in microseconds, until it has been seen: a task runs this long after it was due.
const WAKE_UP: u64 = 80;

/// More than this is no wake-up any more but a busy machine.
const LONGEST_WAKE_UP: u64 = 400;

/// The handle to the timer's thread, which ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    orders: Sender<Order>,
    /// How much earlier than asked the thread wakes a task, in microseconds: the median of what was late so far.
    lead: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Order {
    at: Instant,
    done: oneshot::Sender<()>,
}

impl Timer {
    /// Starts the thread.
    pub(crate) fn start() -> std::io::Result<Timer> {
        let (orders, inbox) = channel::<Order>();
        std::thread::Builder::new().name("playground-timer".into()).spawn(move || {
            // Without this the kernel may let a sleep run 50 µs over.
            let _ = nix::sys::prctl::set_timerslack(1);
            let mut waiting: BinaryHeap<Order> = BinaryHeap::new();
            loop {
                let now = Instant::now();
                while let Some(order) = waiting.pop_if_due(now) {
                    let _ = order.done.send(());
                }
                let next = match waiting.peek() {
                    Some(order) => inbox.recv_timeout(order.at.saturating_duration_since(now)),
                    None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match next {
                    Ok(order) => waiting.push(order),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Timer { orders, lead: Arc::new(AtomicU64::new(WAKE_UP)) })
    }

    /// Waits until `at`, within some tens of microseconds.
    pub(crate) async fn until(&self, at: Instant) {
        let lead = self.lead.load(Ordering::Relaxed);
        let early = at.checked_sub(Duration::from_micros(lead)).unwrap_or(at);
        if early <= Instant::now() {
            return;
        }
        let (done, woken) = oneshot::channel();
        if self.orders.send(Order { at: early, done }).is_ok() {
            let _ = woken.await;
            let late = Instant::now() > at;
            let lead = if late { lead + 2 } else { lead.saturating_sub(2) };
            self.lead.store(lead.min(LONGEST_WAKE_UP), Ordering::Relaxed);
        }
    }
}

trait PopIfDue {
    fn pop_if_due(&mut self, now: Instant) -> Option<Order>;
}

impl PopIfDue for BinaryHeap<Order> {
    fn pop_if_due(&mut self, now: Instant) -> Option<Order> {
        if self.peek()?.at <= now { self.pop() } else { None }
    }
}

impl PartialEq for Order {
    fn eq(&self, other: &Order) -> bool {
        self.at == other.at
    }
}

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Order) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    /// The earliest order is the greatest, so that the heap gives it first.
    fn cmp(&self, other: &Order) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}
