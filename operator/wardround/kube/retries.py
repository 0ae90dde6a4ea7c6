"""Waits between the tries of a loop that an API server may refuse. Knows nothing of what is tried."""

from __future__ import annotations

import asyncio
import logging

from wardround.clock import Draw
from wardround.kube.client import backoff

logger = logging.getLogger(__name__)


class Retries:
    """The failures of one loop in a row. Each wait is longer than the one before, up to `most_seconds`."""

    def __init__(self, draw: Draw, *, most_seconds: float = 30.0) -> None:
        self._draw = draw
        self._most_seconds = most_seconds
        self._failures = 0

    def succeeded(self) -> None:
        """The next failure is the first in a row."""
        self._failures = 0

    async def wait(self, failure: Exception) -> None:
        """Logs the failure, and waits until the next try."""
        self._failures += 1
        logger.warning("%s; trying again", failure)
        await asyncio.sleep(backoff(self._failures, most=self._most_seconds, draw=self._draw))
