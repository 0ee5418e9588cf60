"""A table that grows holds what it held, and zeros beyond, wherever it lies by then."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from detector.counting.book import LINE_BYTES, MERCHANT, ROW
from detector.counting.space import LARGE_BYTES, POPULATED_BYTES_MAX, lengthened, new_table, populate
from tests.benchmarks.scale.memory import memory_bytes


@pytest.mark.parametrize(("kind", "width"), [(ROW, ()), (np.uint8, ()), (np.int64, (2,))])
def test_a_longer_table_holds_the_same(kind: Any, width: tuple[int, ...]) -> None:
    """From one entry to some megabytes, of which no space has room for all."""
    random, table = np.random.default_rng(7), new_table(1, kind, width)
    assert table.shape == (1, *width)
    while table.nbytes < 20 << 20:
        told = random.bytes(table.nbytes)
        table.view(np.uint8).reshape(-1)[:] = np.frombuffer(told, np.uint8)
        table = lengthened(table, 3 * len(table))
        said = table.view(np.uint8).reshape(-1)
        assert (table.shape[1:], table.dtype) == (width, np.dtype(kind))
        assert said[: len(told)].tobytes() == told
        assert not said[len(told) :].any()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to ask for the memory of a process")
def test_a_table_takes_memory_where_something_was_written() -> None:
    """A gibibyte of nothing is no memory, nor is one that something was moved from."""
    before = memory_bytes()
    table = new_table(1 << 24, np.uint8)
    table[:] = 1
    longer = lengthened(table, 1 << 30)
    longer[1 << 29] = 1
    assert memory_bytes() - before < 1 << 25
    assert not table.any(), "moved, not copied"


def _populates() -> bool:
    """Whether the system takes memory at once, asked by the number that Linux gives this."""
    try:
        mmap.mmap(-1, mmap.PAGESIZE).madvise(23)
    except (AttributeError, OSError):
        return False
    return Path("/proc/self/statm").exists()


@pytest.mark.skipif(not _populates(), reason="this system takes no such hint, or has no /proc to ask for memory")
def test_memory_is_taken_before_it_is_written() -> None:
    """Of the entries asked for, as far as there is space, and of many only the first; what they hold stays."""
    table = new_table(1 << 20, np.int64)
    table[3] = 7
    before = memory_bytes()
    populate(table, 1, 1 << 18)
    assert 1 << 20 < memory_bytes() - before < 3 << 20, "two megabytes, more or less what Python needs"
    populate(table, 1, 1 << 40)
    assert POPULATED_BYTES_MAX * 3 // 4 < memory_bytes() - before < POPULATED_BYTES_MAX * 5 // 4
    populate(table, 1 << 30, 1)
    assert table[:5].tolist() == [0, 0, 0, 7, 0]


@pytest.mark.parametrize("kind", [ROW, MERCHANT])
def test_what_is_looked_at_at_random_lies_in_one_line_of_memory(kind: Any) -> None:
    """So it is there, or asked for, as a whole."""
    table = lengthened(new_table(1, kind), 1 << 20)
    assert table.itemsize == LINE_BYTES
    assert table.ctypes.data % LINE_BYTES == 0


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this system has no large pages")
def test_a_table_that_became_large_has_large_pages() -> None:
    """One that is large from the start may stay nearly empty, and a small one would be mostly unused."""
    begun, small = new_table(1, np.uint8, room=LARGE_BYTES), lengthened(new_table(1, np.uint8), 2 << 20)
    assert {_advised(begun), _advised(small)} == {"nh"}
    large = lengthened(begun, LARGE_BYTES + 1)
    assert _advised(large) == "hg"


def _advised(table: npt.NDArray[np.uint8]) -> str:
    """What the system was told of the memory a table is in: large pages, `hg`, or none, `nh`."""
    address = table.ctypes.data
    for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(encoding="ascii")):
        begin, end = (int(part, 16) for part in mapping.split()[0].split("-"))
        if begin <= address < end:
            flags = mapping.partition("VmFlags:")[2].split()
            return " ".join(flag for flag in flags if flag in {"hg", "nh"})
    raise AssertionError(f"no mapping holds {address:x}")


def test_no_space_is_no_broken_network() -> None:
    """An OSError would be taken for Kafka's, and tried again for ever."""
    with pytest.raises(MemoryError, match="bytes of address space"):
        new_table(1 << 60, np.uint8)
