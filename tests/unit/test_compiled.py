"""What numba keeps of a loop is not used again when anything that went into the loop has changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detector import kept
from tests.unit.forked import obey_modes, printed

CALLER = """
from detector.compiled import compiled
from limit import LIMIT
from callee import add

@compiled
def loop(n: int) -> int:
    return add(n) + LIMIT

print(loop(1), sum(loop.stats.cache_hits.values()))
"""
CALLEE = """
from detector.compiled import compiled
from more import MORE

@compiled
def add(n: int) -> int:
    return n + MORE + {}
"""
ROOT = Path(__file__).parents[2]
NOWHERE = {"NUMBA_CACHE_DIR": "", "HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"}


def run(folder: Path, **environment: str) -> tuple[int, int]:
    """The loop's result and how often it came from the cache, in a process of its own."""
    result, hits = printed(folder / "caller.py", **environment).split()
    return int(result), int(hits)


def written(folder: Path) -> Path:
    """The modules in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "caller.py").write_text(CALLER)
    (folder / "callee.py").write_text(CALLEE.format(10))
    (folder / "limit.py").write_text("LIMIT = 100\n")
    (folder / "more.py").write_text("MORE = 0\n")
    return folder


def forbid_writing(folder: Path) -> None:
    """Nothing below the folder can be written."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def test_loops_are_kept_until_something_changes(tmp_path: Path) -> None:
    """A second process takes the loop from the cache, one that hashes texts otherwise, too; after a change in another
    file it is compiled again, also where only a loop that it calls sees that."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    written(tmp_path)
    assert run(tmp_path, **cache) == (111, 0)
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONHASHSEED": "1", **cache}
    assert subprocess.run(
        [sys.executable, "-B", "caller.py"], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True,
        timeout=60,
    ).stdout == "111 1\n"  # fmt: skip
    (tmp_path / "callee.py").write_text(CALLEE.format(2000))
    assert run(tmp_path, **cache) == (2101, 0)
    (tmp_path / "limit.py").write_text("LIMIT = 500\n")
    assert run(tmp_path, **cache) == (2501, 0)
    (tmp_path / "more.py").write_text("MORE = 7000\n")
    assert run(tmp_path, **cache) == (9501, 0)


def test_what_cannot_be_read_is_compiled_again(tmp_path: Path) -> None:
    """What another version kept in the same folder, or what is torn, costs compiling once more."""
    cache = tmp_path / "cache"
    written(tmp_path)
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache)) == (111, 0)
    for torn in (b"", b"cdetector.kept\nNot_of_this_version\n."):
        for index in cache.rglob("*.nbi"):
            index.write_bytes(torn)
        assert [run(tmp_path, NUMBA_CACHE_DIR=str(cache)) for _ in range(2)] == [(111, 0), (111, 1)]


def byte_wrong(content: bytes) -> bytes:
    """One byte of a text is none of UTF-8."""
    at = content.index(b"caller.py")
    return content[:at] + b"\xff" + content[at + 1 :]


def block_zeroed(content: bytes) -> bytes:
    """What a disk lost in the middle of a file."""
    third = len(content) // 3
    return content[:third] + bytes(third) + content[2 * third :]


def digest_wrong(content: bytes) -> bytes:
    """One bit of the digest, which nothing else tells of."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("spoil", [byte_wrong, block_zeroed, digest_wrong])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_what_the_disk_spoilt_is_compiled_again(tmp_path: Path, spoil: Callable[[bytes], bytes], kind: str) -> None:
    """A byte or a block of an index, or of machine code: it neither ends the process nor counts wrongly."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(written(tmp_path), **cache) == (111, 0)
    (file,) = (tmp_path / "cache").rglob(f"*.{kind}")
    file.write_bytes(spoil(file.read_bytes()))
    assert [run(tmp_path, **cache), run(tmp_path, **cache)] == [(111, 0), (111, 1)]


def test_machine_code_of_an_older_text_is_not_used(tmp_path: Path) -> None:
    """Where a disk was full, or the process ended, the new index is there, and behind it what was compiled before."""
    cache = tmp_path / "cache"
    written(tmp_path)
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache)) == (111, 0)
    (file,) = cache.rglob("*.nbc")
    before = file.read_bytes()
    (tmp_path / "callee.py").write_text(CALLEE.format(2000))
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache)) == (2101, 0)
    file.write_bytes(before)
    assert [run(tmp_path, NUMBA_CACHE_DIR=str(cache)) for _ in range(2)] == [(2101, 0), (2101, 1)]


INNER = """
import numpy as np
from numba.core import event
from detector.compiled import compiled, inlined

