//! What stands in a process's memory, as root reads it. Memory of `memfd_secret(2)` is not there for root either, and says so.

use memchr::memmem;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Something that must not be found.
#[derive(Debug, Clone)]
pub struct Needle {
    /// What it is.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Needle {
    /// A text, as it is.
    pub fn text(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    /// A key of 32 bytes: either half is as bad, since an expanded key begins with one after the other; so are its digits.
    pub fn key(name: &str, key: &[u8]) -> Vec<Self> {
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&key[..16], &key[16..], &digits.as_bytes()[..32], &digits.as_bytes()[32..]];
        parts.map(|bytes| Self { name: name.to_owned(), bytes: bytes.to_vec() }).into()
    }
}

/// What was found, and in which mapping.
pub type Found = (String, String);

/// A process's memory, looked through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// What was found.
    pub found: Vec<Found>,
    /// Bytes that were read.
    pub read: u64,
    /// How many mappings are secret memory, of which nothing could be read.
    pub secret: usize,
}

/// Looks for these in everything that a process has in memory, locked pages that no core dump shows excepted. `None` when it
/// has ended.
pub fn look(pid: u32, needles: &[Needle]) -> Option<Looked> {
    const PIECE: usize = 1 << 20;
    let overlap = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(1);
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut looked = Looked::default();
    let mut buffer = vec![0; PIECE + overlap];
    for mapping in mappings(pid)? {
        if mapping.is_code() {
            continue;
        }
        let (mut at, mut readable) = (mapping.start, false);
        while at < mapping.end {
            let wanted = usize::try_from(mapping.end - at).unwrap_or(usize::MAX).min(buffer.len());
            let Ok(got @ 1..) = memory.read_at(&mut buffer[..wanted], at) else { break };
            readable = true;
            looked.read += got as u64;
            for needle in needles {
                if memmem::find(&buffer[..got], &needle.bytes).is_some() && !mapping.is_locked {
                    looked.found.push((needle.name.clone(), mapping.name.clone()));
                }
            }
            at += if got > PIECE { PIECE } else { got } as u64;
        }
        looked.secret += usize::from(mapping.name.contains("secretmem") && !readable);
    }
    looked.found.sort();
    looked.found.dedup();
    Some(looked)
}

/// A needle in what everybody with rights can read of a process: its command line and its first environment.
pub fn shown(pid: u32, needles: &[Needle]) -> Vec<Found> {
    let mut found = Vec::new();
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let here = needles.iter().filter(|needle| memmem::find(&text, &needle.bytes).is_some());
        found.extend(here.map(|needle| (needle.name.clone(), file.to_owned())));
    }
    found
}

struct Mapping {
    start: u64,
    end: u64,
    rights: String,
    name: String,
    /// Locked, and in no core dump: what stands in for secret memory where the kernel has none.
    is_locked: bool,
}

impl Mapping {
    /// A part of a file that the process cannot have changed, or what the kernel shows to everybody.
    fn is_code(&self) -> bool {
        let of_file = self.name.starts_with('/') && !self.rights.contains('w') && !self.name.contains("secretmem");
        of_file || matches!(&*self.name, "[vvar]" | "[vvar_vclock]" | "[vsyscall]" | "[vdso]")
    }
}

/// From `/proc/PID/smaps` (`proc_pid_smaps(5)`), what was never touched left out.
fn mappings(pid: u32) -> Option<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let mut all: Vec<Mapping> = Vec::new();
    let mut touched = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let head = words
            .first()
            .and_then(|range| range.split_once('-'))
            .and_then(|(start, end)| Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?)));
        if let Some((start, end)) = head {
            let name = words.get(5..).unwrap_or_default().join(" ");
            let rights = words.get(1).copied().unwrap_or_default().to_owned();
            touched.push(name.contains("secretmem"));
            all.push(Mapping { start, end, rights, name, is_locked: false });
        } else if let (Some(last), Some(touched)) = (all.last_mut(), touched.last_mut()) {
            match words[..] {
                ["Rss:" | "Swap:", kilobytes, _] => *touched |= kilobytes != "0",
                ["VmFlags:", ..] => last.is_locked = words.contains(&"lo") && words.contains(&"dd"),
                _ => {}
            }
        }
    }
    let mut touched = touched.into_iter();
    all.retain(|_| touched.next().unwrap_or(true));
    (!all.is_empty()).then_some(all)
}
