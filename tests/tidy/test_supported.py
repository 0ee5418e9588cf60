"""Where Pastille cannot run, `make` says so in one sentence: the script that looks, on other systems than this."""

import os
import platform
import subprocess
import sys
from types import ModuleType

import pytest

from tests.tidy.source import ROOT

SCRIPT = ROOT / ".ci" / "supported.py"


@pytest.fixture
def supported() -> ModuleType:
    """The script as a module of its own."""
    module = ModuleType("supported")
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), module.__dict__)
    return module


def pretend(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str) -> None:
    """Make this look like another system."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(os, "confstr", lambda _name: libc)


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [
        ("Linux", "x86_64", "glibc 2.28"),
        ("Linux", "aarch64", "glibc 2.41"),
        ("Darwin", "arm64", ""),
    ],
)
def test_systems_that_will_do(
    supported: ModuleType, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str
) -> None:
    """Linux with glibc and Apple silicon pass without a word."""
    pretend(monkeypatch, system, machine, libc)
    assert supported.complaint() is None


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [
        ("Linux", "x86_64", ""),  # musl
        ("Linux", "x86_64", "glibc 2.17"),
        ("Linux", "armv7l", "glibc 2.36"),
        ("Darwin", "x86_64", ""),
        ("Windows", "AMD64", ""),
    ],
)
def test_systems_that_will_not_do(
    supported: ModuleType, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str
) -> None:
    """Everything else is told what is needed and what this is, in one line."""
    pretend(monkeypatch, system, machine, libc)
    said = supported.complaint()
    assert said.startswith("Pastille needs Linux with glibc 2.28 or later")
    assert said.endswith(f"this is {system} {machine}.")
    assert "\n" not in said


def test_a_python_that_is_too_old(supported: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python before 3.11 is named, with the way to name another."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    assert "needs Python 3.11 or later" in supported.complaint()
    assert "make PYTHON=" in supported.complaint()


def test_a_python_without_venv(supported: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without ensurepip, as Debian ships it, is told which package to install."""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert "python3-venv" in supported.complaint()


def test_this_system_will_do() -> None:
    """Here, where the tests run, the script has nothing to say."""
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
