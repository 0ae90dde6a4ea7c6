"""wardround_model says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_without_torch_the_error_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['torch'] = None; import wardround_model"
    ended = subprocess.run(
        [sys.executable, "-c", hidden],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "operator")},
    )
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: wardround_model needs torch, which is not installed. Run `pip install")
    assert "Wardround's repository: pip install '.[models]'" in last
    assert "During handling" not in ended.stderr
