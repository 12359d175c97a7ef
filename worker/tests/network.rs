//! A network grant: what it gives, and that it gives nothing else. The servers are this machine's own; nothing leaves it.
//!
//! Over 400 lines: what a grant gives and what it does not are one list, to be read side by side.
#![cfg(target_arch = "x86_64")]

mod common;

use bartizan_proto::worker::{Ending, Endpoint, FromWorker, Guarantee, Layer, LayerState, ToWorker};
use bartizan_proto::{List, Text};
use common::{Outcome, Script, skip, soon};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A server on this machine, with a thread for every connection.
struct Server {
    address: SocketAddr,
    /// Connections that are open, and that ever were.
    open: Arc<AtomicUsize>,
    seen: Arc<AtomicUsize>,
}

impl Server {
    fn start(at: impl Into<IpAddr>, serve: fn(TcpStream)) -> Self {
        Self::try_start(SocketAddr::new(at.into(), 0), serve).expect("bind")
    }

    fn try_start(at: SocketAddr, serve: fn(TcpStream)) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        let server = Self { address: listener.local_addr()?, open: Arc::default(), seen: Arc::default() };
        let (open, seen) = (server.open.clone(), server.seen.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                open.fetch_add(1, Ordering::SeqCst);
                seen.fetch_add(1, Ordering::SeqCst);
                let open = open.clone();
                thread::spawn(move || {
                    serve(stream);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(server)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    fn endpoint(&self, host: &str) -> Endpoint {
        endpoint(host, self.address)
    }
}

/// Sends back what comes, until it ends.
fn echo(mut stream: TcpStream) {
    let mut to = stream.try_clone().expect("a clone");
    let _reset = std::io::copy(&mut stream, &mut to);
}

/// Says hello when the other side has said all.
fn greet_after_the_end(mut stream: TcpStream) {
    let mut text = String::new();
    if stream.read_to_string(&mut text).is_ok() {
        let _gone = stream.write_all(format!("hello {text}").as_bytes());
    }
}

fn endpoint(host: &str, address: SocketAddr) -> Endpoint {
    let addresses = List::new([address.ip()]).expect("one");
    Endpoint { host: Text::new(host).expect("short"), port: address.port(), addresses }
}

/// With grants, and with every guarantee required.
fn granted(script: Script, endpoints: &[Endpoint]) -> Script {
    script.with(|order| {
        order.profile.network = List::new(endpoints).expect("few");
        order.require = List::new([Guarantee::Network, Guarantee::KernelSurface, Guarantee::Lifetime]).expect("few");
    })
}

fn python(endpoints: &[Endpoint], content: &str) -> Outcome {
    granted(Script::python(content), endpoints).run()
}

/// An address of this machine that is not its loopback's, found without sending anything: a datagram socket that is
/// connected only chooses its own address.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.200:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

#[test]
fn a_granted_host_and_port_is_reached_by_name_and_by_address() {
    let server = Server::start(Ipv4Addr::LOCALHOST, greet_after_the_end);
    let (address, port) = (server.address.ip(), server.address.port());
    let outcome = python(
        &[server.endpoint("service.example")],
        &format!(
            "for host in ['service.example', '{address}']:\n    s = socket.create_connection((host, {port}), 5)\n    \
             s.sendall(host.encode())\n    s.shutdown(socket.SHUT_WR)\n    print(s.makefile().read())"
        ),
    );
    assert_eq!(outcome.state(Layer::NetworkNamespace), Some(LayerState::On));
    let by = outcome.given.iter().find(|given| given.guarantee == Guarantee::Network).map(|given| given.by.to_vec());
    assert_eq!(by, Some(vec![Layer::NetworkNamespace, Layer::Seccomp]));
    let namespace = outcome.layers.iter().find(|line| line.layer == Layer::NetworkNamespace).expect("listed");
    assert!(namespace.detail.ends_with("a relay to 1 of 1 granted destinations"), "{namespace:?}");
    assert_eq!(outcome.success(), format!("hello service.example\nhello {address}\n"));
}

#[test]
#[allow(unsafe_code, reason = "pre_exec, to be confined as the launcher is")]
fn a_grant_works_under_the_launchers_own_confinement() {
    use bartizan_confine::{Confinement, confine};
    use std::os::unix::process::CommandExt;
    let launcher = Confinement { role: bartizan_proto::Role::Launcher, read: &[], write: &[], connect_ports: &[] };
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let script = Script::bash(&format!(
        "exec 3<>/dev/tcp/service.example/{}\necho over and out >&3\nread -r line <&3\necho \"$line\"",
        server.address.port()
    ));
    let script = granted(script, &[server.endpoint("service.example")]);
    let mut worker = common::Worker::start_by(|command| {
        // SAFETY: runs in the forked child, which has one thread of its own and leaves by exec; the C library makes its
        // allocator usable after a fork.
        unsafe { command.pre_exec(move || confine(&launcher).map(|_| ()).map_err(std::io::Error::other)) };
    });
    worker.order(script.order.clone(), &std::fs::File::open(&script.path).expect("open"));
    assert_eq!(worker.finish().success(), "over and out\n");
}

#[test]
fn bash_reaches_it_too() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let script = Script::bash(&format!(
        "exec 3<>/dev/tcp/service.example/{}\necho over and out >&3\nread -r line <&3\necho \"$line\"",
        server.address.port()
    ));
    assert_eq!(granted(script, &[server.endpoint("service.example")]).run().success(), "over and out\n");
}

#[test]
fn ten_megabytes_go_both_ways_over_several_connections_at_once() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let outcome = python(
        &[server.endpoint("service.example")],
        &format!(
            "import hashlib, threading\ndata = os.urandom(1 << 20) * 10\nresults = []\n\
             def one():\n    s = socket.create_connection(('service.example', {}), 5)\n    \
             def send():\n        s.sendall(data)\n        s.shutdown(socket.SHUT_WR)\n    \
             threading.Thread(target=send).start()\n    \
             results.append(hashlib.sha256(s.makefile('rb').read()).digest() == hashlib.sha256(data).digest())\n\
             threads = [threading.Thread(target=one) for _ in range(4)]\n[t.start() for t in threads]\n\
             [t.join() for t in threads]\nprint(results)",
            server.address.port()
        ),
    );
    assert_eq!(outcome.success(), "[True, True, True, True]\n");
    soon("the connections' end", || server.open() == 0);
}

#[test]
fn another_port_of_the_host_and_another_address_with_the_port_are_refused() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let port = server.address.port();
    let other_port = Server::start(Ipv4Addr::LOCALHOST, echo);
    let elsewhere = |at: IpAddr| Server::try_start(SocketAddr::new(at, port), echo).expect("the port is free there");
    let mut others = vec![elsewhere(Ipv4Addr::new(127, 0, 0, 2).into())];
    match own_address() {
        Some(own) => others.push(elsewhere(own.into())),
        None => skip("another_address_with_the_port", "this machine has no address but its loopback's"),
    }
    let mut content = format!("print(tried(lambda: socket.create_connection(('127.0.0.1', {port}), 5)))\n");
    for other in [&other_port].into_iter().chain(&others) {
        let (address, port) = (other.address.ip(), other.address.port());
        content += &format!("print(tried(lambda: socket.create_connection(('{address}', {port}), 5)))\n");
    }
    let expected = ["ok", "EACCES", "ECONNREFUSED", "ENETUNREACH"];
    let script = granted(Script::python(&content), &[server.endpoint("service.example")]);
    assert_eq!(script.run().success().lines().collect::<Vec<_>>(), expected[..others.len() + 2]);
    // Without Landlock's ports the namespace alone is as strict.
    let output = script.without(&[Layer::LandlockNetwork]).run().success();
    assert!(output.starts_with("ok\nECONNREFUSED\nECONNREFUSED\n"), "{output}");
    assert!(others.iter().chain([&other_port]).all(|server| server.seen() == 0), "somebody was reached");
}

