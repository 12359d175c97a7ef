"""What both parts of the machine's test use: verdicts, the kernel's audit log, the processes and their domains, the chat server."""
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = open(f"{HERE}/unit").read().strip()
PART = re.search(r"part=(\w+)", open("/proc/cmdline").read()).group(1)
BACKUP = "/dev/vdc"
STATE = "/var/lib/bartizan/state"
TOKEN, CONTROL = "/etc/bartizan/keys/token", "/var/lib/bartizan/control/control.sock"
ENFORCING = open("/sys/fs/selinux/enforce").read() == "1"
PATIENCE = 120


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


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def way_to(port):
    """The host's loopback, at 127.0.0.1:8080 here: a token goes in clear to a loopback address only."""
    card = next(name for name in os.listdir("/sys/class/net") if name != "lo")
    run("ip", "address", "add", "10.0.2.15/24", "dev", card)
    run("ip", "link", "set", card, "up")
    listener = socket.create_server(("127.0.0.1", 8080), backlog=64)

    def serve():
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection(("10.0.2.2", port), 30)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            for ends in [(near, far), (far, near)]:
                threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


class Chat:
    def __init__(self):
        with open(f"{HERE}/server.json") as file:
            self.world = json.load(file)
        way_to(int(self.world["url"].rsplit(":", 1)[1]))
        self.world["url"] = "http://127.0.0.1:8080"

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


# Processes.


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
