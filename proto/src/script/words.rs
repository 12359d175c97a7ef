//! The form of a message between a script and its worker: a length, then words with their lengths. Simple enough for any
//! language, and every length is bounded before anything is allocated.

use super::{AskedIn, Scope};
use crate::bounded::Text;
use crate::card::Colour;
use crate::ids::MemoryKey;
use crate::limits::{MAX_CALL, MAX_WORDS};
use std::str::FromStr;

/// Not a call. The script that sent it is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// Longer than [`MAX_CALL`].
    #[error("a call of {0} bytes is over the limit of {MAX_CALL}")]
    TooLarge(usize),
    /// The lengths do not fit one another.
    #[error("the words of the call do not fit its length")]
    Lengths,
    /// No word at all.
    #[error("an empty call")]
    Empty,
    /// More words than a call can have.
    #[error("more than {MAX_WORDS} words")]
    Words,
    /// No such verb.
    #[error("there is no verb {0:?}")]
    Verb(String),
    /// A name without its value.
    #[error("names and values do not come in pairs")]
    Odd,
    /// Nothing of that name belongs to the verb.
    #[error("the verb has no {0:?}")]
    Unknown(String),
    /// Twice.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// It has to be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Over its limit.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// Not UTF-8, or with a NUL byte.
    #[error("{0} is no text")]
    NotText(&'static str),
    /// Not a name of letters, digits, `-`, `_` and `.`.
    #[error("{0}: use 1 to 64 letters, digits, - _ and ., no dot first")]
    Key(&'static str),
    /// Not a number in range.
    #[error("{0} is not such a number")]
    Number(&'static str),
    /// Not the name of a colour.
    #[error("colour is plain, good, warning or danger")]
    Colour,
    /// Two places.
    #[error("it is asked in a channel or in a direct message, not in both")]
    Places,
    /// Not in the form of [`crate::hosts`].
    #[error("told is not what a driver tells of machines")]
    Told,
    /// Not `yes` or `no`.
    #[error("{0} is yes or no")]
    Flag(&'static str),
}

/// The payload's length that the first four bytes announce.
///
/// # Errors
/// [`Misread::TooLarge`].
pub fn announced(header: [u8; 4]) -> Result<usize, Misread> {
    let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if length > MAX_CALL { Err(Misread::TooLarge(length)) } else { Ok(length) }
}

/// A whole message.
pub fn frame(words: &[&[u8]]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let total = words.iter().map(|word| 4 + word.len()).sum();
    let mut message = Vec::with_capacity(4 + total);
    message.extend_from_slice(&length(total));
    for word in words {
        message.extend_from_slice(&length(word.len()));
        message.extend_from_slice(word);
    }
    message
}

/// The words of a payload.
///
/// # Errors
/// [`Misread`].
pub fn words(payload: &[u8]) -> Result<Vec<&[u8]>, Misread> {
    let mut rest = payload;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_first_chunk::<4>().ok_or(Misread::Lengths)?;
        let length = announced(*header)?;
        let (word, after) = after.split_at_checked(length).ok_or(Misread::Lengths)?;
        if all.len() == MAX_WORDS {
            return Err(Misread::Words);
        }
        all.push(word);
        rest = after;
    }
    Ok(all)
}

/// Names and values, each taken once.
pub(super) struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Fields<'a> {
    pub(super) fn of(words: &[&'a [u8]]) -> Result<Self, Misread> {
        if !words.len().is_multiple_of(2) {
            return Err(Misread::Odd);
        }
        let mut all: Vec<(&[u8], &[u8])> = Vec::new();
        for pair in words.chunks_exact(2) {
            if all.iter().any(|(name, _)| *name == pair[0]) {
                return Err(Misread::Twice(shown(pair[0])));
            }
            all.push((pair[0], pair[1]));
        }
        Ok(Self(all))
    }

    fn take(&mut self, name: &str) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|(other, _)| *other == name.as_bytes())?;
        Some(self.0.swap_remove(at).1)
    }

    pub(super) fn need(&mut self, name: &'static str) -> Result<&'a [u8], Misread> {
        self.take(name).ok_or(Misread::Missing(name))
    }

    pub(super) fn optional<const MAX: usize>(&mut self, name: &'static str) -> Result<Option<Text<MAX>>, Misread> {
        let Some(bytes) = self.take(name) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        Text::new(text.ok_or(Misread::NotText(name))?).map(Some).map_err(|_| Misread::TooLong(name))
    }

    pub(super) fn text<const MAX: usize>(&mut self, name: &'static str) -> Result<Text<MAX>, Misread> {
        self.optional(name)?.ok_or(Misread::Missing(name))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Misread> {
        match self.take(name) {
            None | Some(b"no") => Ok(false),
            Some(b"yes") => Ok(true),
            Some(_) => Err(Misread::Flag(name)),
        }
    }

    pub(super) fn number<N: FromStr>(&mut self, name: &'static str) -> Result<Option<N>, Misread> {
        let Some(bytes) = self.take(name) else { return Ok(None) };
        let digits = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|text| text.parse().ok()).map(Some).ok_or(Misread::Number(name))
    }

    pub(super) fn key(&mut self, name: &'static str) -> Result<MemoryKey, Misread> {
        let bytes = self.need(name)?;
        std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(Misread::Key(name))
    }

    pub(super) fn scope(&mut self) -> Result<Scope, Misread> {
        match self.take("scope") {
            None | Some(b"mine") => Ok(Scope::Mine),
            Some(b"shared") => Ok(Scope::Shared),
            Some(b"lasting") => Ok(Scope::Lasting),
            Some(other) => Err(Misread::Unknown(shown(other))),
        }
    }

    pub(super) fn place(&mut self) -> Result<AskedIn, Misread> {
        match (self.optional("channel")?, self.flag("direct")?) {
            (None, false) => Ok(AskedIn::Thread),
            (None, true) => Ok(AskedIn::Direct),
            (Some(channel), false) => Ok(AskedIn::Channel(channel)),
            (Some(_), true) => Err(Misread::Places),
        }
    }

    pub(super) fn colour(&mut self) -> Result<Option<Colour>, Misread> {
        let Some(name) = self.take("colour") else { return Ok(None) };
        let named = std::str::from_utf8(name).ok().and_then(Colour::named);
        named.map(Some).ok_or(Misread::Colour)
    }

    /// Nothing is left over.
    pub(super) fn finish(self) -> Result<(), Misread> {
        match self.0.first() {
            Some((name, _)) => Err(Misread::Unknown(shown(name))),
            None => Ok(()),
        }
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(64).collect()
}