#[test]
fn an_address_of_the_machine_that_is_granted_is_reached_and_its_other_ports_are_not() {
    let Some(own) = own_address() else {
        return skip("an_address_of_the_machine_that_is_granted", "this machine has no address but its loopback's");
    };
    let server = Server::start(own, greet_after_the_end);
    let other = Server::start(own, echo);
    let outcome = python(
        &[server.endpoint("service.example"), endpoint("loopback.example", "127.0.0.1:9".parse().expect("an address"))],
        &format!(
            "s = socket.create_connection(('service.example', {}), 5)\ns.shutdown(socket.SHUT_WR)\n\
             print(s.makefile().read())\nprint(tried(lambda: socket.create_connection(('{own}', {}), 5)))\n\
             print(tried(lambda: socket.create_connection(('{own}', 9), 5)))",
            server.address.port(),
            other.address.port()
        ),
    );
    assert_eq!(outcome.success(), "hello \nEACCES\nECONNREFUSED\n");
    assert_eq!(other.seen(), 0);
}

#[test]
fn ipv6_is_relayed_as_ipv4_is() {
    let Ok(server) = Server::try_start("[::1]:0".parse().expect("an address"), greet_after_the_end) else {
        return skip("ipv6_is_relayed_as_ipv4_is", "this machine has no ::1");
    };
    let global: SocketAddr = "[2001:db8::7]:443".parse().expect("an address");
    let outcome = python(
        &[server.endpoint("six.example"), endpoint("global.example", global)],
        &format!(
            "s = socket.create_connection(('six.example', {}), 5)\ns.shutdown(socket.SHUT_WR)\nprint(s.makefile().read())\n\
             print(tried(lambda: socket.create_connection(('2001:db8::8', 443), 5)))",
            server.address.port()
        ),
    );
    let namespace = outcome.layers.iter().find(|line| line.layer == Layer::NetworkNamespace).expect("listed");
    assert!(namespace.detail.ends_with("2 of 2 granted destinations"), "{namespace:?}");
    assert_eq!(outcome.success(), "hello \nENETUNREACH\n");
}

