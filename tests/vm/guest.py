"""Inside the machine of `make vm-test`: installs, loads the policy, uses the service as people do, then attacks it.

Each line is `ok NAME`, `FAILED NAME: why`, `skipped NAME: why` or `time WHAT SECONDS`. An attack runs as root, or as
the owner of what it is at, in the domain of one of Bartizan's programs: so what stops it is the policy, and the audit log must say so. The
same attempt outside of that domain must succeed, else it would prove nothing.
"""
import ctypes
import json
import os
import re
import socket
import subprocess
import sys
import time
import traceback
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = open(f"{HERE}/unit").read().strip()
STATE = "/var/lib/bartizan/state"
TOKEN, CONTROL = "/etc/bartizan/keys/token", "/var/lib/bartizan/control/control.sock"
ENFORCING = open("/sys/fs/selinux/enforce").read() == "1"
PATIENCE = 120
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long


def say(line):
    print(line.replace("\n", " | "), flush=True)


class Phase:
    """Says how long something took."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.begun = time.monotonic()

    def __exit__(self, *_):
        say(f"time {self.name:28} {time.monotonic() - self.begun:6.1f} s")


def check(name, condition, why=""):
    say(f"ok {name}" if condition else f"FAILED {name}: {why}")


def run(*words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def until(what, condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise RuntimeError(f"waited in vain for {what}")


# The audit log.


def records(since):
    """What the kernel said since then that is about Bartizan: denials, and transitions that it did not make."""
    time.sleep(1)
    with open("/var/log/audit/audit.log") as log:
        log.seek(since)
        lines = log.read().splitlines()
    wanted = re.compile(r"type=(AVC|USER_AVC|SELINUX_ERR|USER_SELINUX_ERR) ")
    return [line for line in lines if wanted.search(line) and "bartizan_" in line]


def log_end():
    time.sleep(1)
    return os.path.getsize("/var/log/audit/audit.log")


# Chat.


class Chat:
    def __init__(self):
        program = f"{HERE}/built/bartizan-playground"
        self.server = subprocess.Popen([program, "serve", "--port", "8080"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.decoder, text = json.JSONDecoder(), ""
        while True:
            text += self.server.stdout.readline().decode()
            try:
                self.world = json.loads(text)
                return
            except ValueError:
                pass

    def call(self, who, method, path, body=None):
        request = urllib.request.Request(self.world["url"] + "/api/v4" + path, method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("Authorization", "Bearer " + self.world["users"][who]["token"])
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def say(self, who, text):
        return self.call(who, "POST", "/posts", {"channel_id": self.world["channels"]["ops"], "message": text})["id"]

    def replies(self, who, post):
        thread = self.call(who, "GET", f"/posts/{post}/thread")["posts"].values()
        bot = self.world["bot"]["id"]
        return [reply["message"] for reply in sorted(thread, key=lambda each: each["create_at"]) if reply["user_id"] == bot]

    def ask(self, who, text, expected):
        """The bot's answers, once one of them has what is expected."""
        post = self.say(who, text)
        try:
            until(text, lambda: expected in "\n".join(self.replies(who, post)))
        except RuntimeError:
            pass
        return "\n".join(self.replies(who, post))


# The service.


def processes():
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                context = open(f"/proc/{entry}/attr/current").read().strip("\0\n")
                argv = open(f"/proc/{entry}/cmdline").read().split("\0")
            except OSError:
                continue
            kind = context.split(":")[2] if ":" in context else context
            if "bartizan-" in argv[0] and "playground" not in argv[0] or kind.startswith("bartizan_"):
                found[int(entry)] = (os.path.basename(argv[0]), kind)
    return found


def in_domain(kind):
    return next((pid for pid, (_, context) in processes().items() if context == kind), None)


