//! Egress: TCP to one server (the port is Landlock's matter), and the resolver's UDP. Unix sockets only as inherited: with
//! the connector compromised or the server hostile, there is no other daemon of this machine to be reached from here.

use super::parts;
use crate::filter::{Rule, always, any_of, is, masked};

pub(super) fn list() -> Vec<Rule> {
    let mut rules = parts::runtime();
    // The resolver's files, and certificates.
    rules.extend(parts::read_files());
    rules.push(parts::socket_pairs());
    // TCP and UDP over IPv4 and IPv6, with the protocol that belongs to the type: MPTCP would pass Landlock's ports.
    let (tcp, udp) = (is(2, IPPROTO_TCP), is(2, IPPROTO_UDP));
    let (stream, datagram) = (masked(1, parts::SOCKET_TYPE, SOCK_STREAM), masked(1, parts::SOCKET_TYPE, SOCK_DGRAM));
    let (v4, v6, any) = (is(0, AF_INET), is(0, AF_INET6), is(2, 0));
    rules.push(any_of(
        libc::SYS_socket,
        &[
            &[v4, stream, any],
            &[v4, stream, tcp],
            &[v6, stream, any],
            &[v6, stream, tcp],
            &[v4, datagram, any],
            &[v4, datagram, udp],
            &[v6, datagram, any],
            &[v6, datagram, udp],
        ],
    ));
    rules.push(always(libc::SYS_connect));
    // The resolver sends to the name server, without connection where it has several; never with MSG_FASTOPEN, which
    // connects TCP without asking Landlock.
    rules.push(any_of(libc::SYS_sendto, &[&[masked(3, MSG_FASTOPEN, 0)]]));
    rules.push(any_of(libc::SYS_sendmmsg, &[&[masked(3, MSG_FASTOPEN, 0)]]));
    rules
}

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const IPPROTO_TCP: u64 = 6;
const IPPROTO_UDP: u64 = 17;
const MSG_FASTOPEN: u64 = 0x2000_0000;
