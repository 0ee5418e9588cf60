"""`make test` is some pytest processes: together they are the whole suite, fail when one does, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import SHARED, broker
from tests.together import CHECKING, COMPUTING, NICE, PARTS, REST, ROOT, WAITING, named

RUN = """
import sys
from pathlib import Path
from tests import together
if "few" in sys.argv:
    together.PARTS = (together.WAITING[0], together.COMPUTING[0], together.CHECKING)
sys.exit(together.run(Path.cwd(), ["this"], []))
"""
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")})
NEW = "tests/a/new_one"
FEW = (WAITING[0], COMPUTING[0], CHECKING)
"""Of each kind one: what is asked of all is asked of these."""
PASSES = "def test_it(): pass\n"
FAILS = "def test_it(): raise ValueError('broken here')\n"
LASTS = """
import pathlib, time
def test_it():
    try:
        pathlib.Path({name!r}).touch()
        time.sleep(60)
    finally:
        pathlib.Path({name!r} + " ended").touch()
"""
LASTING = (*(part[0] for part in FEW), NEW)
PATIENCE_S = 60


class Suite:
    """A suite with the folders of the real one and a new one, in each a test that passes; or with few of them."""

    def __init__(self, root: Path, *few: str) -> None:
        self.root, self.few = root, few
        (root / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib -rA -p no:cacheprovider\n")
        self.parts = FEW if few else PARTS
        folders = [folder for part in FEW for folder in part] if few else FOLDERS
        self.names = {folder: f"test_{number}.py" for number, folder in enumerate([*folders, NEW])}
        for folder in self.names:
            self.write(folder, PASSES)

    def write(self, folder: str, text: str) -> None:
        """Give a folder another test."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / folder / self.names[folder]).write_text(text)

    def begin(self) -> subprocess.Popen[str]:
        """Run it as `make test` does, with nothing to compile."""
        (self.root / "this.py").touch()
        # Plugins that are installed take four times as long to load as pytest itself, and these tests need none.
        alone = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **alone}
        command = [sys.executable, "-c", RUN, *self.few]
        return subprocess.Popen(command, cwd=self.root, env=variables, stdout=subprocess.PIPE, text=True)

    def run(self) -> tuple[int, str]:
        """The exit code, and what was said."""
        process = self.begin()
        output, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output

    def last_line(self, said: dict[str, str]) -> str:
        """How each went."""
        return "== " + ", ".join(f"{name} {said.get(name, 'passed')}" for name in [*map(named, self.parts), REST])


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


@pytest.fixture
def few(tmp_path: Path) -> Suite:
    return Suite(tmp_path, "few")


def test_the_folders_exist() -> None:
    """The folders that run beside the rest are folders of tests."""
    assert {folder for part in PARTS for folder in part} < set(FOLDERS)


def test_all_are_the_whole_suite(suite: Suite) -> None:
    """Each folder's tests run once, those of a folder nobody has heard of too, and the last line says how it went.
    Those that wait for others' processes have the cores first: who computes gives way."""
    mine = os.nice(0)
    computing = [part[0] for part in COMPUTING]
    for folder in (WAITING[0][0], *computing, NEW):
        wanted = mine + NICE * (folder in (*computing, NEW))
        suite.write(folder, f"import os\ndef test_it(): assert os.nice(0) == {wanted}\n")
    code, output = suite.run()
    assert code == 0, output
    passed = [line.removeprefix("PASSED ") for line in output.splitlines() if line.startswith("PASSED ")]
    assert sorted(passed) == sorted(f"{folder}/{name}::test_it" for folder, name in suite.names.items())
    assert output.splitlines()[-1] == suite.last_line({})


def test_all_share_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one runs already no other is started."""
    monkeypatch.setenv(SHARED, "127.0.0.1:1")
    with broker() as kafka:
        assert (kafka.bootstrap, kafka.settings().broker, kafka.pids) == ("127.0.0.1:1", "127.0.0.1:1", ())


@pytest.mark.parametrize(
    ("broken", "name"),
    [(WAITING[0][0], named(WAITING[0])), (COMPUTING[0][0], named(COMPUTING[0])), (NEW, REST)],
)
def test_one_failure_fails_all(few: Suite, broken: str, name: str) -> None:
    """Where one of them fails the exit code says so, its output is there, and the others are run to their end."""
    few.write(broken, FAILS)
    code, output = few.run()
    assert code == 1
    assert "broken here" in output
    assert output.splitlines()[-1] == few.last_line({name: "failed"})


@pytest.fixture
def lasting(few: Suite) -> Iterator[tuple[Suite, subprocess.Popen[str]]]:
    """A suite with a long test in each part, begun; ended by its own id where the test did not."""
    for folder in LASTING:
        few.write(folder, LASTS.format(name=str(few.root / Path(folder).name)))
    process = few.begin()
    yield few, process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_all_end_with_it(lasting: tuple[Suite, subprocess.Popen[str]], name: str) -> None:
    """On Ctrl-C and SIGTERM all end, what their tests have begun is put away, and the exit code is not 0."""
    suite, process = lasting
    places = [suite.root / Path(folder).name for folder in LASTING]
    wait_for_files(places, process)
    process.send_signal(signal.Signals[name])
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert all(place.with_name(f"{place.name} ended").exists() for place in places)
    assert output.splitlines()[-1] == suite.last_line(dict.fromkeys([*map(named, FEW), REST], "interrupted"))


def wait_for_files(places: list[Path], process: subprocess.Popen[str]) -> None:
    """Until all are there; the timeout of the test bounds it."""
    while not all(place.exists() for place in places):
        assert process.poll() is None, f"ended with {process.returncode} before its tests began"
        time.sleep(0.05)