def status():
    done = subprocess.run(["bartizan", "status", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def connected():
    return until("the connection", lambda: status().get("connected"))


def install(chat):
    with open("/root/token", "w") as token:
        token.write(chat.world["bot"]["token"])
    told = dict(os.environ, BUILT=f"{HERE}/built", PREFIX="/usr", ACCOUNTS="yes", URL=chat.world["url"],
                TEAM=chat.world["team"]["name"], TOKEN_FILE="/root/token")
    run("sh", f"{HERE}/repository/deploy/install", env=told)
    with open("/etc/bartizan/bartizan.toml", "a") as file:
        file.write('alice = "admin"\nbob = "operator"\n')
    with open("/etc/bartizan/allowlist.toml", "a") as file:
        for name in os.listdir(f"{HERE}/scripts"):
            run("install", "-m", "0755", f"{HERE}/scripts/{name}", f"/etc/bartizan/scripts/{name}")
            file.write(f'\n[[scripts]]\nname = "{name}"\npath = "{name}"\ndescription = "For the machine\'s test"\n'
                       f'required-permission = "user"\ntimeout = "5m"\n')


def good_run(chat):
    for text, expected in [("!ping", "Pong"), ("!hello Alice", "Hello, Alice!"), ("!whoami", "alice")]:
        said = chat.ask("alice", text, expected)
        check(text, expected in said, said)
    said = chat.ask("alice", "!shows", "bartizan_")
    check("a script has a domain of its own", "bartizan_script_t" in said, said)
    post = chat.say("alice", "!wait")
    sleeps = lambda: any(name == "sleep" for name, _ in processes().values())
    until("the job", sleeps)
    number = re.search(r"(\d+): \*\*wait", chat.ask("alice", "!jobs", "**wait**"))
    chat.say("alice", f"!kill {number.group(1) if number else 'the job'}")
    until("the killed job's end", lambda: not sleeps())
    said = until("its answer", lambda: "\n".join(text for text in chat.replies("alice", post) if "stopped" in text))
    check("!kill", "**wait**: stopped after" in said, said)


def readers():
    run("systemctl", "start", "bartizan-exporter", "bartizan-audit-page")

    said = "nothing"

    def metrics():
        nonlocal said
        try:
            said = urllib.request.urlopen("http://127.0.0.1:9464/metrics", timeout=10).read().decode()
        except OSError as error:
            said = f"{error}"
        return "bartizan_" in said

    try:
        until("the metrics", metrics, 30)
    except RuntimeError:
        pass
    check("metrics", "bartizan_" in said, said[:200])

    def page():
        asker = socket.socket(socket.AF_UNIX)
        asker.connect("/run/bartizan-audit-page/page.sock")
        asker.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return asker.makefile("rb").read().decode()

    until("the page's socket", lambda: os.path.exists("/run/bartizan-audit-page/page.sock"))
    said = page()
    check("the audit page", "hello" in said, said[:300])
    both = [kind for name, kind in processes().values() if name == "bartizan"]
    check("metrics and audit page are in the domain of those who look", both == ["bartizan_exporter_t"] * 2, f"{both}")


def restart(chat):
    core = in_domain("bartizan_core_t")
    run("bartizan", "restart")
    until("another core", lambda: in_domain("bartizan_core_t") not in (None, core))
    connected()
    said = chat.ask("alice", "!hello Again", "Hello, Again!")
    check("restart", "Hello, Again!" in said, said)


EXPECTED = {"bartizan-broker": "bartizan_core_t", "bartizan-launcher": "bartizan_launcher_t", "bartizan-egress": "bartizan_egress_t",
            "bartizan-connector": "bartizan_connector_t", "bartizan-worker": "bartizan_worker_t"}


def domains():
    found = processes()
    seen = {name for name, _ in found.values()}
    wrong = {pid: each for pid, each in found.items() if EXPECTED.get(each[0]) != each[1]}
    check("each process is in the domain of its program", not wrong and seen == set(EXPECTED), f"wrong: {wrong}; missing: {set(EXPECTED) - seen}")


# Attacks.


class Attack:
    """`prepare` is done outside of the domain, so that nothing on the way stops it; `attempt` inside."""

    def __init__(self, what, prepare, attempt, domains, denials):
        self.what, self.prepare, self.attempt, self.domains, self.denials = what, prepare, attempt, domains, denials

    def go(self, domain):
        """In a process of its own: its number, and 0 where it works, 1 where it is denied."""
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                held = self.prepare()
                if domain:
                    with open("/proc/self/attr/current", "w") as own:
                        own.write(f"unconfined_u:unconfined_r:{domain}:s0")
                try:
                    self.attempt(held)
                    code = 0
                except PermissionError:
                    code = 1
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def as_owner(path):
    """The file in hand, but not opened; and its owner's rights, so that its mode stops nobody."""
    def prepare():
        held = os.open(path, os.O_PATH)
        owner = os.fstat(held).st_uid
        os.setresuid(owner, owner, owner)
        # Else this process's own folder in /proc is closed to it now.
        libc.prctl(4, 1, 0, 0, 0)
        return f"/proc/self/fd/{held}"
    return prepare


def opens(how):
    return lambda path: os.close(os.open(path, how))


def connects(path):
    socket.socket(socket.AF_UNIX).connect(path)


def reaches_out(_):
    socket.socket(socket.AF_INET).connect(("127.0.0.1", 8080))


def traces(pid):
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, None, None)


def attacks():
    core = in_domain("bartizan_core_t")
    job = ["bartizan_worker_t", "bartizan_script_t", "bartizan_driver_t", "bartizan_remote_t"]
    others = ["bartizan_launcher_t", "bartizan_egress_t", "bartizan_connector_t", *job]
    all_of_them = ["bartizan_core_t", *others]
    read, write = opens(os.O_RDONLY), opens(os.O_WRONLY)

    def file(what, path, how, right, kind, who):
        return Attack(what, as_owner(path), how, who, [f"{{ {right} }}.*:{kind}:.*tclass=file"])

    listed = [
        file("reads the brain", f"{STATE}/state.db", read, "read", "bartizan_state_t", others),
        file("reads the brain's key", f"{STATE}/brain.key", read, "read", "bartizan_key_t", others),
        file("reads the audit key", f"{STATE}/audit.key", read, "read", "bartizan_key_t", others),
        file("reads the audit log", f"{STATE}/audit.jsonl", read, "read", "bartizan_audit_t", others),
        file("writes the audit log", f"{STATE}/audit.jsonl", write, "write", "bartizan_audit_t", others),
        file("reads the token", TOKEN, read, "read", "bartizan_token_t", others),
        file("changes the allowlist", "/etc/bartizan/allowlist.toml", write, "write", "bartizan_allowlist_t", all_of_them),
        file("changes a script", "/etc/bartizan/scripts/hello", write, "write", "bartizan_script_exec_t", all_of_them),
        Attack("connects to the control socket", as_owner(CONTROL), connects, others, ["{ write }.*:bartizan_control_t:.*tclass=sock_file"]),
        Attack("makes a connection", lambda: None, reaches_out, ["bartizan_core_t", "bartizan_launcher_t", "bartizan_connector_t"],
               ["{ create }.*tclass=tcp_socket"]),
        Attack("makes a connection", lambda: None, reaches_out, job, ["{ name_connect }.*tclass=tcp_socket"]),
        # It is not dumpable: the kernel asks for a capability first, which nobody has.
        Attack("traces the core", lambda: core, traces, all_of_them, ["{ ptrace }.*:bartizan_core_t:", "{ sys_ptrace }.*tclass=capability"]),
        Attack("opens the core's memory", lambda: f"/proc/{core}/mem", opens(os.O_RDWR), others,
               [":bartizan_core_t:s0 tclass=dir", ":bartizan_core_t:s0 tclass=file", "{ ptrace }.*:bartizan_core_t:",
                "{ sys_ptrace }.*tclass=capability", "{ dac_override }.*tclass=capability"]),
    ]
    since, tried = log_end(), []
    for attack in listed:
        if attack.go(None)[1] != 0:
            check(f"an administrator {attack.what}", False, "it does not work without the policy either, and proves nothing")
            continue
        tried += [(attack, domain, *attack.go(domain)) for domain in attack.domains]
    denied = [line for line in records(since) if "denied" in line]
    for attack, domain, pid, code in tried:
        own = [line for line in denied if f" pid={pid} " in line and f":{domain}:" in line.split("tcontext=")[0]]
        fits = any(re.search(denial, line) for denial in attack.denials for line in own)
        check(f"{domain} {attack.what}: denied", fits and (code == 1 or not ENFORCING), f"exit {code}; {own}")


def main():
    say(f"time {'boot':28} {float(open('/proc/uptime').read().split()[0]):6.1f} s")
    check("SELinux is enforcing", ENFORCING, "permissive")
    chat = Chat()
    with Phase("the policy: semodule"):
        # With the neverallow rules of both checked against everything in Debian's policy, which semodule leaves out otherwise.
        with open("/etc/selinux/semanage.conf") as file:
            conf = file.read()
        with open("/etc/selinux/semanage.conf", "w") as file:
            file.write(conf.replace("expand-check=0", "expand-check=1"))
        # The second lets this process into each domain, and nobody do anything else.
        run("semodule", "-i", f"{HERE}/bartizan.pp", "-i", f"{HERE}/bartizan_vm.pp")
    with Phase("the installation"):
        install(chat)
    with Phase("labels: restorecon"):
        run("restorecon", "-RF", "/etc/bartizan", "/usr/libexec/bartizan", "/usr/lib/systemd/system", "/var/lib/bartizan")
    begun = log_end()
    with Phase("the service's start"):
        run("systemctl", "start", UNIT)
        connected()
    domains()
    with Phase("the good run"):
        good_run(chat)
    with Phase("metrics and audit page"):
        readers()
    said = subprocess.run(["bartizan", "doctor"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    told = [line for line in said.splitlines() if "SELinux" in line]
    check("bartizan doctor sees the policy and the domains", "enforcing, with" in f"{told}" and "each in the domain" in f"{told}", f"{told}")
    with Phase("restart"):
        restart(chat)
    said = records(begun)
    check("no denial in the good run", not said, f"{len(said)} records")
    for line in sorted(set(re.sub(r"^.*?(avc: |op=)", r"\1", re.sub(r"(pid|ino)=\d+ ", "", line)) for line in said)):
        say(f"  {line}")
    said = chat.ask("alice", "!steal", "exit 0")
    check("a script gets nothing of the service's", "nothing" in said and "got " not in said, said)
    with Phase("attacks"):
        attacks()
    check("the service still works", "Pong" in chat.ask("alice", "!ping", "Pong"))
    with Phase("the service's end"):
        run("systemctl", "stop", UNIT)


try:
    main()
except BaseException as error:
    say(f"FAILED the guest: {type(error).__name__}: {error}")
    for line in subprocess.run(["journalctl", "-b", "-u", "bartizan*", "-n", "60", "--no-pager", "-o", "cat"], stdout=subprocess.PIPE, text=True).stdout.splitlines():
        say(f"  {line}")
    for line in records(0)[:200]:
        say(f"  {line}")
say("done")
sys.exit(0)
