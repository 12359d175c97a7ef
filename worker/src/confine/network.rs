//! A network grant, inside: every granted destination exists on the job's own loopback, with a listener on it, and nothing
//! else does.
//!
//! The job's network namespace has no route to anywhere. The listeners go to the supervisor, which connects from outside
//! (`relay.rs`); here they are closed before the script's process is made, and so is the socket that asks the kernel for
//! addresses. Called by the job's init, while it has its user namespace's capabilities.

use crate::confine::ConfineError;
use bartizan_proto::limits::MAX_DESCRIPTORS;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// Connections that wait for the relay, for each destination.
const BACKLOG: i32 = 64;

/// The loopback device of every network namespace (`LOOPBACK_IFINDEX`, include/net/flow.h).
const LOOPBACK: u32 = 1;

/// Opens all listeners and hands them over, a few at a time. Says how many there are: on a machine without IPv6 its
/// addresses are left out, because from outside nothing could be reached there either.
pub(crate) fn listen(
    destinations: &[SocketAddr],
    mut hand_over: impl FnMut(&[OwnedFd]) -> Result<(), ConfineError>,
) -> Result<usize, ConfineError> {
    let failed = |what: String| move |source| ConfineError::Network { what, source };

    // 1. The loopback, with every granted address on it. (127.0.0.0/8 and ::1 come by themselves.)
    let kernel = RouteSocket::open().map_err(failed("netlink".to_owned()))?;
    kernel.bring_up().map_err(failed("the loopback".to_owned()))?;
    let mut absent = BTreeSet::new();
    for address in destinations.iter().map(SocketAddr::ip).collect::<BTreeSet<_>>() {
        match kernel.add_address(address) {
            Err(_) if address.is_ipv6() => drop(absent.insert(address)),
            Err(error) => return Err(failed(address.to_string())(error)),
            Ok(()) => {}
        }
    }
    drop(kernel);

    // 2. A listener on each granted port of each.
    let possible: Vec<_> = destinations.iter().filter(|destination| !absent.contains(&destination.ip())).collect();
    for few in possible.chunks(MAX_DESCRIPTORS) {
        let open = |destination: &&SocketAddr| listener(destination).map_err(failed(destination.to_string()));
        let listeners: Vec<OwnedFd> = few.iter().map(open).collect::<Result<_, _>>()?;
        hand_over(&listeners)?;
    }
    Ok(possible.len())
}

fn listener(destination: &SocketAddr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = if destination.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, destination)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Asks the kernel for changes of this network namespace (`rtnetlink(7)`).
struct RouteSocket(OwnedFd);

impl RouteSocket {
    fn open() -> io::Result<Self> {
        // No protocol means NETLINK_ROUTE.
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self(socket))
    }

    /// `ip link set lo up`
    fn bring_up(&self) -> io::Result<()> {
        let up = libc::IFF_UP.cast_unsigned();
        // struct ifinfomsg: family, padding, type; index; flags; which of them to change.
        self.ask(libc::RTM_NEWLINK, 0, &[&[0; 4], &LOOPBACK.to_ne_bytes(), &up.to_ne_bytes(), &up.to_ne_bytes()])
    }

    /// `ip address add ADDRESS dev lo`, the address alone: /32 or /128.
    fn add_address(&self, address: IpAddr) -> io::Result<()> {
        if address.is_loopback() {
            return Ok(());
        }
        let (family, bits, bytes) = match address {
            IpAddr::V4(address) => (libc::AF_INET, 32, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, 128, address.octets().to_vec()),
        };
        let family = u8::try_from(family).map_err(io::Error::other)?;
        // struct ifaddrmsg: family, prefix length, flags, scope; index. Nobody else could have a duplicate (IFA_F_NODAD).
        let flags = u8::try_from(libc::IFA_F_NODAD).map_err(io::Error::other)?;
        let head = [family, bits, flags, libc::RT_SCOPE_UNIVERSE];
        // struct rtattr: length, type; the address.
        let length = u16::try_from(4 + bytes.len()).map_err(io::Error::other)?.to_ne_bytes();
        let attribute = |kind: u16| [&length[..], &kind.to_ne_bytes()[..], &bytes[..]].concat();
        let (local, whole) = (attribute(libc::IFA_LOCAL), attribute(libc::IFA_ADDRESS));
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(libc::RTM_NEWADDR, create, &[&head, &LOOPBACK.to_ne_bytes(), &local, &whole])
    }

    /// One request and its acknowledgement.
    fn ask(&self, kind: u16, flags: i32, parts: &[&[u8]]) -> io::Result<()> {
        let body = parts.concat();
        let length = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
        let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).map_err(io::Error::other)?;
        // struct nlmsghdr: length, type, flags, sequence number, port.
        let request = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], &body].concat();
        rustix::net::send(&self.0, &request, SendFlags::empty())?;
        // Nothing but the kernel's answer ever comes here: this socket has joined no group.
        let mut answer = [0; 1024];
        let (received, _) = rustix::net::recv(&self.0, &mut answer, RecvFlags::empty())?;
        acknowledged(answer.get(..received).unwrap_or_default())
    }
}

/// struct nlmsgerr after its header: zero, or an error's negative number.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind.map(i32::from), error) {
        (Some(libc::NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(libc::NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
        (_, _) => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_zero_of_the_kernels_is_an_acknowledgement() {
        let answer =
            |kind: u16, error: i32| [&[36, 0, 0, 0][..], &kind.to_ne_bytes(), &[0; 10], &error.to_ne_bytes()].concat();
        acknowledged(&answer(2, 0)).expect("acknowledged");
        let refused = acknowledged(&answer(2, -libc::EPERM)).expect_err("refused");
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        for short in [&[][..], &answer(3, 0), &answer(2, 0)[..18]] {
            acknowledged(short).expect_err("no acknowledgement");
        }
    }
}
