"""`make check` finds nothing, and the recipes do what the README says of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.source import ROOT

CHECKS = ("check-style", "check-types", "check-imports")
CHECK_TIMEOUT_S = 280


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with the tools of the Python that runs this test, and install nothing."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    ready = [f"--assume-old=.venv/.{stamp}" for stamp in ("made", "ready-demo", "ready-test")]
    command = ["make", *ready, f"BIN={Path(sys.executable).parent}", f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False
    )


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_nothing(check: str) -> None:
    """Ruff, mypy strict and the import contracts, by the very recipes of `make check`, find nothing."""
    done = make(check)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_runs_every_check() -> None:
    """`make check` is these three and nothing that the tests leave out."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    assert f"check: {' '.join(CHECKS)}" in lines


def test_plain_make_greets() -> None:
    """`make` alone names the two doors and every other recipe."""
    done = make()
    assert done.returncode == 0, done.stderr
    for target in ("demo", "test", "check", "format", "kafka", "bench", "clean"):
        assert f"  make {target} " in done.stdout


def test_make_passes_arguments_on() -> None:
    """`make demo ARGS="..."` is the command itself with these arguments, and installs nothing a second time."""
    done = make("--dry-run", "demo", "ARGS=--seconds 150 --json")
    assert done.stdout.splitlines() == [f"{Path(sys.executable).parent}/pastille demo --seconds 150 --json"]


def test_make_names_a_python_that_is_missing() -> None:
    """Without the Python that was asked for, make says so in one sentence and stops."""
    done = make("PYTHON=no-such-python")
    assert done.returncode != 0
    assert "there is no no-such-python here" in done.stderr