#[test]
fn row_44_other_kinds_of_sockets_are_denied_and_nobody_is_let_in() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let port = server.address.port();
    let outcome = python(
        &[server.endpoint("service.example")],
        &format!(
            "kinds = [(socket.AF_INET, socket.SOCK_DGRAM, 0), (socket.AF_INET6, socket.SOCK_DGRAM, 0), \
             (socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_RAW, 255), (socket.AF_NETLINK, socket.SOCK_RAW, 0), \
             (socket.AF_VSOCK, socket.SOCK_STREAM, 0), (socket.AF_PACKET, socket.SOCK_RAW, 0), (socket.AF_UNIX, socket.SOCK_STREAM, 0), \
             (socket.AF_INET, socket.SOCK_STREAM, 262), (socket.AF_INET, socket.SOCK_STREAM, 132), (38, socket.SOCK_SEQPACKET, 0)]\n\
             print({{tried(lambda: socket.socket(*kind)) for kind in kinds}})\n\
             s = socket.socket()\nprint(tried(lambda: s.bind(('127.0.0.1', 0))), tried(lambda: s.listen()))\n\
             print(tried(lambda: s.sendto(b'x', 0x20000000, ('127.0.0.1', {port}))))\n\
             print(tried(lambda: s.sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', {port}))))"
        ),
    );
    assert_eq!(outcome.success(), "{'EPERM'}\nEPERM EPERM\nEPERM\nEPERM\n");
    assert_eq!(server.seen(), 0);
}

