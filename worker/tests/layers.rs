//! Layers switched off: each alone, as older kernels lack them, and exactly those that stop an attack.
//!
//! The last is the proof that a row's test can fail: [`ATTACKS`] names for each attack the layers that stop it, and what it
//! does to a machine when they are gone. A layer that is left off is left off by the order's `without`, which only takes
//! away and which the core refuses.

mod common;

use bartizan_proto::List;
use bartizan_proto::worker::{Guarantee, Layer};
use common::{Outcome, Script};

const NAMESPACES: [Layer; 6] = [
    Layer::UserNamespace,
    Layer::PidNamespace,
    Layer::MountNamespace,
    Layer::NetworkNamespace,
    Layer::IpcNamespace,
    Layer::UtsNamespace,
];
const LANDLOCK: [Layer; 3] = [Layer::LandlockFiles, Layer::LandlockNetwork, Layer::LandlockScope];

/// Everything that can be left off.
const ALL: [Layer; 12] = [
    Layer::Limits,
    Layer::Capabilities,
    Layer::UserNamespace,
    Layer::PidNamespace,
    Layer::MountNamespace,
    Layer::NetworkNamespace,
    Layer::IpcNamespace,
    Layer::UtsNamespace,
    Layer::LandlockFiles,
    Layer::LandlockNetwork,
    Layer::LandlockScope,
    Layer::Seccomp,
];

fn missing(outcome: &Outcome) -> Vec<Guarantee> {
    outcome.given.iter().filter(|given| given.by.is_empty()).map(|given| given.guarantee).collect()
}

/// Runs with these layers off: exactly these guarantees are missing, and to require one of them means that nothing runs.
fn loses(what: &str, without: &[Layer], lost: &[Guarantee]) {
    let outcome = Script::bash("echo runs").without(without).run();
    assert_eq!(missing(&outcome), lost, "{what}");
    assert_eq!(outcome.success(), "runs\n", "{what}");
    for guarantee in Guarantee::ALL {
        let require = |order: &mut bartizan_proto::worker::Order| order.require = List::cut([guarantee]);
        let outcome = Script::bash("echo runs").without(without).with(require).run();
        let refused = outcome.refused.as_ref().map(|(step, _)| step.as_str());
        let expected = lost.contains(&guarantee).then_some("require");
        assert_eq!(refused, expected, "{what}: {guarantee:?} required: {:?}", outcome.refused);
        assert_eq!(outcome.text().contains("runs"), expected.is_none(), "{what}: {guarantee:?}");
    }
}

#[test]
fn row_49_each_layer_alone_may_be_missing_and_what_that_costs_is_what_the_table_says() {
    use Guarantee::{KernelSurface, Lifetime, Privileges, Programs, Resources, UnixSockets};
    for layer in ALL {
        let lost: &[Guarantee] = match layer {
            Layer::Limits => &[Resources],
            Layer::Capabilities => &[Privileges],
            // A new root has a /proc of its own, which takes a process namespace of its own.
            Layer::PidNamespace => &[Programs, Lifetime],
            Layer::MountNamespace => &[Programs],
            Layer::Seccomp => &[Programs, Privileges, UnixSockets, KernelSurface],
            // An ordinary user makes the other namespaces in a user namespace only.
            Layer::UserNamespace => &[Programs, Lifetime],
            Layer::NetworkNamespace
            | Layer::IpcNamespace
            | Layer::UtsNamespace
            | Layer::LandlockFiles
            | Layer::LandlockNetwork
            | Layer::LandlockScope => &[],
            Layer::Descriptors | Layer::Environment | Layer::NoNewPrivileges | Layer::OwnUser => continue,
        };
        if layer == Layer::UserNamespace && common::is_root() {
            common::skip("row_49", "root makes namespaces without a user namespace");
            continue;
        }
        loses(&format!("without {layer:?}"), &[layer], lost);
    }
}

#[test]
fn row_49_the_kernels_of_debian_12_and_of_rhel_9_give_every_guarantee() {
    // Debian 12, 6.1: Landlock ABI 2.
    loses("ABI 2", &[Layer::LandlockNetwork, Layer::LandlockScope], &[]);
    // RHEL 9.6, 5.14.0-570: ABI 5.
    loses("ABI 5", &[Layer::LandlockScope], &[]);
    // Earlier RHEL 9: none.
    loses("no Landlock", &LANDLOCK, &[]);
}

