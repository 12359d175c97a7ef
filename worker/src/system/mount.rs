//! `mount_setattr(2)` (Linux 5.12): the attributes of a mount, before anyone can reach it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Which attributes to set on a mount, and which to clear.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
}

impl Attributes {
    /// Nothing under it can be a device or raise privileges.
    pub(crate) const PLAIN: Self = Self { set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, clear: 0 };

    /// Nothing under it can be changed.
    pub(crate) fn read_only(self) -> Self {
        Self { set: self.set | libc::MOUNT_ATTR_RDONLY, ..self }
    }

    /// Nothing under it can be executed.
    pub(crate) fn no_programs(self) -> Self {
        Self { set: self.set | libc::MOUNT_ATTR_NOEXEC, ..self }
    }

    /// Devices under it are devices.
    pub(crate) fn devices(self) -> Self {
        Self { set: self.set & !libc::MOUNT_ATTR_NODEV, ..self }
    }

    /// What is under it can be executed although the mount it was cloned from says no.
    pub(crate) fn programs(self) -> Self {
        Self { clear: self.clear | libc::MOUNT_ATTR_NOEXEC, ..self }
    }
}

/// Sets the attributes of the mount that `tree` refers to, and of all beneath it.
pub(crate) fn set_attributes<Fd: AsFd>(tree: Fd, attributes: Attributes) -> io::Result<()> {
    change(tree, attributes, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE)
}

/// The same, leaving alone what is mounted beneath it.
pub(crate) fn set_attributes_of_one<Fd: AsFd>(tree: Fd, attributes: Attributes) -> io::Result<()> {
    change(tree, attributes, libc::AT_EMPTY_PATH)
}

fn change<Fd: AsFd>(tree: Fd, attributes: Attributes, flags: i32) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: attributes.set, attr_clr: attributes.clear, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is an empty C string, the descriptor is open for the length of the call, and the kernel reads
    // exactly the given size of a structure that lives until it returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