#[test]
fn row_45_the_cloud_metadata_address_is_unreachable_unless_granted() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let port = server.address.port();
    let content = format!("print(tried(lambda: socket.create_connection(('169.254.169.254', {port}), 5)))");
    assert_eq!(python(&[server.endpoint("service.example")], &content).success(), "ENETUNREACH\n");
    // Also without the port rule, on its usual port: the namespace has no route there.
    let script = Script::python("print(tried(lambda: socket.create_connection(('169.254.169.254', 80), 5)))")
        .without(&[Layer::LandlockNetwork]);
    assert_eq!(granted(script, &[server.endpoint("service.example")]).run().success(), "ENETUNREACH\n");
    // Granted, it is there, on the granted port alone. (No connection is made.)
    let metadata = endpoint("metadata.example", "169.254.169.254:80".parse().expect("an address"));
    let content = format!("print(tried(lambda: socket.create_connection(('metadata.example', {port}), 5)))");
    let outcome = python(&[metadata, server.endpoint("service.example")], &content);
    let namespace = outcome.layers.iter().find(|line| line.layer == Layer::NetworkNamespace).expect("listed");
    assert!(namespace.detail.ends_with("2 of 2 granted destinations"), "{namespace:?}");
    assert_eq!(outcome.success(), "ECONNREFUSED\n");
}

#[test]
fn a_destination_where_nobody_listens_is_a_reset() {
    // Bound and not listening: nobody else can take it.
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
    let socket = socket.expect("socket");
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
    let address = SocketAddr::try_from(rustix::net::getsockname(&socket).expect("a name")).expect("an address");
    let content = format!(
        "def get():\n    s = socket.create_connection(('service.example', {}), 5)\n    s.settimeout(5)\n    return s.recv(1)\n\
         print(tried(get))",
        address.port()
    );
    assert_eq!(python(&[endpoint("service.example", address)], &content).success(), "ECONNRESET\n");
}

#[test]
fn a_reset_outside_is_a_reset_inside() {
    let server = Server::start(Ipv4Addr::LOCALHOST, |stream| {
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("linger");
    });
    let content = format!(
        "def get():\n    s = socket.create_connection(('service.example', {}), 5)\n    s.settimeout(5)\n    return s.recv(1)\n\
         print(tried(get))",
        server.address.port()
    );
    assert_eq!(python(&[server.endpoint("service.example")], &content).success(), "ECONNRESET\n");
}

#[test]
fn sixty_four_connections_are_served_at_a_time_and_the_next_when_one_ends() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let outcome = python(
        &[server.endpoint("service.example")],
        &format!(
            "def served(s):\n    s.settimeout(0.5)\n    try:\n        return s.recv(1) == b'x'\n    except TimeoutError:\n        \
             return False\nheld = [socket.create_connection(('service.example', {}), 5) for _ in range(70)]\n\
             [s.sendall(b'x') for s in held]\nanswered = [served(s) for s in held]\nprint(sum(answered))\n\
             late = [s for s, was in zip(held, answered) if not was]\n\
             [s.close() for s, was in zip(held, answered) if was]\nprint(sum(served(s) for s in late))",
            server.address.port()
        ),
    );
    assert_eq!(outcome.success(), "64\n6\n");
    assert_eq!(server.seen(), 70);
}

#[test]
fn what_a_script_sends_last_arrives_although_it_ends_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    let received: JoinHandle<usize> = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        thread::sleep(Duration::from_millis(200));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("read");
        all.len()
    });
    let script = Script::bash(&format!("exec head -c 3000000 /dev/zero > /dev/tcp/service.example/{}", address.port()));
    granted(script, &[endpoint("service.example", address)]).run().success();
    assert_eq!(received.join().expect("received"), 3_000_000);
}

