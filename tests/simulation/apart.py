"""Half a federation in a process of its own, which may be of another commit: the hub, or the hospitals.

The halves speak over a pipe, one JSON document a line: calls of the hub's API server and of the store, with objects as
they are. No class of Python crosses, so each half may be of any commit that has this module. A test plays commits
against each other. So a commit that changes the messages cannot speak with an older half (docs/changing.md).

The halves take turns. The half that leads lets the other one run up to its own virtual time, every STEP_SECONDS. A
half that calls the other one waits for the answer. The wait takes no virtual time, so nothing depends on the machine.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import marshal
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import wardround
from lab import demo_data
from tests.conditions import is_true
from tests.simulation.apiserver import Event, Follower, Place, Server
from tests.simulation.federation import HUB_URL, Federation
from tests.simulation.rounds import OWN
from tests.simulation.store import Let, Objects
from tests.simulation.virtual import VirtualLoop, play
from wardround.kube import errors
from wardround.kube.errors import ApiError
from wardround.ports import Object
from wardround.store.errors import StoreError

Half = Literal["hub", "hospitals"]
Message = dict[str, Any]
STEP_SECONDS = 0.25


class Broken(Exception):
    """The other half ended, or failed in a way that no caller handles."""


class Line:
    """The way to the other half. `serve` answers what it asks, also while this half waits for an answer itself."""

    def __init__(self, reading: IO[str], writing: IO[str], serve: Callable[[Message], Any]) -> None:
        self._reading = reading
        self._writing = writing
        self._serve = serve

    def ask(self, **message: Any) -> Any:
        """The answer. Raises what the other half raised: ApiError, StoreError, or Broken."""
        self._send(message)
        while True:
            received = self._receive()
            if "answer" in received:
                return received["answer"]
            if "raised" in received:
                raise _failure(received)
            self._send(self._answer(received))

    def serve(self) -> None:
        """Answers until the other half is gone."""
        while True:
            try:
                received = self._receive()
            except Broken:
                return
            self._send(self._answer(received))

    def _answer(self, message: Message) -> Message:
        try:
            return {"answer": self._serve(message)}
        except ApiError as failure:
            return {"raised": type(failure).__name__, "text": str(failure)}
        except StoreError as failure:
            return {"raised": "StoreError", "text": failure.reason, "status": failure.status}

    def _send(self, message: Message) -> None:
        self._writing.write(json.dumps(message) + "\n")
        self._writing.flush()

    def _receive(self) -> Message:
        line = self._reading.readline()
        if not line:
            raise Broken("the other half has ended")
        received: Message = json.loads(line)
        return received


def _failure(message: Message) -> Exception:
    name, text = message["raised"], message["text"]
    if name == "StoreError":
        return StoreError(text, message["status"])
    doing, _, words = text.partition(": ")
    kind: type[ApiError] = getattr(errors, name)
    return kind(doing, words)


@dataclass
class Served:
    """Answers the other half's calls of the API server and the store of a hub that is here."""

    server: Server
    store: Objects
    _followers: list[Follower] = field(default_factory=list)

    def __call__(self, message: Message) -> Any:
        do, arguments = message["do"], message["with"]
        if do == "follow":
            self._followers.append(Follower(**arguments))
            self.server.follow(self._followers[-1])
            return len(self._followers) - 1
        if do == "leave":
            return self.server.leave(self._followers[arguments["number"]])
        if do == "events":
            return list(self._events(self._followers[arguments["number"]]))
        if do.startswith("store "):
            return self._stored(do.removeprefix("store "), arguments)
        if "place" in arguments:
            arguments = {**arguments, "place": Place(*arguments["place"])}
        if do not in ("read", "select", "create", "change", "remove", "token", "account"):
            raise Broken(f"nobody serves {do}")
        return getattr(self.server, do)(**arguments)

    @staticmethod
    def _events(follower: Follower) -> Iterator[tuple[str, Object]]:
        while not follower.events.empty():
            event, frozen = follower.events.get_nowait()
            yield event, marshal.loads(frozen)

    def _stored(self, do: str, arguments: Mapping[str, Any]) -> Any:
        match do:
            case "let in":
                return asdict(self.store.let_in(**arguments))
            case "read":
                return _text(self.store.read(**arguments))
            case "write":
                return self.store.write(**{**arguments, "data": base64.b64decode(arguments["data"])})
            case "answer":
                return _text(self.store.answer(arguments["method"], Let(**arguments["let"])))
        raise Broken(f"nobody serves store {do}")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class ServerElsewhere(Server):
    """The hub's API server, in the other half."""

    def __init__(self, line: Line, loop: VirtualLoop, url: str) -> None:
        super().__init__(url, loop.clock)
        self._line = line
        self._loop = loop
        self._numbers: dict[Follower, int] = {}

    def _call(self, do: str, **arguments: Any) -> Any:
        return self._line.ask(do=do, **{"with": arguments})

    def token(self, account: str, seconds: float) -> str:
        return str(self._call("token", account=account, seconds=seconds))

    def account(self, token: str, doing: str) -> str:
        return str(self._call("account", token=token, doing=doing))

    def read(self, place: Place) -> Object:
        item: Object = self._call("read", place=place)
        return item

    def select(self, kind: str, namespace: str | None, labels: str = "", fields: str = "") -> list[Object]:
        items: list[Object] = self._call("select", kind=kind, namespace=namespace, labels=labels, fields=fields)
        return items

    def create(self, item: Object, account: str = "admin", manager: str = "") -> Object:
        made: Object = self._call("create", item=item, account=account, manager=manager)
        return made

    def change(self, place: Place, body: Mapping[str, Any], **how: Any) -> Object:
        after: Object = self._call("change", place=place, body=body, **how)
        return after

    def remove(self, place: Place, **how: Any) -> None:
        self._call("remove", place=place, **how)

    def follow(self, follower: Follower) -> None:
        selection = {key: getattr(follower, key) for key in ("kind", "namespace", "labels", "fields")}
        self._numbers[follower] = self._call("follow", **selection)
        self._look(follower)

    def leave(self, follower: Follower) -> None:
        self._call("leave", number=self._numbers.pop(follower))

    def _look(self, follower: Follower) -> None:
        """Every step: what the other half has told this watch meanwhile."""
        if follower not in self._numbers:
            return
        for event, item in self._call("events", number=self._numbers[follower]):
            entry: Event = (event, marshal.dumps(item))
            follower.events.put_nowait(entry)
        self._loop.call_later(STEP_SECONDS, self._look, follower)


