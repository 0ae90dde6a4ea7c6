"""A headless Chromium, driven by the Chrome DevTools Protocol over two pipes. It opens no port and needs no driver."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PROGRAM = "chromium"
Reply = dict[str, Any]


def installed() -> bool:
    return shutil.which(PROGRAM) is not None


class Page:
    """One tab. `events`: all that Chromium has said of it."""

    def __init__(self, requests: IO[bytes], replies: IO[bytes]) -> None:
        self._requests, self._replies = requests, replies
        self._number = 0
        self._session = ""
        self.events: list[Reply] = []

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "Accessibility", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Reply:
        """The result of a method. Raises RuntimeError if Chromium refuses it or has ended."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        self._requests.write(json.dumps(message).encode() + b"\0")
        self._requests.flush()
        while True:
            reply = self._next()
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return dict(reply["result"])

    def _next(self) -> Reply:
        text = bytearray()
        while (byte := self._replies.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium has ended")
            text += byte
        reply: Reply = json.loads(text)
        if "method" in reply:
            self.events.append(reply)
        return reply

    def open(self, file: Path, *, scheme: str = "light", width: int = 1000) -> None:
        """`scheme`: `light` or `dark`, as the reader prefers."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        self.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(each["method"] == "Page.loadEventFired" for each in self.events):
            self._next()

    def value(self, script: str) -> Any:
        """What a script of the test computes in the page. Raises RuntimeError if the script fails."""
        reply = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in reply:
            raise RuntimeError(str(reply["exceptionDetails"]))
        return reply["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key of the keyboard. `code`: of Windows. `text`: what the key writes."""
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            typed = {"text": text} if kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    def accessible(self) -> list[tuple[str, str]]:
        """Role and name of each node that a screen reader gets, in order."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        exposed = (each for each in nodes if not each["ignored"])
        return [(each["role"]["value"], each.get("name", {}).get("value", "")) for each in exposed]

    def picture(self, file: Path) -> None:
        """The whole page as a PNG, for a person who looks at it."""
        made = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(made["data"]))


@contextmanager
def page(folder: Path) -> Iterator[Page]:
    """`folder`: for the browser's profile."""
    theirs, requests = os.pipe()
    replies, answers = os.pipe()
    # Chromium reads from 3 and writes to 4.
    program = f'exec {PROGRAM} "$@" 3<&{theirs} 4>&{answers}'
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        ["bash", "-c", program, PROGRAM, *options],
        pass_fds=(theirs, answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(answers)
    with os.fdopen(requests, "wb") as writing, os.fdopen(replies, "rb") as reading:
        try:
            opened = Page(writing, reading)
            opened.attach()
            yield opened
            opened._session = ""
            opened.call("Browser.close")
        finally:
            process.kill()
            process.wait()