class Compiled(event.Listener):
    def on_start(self, said):
        pass

    def on_end(self, said):
        print(said.data["dispatcher"].py_func.__name__)

event.register("numba:compile", Compiled())

@inlined
def less(n, by):
    return n - by

@compiled
def loop(n, few):
    return less(n, 3) + less(n, few) + less(few, n)

print(loop(7, np.int32(2)))
print(less(7, 3), less(np.int32(7), 3))
"""


def test_who_calls_a_loop_writes_numbers_as_it_likes(tmp_path: Path) -> None:
    """For loops it is compiled once, whether a number is written out or has 32 bits; for Python apart, by its types."""
    script = tmp_path / "inner.py"
    script.write_text(INNER)
    done = [printed(script, NUMBA_CACHE_DIR=str(tmp_path / "cache")).split() for _ in range(2)]
    assert done == [["less", "loop", "4", "less", "less", "4", "4"], ["4", "4", "4"]]


def test_what_compiles_is_part_of_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that has numba do something its own way, but those whose own loops do: a loop that was compiled in
    another way is not used."""
    folder = Path(kept.__file__).parent
    asks = {
        str(file.relative_to(folder)) for file in folder.rglob("*.py")
        if re.search(r"^from numba(\.core)? import (?!types$)", file.read_text(), re.MULTILINE)
    }  # fmt: skip
    assert asks - {"kept.py", "records/checksum.py"} <= set(kept.COMPILERS)
    before = kept.stamp(_nothing)
    kept._compilers.cache_clear()
    monkeypatch.setattr(kept, "_hashed", lambda _file: "another text")
    try:
        assert kept.stamp(_nothing) != before
    finally:
        kept._compilers.cache_clear()


def _nothing() -> None:
    """A loop."""


AT_ONCE = """
import os
import sys
import numpy as np
from detector.compiled import compiled

@compiled
def twice(n):
    return n + n

print("ready", flush=True)
sys.stdin.readline()
assert twice(getattr(np, os.environ["TYPE"])(21)) == 42  # a constant of the module would go into what is kept
print(sum(twice.stats.cache_hits.values()))
"""
TYPES = ("int8", "int32", "uint16", "float32")


def test_processes_that_compile_one_loop_at_once_keep_all_of_it(tmp_path: Path) -> None:
    """Each for another type, as where workers begin together on a new machine: none is given another's later."""
    script, cache = tmp_path / "twice.py", {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    script.write_text(AT_ONCE)
    started = [
        subprocess.Popen([sys.executable, "twice.py"], cwd=tmp_path, text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT), "TYPE": type_, **cache})
        for type_ in TYPES
    ]  # fmt: skip
    assert [process.stdout.readline() for process in started if process.stdout] == ["ready\n"] * len(TYPES)
    for process in started:
        assert process.stdin is not None
        process.stdin.write("all are\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in started] == ["0\n"] * len(TYPES)
    assert [printed(script, TYPE=type_, **cache) for type_ in TYPES] == ["ready\n1\n"] * len(TYPES)


def test_no_folder_to_keep_loops_in(tmp_path: Path) -> None:
    """Where nothing can be kept, loops work all the same."""
    written(tmp_path)
    (tmp_path / "__pycache__").write_text("a file where a folder should be")
    assert [run(tmp_path, **NOWHERE), run(tmp_path, **NOWHERE)] == [(111, 0), (111, 0)]


def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """An image was compiled where it was built: whoever runs it may write nowhere, and compiles nothing again; also
    when the files have other times than there."""
    modules, cache = written(tmp_path / "modules"), tmp_path / "cache"
    variables = {**NOWHERE, "NUMBA_CACHE_DIR": str(cache)}
    assert [run(modules, **variables), run(modules, **variables)] == [(111, 0), (111, 1)]
    forbid_writing(cache)
    forbid_writing(modules)
    for file in modules.glob("*.py"):
        os.utime(file, (0, 0))
    assert run(modules, **variables) == (111, 1)


def test_what_lies_beside_a_package_is_read(tmp_path: Path) -> None:
    """Without NUMBA_CACHE_DIR loops are kept beside their files: a copy of these that cannot be written is as warm."""
    modules = written(tmp_path / "modules")
    assert [run(modules, NUMBA_CACHE_DIR=""), run(modules, NUMBA_CACHE_DIR="")] == [(111, 0), (111, 1)]
    copy = tmp_path / "copy"
    shutil.copytree(modules, copy)
    forbid_writing(copy)
    assert run(copy, **NOWHERE) == (111, 1)


def test_what_a_folder_lacks_is_kept_elsewhere(tmp_path: Path) -> None:
    """A folder without the loop that cannot be written: it is compiled once, and kept in the user's cache folder."""
    modules, cache, home = written(tmp_path / "modules"), tmp_path / "cache", tmp_path / "home"
    cache.mkdir()
    forbid_writing(cache)
    forbid_writing(modules)
    variables = {"NUMBA_CACHE_DIR": str(cache), "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    home.mkdir()
    assert [run(modules, **variables), run(modules, **variables)] == [(111, 0), (111, 1)]


ONLY_KEPT = """
import sys
from detector.kept import NotKept, only_kept
from detector.compiled import compiled

@compiled
def loop(n):
    return n + 1

def tried(n):
    try:
        return loop(n)
    except NotKept as error:
        return f"{error}:{error.lost is None}"

with only_kept():
    print(tried(1), "numba.np.linalg" in sys.modules)
if "compile" in sys.argv:
    print(loop(1), loop(1.5))
"""


def test_what_is_kept_is_asked_for_without_compiling(tmp_path: Path) -> None:
    """A loop of which nothing is kept says so; one that is kept is called, and what only compiling needs to know is
    not loaded for it, but is when something is compiled after all. It also says whether there is a place to keep."""
    (tmp_path / "only.py").write_text(ONLY_KEPT)

    def said(*arguments: str, **variables: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "only.py", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "cache"), **variables},
            preexec_fn=obey_modes,
        )  # fmt: skip
        return done.stdout.split()

    assert said("compile") == ["__main__.loop:True", "False", "2", "2.5"]
    assert said() == ["2", "False"]
    assert said("compile") == ["2", "False", "2", "2.5"]
    forbid_writing(tmp_path)
    assert said("compile", **NOWHERE) == ["__main__.loop:False", "False", "2", "2.5"]


