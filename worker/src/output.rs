//! The script's output: read as it comes, in order, handed on up to a limit, counted whole.

use bartizan_proto::Bytes;
use bartizan_proto::limits::MAX_OUTPUT_CHUNK;
use rustix::io::Errno;
use std::os::fd::AsFd;

/// What has been printed so far.
#[derive(Debug)]
pub(crate) struct Output {
    /// Most bytes handed on.
    limit: u64,
    /// Bytes read.
    seen: u64,
    buffer: Box<[u8]>,
}

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes to hand on.
    Bytes(Bytes<MAX_OUTPUT_CHUNK>),
    /// Bytes over the limit: counted and dropped.
    Dropped,
    /// Nothing now.
    Nothing,
    /// Nobody can write any more.
    End,
}

impl Output {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, seen: 0, buffer: vec![0; MAX_OUTPUT_CHUNK].into_boxed_slice() }
    }

    /// One read from the pipe, which does not block.
    pub(crate) fn read<Fd: AsFd>(&mut self, pipe: Fd) -> Piece {
        let read = match rustix::io::read(pipe, &mut *self.buffer) {
            Ok(0) => return Piece::End,
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Piece::Nothing,
            // A pipe has no other error; if it had, nothing more would come.
            Err(_) => return Piece::End,
        };
        let left = usize::try_from(self.limit.saturating_sub(self.seen)).unwrap_or(usize::MAX);
        self.seen += read as u64;
        match left.min(read) {
            0 => Piece::Dropped,
            kept => Bytes::new(&self.buffer[..kept]).map_or(Piece::Dropped, Piece::Bytes),
        }
    }

    /// All bytes printed, also the dropped ones.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_over_the_limit_is_counted_and_dropped() {
        let (pipe, mut writer) = std::io::pipe().expect("pipe");
        let mut output = Output::new(5);
        writer.write_all(b"1234567").expect("write");
        assert_eq!(output.read(&pipe), Piece::Bytes(Bytes::new(*b"12345").expect("short")));
        writer.write_all(b"89").expect("write");
        assert_eq!(output.read(&pipe), Piece::Dropped);
        drop(writer);
        assert_eq!(output.read(&pipe), Piece::End);
        assert_eq!(output.seen(), 9);
    }
}
