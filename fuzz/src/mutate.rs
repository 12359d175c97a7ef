//! New inputs from old ones: bytes, pieces, lengths, and words that readers like these have stumbled over.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Longest input that is made.
const MAX: usize = 256 * 1024;

/// Put in as they are.
const WORDS: &[&[u8]] = &[
    // JSON and TOML.
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[",
    b"{\"",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\n",
    b",",
    b":",
    b"=",
    b"[[",
    b"\"\"\"",
    b"#",
    b"-1",
    b"-0",
    b"0.1",
    b"1e999",
    b"NaN",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    // bincode lengths: 251 announces 2 bytes, 252 4 bytes, 253 8 bytes.
    b"\xfb\xff\xff",
    b"\xfc\xff\xff\xff\x7f",
    b"\xfd\x00\x00\x00\x00\x00\x00\x00\x10",
    b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff",
    // Frame lengths.
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x00\x00\x11\x00",
    b"\x01\x00\x11\x00",
    // Websocket.
    b"\x81\x7e\xff\xff",
    b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x89\x80\x00\x00\x00\x00",
    b"\x88\x00",
    b"\x01\x00",
    b"\x80\x00",
    // Markdown and terminals.
    b"```",
    b"~~~",
    b"`",
    b"@all",
    b"@channel",
    b"![x](http://h/i.png)",
    b":smile:",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b"\0",
    b"\x1b[31m",
    b"\x1b]0;x\x07",
    b"\x1bP",
    b"\x1b\\",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\xf3\xa0\x80\xa0",
    // UTF-8 that is none.
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x80",
    // Command lines, paths, patterns.
    b"!",
    b"!run ",
    b"--",
    b"--x",
    b"=",
    b"'",
    b"\\ ",
    b"\xe2\x80\x9c",
    b"\xe2\x80\x94",
    b"../",
    b"/",
    b"(?:",
    b"){9999}",
    b".*",
    b"$(x)",
    b"\xf0\x9f\x98\x80",
    b"\xe6\x97\xa5",
    b" ",
    b"from_bot",
    b"[..]",
    b"[x=",
    b"within 1s",
];

/// One input from one or two of the corpus.
pub fn mutate(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = corpus.choose(random).cloned().unwrap_or_default();
    for _ in 0..1 << random.random_range(0..5) {
        step(&mut bytes, corpus, random);
        bytes.truncate(MAX);
    }
    bytes
}

fn step(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=bytes.len());
    match random.random_range(0..12) {
        // A bit, a byte.
        0 | 1 => change(bytes, at, |byte| byte ^ 1 << (at % 8)),
        2 => {
            let new = random.random();
            change(bytes, at, |_| new);
        }
        3 => change(bytes, at, |byte| byte.wrapping_add(1)),
        4 => change(bytes, at, |byte| byte.wrapping_sub(1)),
        // Less.
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(piece(bytes.len(), random))),
        // More: of itself, of another, a word, the same again and again.
        7 => {
            let copy = bytes[piece(bytes.len(), random)].to_vec();
            insert(bytes, at, &copy);
        }
        8 => {
            let other = corpus.choose(random).cloned().unwrap_or_default();
            insert(bytes, at, &other[piece(other.len(), random)]);
        }
        9 | 10 => insert(bytes, at, WORDS.choose(random).copied().unwrap_or_default()),
        _ => {
            let word = WORDS.choose(random).copied().unwrap_or_default();
            insert(bytes, at, &word.repeat(1 << random.random_range(0..12)));
        }
    }
}

fn change(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    drop(bytes.splice(at..at, new.iter().copied()));
}

/// A piece of something of this length: mostly a short one.
fn piece(length: usize, random: &mut StdRng) -> std::ops::Range<usize> {
    let start = random.random_range(0..=length);
    let longest = if random.random_bool(0.8) { 16 } else { length };
    start..random.random_range(start..=length.min(start + longest))
}
