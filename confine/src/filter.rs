//! seccomp: rules as they are written in the lists, compiled to BPF by `seccompiler`, and loaded.
//!
//! One filter has one answer for what it matches, so a sandbox is several of them; the kernel takes the strictest answer,
//! and the newest filter's where two are equally strict. [`Program::foreign`] belongs before any list: the calls of other
//! ABIs have numbers of their own and would otherwise only meet the list's default.

mod program;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, TargetArch,
};

/// Numbers of the x32 ABI's calls have bit 30 set (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;

/// A filter could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The list does not compile. Found by this package's tests, unless the machine is of another kind.
    #[error("the list of system calls does not compile: {0}")]
    Compile(#[from] BackendError),
    /// The kernel refused it.
    #[error("the kernel refused the seccomp filter: {0}")]
    Load(#[from] seccompiler::Error),
}

/// One system call of a list, always or under conditions.
#[derive(Debug, Clone)]
pub struct Rule {
    call: i64,
    /// Any of these, each being all of its checks; empty for always.
    any: Vec<Vec<Check>>,
}

/// One condition on one argument.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    argument: u8,
    wide: bool,
    mask: Option<u64>,
    value: u64,
}

/// The call, whatever its arguments.
pub fn always(call: i64) -> Rule {
    Rule { call, any: Vec::new() }
}

/// The call, when all of these hold.
pub fn when(call: i64, checks: &[Check]) -> Rule {
    Rule { call, any: vec![checks.to_vec()] }
}

/// The call, when its argument is one of these values. Compared in 32 bits, as the kernel truncates an `int`: bits above
/// change nothing.
pub fn one_of(call: i64, argument: u8, values: &[u64]) -> Rule {
    Rule { call, any: values.iter().map(|value| vec![is(argument, *value)]).collect() }
}

/// The call, when any of these holds.
pub fn any_of(call: i64, any: &[&[Check]]) -> Rule {
    Rule { call, any: any.iter().map(|checks| checks.to_vec()).collect() }
}

/// The low 32 bits of the argument are `value`: for arguments that the kernel takes as `int` or `unsigned int`.
pub fn is(argument: u8, value: u64) -> Check {
    Check { argument, wide: false, mask: None, value }
}

/// All 64 bits of the argument are `value`: for pointers and `unsigned long`.
pub fn is_wide(argument: u8, value: u64) -> Check {
    Check { argument, wide: true, mask: None, value }
}

/// The low 32 bits of the argument, masked, are `value`.
pub fn masked(argument: u8, mask: u64, value: u64) -> Check {
    Check { argument, wide: false, mask: Some(mask), value }
}

/// None of these bits is set in the argument's 64.
pub fn without_bits(argument: u8, bits: u64) -> Check {
    Check { argument, wide: true, mask: Some(bits), value: 0 }
}

impl Check {
    fn compile(self) -> Result<SeccompCondition, BackendError> {
        let length = if self.wide { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        let operator = self.mask.map_or(SeccompCmpOp::Eq, SeccompCmpOp::MaskedEq);
        SeccompCondition::new(self.argument, length, operator, self.value)
    }
}

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Program(BpfProgram);

impl Program {
    /// What is on the list is allowed, everything else answers EPERM.
    ///
    /// # Errors
    /// [`FilterError::Compile`].
    pub fn allow(list: &[Rule]) -> Result<Self, FilterError> {
        Self::compile(list, SeccompAction::Errno(libc::EPERM.cast_unsigned()), SeccompAction::Allow)
    }

    /// What is on the list ends the process, everything else is left to other filters.
    ///
    /// # Errors
    /// [`FilterError::Compile`].
    pub fn kill(list: &[Rule]) -> Result<Self, FilterError> {
        Self::compile(list, SeccompAction::Allow, SeccompAction::KillProcess)
    }

    /// What is on the list answers `errno`, everything else is left to other filters.
    ///
    /// # Errors
    /// [`FilterError::Compile`].
    pub fn answer(list: &[Rule], errno: i32) -> Result<Self, FilterError> {
        Self::compile(list, SeccompAction::Allow, SeccompAction::Errno(errno.cast_unsigned()))
    }

