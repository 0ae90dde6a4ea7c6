"""Decides how many updates an aggregation reads at once, by the memory of its segments; pure arithmetic, no I/O.

Examination and reduction borrow buffers of one segment each, from one lender. A reduction that reads scratch may begin
while the last updates are examined. One that reads the store begins later. So any number of updates of any size takes
the same memory for segments.
"""

from __future__ import annotations

from wardround.sealing.body import SEALED_SEGMENT

# Updates whose segments arrive at once while they are examined, and the buffers of each (sealed_file.py).
ARRIVING_AT_ONCE = 3
ARRIVING = 2
# So many segments of an update one request fetches. Then other updates have their turn. STRETCH divides the segments of
# a part. With 8, closing takes as long; with 64, half as long again.
STRETCH = 16
# Threads of the reduction.
THREADS = 2
# A reduction may borrow so many bytes in all its threads: 12 MiB.
LARGEST = 12 * SEALED_SEGMENT
# More updates at once would not arrive faster.
MOST_FETCHED = 2


def fetched_at_once(others: int) -> int:
    """Return how many updates each thread of the reduction fetches from the store at once.

    `others`: files that the reduction reads beside the updates: the base, and the moments of a server optimizer.
    """
    fitting = (count for count in range(MOST_FETCHED, 1, -1) if borrowed_bytes(count, others) <= LARGEST)
    return next(fitting, 1)


def rooms(fetched: int, others: int) -> int:
    """Return how many buffers for ciphertext each thread needs. The other files are fetched after the updates."""
    return max(1, fetched, others)


def opened(others: int) -> int:
    """Return how many buffers for plaintext each thread needs: updates are opened and added one by one."""
    return max(1, others)


def borrowed_bytes(fetched: int, others: int) -> int:
    """Return the bytes of the buffers that all threads of a reduction borrow. `fetched`: 0 if scratch has all
    updates."""
    return THREADS * (rooms(fetched, others) + opened(others)) * SEALED_SEGMENT
