"""Keeps the rows and keys in a process's memory out of core dumps, and from other processes of its user.

It cannot keep memory out of swap: a process without privileges may lock only some megabytes (docs/security.md says
what a hospital does about swap).
"""

from __future__ import annotations

import ctypes
import os
import resource

PR_SET_DUMPABLE = 4
# If core_pattern is a pipe, the kernel ignores every limit except 1 byte (core(5)).
LIMIT = 1


def confine() -> None:
    """Confines this process; the limit also holds for its children. Raises OSError if the kernel refuses."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    # Only a privileged process can raise a hard limit of 0. A pipe then still gets dumps, but prctl forbids them below.
    limit = LIMIT if hard != 0 else 0
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    # No dump at all, and no other process of this user (for example one of `kubectl exec`) can read this memory. Unlike
    # the limit, the flag ends with execve.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