#[test]
fn a_receiver_that_does_not_read_delays_the_end_by_a_second_at_most() {
    let server = Server::start(Ipv4Addr::LOCALHOST, |mut stream| {
        let _gone = stream.write_all(b"unread");
        thread::sleep(Duration::from_secs(30));
    });
    // More than all kernel buffers on the way hold; the script leaves without waiting for it.
    let content = format!(
        "s = socket.create_connection(('service.example', {}), 5)\ns.setblocking(False)\n\
         import time\nend = time.time() + 0.5\nwhile time.time() < end:\n    tried(lambda: s.send(b'x' * 100000))",
        server.address.port()
    );
    let start = Instant::now();
    python(&[server.endpoint("service.example")], &content).success();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn nothing_is_left_of_the_network_when_the_job_has_ended() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    for stop in [false, true] {
        let script = Script::python(&format!(
            "import time\ns = socket.create_connection(('service.example', {}), 5)\ns.sendall(b'x')\ns.recv(1)\n\
             print('connected', flush=True)\ntime.sleep({})",
            server.address.port(),
            if stop { 600 } else { 0 }
        ));
        let mut worker = granted(script, &[server.endpoint("service.example")]).start();
        worker.running();
        assert!(matches!(worker.next(), Some(FromWorker::Output(_))));
        if stop {
            assert_eq!(server.open(), 1);
            worker.send(&ToWorker::Stop { grace_ms: 0 });
        }
        let ending = worker.finish().ending;
        assert_eq!(ending == Some(Ending::Stopped), stop, "{ending:?}");
        soon("the connection's end", || server.open() == 0);
    }
}

#[test]
fn two_jobs_side_by_side_see_only_their_own_grants() {
    let (one, two) = (Server::start(Ipv4Addr::LOCALHOST, echo), Server::start(Ipv4Addr::LOCALHOST, echo));
    // Without Landlock's ports, so that nothing but the namespace is between them.
    let job = |own: &Server, others: &Server| {
        let script = Script::python(&format!(
            "import time\ns = socket.create_connection(('service.example', {}), 5)\ns.sendall(b'x')\ns.recv(1)\n\
             print(tried(lambda: socket.create_connection(('127.0.0.1', {}), 5)), flush=True)\ntime.sleep(600)",
            own.address.port(),
            others.address.port()
        ));
        granted(script.without(&[Layer::LandlockNetwork]), &[own.endpoint("service.example")])
    };
    let (first, second) = (job(&one, &two), job(&two, &one));
    let workers = [first.start(), second.start()];
    soon("both connections", || one.open() == 1 && two.open() == 1);
    for mut worker in workers {
        worker.running();
        assert!(matches!(worker.next(), Some(FromWorker::Output(said)) if *said == *b"ECONNREFUSED\n"));
        worker.send(&ToWorker::Stop { grace_ms: 0 });
        assert_eq!(worker.finish().ending, Some(Ending::Stopped));
    }
    assert_eq!((one.seen(), two.seen()), (1, 1));
}

#[test]
fn a_script_that_floods_connections_is_stopped_at_once() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let script = Script::python(&format!(
        "import threading\nprint('begun', flush=True)\n\
         def flood():\n    while True:\n        s = socket.socket()\n        s.setblocking(False)\n        \
         s.connect_ex(('127.0.0.1', {}))\n        tried(lambda: s.send(b'x' * 100000))\n\
         [threading.Thread(target=flood).start() for _ in range(8)]",
        server.address.port()
    ));
    let mut worker = granted(script, &[server.endpoint("service.example")]).start();
    worker.running();
    soon("a flood", || server.seen() > 200);
    worker.send(&ToWorker::Inspect);
    let start = Instant::now();
    while !matches!(worker.next(), Some(FromWorker::Inspected { .. })) {}
    worker.send(&ToWorker::Stop { grace_ms: 0 });
    assert_eq!(worker.finish().ending, Some(Ending::Stopped));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    soon("the connections' end", || server.open() == 0);
}

