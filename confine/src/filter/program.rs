//! BPF out of rules: `seccompiler` compiles the conditions of each, this puts them into a tree.
//!
//! `seccompiler`'s own filter compares a call's number with one rule after the other. The kernel walks a new filter once for every
//! number that there is, so a list of 250 costs it half a millisecond at each load: a sixth of a job. A binary search costs
//! next to nothing.

use super::{BackendError, FilterError, Rule};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter};
use std::collections::BTreeMap;

// Codes from linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JGE|BPF_K, BPF_JMP|BPF_JA, BPF_RET|BPF_K.
const LOAD: u16 = 0x20;
const AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// The first number of a range of calls, and the instructions that answer for all of the range; they always return.
pub(super) type Leaf = (u32, Vec<sock_filter>);

/// Ends the process at another architecture's call, then loads the number. (A program of `seccompiler` with no rule is that check
/// and an answer.)
pub(super) fn prologue(arch: TargetArch, otherwise: &SeccompAction) -> Result<BpfProgram, BackendError> {
    // Any other action than the default will do: nothing matches.
    let unused = match otherwise {
        SeccompAction::Allow => SeccompAction::KillProcess,
        _ => SeccompAction::Allow,
    };
    let mut program: BpfProgram = SeccompFilter::new(BTreeMap::new(), otherwise.clone(), unused, arch)?.try_into()?;
    program.pop();
    // Offset 0 of seccomp_data is the number.
    program.push(sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 });
    Ok(program)
}

/// One answer.
pub(super) fn answer(action: SeccompAction) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: action.into() }
}

/// The ranges of calls that a list makes, in ascending order from 0.
pub(super) fn leaves(
    list: &[Rule],
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<Vec<Leaf>, FilterError> {
    let mut calls: BTreeMap<u32, Vec<sock_filter>> = BTreeMap::new();
    for rule in list {
        let number = u32::try_from(rule.call).map_err(|_| BackendError::InvalidArgumentNumber)?;
        let mut code = Vec::new();
        for checks in &rule.any {
            let conditions: Result<Vec<_>, BackendError> = checks.iter().map(|check| check.compile()).collect();
            // What seccompiler makes of an alternative falls through to the next instruction where all checks hold, and
            // over it where one does not.
            code.extend(BpfProgram::from(SeccompRule::new(conditions?)?));
            code.push(answer(matching.clone()));
        }
        code.push(answer(if rule.any.is_empty() { matching.clone() } else { otherwise.clone() }));
        calls.insert(number, code);
    }
    let none = vec![answer(otherwise)];
    let mut leaves: Vec<Leaf> = vec![(0, none.clone())];
    let mut add = |first: u32, code: Vec<sock_filter>| match leaves.last_mut() {
        Some((start, last)) if *start == first => *last = code,
        Some((_, last)) if same(last, &code) => {}
        Some(_) | None => leaves.push((first, code)),
    };
    for (number, code) in calls {
        add(number, code);
        add(number + 1, none.clone());
    }
    Ok(leaves)
}

fn same(a: &[sock_filter], b: &[sock_filter]) -> bool {
    let parts = |code: &[sock_filter]| code.iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect::<Vec<_>>();
    parts(a) == parts(b)
}

/// A binary search for the loaded number.
pub(super) fn search(leaves: &[Leaf]) -> Vec<sock_filter> {
    let (left, right) = match leaves {
        [] => return Vec::new(),
        [(_, code)] => return code.clone(),
        several => several.split_at(several.len() / 2),
    };
    let start = right[0].0;
    let (left, right) = (search(left), search(right));
    let mut code = Vec::with_capacity(left.len() + right.len() + 2);
    match u8::try_from(left.len()) {
        Ok(over) => code.push(sock_filter { code: AT_LEAST, jt: over, jf: 0, k: start }),
        // Too far for a conditional jump.
        Err(_) => {
            code.push(sock_filter { code: AT_LEAST, jt: 0, jf: 1, k: start });
            code.push(sock_filter { code: JUMP, jt: 0, jf: 0, k: u32::try_from(left.len()).unwrap_or(u32::MAX) });
        }
    }
    code.extend(left);
    code.extend(right);
    code
}

/// What a program answers to a call: the few instructions of BPF that filters are made of.
#[cfg(test)]
pub(super) fn run(program: &[sock_filter], number: u32, arguments: [u64; 6]) -> u32 {
    let arch = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut data = vec![number, arch, 0, 0];
    data.extend(arguments.iter().flat_map(|a| [(*a & 0xffff_ffff) as u32, (*a >> 32) as u32]));
    let (mut at, mut accumulator) = (0, 0u32);
    loop {
        let i = &program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
        match i.code {
            0x20 => accumulator = data[i.k as usize / 4],
            0x54 => accumulator &= i.k,
            0x05 => at += i.k as usize,
            0x15 => at += jump(accumulator == i.k),
            0x25 => at += jump(accumulator > i.k),
            0x35 => at += jump(accumulator >= i.k),
            0x06 => return i.k,
            other => panic!("an instruction that filters do not have: {other:#x}"),
        }
    }
}
