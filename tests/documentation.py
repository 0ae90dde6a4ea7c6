"""Reads commands from the documentation, and runs them like a reader: in a shell, with the tools on PATH.

Commands run as they are on the page. For `…` and example names, the test has a table of values. This module does not
know which commands there are.
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import toolchain
from lab.topology import ROOT

PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")))
# Inline code that begins with one of these programs is a command.
PROGRAMS = ("docker", "helm", "kind", "kubectl", "make", "minikube", "openssl", "pip", "pytest", "python")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(?P<text>.*)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block. `heading`: the nearest heading above."""

    page: str
    heading: str
    language: str
    text: str

    @property
    def first(self) -> str:
        """The first line, which identifies the block in tests."""
        return self.text.split("\n", 1)[0].strip()

    def filled(self, fills: Mapping[str, str]) -> str:
        """The text with all placeholders replaced. Fails if the text lacks a placeholder of the table."""
        text = self.text
        for placeholder, value in fills.items():
            assert placeholder in text, f"{self.page}, {self.heading}: no {placeholder!r} in the block {self.first!r}"
            text = text.replace(placeholder, value)
        return text


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    # Comments in shell blocks look like headings.
    headings = [each for each in _HEADING.finditer(text) if not any(f.start() < each.start() < f.end() for f in fences)]
    result = []
    for fence in fences:
        above = [each["text"] for each in headings if each.start() < fence.start()]
        result.append(Block(page, above[-1] if above else "", fence["language"], fence["text"]))
    return result


def section(page: str, heading: str) -> list[Block]:
    """The blocks under one heading. Fails if there are none."""
    result = [each for each in blocks(page) if each.heading == heading]
    assert result, f"{page} has no block under {heading!r}"
    return result


def inline_commands(page: str) -> set[str]:
    """Commands in sentences and tables: inline code that begins with a program and has more words."""
    text = _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    # In tables, a pipe has a backslash before it.
    code = {each["text"].replace(r"\|", "|") for each in _INLINE.finditer(text)}
    return {each for each in code if re.match(rf"({'|'.join(PROGRAMS)}) ", each)}


class Shell:
    """bash in a folder that looks like a checkout. Exported variables stay for later blocks."""

    def __init__(self, folder: Path, tools: Path, **variables: str) -> None:
        self.folder = folder
        for name in ("charts", "examples", "lab"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "build").mkdir()
        self._exported = folder / ".exported"
        self._environment = {
            "HOME": str(folder),
            "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            **variables,
        }

    def run(self, script: str, seconds: float = 900) -> str:
        """Runs a script and returns its output. Fails the test with the output if a command fails."""
        begun = f"set -euo pipefail; [ ! -e {self._exported} ] || . {self._exported}\n"
        done = subprocess.run(
            ["bash", "-c", f"{begun}{script}\nexport -p > {self._exported}"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, f"exit code {done.returncode} of\n{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@cache
def tools() -> Path:
    """A folder for PATH with the lab's kubectl and helm, and the command line tool, installed by pip.

    The tool uses this environment's dependencies, because downloading them would take a minute.
    """
    folder = Path(tempfile.mkdtemp(prefix="wardround-tools-"))
    atexit.register(shutil.rmtree, folder)
    environment = folder / "cli"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    own = sysconfig.get_path("purelib", vars={"base": str(environment)})
    Path(own, "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    python = str(environment / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", str(ROOT)], check=True)
    programs = folder / "bin"
    programs.mkdir()
    for name in ("kubectl", "helm"):
        (programs / name).symlink_to(toolchain.tool(name))
    for name in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]:
        (programs / name).symlink_to(environment / "bin" / name)
    return programs
