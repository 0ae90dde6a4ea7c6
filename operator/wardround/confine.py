"""Keeps what a process of ours holds, rows or keys, out of core dumps and out of reach of others of its user.

It cannot keep memory out of swap: locked memory is limited to some megabytes for a process without privileges
(docs/security.md says what a hospital does about that).
"""

from __future__ import annotations

import ctypes
import os
import resource

PR_SET_DUMPABLE = 4
# The kernel hands a dump to a program of the node (core_pattern with a pipe) whatever the limit is, but for 1 byte:
# core(5).
LIMIT = 1


def confine() -> None:
    """For the whole process and what it starts. Raises OSError where the kernel refuses."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    # A hard limit of 0, which only a privileged process raises, leaves a piped program: the next call closes it.
    limit = LIMIT if hard != 0 else 0
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    # No dump at all, and no other process of this user, one that `kubectl exec` starts for instance, reads this memory.
    # It does not survive execve, as the limit does.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