    /// Ends the process at a system call of another machine's ABI (`int 0x80` on x86-64) or of the x32 ABI, whose numbers
    /// have bit 30 set and whose calls would pass for others (Documentation/userspace-api/seccomp_filter.rst, Pitfalls).
    ///
    /// # Errors
    /// [`FilterError::Compile`] on a machine that `seccompiler` does not know.
    pub fn foreign() -> Result<Self, FilterError> {
        let mut program = program::prologue(architecture()?, &SeccompAction::Allow)?;
        program.extend(program::search(&[
            (0, vec![program::answer(SeccompAction::Allow)]),
            (X32, vec![program::answer(SeccompAction::KillProcess)]),
        ]));
        Ok(Self(program))
    }

    fn compile(list: &[Rule], otherwise: SeccompAction, matching: SeccompAction) -> Result<Self, FilterError> {
        let mut program = program::prologue(architecture()?, &otherwise)?;
        program.extend(program::search(&program::leaves(list, otherwise, matching)?));
        Ok(Self(program))
    }

    /// Loads it for this thread and what it starts from now on.
    ///
    /// # Errors
    /// [`FilterError::Load`].
    pub fn load(&self) -> Result<(), FilterError> {
        Ok(seccompiler::apply_filter(&self.0)?)
    }

    /// Loads it for every thread of this process (`SECCOMP_FILTER_FLAG_TSYNC`).
    ///
    /// # Errors
    /// [`FilterError::Load`].
    pub fn load_for_all_threads(&self) -> Result<(), FilterError> {
        Ok(seccompiler::apply_filter_all_threads(&self.0)?)
    }
}

fn architecture() -> Result<TargetArch, BackendError> {
    std::env::consts::ARCH.try_into()
}

/// The calls that a list names more than once. Two entries would be merged, and an unconditional one lost: every list's
/// test asks that there are none.
pub fn duplicates(list: &[Rule]) -> Vec<i64> {
    let mut seen = std::collections::BTreeSet::new();
    list.iter().map(|rule| rule.call).filter(|call| !seen.insert(*call)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_foreign_filter_checks_architecture_then_number() {
        let program = Program::foreign().expect("compiles");
        let answer = |number: u32| program::run(&program.0, number, [0; 6]);
        assert_eq!((answer(0), answer(X32 - 1)), (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_ALLOW));
        assert_eq!((answer(X32), answer(u32::MAX)), (libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_KILL_PROCESS));
    }

    #[test]
    fn every_number_gets_the_answer_that_its_rule_gives() {
        let list: Vec<Rule> = (0..300).filter(|call| call % 3 != 1).map(always).collect();
        let program = Program::allow(&list).expect("compiles");
        for number in 0..400 {
            let expected = number < 300 && number % 3 != 1;
            let answer = program::run(&program.0, number, [0; 6]);
            assert_eq!(answer == libc::SECCOMP_RET_ALLOW, expected, "{number}");
        }
        // The kernel walks the program once for every number when it is loaded: the way to each must be short.
        assert!(program.0.len() < 1000, "{}", program.0.len());
    }

    #[test]
    fn a_rule_with_checks_matches_when_all_of_one_alternative_hold() {
        let list = [always(1), any_of(2, &[&[is(0, 7), is_wide(1, 0)], &[masked(0, 0xf0, 0x30)]]), always(3)];
        let program = Program::allow(&list).expect("compiles");
        let allowed = |number: u32, a: u64, b: u64| {
            program::run(&program.0, number, [a, b, 0, 0, 0, 0]) == libc::SECCOMP_RET_ALLOW
        };
        assert!(allowed(1, 9, 9) && allowed(3, 9, 9) && !allowed(0, 7, 0) && !allowed(4, 7, 0));
        assert!(allowed(2, 7, 0) && allowed(2, 0x35, 9) && !allowed(2, 7, 1) && !allowed(2, 7, 1 << 32));
        // Bits above 32 of an int change nothing.
        assert!(allowed(2, 7 | 1 << 40, 0));
    }

    #[test]
    fn a_call_listed_twice_is_found() {
        assert_eq!(duplicates(&[always(1), always(2), always(1)]), [1]);
    }
}
