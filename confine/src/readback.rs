//! What the kernel says of a process: `/proc/PID/status`, opened before the doors close and read after.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// An open `/proc/PID/status`. Each [`StatusFile::read`] asks the kernel anew, also when nothing can be opened any more.
#[derive(Debug)]
pub struct StatusFile(File);

impl StatusFile {
    /// This process's.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn own() -> io::Result<Self> {
        File::open("/proc/self/status").map(Self)
    }

    /// Another process's, where the caller may see it.
    ///
    /// # Errors
    /// When there is no such process, or it is hidden.
    pub fn of(pid: u32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/status")).map(Self)
    }

    /// As the kernel sees it now.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn read(&self) -> io::Result<Status> {
        let mut text = [0; 4096];
        // Not pread(2), which the connector's list does not have.
        let mut file = &self.0;
        file.seek(SeekFrom::Start(0))?;
        let length = file.read(&mut text)?;
        Ok(Status::parse(&String::from_utf8_lossy(&text[..length])))
    }
}

/// The lines of `/proc/PID/status` that matter here (`proc_pid_status(5)`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// `NoNewPrivs: 1`.
    pub no_new_privileges: bool,
    /// `Seccomp:`: 0 none, 1 strict, 2 filter.
    pub seccomp: u32,
    /// `Seccomp_filters:` (Linux 5.9).
    pub filters: Option<u32>,
    /// What it holds: `CapInh`, `CapPrm`, `CapEff` and `CapAmb` together.
    pub capabilities: u64,
    /// `CapBnd`: what an exec could give it, were it not for `no_new_privs`.
    pub bounding: u64,
    /// `Threads:`.
    pub threads: u32,
    /// `VmHWM:` in bytes: the largest resident set.
    pub peak_memory: u64,
}

impl Status {
    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name {
                "NoNewPrivs" => status.no_new_privileges = value == "1",
                "Seccomp" => status.seccomp = value.parse().unwrap_or(0),
                "Seccomp_filters" => status.filters = value.parse().ok(),
                // What does not parse counts as every capability: the check that follows fails closed.
                "CapInh" | "CapPrm" | "CapEff" | "CapAmb" => {
                    status.capabilities |= u64::from_str_radix(value, 16).unwrap_or(u64::MAX);
                }
                "CapBnd" => status.bounding = u64::from_str_radix(value, 16).unwrap_or(u64::MAX),
                "Threads" => status.threads = value.parse().unwrap_or(0),
                "VmHWM" => {
                    let kib: u64 = value.trim_end_matches("kB").trim().parse().unwrap_or(0);
                    status.peak_memory = kib * 1024;
                }
                _ => {}
            }
        }
        status
    }

    /// How seccomp shows itself, for people: `Seccomp: 2, 3 filters`.
    pub fn seccomp_shown(&self) -> String {
        match self.filters {
            Some(filters) => format!("Seccomp: {}, {filters} filters", self.seccomp),
            None => format!("Seccomp: {}", self.seccomp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_confined_process_is_read_line_by_line() {
        let text = "Name:\tx\nVmHWM:\t    2048 kB\nThreads:\t3\nCapInh:\t0\nCapEff:\t0000000000000400\nCapBnd:\t1ff\nNoNewPrivs:\t1\n\
                    Seccomp:\t2\nSeccomp_filters:\t3\n";
        let expected = Status {
            no_new_privileges: true,
            seccomp: 2,
            filters: Some(3),
            capabilities: 0x400,
            bounding: 0x1ff,
            threads: 3,
            peak_memory: 2 << 20,
        };
        assert_eq!(Status::parse(text), expected);
    }

    #[test]
    fn an_unreadable_capability_set_counts_as_all_of_them() {
        assert_eq!(Status::parse("CapEff:\t?\n").capabilities, u64::MAX);
    }
}