class ObjectsElsewhere(Objects):
    """The store, in the hub's half."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def _call(self, do: str, **arguments: Any) -> Any:
        return self._line.ask(do=f"store {do}", **{"with": arguments})

    def let_in(self, method: str, url: str, headers: Mapping[str, str]) -> Let:
        return Let(**self._call("let in", method=method, url=url, headers=headers))

    def read(self, key: str) -> bytes:
        return base64.b64decode(self._call("read", key=key))

    def write(self, key: str, headers: Mapping[str, str], data: bytes) -> bool:
        return bool(self._call("write", key=key, headers=headers, data=_text(data)))

    def answer(self, method: str, let: Let) -> bytes:
        return base64.b64decode(self._call("answer", method=method, let=asdict(let)))


class Follow:
    """The half that follows: runs as far as it is told, and answers."""

    def __init__(self, half: Half, folder: Path, reading: IO[str], writing: IO[str]) -> None:
        self._loop = VirtualLoop()
        asyncio.set_event_loop(self._loop)
        self._line = Line(reading, writing, self._serve)
        away = half != "hub"
        self._federation = Federation(
            self._loop,
            folder,
            OWN,
            seed=1,
            hub=ServerElsewhere(self._line, self._loop, HUB_URL) if away else None,
            store=ObjectsElsewhere(self._line) if away else None,
        )
        self._served = Served(self._federation.hub, self._federation.store)
        work = self._federation.run_hospitals(demo_data.tables()) if away else self._federation.run_hub()
        self._work = self._loop.create_task(work)

    def run(self) -> None:
        """Until the other half is gone."""
        self._line.serve()

    def _serve(self, message: Message) -> Any:
        match message["do"]:
            case "where":
                return str(Path(wardround.__file__).parent)
            case "run":
                self._loop.run_until_complete(asyncio.sleep(message["until"] - self._loop.time()))
                if self._work.done():
                    self._work.result()
                    raise Broken("this half ended by itself")
                return None
            case "end":
                self._work.cancel()
                self._loop.run_until_complete(asyncio.wait([self._work]))
                return None
        return self._served(message)


@contextmanager
def following(half: Half, root: Path, folder: Path, serve: Callable[[Message], Any]) -> Iterator[Line]:
    """A process with the other half, of the commit that is checked out at `root`."""
    paths = [root / "operator", root / "trainer_image", root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "tests.simulation.apart", half, str(folder)]
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = Line(process.stdout, process.stdin, serve)
        try:
            where = Path(line.ask(do="where"))
            if not where.is_relative_to(root):
                raise Broken(f"the other half plays {where}, not {root}")
            yield line
            line.ask(do="end")
        finally:
            process.stdin.close()


@dataclass(frozen=True)
class Played:
    """`rounds` and `tasks` as the API server has them at the end, `participants` as the hub had them at the end."""

    rounds: list[Object]
    tasks: list[Object]
    participants: list[Object]


async def rounds_over(federation: Federation, applied: Sequence[Object]) -> list[Object]:
    return [await federation.over(each["metadata"]["name"]) for each in applied]


async def series_over(federation: Federation, applied: Sequence[Object]) -> list[Object]:
    """The rounds of the FederatedModel that was applied, after its first version has become current."""
    [model] = applied
    place = Place(model["kind"], model["metadata"]["namespace"], model["metadata"]["name"])
    await federation.until("the series has ended", lambda: is_true(federation.hub.read(place), "Ready"))
    return [federation.round(each["name"]) for each in federation.hub.read(place)["status"]["series"]["rounds"]]


def play_halves(
    other: Half,
    root: Path,
    folder: Path,
    applied: Sequence[Object],
    *,
    trusted: bool = True,
    over: Callable[[Federation, Sequence[Object]], Coroutine[Any, Any, list[Object]]] = rounds_over,
) -> Played:
    """Plays half of a federation here and the `other` half of the commit that is checked out at `root`.

    `applied`: FederatedRounds, or what `over` expects. `over` waits for the end, and returns the rounds. `trusted`:
    whether to wait until the hub can ask all hospitals. Halves without a common version never get there.
    """

    async def lead(loop: VirtualLoop, line: Line, federation: Federation, work: Coroutine[Any, Any, None]) -> Played:
        async with asyncio.TaskGroup() as group:
            started = [group.create_task(work), group.create_task(keep_up(line, loop))]
            await (federation.approve() if trusted else federation.pin())
            federation.apply(*copy.deepcopy(applied))
            ended = await over(federation, applied)
            hub = federation.hub
            played = Played(ended, hub.select("RoundTask", None), hub.select("Participant", None))
            for task in started:
                task.cancel()
        return played

    async def main(loop: VirtualLoop) -> Played:
        ours, theirs = folder / "ours", folder / "theirs"
        if other == "hospitals":
            federation = Federation(loop, ours, OWN, seed=1)
            with following(other, root, theirs, Served(federation.hub, federation.store)) as line:
                return await lead(loop, line, federation, federation.run_hub())
        with following(other, root, theirs, _nobody) as line:
            away = ServerElsewhere(line, loop, HUB_URL), ObjectsElsewhere(line)
            federation = Federation(loop, ours, OWN, seed=1, hub=away[0], store=away[1])
            return await lead(loop, line, federation, federation.run_hospitals(demo_data.tables()))

    return play(main)


def _nobody(message: Message) -> Any:
    raise Broken(f"a hub asks no hospital: {message['do']}")


async def keep_up(line: Line, loop: VirtualLoop) -> None:
    """For ever: lets the other half run as far as this one."""
    while True:
        line.ask(do="run", until=loop.time())
        await asyncio.sleep(STEP_SECONDS)


def main(half: Half, folder: str) -> None:
    # What pods print must not come between the messages.
    with os.fdopen(os.dup(1), "w") as writing:
        os.dup2(2, 1)
        Follow(half, Path(folder), sys.stdin, writing).run()


if __name__ == "__main__":
    [_, wanted, place] = sys.argv
    main("hub" if wanted == "hub" else "hospitals", place)
