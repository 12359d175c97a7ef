"""Inside the machines of `make vm-test`: installs the package, loads the policy, uses the service as people do, then attacks it
(attacks.py), and makes a backup; the second machine is a fresh one that the backup goes onto.

Each line is `ok NAME`, `FAILED NAME: why`, `skipped NAME: why` or `time WHAT SECONDS`.
"""
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request

from attacks import attacks
from machine import BACKUP, ENFORCING, HERE, PART, UNIT, Chat, Phase, check, in_domain, log_end, processes, records, run, say, until

# The service.


def status():
    done = subprocess.run(["bartizan", "status", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def connected():
    return until("the connection", lambda: status().get("connected"))


def install():
    run("dpkg", "-i", f"{HERE}/bartizan.deb")


def label():
    run("restorecon", "-RF", "/etc/bartizan", "/usr/libexec/bartizan", "/usr/lib/systemd/system", "/var/lib/bartizan")


def set_up(chat):
    """As an administrator on the first day; then the demo's people, profiles and scripts, which the transcripts count on."""
    world = chat.world
    said = run("bartizan", "setup", "--url", world["url"], "--team", world["team"]["name"], "--admin", "alice", input=world["bot"]["token"])
    check("bartizan setup", "alice" in said, said)
    with open(f"{HERE}/config/bartizan.toml") as file:
        demo = file.read()
    with open("/etc/bartizan/bartizan.toml", "a") as file:
        file.write('bob = "operator"\ncarol = "user"\nmallory = "banned"\n' + demo[demo.index("[profiles.default]"):]
                   + '\n[profiles.web]\nnetwork = ["127.0.0.1:8099"]\n')
    with open(f"{HERE}/config/allowlist.toml") as file:
        demo = file.read().replace("config/scripts/", "")
    with open("/etc/bartizan/allowlist.toml", "w") as file:
        file.write(demo)
        for name in os.listdir(f"{HERE}/config/scripts"):
            run("install", "-m", "0755", f"{HERE}/config/scripts/{name}", f"/etc/bartizan/scripts/{name}")


def own_scripts():
    """What the attacks need. The transcripts know nothing of these."""
    with open("/etc/bartizan/allowlist.toml", "a") as file:
        for name in os.listdir(f"{HERE}/scripts"):
            run("install", "-m", "0755", f"{HERE}/scripts/{name}", f"/etc/bartizan/scripts/{name}")
            profile = 'profile = "web"\n' if name == "fetches" else ""
            file.write(f'\n[[scripts]]\nname = "{name}"\npath = "{name}"\ndescription = "For the machine\'s test"\n'
                       f'required-permission = "user"\ntimeout = "5m"\n{profile}')


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


NETWORK = "PrivateNetwork=no\nRestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK\nIPAddressAllow=localhost\n"
GUARANTEES = {"files-read", "files-write", "programs", "privileges", "signals", "tracing", "network", "unix-sockets", "kernel-surface",
              "resources", "lifetime"}


def transcripts(chat):
    """Those that need no service of their own."""
    with open("/tmp/server.json", "w") as file:
        json.dump(chat.world, file)
    program = [f"{HERE}/built/bartizan-playground", "transcript", "--installed", "--server", "/tmp/server.json", f"{HERE}/transcripts"]
    said = subprocess.run(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    passed = re.findall(r"^ok   .*/(\S+)$", said, re.M)
    for name in passed:
        say(f"ok transcript {name}")
    for part in re.findall(r"^FAIL .*/(\S+)$((?:\n .*)*)", said, re.M):
        say(f"FAILED transcript {part[0]}: {part[1][:1500]}")
    others = len(re.findall(r"^skip ", said, re.M))
    say(f"  {others} transcripts want a service of their own and are played by make test alone")
    check("transcripts", len(passed) >= 25, f"only {len(passed)}: {said[-1500:]}")


def narrow(name, text):
    """A drop-in for the workers' unit, in force for all that start from now on."""
    os.makedirs("/run/systemd/system/bartizan-worker@.service.d", exist_ok=True)
    with open(f"/run/systemd/system/bartizan-worker@.service.d/{name}.conf", "w") as file:
        file.write(f"[Service]\n{text}")
    run("systemctl", "daemon-reload")


def refused_without_a_network():
    """A profile grants an address, and the workers' unit has no network: that is said, with what to do. As the document has it, it is given one."""
    check("a grant that the unit cannot give is refused at the start", subprocess.run(["systemctl", "start", UNIT]).returncode != 0)
    said = run("journalctl", "-b", "-u", UNIT, "--no-pager", "-o", "cat")
    check("with the remedy", "systemctl edit bartizan-worker@.service" in said, said[-600:])
    narrow("network", NETWORK)
    run("systemctl", "reset-failed", UNIT)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False


def network(chat):
    """A grant of one address, as docs/operations.md has it for both ways to run the service."""
    with subprocess.Popen(["python3", "-m", "http.server", "--bind", "127.0.0.1", "8099"], cwd="/usr/share/bartizan",
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        run("setsebool", "bartizan_jobs_network", "on")
        until("the server", lambda: answers(8099))
        said = chat.ask("alice", "!fetches", "8080 ")
        check("a job reaches the address that it is granted", "8099 HTTP/1.0 200 OK" in said, said)
        check("and no other one", "8080 not reached" in said, said)
        run("setsebool", "bartizan_jobs_network", "off")
        server.kill()


def cgroups(chat):
    """A worker's unit holds a job within limits that are narrower than those of its profile."""
    if UNIT != "bartizan-broker":
        return
    narrow("limits", "TasksMax=24\nMemoryMax=200M\n")
    restart(chat)
    said = chat.ask("alice", "!forks", "exit")
    count = re.search(r"(\d+) processes", said)
    check("a job gets no more processes than its unit allows", count and 5 < int(count.group(1)) < 24, said)
    said = chat.ask("alice", "!eats", "**eats**:")
    check("a job that eats more memory than its unit allows is ended", "SIGKILL" in said or "exit 137" in said, said)
    said = run("journalctl", "-k", "--no-pager")
    check("by the kernel, within its own cgroup", "CONSTRAINT_MEMCG" in said and "bartizan-worker" in said, said[-800:])
    check("and the service does not feel it", "Hello" in chat.ask("alice", "!hello Still", "Hello, Still!"))


def back_up(chat):
    """As docs/operations.md has it."""
    said = chat.ask("alice", "!adduser dave operator", "dave")
    check("somebody is made an operator", "operator" in said, said)
    run("bartizan", "drain", "backup")
    run("systemctl", "stop", UNIT)
    run("tar", "-C", "/", "-cpf", BACKUP, "etc/bartizan", "var/lib/bartizan/state")


def without_landlock(chat):
    """What a kernel without Landlock gives: every guarantee, by the layers that are left."""
    said = json.loads(subprocess.run(["bartizan", "doctor", "--json"], stdout=subprocess.PIPE, text=True).stdout)["probe"]
    landlock = [layer for layer in said["layers"] if "landlock" in f"{layer}"]
    check("this kernel has no Landlock", landlock and "on" not in [layer.get("state") for layer in landlock], f"{landlock}")
    held = {each["guarantee"] for each in said["given"] if each["by"]}
    check("and doctor says that each guarantee holds without it", held >= GUARANTEES, f"not: {GUARANTEES - held}")
    said = chat.ask("alice", "!env", "exit 0")
    check("a script is confined there all the same", "CapBnd:\t0000000000000000" in said and "Seccomp:\t2" in said, said)


def restored(chat):
    """A fresh machine: package, backup, start."""
    check("this machine is a fresh one", not os.path.exists("/etc/bartizan") and not os.path.exists("/var/lib/bartizan"))
    with Phase("the package"):
        install()
    with Phase("the backup"):
        run("tar", "-C", "/", "-xpf", BACKUP)
        label()
    if UNIT == "bartizan-broker":
        narrow("network", NETWORK)
    with Phase("the restored service's start"):
        run("systemctl", "start", UNIT)
        connected()
    check("it is paused, as when the backup was made", status().get("paused"))
    run("bartizan", "resume")
    said = chat.ask("alice", "!whois dave", "operator")
    check("a restored service knows its people", "operator" in said, said)
    said = chat.ask("dave", "!hello Back", "Hello, Back!")
    check("and works", "Hello, Back!" in said, said)
    if UNIT == "bartizan-broker":
        without_landlock(chat)
    said = run("bartizan", "audit", "verify", "--json")
    lines = json.loads(said)
    check("and its audit log is whole, from before and after", lines.get("ok") is True, said)
    said = run("bartizan", "audit", "show", "--event", "person-change")
    check("with what was done before", "dave" in said, said)
    said = records(0)
    check("no denial on the restored machine", not said, f"{len(said)}: {said[:3]}")


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
    if PART == "restored":
        return restored(chat)
    with Phase("the package: dpkg -i"):
        install()
    set_up(chat)
    with Phase("labels: restorecon"):
        label()
    begun = log_end()
    with Phase("the service's start"):
        if UNIT == "bartizan-broker":
            refused_without_a_network()
        run("systemctl", "start", UNIT)
        connected()
    domains()
    with Phase("transcripts"):
        transcripts(chat)
    own_scripts()
    label()
    run("systemctl", "reload", UNIT)
    until("the new scripts", lambda: "!steal" in chat.ask("alice", "!help", "**"))
    with Phase("the good run"):
        good_run(chat)
    with Phase("metrics and audit page"):
        readers()
    said = subprocess.run(["bartizan", "doctor"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    told = [line for line in said.splitlines() if "SELinux" in line]
    check("bartizan doctor sees the policy and the domains", "enforcing, with" in f"{told}" and "each in the domain" in f"{told}", f"{told}")
    with Phase("restart"):
        restart(chat)
    with Phase("a network grant"):
        network(chat)
    with Phase("cgroups"):
        cgroups(chat)
    said = records(begun)
    check("no denial in the good run", not said, f"{len(said)} records")
    for line in sorted(set(re.sub(r"^.*?(avc: |op=)", r"\1", re.sub(r"(pid|ino)=\d+ ", "", line)) for line in said)):
        say(f"  {line}")
    said = chat.ask("alice", "!steal", "exit 0")
    check("a script gets nothing of the service's", "nothing" in said and "got " not in said, said)
    with Phase("attacks"):
        attacks()
    check("the service still works", "Pong" in chat.ask("alice", "!ping", "Pong"))
    with Phase("the service's end, and a backup"):
        back_up(chat)


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
