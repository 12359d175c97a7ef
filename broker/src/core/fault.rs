//! Points where the core dies on order, for the tests of crashes. Debug builds in single-user mode only: a release build has
//! none of this, and a setuid one would not look.
//!
//! A file `fault-point` in the state directory names one, `after-commit 3`: the core that starts next takes the file away, and ends
//! without another step when it comes to that point for the third time. With `deadly WORD` the file stays: every core panics
//! that judges a post with that word in it.

#[cfg(debug_assertions)]
use bartizan_proto::control::Mode;
#[cfg(debug_assertions)]
use std::path::Path;

/// Where the core may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A turn was decided, and nothing of it is durable.
    BeforeCommit,
    /// It is durable, and the audit log's file does not have it.
    AfterCommit,
    /// The file has it, and nothing was done about it.
    AfterAudit,
    /// Orders and answers are out, deliveries are not.
    AfterEffects,
    /// Deliveries are handed out.
    AfterDeliveries,
}

#[cfg(debug_assertions)]
impl Point {
    /// All of them, in the order of a turn.
    pub const ALL: [Point; 5] =
        [Point::BeforeCommit, Point::AfterCommit, Point::AfterAudit, Point::AfterEffects, Point::AfterDeliveries];

    /// As the file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Point::BeforeCommit => "before-commit",
            Point::AfterCommit => "after-commit",
            Point::AfterAudit => "after-audit",
            Point::AfterEffects => "after-effects",
            Point::AfterDeliveries => "after-deliveries",
        }
    }
}

/// Where this core is to die, if anywhere.
#[derive(Debug, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    armed: std::cell::Cell<Option<(Point, u32)>>,
    #[cfg(debug_assertions)]
    deadly: Option<String>,
}

impl Faults {
    /// What the file orders.
    #[cfg(debug_assertions)]
    pub(crate) fn read(state: &Path, mode: Mode) -> Self {
        let path = state.join("fault-point");
        let text = match mode {
            Mode::SingleUser => std::fs::read_to_string(&path).unwrap_or_default(),
            Mode::Setuid | Mode::Systemd => String::new(),
        };
        let mut words = text.split_whitespace();
        if let Some(word) = text.trim().strip_prefix("deadly ") {
            return Self { deadly: Some(word.to_owned()), ..Self::default() };
        }
        let point = words.next().and_then(|name| Point::ALL.into_iter().find(|point| point.as_str() == name));
        let count = words.next().and_then(|count| count.parse().ok()).unwrap_or(1);
        if !text.is_empty() {
            tracing::warn!(?point, count, "a fault was ordered for a test");
            let _gone_already = std::fs::remove_file(&path);
        }
        Self { armed: std::cell::Cell::new(point.map(|point| (point, count))), deadly: None }
    }

    /// The core is at a point. Where it is to die there, this does not return.
    #[cfg(debug_assertions)]
    pub(crate) fn at(&self, point: Point) {
        if let Some((armed, count)) = self.armed.get().filter(|(armed, _)| *armed == point) {
            if count <= 1 {
                tracing::warn!(?point, "dying on order");
                std::process::exit(137);
            }
            self.armed.set(Some((armed, count - 1)));
        }
    }

    /// A post is judged.
    #[cfg(debug_assertions)]
    pub(crate) fn judging(&self, text: &str) {
        if let Some(word) = self.deadly.as_ref().filter(|word| text.contains(word.as_str())) {
            panic!("the word {word} was ordered to be deadly, for a test");
        }
    }

    /// Nothing: there are no faults in a release build.
    #[cfg(not(debug_assertions))]
    pub(crate) fn at(&self, _point: Point) {}

    /// Nothing either.
    #[cfg(not(debug_assertions))]
    pub(crate) fn judging(&self, _text: &str) {}
}
