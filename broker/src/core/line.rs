//! Posts that wait to be attested: each channel in its own order, the channels in turn, so that a flood in one of them makes
//! only that one wait.

use bartizan_proto::connector::Report;
use bartizan_proto::ids::{ChannelId, UserId};
use std::collections::{HashMap, VecDeque};

/// The posts.
#[derive(Debug, Default)]
pub struct Line {
    turns: VecDeque<ChannelId>,
    waiting: HashMap<ChannelId, VecDeque<Report>>,
    count: usize,
}

impl Line {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// How many of this person's wait.
    pub fn of(&self, author: UserId) -> usize {
        self.waiting.values().flatten().filter(|report| report.author == author).count()
    }

    /// After the others of its channel.
    pub fn push_back(&mut self, report: Report) {
        self.channel(report.channel).push_back(report);
    }

    /// Before the others of its channel.
    pub fn push_front(&mut self, report: Report) {
        self.channel(report.channel).push_front(report);
    }

    /// The next one: of the channel whose turn it is.
    pub fn pop(&mut self) -> Option<Report> {
        let channel = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&channel)?;
        let report = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&channel);
        } else {
            self.turns.push_back(channel);
        }
        self.count -= usize::from(report.is_some());
        report
    }

    fn channel(&mut self, channel: ChannelId) -> &mut VecDeque<Report> {
        self.count += 1;
        self.waiting.entry(channel).or_insert_with(|| {
            self.turns.push_back(channel);
            VecDeque::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::inbox::tests::report;

    #[test]
    fn a_flood_in_one_channel_makes_only_that_channel_wait() {
        let mut line = Line::default();
        let of = |channel: char, created_ms| {
            let channel = channel.to_string().repeat(26).parse().expect("id");
            Report { channel, created_ms, ..report('p') }
        };
        for at in 0..100 {
            line.push_back(of('a', at));
        }
        line.push_back(of('b', 100));
        line.push_back(of('b', 101));
        assert_eq!((line.len(), line.of(report('p').author)), (102, 102));
        let order: Vec<u64> = std::iter::from_fn(|| line.pop()).map(|report| report.created_ms).collect();
        assert_eq!(order[..5], [0, 100, 1, 101, 2]);
        assert_eq!((order.len(), line.len()), (102, 0));
        line.push_back(of('a', 7));
        line.push_front(of('a', 6));
        assert_eq!(line.pop().map(|report| report.created_ms), Some(6));
    }
}
