//! Which of the two launchers this is.

use super::LauncherError;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::ffi::OsString;

/// The launcher's post, fixed by its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// The service's main process. The two others were forked by it before it became the launcher.
    Service {
        /// The core.
        core: Pid,
        /// The launcher of egress.
        egress_launcher: Pid,
    },
    /// Starts egress, and sees to it that the core does not outlive the main process.
    Egress {
        /// The service's main process, its parent.
        main: Pid,
        /// The core.
        core: Pid,
    },
}

impl Post {
    /// What stands on the command line for it.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Service { core, egress_launcher } => {
                vec!["service".to_owned(), core.to_string(), egress_launcher.to_string()]
            }
            Self::Egress { main, core } => vec!["egress".to_owned(), main.to_string(), core.to_string()],
        }
    }

    /// Reads it from there.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let words: Vec<String> = arguments.map(OsString::into_string).collect::<Result<_, _>>().ok()?;
        let pid = |word: &str| word.parse().ok().and_then(Pid::from_raw);
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["service", core, egress] => Some(Self::Service { core: pid(core)?, egress_launcher: pid(egress)? }),
            ["egress", main, core] => Some(Self::Egress { main: pid(main)?, core: pid(core)? }),
            _ => None,
        }
    }

    /// Whether it is one of the processes that this one forked before it became the launcher.
    pub fn forked(&self, pid: Pid) -> bool {
        match self {
            Self::Service { core, egress_launcher } => pid == *core || pid == *egress_launcher,
            Self::Egress { .. } => false,
        }
    }

    /// Makes sure that they are children of ours. Nothing is reaped.
    ///
    /// # Errors
    /// [`LauncherError::Arguments`] when one is not.
    pub fn check_children(&self) -> Result<(), LauncherError> {
        match self {
            Self::Service { core, egress_launcher } => {
                for pid in [*core, *egress_launcher] {
                    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                    waitid(WaitId::Pid(pid), look).map_err(|_| LauncherError::Arguments)?;
                }
                Ok(())
            }
            Self::Egress { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_read_as_it_was_written() {
        let pid = |raw| Pid::from_raw(raw).expect("not 0");
        for post in
            [Post::Service { core: pid(7), egress_launcher: pid(8) }, Post::Egress { main: pid(7), core: pid(8) }]
        {
            assert_eq!(Post::parse(post.arguments().into_iter().map(OsString::from)), Some(post));
        }
    }

    #[test]
    fn anything_else_is_no_post() {
        for words in [&[][..], &["service"], &["service", "0", "1"], &["egress", "1"], &["egress", "0", "1"], &["core"]]
        {
            assert_eq!(Post::parse(words.iter().map(OsString::from)), None, "{words:?}");
        }
    }
}
