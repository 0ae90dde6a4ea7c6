"""Tries the system calls that a pod's seccomp filter denies: sockets, and calls that reach into other processes.

The script runs where the tests run and, as text, inside a pod, so it imports only the standard library. It prints one
JSON object with the outcome of each call: "open", the name of an error, or the name of the signal that killed the
process.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys

# Linux's numbers (include/linux/socket.h) of the families that a pod or an attacker could use.
FAMILIES = {"UNIX": 1, "INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40, "QIPCRTR": 42}
TYPES = {"stream": 1, "datagram": 2, "raw": 3}
# Equal on both architectures. NUMBERS has the numbers that differ.
CALLS = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438}
NUMBERS = {
    "x86_64": {
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "bpf": 321,
        "userfaultfd": 323,
        "perf_event_open": 298,
        "symlink": 88,
        "symlinkat": 266,
        "shmget": 29,
        "semget": 64,
        "msgget": 68,
        "mq_open": 240,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
    },
    "aarch64": {
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "bpf": 280,
        "userfaultfd": 282,
        "perf_event_open": 241,
        "symlinkat": 36,
        "shmget": 194,
        "semget": 190,
        "msgget": 186,
        "mq_open": 180,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
    },
}
X32_BIT = 0x40000000
BY_FAMILY = {f"{family} {kind}" for family in FAMILIES for kind in (*TYPES, "pair")}
ELF_HEADER, PROGRAM_HEADER, LOADED_AT = 64, 56, 0x400000


def word(opcode: int, value: int) -> bytes:
    return bytes([opcode]) + struct.pack("<I", value)


# Exits with the error's number, or with 256 minus the file descriptor: mov edi, -eax; exit(edi).
ENDS = bytes.fromhex("f7d889c7") + word(0xB8, 60) + bytes.fromhex("0f05")
# eax holds the call's number. The arguments are in edi, esi, edx; for a 32-bit call in ebx, ecx, edx.
NATIVE = b"".join([word(0xB8, 41), word(0xBF, 2), word(0xBE, 1), word(0xBA, 0), b"\x0f\x05"])
X32 = b"".join([word(0xB8, X32_BIT + 41), word(0xBF, 2), word(0xBE, 1), word(0xBA, 0), b"\x0f\x05"])
INT_80 = b"".join([word(0xB8, 359), word(0xBB, 2), word(0xB9, 1), word(0xBA, 0), b"\xcd\x80"])
PAIR = b"".join([word(0xB8, 53), word(0xBF, 2), word(0xBE, 1), word(0xBA, 0), b"\x0f\x05"])
WALLS = ("EAFNOSUPPORT", "SIGSYS")
PROGRAMS = {"a static program": NATIVE, "a static program's pair": PAIR, "int 0x80": INT_80, "x32": X32}


def program(code: bytes) -> bytes:
    """The smallest static executable for amd64: one segment, which holds headers and code."""
    start = ELF_HEADER + PROGRAM_HEADER
    size = start + len(code)
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, LOADED_AT + start, ELF_HEADER, 0, 0, ELF_HEADER, PROGRAM_HEADER, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, LOADED_AT, LOADED_AT, size, size, 0x1000)
    return identity + header + segment + code


def run(code: bytes) -> str:
    """The outcome of a program with this code. The program is in memory, because a pod may have no writable volume."""
    file = os.memfd_create("probe", 0)
    os.write(file, program(code + ENDS))
    path = f"/proc/self/fd/{file}"
    try:
        ended = subprocess.run([path], pass_fds=[file], stderr=subprocess.DEVNULL).returncode
    finally:
        os.close(file)
    if ended < 0:
        return signal.Signals(-ended).name
    return "open" if ended > 200 else errno.errorcode[ended]


def made(family: int, kind: int, protocol: int = 0) -> str:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        return named(error.errno)
    return "open"


def pair(family: int) -> str:
    try:
        for each in socket.socketpair(family, socket.SOCK_STREAM):
            each.close()
    except OSError as error:
        return named(error.errno)
    return "open"


def called(number: int) -> str:
    """The outcome of a call with harmless arguments: most that pass fail with EINVAL or EFAULT."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = libc.syscall(ctypes.c_long(number), ctypes.c_long(0), *(ctypes.c_long(0) for _ in range(5)))
    return "open" if code >= 0 else named(ctypes.get_errno())


def in_a_child(number: int) -> str:
    """As `called`, in a child, because ptrace(PTRACE_TRACEME) would make this process a traced one."""
    child = os.fork()
    if child == 0:
        answer = called(number)
        os._exit(0 if answer == "open" else getattr(errno, answer))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "open" if status == 0 else named(status)


def queue() -> str:
    """The outcome of making a queue of POSIX by open() alone. "ENOENT": no queues are mounted here."""
    path = f"/dev/mqueue/probe-{os.urandom(8).hex()}"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(path)  # noqa: PTH108
    except OSError as error:
        return named(error.errno)
    return "open"


def interfaces() -> str:
    """The outcome of getifaddrs, by which NCCL lists the interfaces."""
    try:
        return "open" if socket.if_nameindex() else "none"
    except OSError as error:
        return named(error.errno)


def named(number: int | None) -> str:
    return errno.errorcode.get(number or 0, str(number))


def sockets(answers: dict[str, str]) -> set[str]:
    """The calls that passed the filter, whether or not the kernel then made a socket."""
    return {name for name in (*BY_FAMILY, *PROGRAMS, "interfaces") if answers.get(name) not in (None, *WALLS)}


def everything() -> dict[str, str]:
    outcomes = {
        f"{family} {kind}": made(number, value) for family, number in FAMILIES.items() for kind, value in TYPES.items()
    }
    outcomes |= {f"{family} pair": pair(number) for family, number in FAMILIES.items()}
    outcomes["netlink of the packet filter"] = made(FAMILIES["NETLINK"], TYPES["raw"], 12)
    outcomes["interfaces"] = interfaces()
    machine = os.uname().machine
    outcomes |= {name: in_a_child(number) for name, number in (CALLS | NUMBERS[machine]).items()}
    if machine == "x86_64":
        outcomes |= {name: run(code) for name, code in PROGRAMS.items()}
    outcomes["queue"] = queue()
    outcomes["bytes of queues"] = ",".join(map(str, resource.getrlimit(resource.RLIMIT_MSGQUEUE)))
    outcomes["core"] = ",".join(map(str, resource.getrlimit(resource.RLIMIT_CORE)))
    return outcomes


def files() -> list[int]:
    """The open file descriptors, without the three standard ones and the one of the folder that is read here."""
    return [int(each) for each in os.listdir("/proc/self/fd") if int(each) > 2][:-1]  # noqa: PTH208


if __name__ == "__main__":
    print("FOUND " + json.dumps({"said": everything(), "files": files()}), flush=True)
    sys.exit(0)