#[test]
fn a_connection_that_waits_for_nothing_costs_no_processor_time() {
    // The script's side half closed, the server's silent: the easiest state to spin in.
    let server = Server::start(Ipv4Addr::LOCALHOST, |mut stream| {
        thread::sleep(Duration::from_secs(1));
        let _gone = stream.write_all(b"late").and_then(|()| stream.shutdown(Shutdown::Both));
    });
    let script = Script::python(&format!(
        "s = socket.create_connection(('service.example', {}), 5)\ns.shutdown(socket.SHUT_WR)\nprint(s.makefile().read())",
        server.address.port()
    ));
    let mut worker = granted(script, &[server.endpoint("service.example")]).start();
    worker.running();
    thread::sleep(Duration::from_millis(700));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", worker.child.id())).expect("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    assert_eq!(worker.finish().success(), "late\n");
    assert!(ticks < 10, "{ticks} ticks of processor time");
}

#[test]
fn a_thousand_destinations_are_all_served() {
    let server = Server::start(Ipv4Addr::LOCALHOST, greet_after_the_end);
    let port = server.address.port();
    let mut endpoints: Vec<Endpoint> = (0..63u8)
        .map(|host| {
            let addresses: Vec<IpAddr> = (0..16u8).map(|last| IpAddr::from([192, 0, host, last + 1])).collect();
            Endpoint {
                host: Text::new("many.example").expect("short"),
                port: 443,
                addresses: List::new(addresses).expect("16"),
            }
        })
        .collect();
    endpoints.push(server.endpoint("service.example"));
    let outcome = python(
        &endpoints,
        &format!(
            "s = socket.create_connection(('service.example', {port}), 5)\ns.shutdown(socket.SHUT_WR)\nprint(s.makefile().read())\n\
             import resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE))"
        ),
    );
    let namespace = outcome.layers.iter().find(|line| line.layer == Layer::NetworkNamespace);
    let detail = namespace.map(|line| line.detail.to_string()).unwrap_or_default();
    assert!(detail.ends_with("1009 of 1009 granted destinations"), "{detail} {:?}", outcome.refused);
    assert_eq!(outcome.success(), "hello \n(256, 256)\n");
}

#[test]
fn a_name_without_an_address_reaches_nothing_and_odd_addresses_are_left_out() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let mut nowhere = server.endpoint("nowhere.example");
    nowhere.addresses = List::default();
    let odd: Vec<IpAddr> = ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "fe80::1"]
        .map(|text| text.parse().expect("an address"))
        .into();
    let mut broken = server.endpoint("odd.example");
    broken.addresses = List::new(odd).expect("few");
    let content = format!(
        "try:\n    socket.create_connection(('nowhere.example', {port}), 5)\nexcept socket.gaierror:\n    print('no name')\n\
         print(tried(lambda: socket.create_connection(('0.0.0.0', {port}), 5)))",
        port = server.address.port()
    );
    assert_eq!(python(&[nowhere, broken], &content).success(), "no name\nECONNREFUSED\n");
    assert_eq!(server.seen(), 0);
}

#[test]
fn without_a_namespace_a_required_network_guarantee_means_that_nothing_runs() {
    let server = Server::start(Ipv4Addr::LOCALHOST, echo);
    let script = granted(Script::bash("echo never"), &[server.endpoint("service.example")]);
    let mut script = script.without(&[Layer::NetworkNamespace]);
    let (step, why) = script.run().refused.expect("refused");
    assert!(step == "require" && why.contains("guarantee network"), "{step}: {why}");
    // Not required, it runs in the host's network, and the report says so.
    script.order.require = List::default();
    let outcome = script.run();
    let namespace = outcome.layers.iter().find(|line| line.layer == Layer::NetworkNamespace).expect("listed");
    assert!(namespace.state == LayerState::Off && namespace.detail.contains("the host's network"), "{namespace:?}");
    assert_eq!(outcome.success(), "never\n");
}
