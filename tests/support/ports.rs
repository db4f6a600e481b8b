//! Ports for servers of others that have to be told theirs.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;

/// Below those that Linux gives to whoever asks for any (from 32,768 on): one of those may be
/// another program's by the time that it is listened at.
const PORTS: Range<u16> = 12_000..32_000;

/// The first of `count` ports that nobody has, neither of TCP nor of UDP; an even one.
pub fn free_ports(count: u16) -> u16 {
    let is_free = |port: u16| {
        TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok()
    };
    loop {
        let random = RandomState::new().build_hasher().finish();
        let room = u64::from(PORTS.end - PORTS.start - count);
        let first = (PORTS.start + (random % room) as u16) & !1;
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}

/// One of them.
pub fn free_port() -> u16 {
    free_ports(1)
}