#[test]
fn row_49_without_user_namespaces_or_without_landlock_too_what_is_missing_is_said_and_may_be_required() {
    use Guarantee::{FilesRead, FilesWrite, Lifetime, Programs, Signals, Tracing};
    loses("no namespaces", &NAMESPACES, &[Programs, Lifetime]);
    // ABI 5 without namespaces: what keeps signals in is the scope alone.
    let old = [&NAMESPACES[..], &[Layer::LandlockScope]].concat();
    loses("no namespaces, ABI 5", &old, &[Programs, Signals, Lifetime]);
    let neither = [&NAMESPACES[..], &LANDLOCK].concat();
    loses("neither", &neither, &[FilesRead, FilesWrite, Programs, Signals, Tracing, Lifetime]);
}

/// One attack: its rows, what it prints when it is stopped, the layers that stop it, and what it prints without them.
struct Attack {
    rows: &'static str,
    probe: &'static str,
    stopped: &'static str,
    layers: &'static [Layer],
    works: &'static [&'static str],
}

/// `OWN` is this test's process id.
const ATTACKS: &[Attack] = &[
    Attack {
        rows: "25",
        probe: "import subprocess; print(subprocess.run([sys.executable, '-c', 'import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))']).returncode)",
        stopped: "-31",
        layers: &[Layer::Seccomp],
        works: &["0"],
    },
    Attack {
        rows: "26",
        probe: "import subprocess; print(subprocess.run([sys.executable, '-c', '''
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex('b814000000cd80c3'))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
''']).returncode)",
        stopped: "-31",
        layers: &[Layer::Seccomp],
        // A kernel without that ABI sends SIGSEGV.
        works: &["0", "-11"],
    },
    Attack {
        rows: "27 28",
        probe: "print(call(16, 0, 0x5412, b'x'), call(16, 0, 0x100005412, b'x'), call(16, 0, 0x541c, b'x'))",
        stopped: "EPERM EPERM EPERM",
        layers: &[Layer::Seccomp],
        works: &["ENOTTY ENOTTY ENOTTY"],
    },
    Attack {
        rows: "29",
        probe: "print(call(425, 1, b'\\0' * 128))",
        stopped: "EPERM",
        layers: &[Layer::Seccomp],
        works: &["ok"],
    },
    Attack {
        rows: "30",
        probe: "print(call(438, os.open('/proc/self', os.O_RDONLY), 0, 0), call(101, 0x4206, 0, 0, 0), tried(lambda: open('/proc/OWN/environ')))",
        stopped: "EPERM EPERM ENOENT",
        // Any domain of Landlock's, whatever it handles, forbids to trace what is outside of it.
        layers: &[Layer::Seccomp, Layer::PidNamespace, Layer::MountNamespace, Layer::UserNamespace, Layer::LandlockFiles, Layer::LandlockNetwork, Layer::LandlockScope],
        works: &["EBADF ESRCH ok"],
    },
    Attack {
        rows: "31",
        probe: "print(call(272, 0x10000000), call(56, 0x10000000 | 17, 0))",
        stopped: "EPERM EPERM",
        layers: &[Layer::Seccomp, Layer::UserNamespace, Layer::PidNamespace, Layer::MountNamespace, Layer::NetworkNamespace, Layer::IpcNamespace, Layer::UtsNamespace],
        // In the first one this user is not mapped, so that a second is not to be had.
        works: &["ok EPERM"],
    },
    Attack {
        rows: "32",
        probe: "print(call(428, -100, b'/', 0))",
        stopped: "EPERM",
        layers: &[Layer::Seccomp],
        works: &["ok"],
    },
    Attack {
        rows: "33",
        probe: "print(call(248, b'user', b'x', b'y', 1, -2), call(323, 1))",
        stopped: "EPERM EPERM",
        layers: &[Layer::Seccomp],
        works: &["ok ok"],
    },
    Attack {
        rows: "34",
        probe: "import shutil, subprocess
shutil.copy('/usr/bin/true', 'program'); os.chmod('program', 0o755)
print(tried(lambda: subprocess.run(['./program'])))",
        stopped: "EACCES",
        layers: &[Layer::MountNamespace, Layer::LandlockFiles],
        works: &["ok"],
    },
    Attack {
        rows: "34",
        probe: "print(call(319, b'x', 0))",
        stopped: "EPERM",
        layers: &[Layer::Seccomp],
        works: &["ok"],
    },
    Attack {
        rows: "37",
        probe: "print(tried(lambda: os.kill(OWN, 0)))",
        stopped: "ESRCH",
        layers: &[Layer::PidNamespace, Layer::LandlockScope],
        works: &["ok"],
    },
    Attack {
        rows: "40",
        probe: "print(os.path.exists('/root'), os.path.exists('/home'))",
        stopped: "False False",
        layers: &[Layer::MountNamespace],
        works: &["True True"],
    },
    Attack {
        rows: "43",
        probe: "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = open('huge', 'wb'); file.seek(65 << 20)
print(tried(lambda: (file.write(b'x'), file.flush())))",
        stopped: "EFBIG",
        layers: &[Layer::Limits],
        works: &["ok"],
    },
    Attack {
        rows: "44",
        probe: "print(*[call(41, family, kind, 0) for family, kind in [(2, 2), (10, 2), (16, 3), (1, 1)]])",
        stopped: "EPERM EPERM EPERM EPERM",
        layers: &[Layer::Seccomp],
        works: &["ok ok ok ok"],
    },
    Attack {
        rows: "45",
        probe: "s = call(41, 2, 1, 0)
if s == 'ok': s = socket.socket(); s.settimeout(1); s = tried(lambda: s.connect(('127.0.0.1', PORT)))
print(s)",
        stopped: "EPERM",
        layers: &[Layer::Seccomp, Layer::NetworkNamespace, Layer::LandlockNetwork],
        works: &["ok"],
    },
    Attack {
        rows: "47",
        probe: "print(tried(lambda: open(sys.argv[0], 'a')))",
        stopped: "EROFS",
        layers: &[Layer::MountNamespace, Layer::LandlockFiles],
        works: &["ok"],
    },
    Attack {
        rows: "48",
        probe: "import threading, time
[threading.Thread(target=time.sleep, args=(1,), daemon=True).start() for _ in range(3)]
tasks = os.listdir('/proc/self/task')
print(len(tasks), {line.split()[1] for task in tasks for line in open('/proc/self/task/%s/status' % task) if line.startswith('Seccomp:')})",
        stopped: "4 {'2'}",
        layers: &[Layer::Seccomp],
        works: &["4 {'0'}"],
    },
];

/// Every layer of its list off: the attack does what it is meant to. All on, or any one of them: it is stopped.
#[test]
fn rows_25_to_34_and_37_and_40_and_43_to_45_and_47_to_48_each_attack_is_stopped_by_its_layers_and_works_without_them() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("bound").port().to_string();
    let own = std::process::id().to_string();
    let mut wrong = Vec::new();
    for Attack { rows, probe, stopped, layers, works } in ATTACKS {
        let probe = probe.replace("OWN", &own).replace("PORT", &port);
        let run = |without: &[Layer]| {
            let outcome = Script::python(&probe).without(without).run();
            let printed = outcome.text().trim().to_owned();
            if printed.is_empty() { format!("{:?} {:?}", outcome.ending, outcome.refused) } else { printed }
        };
        let whole = run(&[]);
        if whole != *stopped {
            wrong.push(format!("row {rows}, everything on: {whole}"));
        }
        let bare = run(layers);
        if !works.contains(&bare.as_str()) {
            wrong.push(format!("row {rows}, without {layers:?}: {bare}"));
        }
        if layers.len() < 2 {
            continue;
        }
        for layer in *layers {
            let rest: Vec<Layer> = layers.iter().copied().filter(|other| other != layer).collect();
            // The user namespace is what the others need; by itself it stops tracing and nothing else.
            if *layer == Layer::UserNamespace || rest.contains(&Layer::UserNamespace) {
                continue;
            }
            let with_one = run(&rest);
            if works.contains(&with_one.as_str()) {
                wrong.push(format!("row {rows}, {layer:?} alone does not stop it: {with_one}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
