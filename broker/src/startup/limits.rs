//! Resource limits as the caller left them, made sane: a service must not fail half-way through a write because of a
//! limit that its caller chose.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits with which the service does not start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// The hard limit is in the way.
    #[error("the limit on {what} is {actual}, and at least {least} is needed; start it with a higher hard limit")]
    TooSmall {
        /// Which limit.
        what: &'static str,
        /// What the caller left.
        actual: u64,
        /// What is needed.
        least: u64,
    },
    /// The kernel refuses.
    #[error("cannot set the limit on {what}: {error}")]
    Set {
        /// Which limit.
        what: &'static str,
        /// Why.
        error: rustix::io::Errno,
    },
}

/// One limit: the soft value is put at `target`, or at the hard limit where that is lower, and must reach `least`.
struct Rule {
    what: &'static str,
    resource: Resource,
    least: u64,
    target: u64,
}

/// `RLIM_INFINITY`.
const UNLIMITED: u64 = u64::MAX;
const MIB: u64 = 1 << 20;

/// What the service needs. Workers get limits of their own, from their job's profile.
const RULES: &[Rule] = &[
    // A core file of this process would hold secrets.
    Rule { what: "core files", resource: Resource::Core, least: 0, target: 0 },
    Rule { what: "open files", resource: Resource::Nofile, least: 256, target: UNLIMITED },
    // SIGXFSZ in the middle of a record of the audit log.
    Rule { what: "file size (bytes)", resource: Resource::Fsize, least: 1024 * MIB, target: UNLIMITED },
    Rule { what: "address space (bytes)", resource: Resource::As, least: 512 * MIB, target: UNLIMITED },
    Rule { what: "data segment (bytes)", resource: Resource::Data, least: 256 * MIB, target: UNLIMITED },
    // No more than usual: an unlimited stack would give every child the legacy memory layout.
    Rule { what: "stack (bytes)", resource: Resource::Stack, least: MIB, target: 8 * MIB },
    Rule { what: "processes", resource: Resource::Nproc, least: 64, target: UNLIMITED },
    // Any finite amount ends a service one day.
    Rule { what: "CPU time (seconds)", resource: Resource::Cpu, least: UNLIMITED, target: UNLIMITED },
];

/// Puts every limit right.
///
/// # Errors
/// [`LimitsError`] when a hard limit is lower than what the service needs.
pub fn settle() -> Result<(), LimitsError> {
    for rule in RULES {
        let hard = getrlimit(rule.resource).maximum;
        let soft = soft_limit(rule, hard.unwrap_or(UNLIMITED))?;
        // Core files: also the hard limit, so that no child brings them back.
        let hard = if matches!(rule.resource, Resource::Core) { Some(0) } else { hard };
        let limit = Rlimit { current: (soft != UNLIMITED).then_some(soft), maximum: hard };
        setrlimit(rule.resource, limit).map_err(|error| LimitsError::Set { what: rule.what, error })?;
    }
    Ok(())
}

fn soft_limit(rule: &Rule, hard: u64) -> Result<u64, LimitsError> {
    if hard < rule.least {
        return Err(LimitsError::TooSmall { what: rule.what, actual: hard, least: rule.least });
    }
    Ok(rule.target.min(hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(hard: u64) -> Result<u64, LimitsError> {
        let rule = RULES.iter().find(|rule| rule.what == "open files").expect("there is such a rule");
        soft_limit(rule, hard)
    }

    #[test]
    fn the_soft_limit_on_files_is_raised_to_the_hard_one() {
        assert_eq!(files(4096), Ok(4096));
    }

    #[test]
    fn a_hard_limit_that_no_service_could_live_with_is_refused() {
        assert_eq!(files(20), Err(LimitsError::TooSmall { what: "open files", actual: 20, least: 256 }));
    }
}
