//! Collects a script's output within a fixed bound, whatever the worker sends.

/// The beginning of the output up to the limit, and its end for those who look on.
#[derive(Debug)]
pub struct Collected {
    head: Vec<u8>,
    tail: Vec<u8>,
    limit: usize,
    total: u64,
}

/// How much of the end is kept for `inspect`, in bytes.
const TAIL: usize = 4096;

impl Collected {
    /// Keeps at most `limit` bytes from the beginning.
    pub fn new(limit: usize) -> Self {
        Self { head: Vec::new(), tail: Vec::new(), limit, total: 0 }
    }

    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let room = self.limit - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// Gives the beginning up: it has been shown. The end stays for those who look on, as `shown` makes of it what may be.
    pub fn forget_head(&mut self, shown: impl FnOnce(&[u8]) -> String) {
        self.head = Vec::new();
        self.tail = shown(self.tail()).into_bytes();
        self.tail.shrink_to_fit();
    }

    /// Whether there is more than the tail has.
    pub fn is_longer_than_its_tail(&self) -> bool {
        self.total > u64::try_from(TAIL).unwrap_or(u64::MAX)
    }

    /// The beginning of the output.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The end of the output.
    pub fn tail(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(TAIL)..]
    }

    /// Bytes that came in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether some of it is not in [`Collected::head`].
    pub fn is_cut(&self, printed: u64) -> bool {
        printed.max(self.total) > u64::try_from(self.head.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabyte_of_output_takes_no_more_memory_than_the_limit_and_a_tail() {
        let mut collected = Collected::new(10_000);
        let piece = vec![b'x'; 32 * 1024];
        for _ in 0..32 * 1024 {
            collected.push(&piece);
        }
        collected.push(b"the end");
        assert_eq!(collected.head().len(), 10_000);
        assert!(collected.tail().ends_with(b"the end") && collected.tail().len() == TAIL);
        assert!(collected.head.capacity() + collected.tail.capacity() < 200_000);
        assert!(collected.is_cut(0));
        collected.forget_head(|tail| String::from_utf8_lossy(tail).replace("the end", "its end"));
        assert!(collected.head.capacity() == 0 && collected.tail().ends_with(b"its end"));
    }
}