LOST = """
from detector.compiled import compiled
from detector.kept import lost

@compiled
def loop(n):
    return n + 1

print(loop(1), lost())
"""


def test_what_is_not_kept_is_known(tmp_path: Path) -> None:
    """Where the disk takes no more, or there is no folder, the loop is called all the same, and who compiled it can
    say why each start will compile it again."""
    script, cache = tmp_path / "lost.py", tmp_path / "cache"
    script.write_text(LOST)

    def said(bytes_max: int, **variables: str) -> str:
        return printed(script, bytes_max=bytes_max, **{"NUMBA_CACHE_DIR": str(cache), **variables}).strip()

    assert re.match(f"2 cannot keep what is compiled in {cache}/.*: File too large; make room", said(100))
    assert [said(10**7), said(10**7)] == ["2 None", "2 None"]
    (tmp_path / "__pycache__").write_text("a file where a folder should be")
    assert said(10**7, **NOWHERE) == "2 no folder to keep what is compiled: set NUMBA_CACHE_DIR"


AT_WORK = """
import gc, importlib, pkgutil
from pathlib import Path
import detector
from numba.core.dispatcher import Dispatcher
from detector.warm import warm

warm()
modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(detector.__path__, "detector.")]
loops = {id(value): value for module in modules for value in vars(module).values() if hasattr(value, "py_func")}
called = {
    id(loop.py_func.__globals__.get(name)) for loop in loops.values() for name in loop.py_func.__code__.co_names
}
print(*sorted(loop.py_func.__name__ for key, loop in loops.items() if key not in called and not loop.signatures))
before = {loop: len(loop.signatures) for loop in gc.get_objects() if isinstance(loop, Dispatcher)}

from tests.property.histories import POLICY, history
from tests.property.test_counter import batch, counter, rest
from tests.scenarios.scene import play, read

made = counter(POLICY)
made.take(batch(history(4, span_ms=60_000, payments=6_000, orders=1_500), made))
assert rest(made)
for name in ("all_red", "evidence_night"):
    assert play(read(Path(f"tests/scenarios/scenes/{name}.txt")))
print(*sorted(loop.py_func.__name__ for loop, known in before.items() if len(loop.signatures) > known))
"""
NOT_BY_A_WORKER = {
    "_find_ends",  # of a file
    "copy_rows",  # when a new policy asks for a ring of another size
    "crc32c_by_table",  # for tests
    "hash_bytes",  # for tests
}


def test_a_worker_compiles_every_loop_before_it_joins_and_none_at_work() -> None:
    """No bank's first outage waits for the compiler: what Python calls is compiled, or loaded, by `warm`. Nor is a loop
    compiled later for other types, or one that other loops take in: tables grow, and outages are found, without."""
    done = subprocess.run([sys.executable, "-c", AT_WORK], cwd=ROOT, capture_output=True, text=True, check=True)
    lacking, at_work = done.stdout.splitlines()
    assert set(lacking.split()) <= NOT_BY_A_WORKER
    assert at_work == ""
