//! seccomp: the script's system calls. The list itself, with a comment per rule, is `worker/seccomp/list.rs`.

#[path = "../../seccomp/list.rs"]
mod list;

use bartizan_confine::filter::{FilterError, Program, always};

/// What of sockets a job is granted: the list has two parts that are left out otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Granted {
    /// TCP clients.
    pub(crate) network: bool,
    /// Unix stream sockets.
    pub(crate) sockets: bool,
}

/// The compiled filters, in the order in which they are loaded.
#[derive(Debug)]
pub(crate) struct Filters([Program; 3]);

impl Filters {
    /// Compiled at run time: well under the time of one `fork`, and for the usual case before the order comes.
    pub(crate) fn compile(granted: Granted) -> Result<Self, FilterError> {
        Ok(Self([
            // Calls of other ABIs end the script.
            Program::foreign()?,
            // Everything that is not on the list answers EPERM.
            Program::allow(&list::list(granted))?,
            // The last, because of two equally strict answers the newest filter's counts.
            Program::answer(&[always(libc::SYS_clone3)], libc::ENOSYS)?,
        ]))
    }

    /// Loads all of them, for this process and all it starts.
    pub(crate) fn load(&self) -> Result<(), FilterError> {
        // The list does not allow to load another filter, so it comes after the one that would be loaded after it; its
        // EPERM and that one's ENOSYS never meet, because it allows clone3.
        let [foreign, allow, clone3] = &self.0;
        foreign.load()?;
        clone3.load()?;
        allow.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_confine::filter::duplicates;

    const ALL: [Granted; 4] = [
        Granted { network: false, sockets: false },
        Granted { network: true, sockets: false },
        Granted { network: false, sockets: true },
        Granted { network: true, sockets: true },
    ];

    #[test]
    fn every_list_compiles_and_names_no_call_twice() {
        for granted in ALL {
            Filters::compile(granted).expect("compiles");
            assert_eq!(duplicates(&list::list(granted)), [0i64; 0], "{granted:?}");
        }
    }

    #[test]
    fn the_list_stays_near_two_hundred_calls() {
        for granted in ALL {
            assert!(list::list(granted).len() < 260, "{granted:?}: {}", list::list(granted).len());
        }
    }
}
