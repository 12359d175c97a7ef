//! Room on the disk: a job is begun only while there is enough to tell of its end, and of the refusals of others.

use std::fs::File;

/// Below this many free bytes nothing more is begun. The database's log alone may grow by 4 MiB.
const LEAST: u64 = 16 * 1024 * 1024;

/// What is missing on the file system that has this file, in words.
pub(super) fn shortage(file: &File) -> Option<String> {
    match rustix::fs::fstatvfs(file) {
        Ok(there) => too_little(there.f_bavail.saturating_mul(there.f_frsize), there.f_favail, there.f_files),
        Err(error) => Some(format!("the free space cannot be seen: {error}")),
    }
}

/// Free bytes and all of them, on the file system that has this file.
pub(super) fn room(file: &File) -> Option<(u64, u64)> {
    let there = rustix::fs::fstatvfs(file).ok()?;
    Some((there.f_bavail.saturating_mul(there.f_frsize), there.f_blocks.saturating_mul(there.f_frsize)))
}

/// `files` counts inodes; 0 of 0 where a file system has no such number.
fn too_little(free: u64, free_files: u64, files: u64) -> Option<String> {
    if free < LEAST {
        return Some(format!(
            "{} KiB are free where the state is kept, and at least {} are needed",
            free / 1024,
            LEAST / 1024
        ));
    }
    (free_files < 16 && files > 0).then(|| "the file system with the state has no room for more files".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_begun_on_a_disk_that_is_nearly_full() {
        assert!(too_little(LEAST - 1, 1000, 1000).is_some_and(|why| why.contains("16384 are needed")));
        assert!(too_little(LEAST, 3, 1000).is_some());
        assert_eq!(too_little(LEAST, 0, 0), None);
    }
}
