"""Attacks from inside each of Bartizan's domains: as root, or as the owner of what it is at, so that what stops it is the policy, and the
audit log must say so. The same attempt outside of that domain must succeed, else it would prove nothing.
"""
import ctypes
import os
import re
import socket
import traceback

from machine import CONTROL, ENFORCING, STATE, TOKEN, check, in_domain, log_end, records

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long

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
