//! The stack below a calculation with a key. Registers that are spilled, and values that are moved, leave copies there that
//! no destructor knows of.

use zeroize::Zeroize;

/// How deep the calculations go: AES and Argon2's outer frames stay well above this.
const DEPTH: usize = 48 * 1024;

/// Calls, and zeroes the stack that the call used.
pub fn on_clean_stack<T>(work: impl FnOnce() -> T) -> T {
    let done = call(work);
    clean();
    done
}

#[inline(never)]
fn call<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn clean() {
    let mut below = [0u8; DEPTH];
    below.as_mut_slice().zeroize();
    std::hint::black_box(&below);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_result_comes_back() {
        assert_eq!(super::on_clean_stack(|| 7), 7);
    }
}
