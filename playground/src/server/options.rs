//! How a server is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The settings of one embedded server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Speak TLS with a certificate from a CA made at start.
    pub tls: bool,
    /// Take as long as a real server; none answers as fast as it can.
    pub service_times: Option<ServiceTimes>,
    /// Limit each account's requests; off in Mattermost by default, and then there are no such headers.
    pub rate_limit: Option<RateLimit>,
    /// The longest message in code points, `MaxPostSize` of the client configuration.
    pub max_post: usize,
    /// How long the first reply to a post takes to be saved where there are no service times. In this window a
    /// second first reply fails with 500, as it does on the real server.
    pub first_reply_window: Duration,
    /// How often an open websocket is pinged.
    pub ping_every: Duration,
    /// How long connecting is refused in a restart.
    pub restart_takes: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: false,
            service_times: None,
            rate_limit: None,
            max_post: 16_383,
            first_reply_window: Duration::from_millis(1),
            ping_every: Duration::from_secs(60),
            restart_takes: Duration::from_secs(2),
        }
    }
}

/// How long a request is in the server, from its arrival to its effect. [`ServiceTimes::real`] was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTimes {
    /// A flat post, and every other change.
    pub post: Duration,
    /// A post in a thread.
    pub reply: Duration,
    /// Anything that only reads.
    pub read: Duration,
}

impl ServiceTimes {
    /// A real server on one machine, over loopback.
    pub const fn real() -> ServiceTimes {
        ServiceTimes {
            post: Duration::from_micros(2_500),
            reply: Duration::from_micros(6_000),
            read: Duration::from_micros(2_000),
        }
    }
}

/// Requests that an account may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained, per second.
    pub per_second: u32,
    /// At once, on top.
    pub burst: u32,
}
