"""The script API for Python 3, standard library only: `import bz` in a job's script.

    import bz
    bz.say("begun")
    for i, name in enumerate(names):
        bz.progress(i, len(names), name)
    bz.table(["name", "bytes"], sizes, title="Saved")

Refused raises bz.Refused, and an answer that is not there is None. The protocol is that of proto/src/script.rs.
"""

import array
import difflib
import os
import socket
import struct
import subprocess


class Refused(Exception):
    """A call was refused; the text says why, and what to add to the allowlist."""


def call(verb, **fields):
    """One call and its answer: None when done, text, or False where there is nothing."""
    number = os.environ.get("BARTIZAN_API")
    if number is None:
        raise Refused("this job may use no verb of the script API; its entry in the allowlist can allow some: "
                      f'api = ["{verb}"]')
    words = [verb.encode()]
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = "yes" if value else "no"
        words += [name.encode(), value if isinstance(value, bytes) else str(value).encode()]
    payload = b"".join(struct.pack("<I", len(word)) + word for word in words)
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with own:
        with theirs, socket.socket(fileno=os.dup(int(number))) as door:
            rights = array.array("i", [theirs.fileno()])
            door.sendmsg([b"b"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        try:
            own.sendall(struct.pack("<I", len(payload)) + payload)
        except BrokenPipeError:
            pass
        answer = _words(_exactly(own, struct.unpack("<I", _exactly(own, 4))[0]))
    if answer[0] == b"refused":
        raise Refused(answer[1].decode())
    if answer[0] == b"nothing":
        return False
    return answer[1].decode() if answer[0] == b"value" else None


def say(text, code=False):
    """Post in the job's thread."""
    call("say", text=text, code=code)


def reply(text, code=False):
    """The same, with the name of who asked for the job before it."""
    call("reply", text=text, code=code)


def progress(done=None, whole=100, text=""):
    """Show how far the job is: done of whole."""
    percent = None if done is None else min(100, int(100 * done / whole))
    call("progress", percent=percent, text=text)


def param(name):
    """An argument by its name in the schema."""
    return call("param", name=name)


def secret(name):
    """A secret that the allowlist attaches, as bytes: NAMESPACE/NAME."""
    with open(os.path.join(os.environ["BARTIZAN_SECRETS"], *name.split("/")), "rb") as file:
        return file.read()


def log(text):
    """A line for the service's log."""
    call("log", text=text)


def remember(key, value, scope="mine"):
    """Remember a value; scope is mine, shared or lasting."""
    call("remember", key=key, value=value, scope=scope)


def recall(key, scope="mine"):
    """What was remembered, or None."""
    return call("recall", key=key, scope=scope) or None


def checkout(key):
    """A lasting memory, for this job alone to change; None where there is none yet."""
    return call("checkout", key=key) or None


def release(key):
    """Check a memory in as it is."""
    call("checkout", key=key, back=True)


def file(name, content, text=""):
    """Attach a file to a post in the job's thread."""
    call("file", name=name, content=content, text=text)


def table(head, rows, title=""):
    """Post a table."""
    call("table", title=title, rows=_rows(head, rows))


def attach(text="", title="", fields=None, head=None, rows=(), colour=None, at_end=False):
    """Post a card: a text, names and values (a dict), a table; colour is plain, good, warning or danger. `at_end`: when the job has
    ended, green where it ended well and red where it did not, unless there is a colour."""
    pairs = "\n".join(_cell(name) + "\t" + _cell(value) for name, value in (fields or {}).items())
    call("attach", text=text, title=title, fields=pairs, rows=_rows(head, rows) if head else "", colour=colour,
         **{"at-end": at_end})


def diff(old, new, title="", text="", colour=None, at_end=False):
    """Post the difference of two texts, line by line."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "old", "new", lineterm="")
    call("attach", text=text, title=title, diff="\n".join(lines), colour=colour,
         **{"at-end": at_end})


def chart(values, title="", kind="bar", colour=None):
    """Draw numbers, a dict or pairs of a label and a number, and attach the picture; kind is bar or line."""
    pairs = values.items() if isinstance(values, dict) else values
    lines = "\n".join(f"{_cell(label)} {number}" for label, number in pairs)
    words = ["bz", "chart", "--kind", kind, "--title=" + title, *(["--colour", colour] if colour else [])]
    drawn = subprocess.run(words, input=lines, text=True, stderr=subprocess.PIPE,
                           pass_fds=[int(os.environ.get("BARTIZAN_API", "2"))])
    if drawn.returncode != 0:
        raise Refused(drawn.stderr.strip().removeprefix("bz: "))


def ask(question, choices=(), pattern="", default=None, timeout=45, anybody=False, user=None, direct=False, channel=None):
    """Ask in the job's thread, or `user`, in a `direct` message or a `channel` (`ask-others`); the answer, or None where it was
    cancelled or did not come in time."""
    answer = call("ask", question=question, choices="\n".join(choices), pattern=pattern, default=default,
                  seconds=timeout, anybody=anybody, user=user, direct=direct, channel=channel)
    return None if answer is False else answer


def subscribe(seconds=3600, anybody=False):
    """Run this script again with each line that is written in the job's thread from now on."""
    call("subscribe", seconds=seconds, anybody=anybody)


def unsubscribe():
    """Not any more."""
    call("subscribe", end=True)


def _task(verb, name, arguments, named):
    words = [_quoted(str(value)) for value in arguments]
    words += ["%s=%s" % (key.replace("_", "-"), _quoted(str(value))) for key, value in named.items()]
    return call(verb, command=" ".join([name] + words))


def _quoted(value):
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def add_task(name, *arguments, **named):
    """Run a script after this one, if this one ends well. It passes the same gates as a command."""
    return _task("add-task", name, arguments, named)


def add_job(name, *arguments, **named):
    """The same as a pipeline of its own: what it adds and what cleans up after it is done before the next task."""
    return _task("add-job", name, arguments, named)


def add_command(command):
    """The same with a command as it is written in chat, without the prefix."""
    return call("add-command", command=command)


def final_task(name, *arguments, **named):
    """Run a script in the end, whatever becomes of the pipeline; the last one added first."""
    return _task("final-task", name, arguments, named)


def fail_task(name, *arguments, **named):
    """Run a script if something in the pipeline fails; the first one added first."""
    return _task("fail-task", name, arguments, named)


def spawn_job(name, *arguments, **named):
    """Run a script now, beside this one."""
    return _task("spawn-job", name, arguments, named)


def exclusive(tag, wait=False):
    """Have a lock until the pipeline ends: True, or False where another one has it."""
    return call("exclusive", tag=tag, wait=wait) is not False


def _cell(value):
    return str(value).replace("\t", " ").replace("\n", " ")


def _rows(head, rows):
    return "\n".join("\t".join(map(_cell, row)) for row in [head, *rows])


def _exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 65536))
        if not piece:
            raise Refused("the script API closed the call")
        data += piece
    return data


def _words(payload):
    words, at = [], 0
    while at < len(payload):
        size = struct.unpack_from("<I", payload, at)[0]
        words.append(payload[at + 4:at + 4 + size])
        at += 4 + size
    return words
