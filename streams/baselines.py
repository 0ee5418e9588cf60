"""What is usual, as it is written down: a file of all scopes, records of a topic of one each.

Knows the bytes, Kafka's clients and a person's mistakes; not how anything is learned.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from detector.contracts.models import Lesson
from detector.judging.learned import MARK, Learned, from_plain, to_plain
from detector.judging.lessons import learned_by, scope_of
from streams import compacted
from streams.errors import UserError
from streams.settings import Settings

__all__ = ["fold", "is_learned_file", "parse", "read_file", "read_topic", "write", "write_file"]

FILE_BYTES_MAX: Final = 512 * 1024 * 1024


# A file


def is_learned_file(file: str) -> bool:
    """Whether a file begins as one of baselines; what cannot be read does not, nor what can be read only once, as
    standard input and pipes."""
    if file == "-" or not Path(file).is_file():
        return False
    try:
        with _opened(file) as source:
            return bool(source.read(len(MARK) + 16).lstrip().startswith(b'{"' + MARK.encode() + b'"'))
    except (OSError, EOFError, zlib.error):
        return False


def read_file(file: str) -> Learned:
    """The baselines of a file. Raises UserError where it is none, or cannot be read."""
    try:
        with _opened(file) as source:
            data = source.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise UserError(f"a file of baselines has at most {FILE_BYTES_MAX} bytes; {file} has more; learn it again")
        return from_plain(json.loads(data))
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"the baselines cannot be read; got {file}: {error}; give a readable file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: {error}") from None


def write_file(path: Path, learned: Learned) -> None:
    """Write the baselines whole or not at all; to a device or a pipe as they are. Raises UserError where they cannot
    be."""
    text = json.dumps(to_plain(learned), separators=(",", ":")).encode()
    data = gzip.compress(text, 6) if path.suffix == ".gz" else text
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # never put a file in the place of /dev/null
        else:
            _write_whole(path, data)
    except OSError as error:
        reason = f"got {path}: {error.strerror}"
        raise UserError(f"the baselines cannot be written; {reason}; choose another --out") from None


def _write_whole(path: Path, data: bytes) -> None:
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except BaseException:  # also Ctrl-C
        with suppress(OSError):
            beside.unlink()
        raise


def _opened(file: str) -> Any:
    return gzip.open(file, "rb") if file.endswith(".gz") else open(file, "rb")


# The topic


def parse(value: bytes) -> Lesson:
    """One record. Raises ValueError with what is wrong, also with the values that are packed in it."""
    lesson = compacted.parse(Lesson, value)
    scope_of(lesson)
    learned_by(lesson)
    return lesson


def fold(known: dict[str, Lesson], key: bytes | None, value: bytes | None) -> None:
    """Take a record of the topic. Raises ValueError for one that is no lesson, or whose key is not its scope's."""
    compacted.fold(known, key, value, parse, "scope")


def read_topic(settings: Settings) -> dict[str, Lesson]:
    """The newest word of every scope. Raises UserError where the topic cannot be read."""
    return compacted.read(settings, settings.topics.baselines, "baselines", fold)


def write(settings: Settings, lessons: Sequence[Lesson]) -> None:
    """Write all of them, acknowledged by every copy. Raises UserError where Kafka refuses."""
    compacted.write(settings, settings.topics.baselines, [(one.scope, one) for one in lessons])
