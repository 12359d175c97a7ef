//! Which of the two launchers this is.

use super::{LauncherError, Starter};
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

    /// Reads it from there, and after it how processes are started.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Option<(Self, Starter)> {
        let words: Vec<String> = arguments.map(OsString::into_string).collect::<Result<_, _>>().ok()?;
        let pid = |word: &str| word.parse().ok().and_then(Pid::from_raw);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (post, starter) = words.split_at_checked(3)?;
        let post = match post {
            ["service", core, egress] => Self::Service { core: pid(core)?, egress_launcher: pid(egress)? },
            ["egress", main, core] => Self::Egress { main: pid(main)?, core: pid(core)? },
            _ => return None,
        };
        match starter {
            [] => Some((post, Starter::Own)),
            [folder] if folder.starts_with('/') => Some((post, Starter::Units(folder.into()))),
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
            for starter in [Starter::Own, Starter::Units("/run/bartizan-units".into())] {
                let mut words: Vec<OsString> = post.arguments().into_iter().map(OsString::from).collect();
                words.extend(starter.arguments().into_iter().map(OsString::from));
                assert_eq!(Post::parse(words.into_iter()), Some((post, starter)));
            }
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
