"""A heartbeat: renews a Lease. An idle process writes nothing else."""

import asyncio
import logging
from collections.abc import Callable

from wardround.api.lease import API_VERSION, KIND, LeaseSpec
from wardround.api.times import to_microseconds
from wardround.clock import Clock
from wardround.kube.errors import ApiError, NotFound, Unavailable
from wardround.ports import Api
from wardround.wire import codec

logger = logging.getLogger(__name__)


async def renew(client: Api, name: str, holder: str, duration_seconds: int, clock: Clock) -> None:
    """Renews the Lease once, making it if it is not there. Raises ApiError."""
    now = to_microseconds(clock())
    spec = codec.dump(LeaseSpec(holder_identity=holder, lease_duration_seconds=duration_seconds, renew_time=now))
    try:
        await client.patch(KIND, name, {"spec": spec})
    except NotFound:
        await client.create({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec})


async def heartbeat(
    client: Api,
    name: str,
    holder: str,
    report: Callable[[ApiError | None], None],
    clock: Clock,
    seconds: float = 10.0,
    patience: float = 10.0,
) -> None:
    """Renews for ever, every so many `seconds`, and reports how each renewal went.

    A renewal proves that the API server can be reached; a silent watch does not. No answer within `patience` seconds is
    reported as a failure, so that a broken connection is noticed before other calls give up.
    """
    while True:
        try:
            async with asyncio.timeout(patience):
                await renew(client, name, holder, duration_seconds=int(seconds * 4), clock=clock)
        except ApiError as why:
            failure: ApiError | None = why
        except TimeoutError:
            failure = Unavailable(f"renew Lease {name}", f"{client.server}: no answer within {patience:g} s")
        else:
            failure = None
        if failure is not None:
            logger.warning("%s", failure)
        report(failure)
        await asyncio.sleep(seconds)
