"""Recorded events as files: plain, .gz or standard input, in blocks of lines, played through a replay.

Shows on a terminal how far it is. Does not know what the events come to, nor who wants to know.
"""

from __future__ import annotations

import gzip
import sys
import time
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from detector.contracts.moments import rfc3339
from detector.contracts.policy import Policy
from detector.judging.outage import Change
from detector.packed import Packed
from detector.rehearsal.replay import Counted, GapError, Read, Replay, Seen
from streams.errors import UserError

__all__ = ["bad_lines", "blocks_of", "counted_ahead", "out_of_order", "played", "require_events"]

BLOCK_BYTES, PIPE_BYTES = 1 << 21, 1 << 18
LINE_BYTES_MAX = 16 << 20
PROGRESS_S = 0.1
AHEAD = 1
"""Blocks that are counted, or about to be, while one is judged."""


class Readable(Protocol):
    """A file, raw or not, plain or packed."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def played(files: Sequence[str], replay: Replay) -> Iterator[Sequence[Change]]:
    """What each block of the files changes, and in the end their end. Raises UserError where a file cannot be used."""
    try:
        with _watch(replay) as watch:
            for file in files:
                with _opened(file) as source:
                    way = counted_ahead(blocks_of(source), replay) if _is_whole(file) else _one_by_one(source, replay)
                    for counted in way:
                        yield replay.judge(counted)
                        watch.look()
        yield replay.finish()
    except GapError as error:
        raise UserError(str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"a file cannot be used; got {error}; give JSON lines, plain or .gz") from None


def require_events(seen: Seen, files: Sequence[str], who: str) -> None:
    """Raises UserError where nothing that was read is an event; `who` needs one."""
    if seen.events:
        return
    counts = [*sorted(seen.reasons.items()), *([("ignored", seen.ignored)] if seen.ignored else [])]
    why = ", ".join(f"{count:,} {reason}" for reason, count in counts)
    raise UserError(
        f"{who} needs events; got {seen.lines:,} lines without any{f' ({why})' if why else ''} in {', '.join(files)}; "
        "give JSON lines, as docs/PRODUCERS.md has them"
    )


def bad_lines(seen: Seen) -> str:
    """What a person has to know of the lines that are no events; empty where there are none."""
    if not seen.reasons:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(seen.reasons.items()))
    return f"bad lines, left out: {reasons}; pastille replay --rejects says which"


def out_of_order(seen: Seen, policy: Policy) -> str:
    """What a person has to know of the order of the lines, once they were played; empty where it was good."""
    if not seen.too_late:
        return ""
    return (
        f"{seen.too_late:,} events came too late to count, {policy.open_ms // 1000} s and more behind those before "
        "them; sort the lines by occurred_at"
    )


def _one_by_one(source: Readable, replay: Replay) -> Iterator[Counted]:
    """What a program writes may come slowly: nothing waits for the next block, least of all a thread, which Ctrl-C does
    not reach; and blocks are small."""
    return (replay.count(replay.read(lines)) for lines in blocks_of(source, PIPE_BYTES))


def counted_ahead(blocks: Iterator[Packed], replay: Replay) -> Iterator[Counted]:
    """The blocks as they are counted, in order: while one is judged by whoever asks, the next is counted in a thread
    and the one after it is read in another, for the loops are free of the interpreter's lock."""

    def read() -> Read | None:
        lines = next(blocks, None)
        return None if lines is None else replay.read(lines)

    with ThreadPoolExecutor(1, "reading") as reading, ThreadPoolExecutor(1, "counting") as counting:
        coming, waiting = reading.submit(read), deque[Future[Counted]]()
        while (lines := coming.result()) is not None:
            coming = reading.submit(read)
            waiting.append(counting.submit(replay.count, lines))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _is_whole(file: str) -> bool:
    """Whether all of it is there: no pipe, and no standard input."""
    return file != "-" and Path(file).is_file()


@contextmanager
def _opened(file: str) -> Iterator[Readable]:
    if file == "-":
        yield sys.stdin.buffer
    elif file.endswith(".gz"):
        with gzip.open(file, "rb") as packed:
            yield packed
    else:
        with open(file, "rb", buffering=0) as plain:
            yield plain


def blocks_of(source: Readable, size: int = BLOCK_BYTES) -> Iterator[Packed]:
    """The lines of a stream in blocks of about `size` bytes, without their ends. Raises UserError where one never
    ends."""
    rest = b""
    while block := source.read(size):
        end = block.rfind(b"\n") + 1
        if end:
            yield Packed.lines(rest + block[:end])
            rest = b""
        rest += block[end:]
        if len(rest) > LINE_BYTES_MAX:
            raise UserError(f"a line is longer than {LINE_BYTES_MAX} bytes; give one JSON object a line")
    if rest:
        yield Packed.lines(rest)


class _Watch:
    """Shows on a terminal how far the replay is, some times a second."""

    def __init__(self, replay: Replay, progress: Progress | None) -> None:
        self._replay = replay
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None
        self._next = 0.0

    def look(self) -> None:
        """Show the state, unless it was shown a moment ago."""
        now = time.monotonic()
        if self._progress is None or self._task is None or now < self._next:
            return
        self._next = now + PROGRESS_S
        seen = self._replay.seen
        self._progress.update(self._task, description=f"{seen.lines:,} lines, up to {rfc3339(seen.last_ms)}")


@contextmanager
def _watch(replay: Replay) -> Iterator[_Watch]:
    if not sys.stderr.isatty():
        yield _Watch(replay, None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield _Watch(replay, progress)
