"""Maintenances as they are written down: a record of their topic, or a line of a file.

Knows the bytes and the contract; not Kafka, nor how an outage is judged in one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from detector.contracts.models import Maintenance
from detector.contracts.policy import Policy
from detector.contracts.scope import parse_scope
from streams import compacted
from streams.errors import UserError

__all__ = ["fold", "parse", "read_file", "unjudged"]

FILE_BYTES_MAX: Final = 16 * 1024 * 1024


def parse(value: bytes) -> Maintenance:
    """One record, or one line of a file. Raises ValueError with what is wrong, and in which field."""
    return compacted.parse(Maintenance, value)


def fold(known: dict[str, Maintenance], key: bytes | None, value: bytes | None) -> None:
    """Take a record of the topic. Raises ValueError for one that is no maintenance, or whose key is not its id."""
    compacted.fold(known, key, value, parse, "maintenance_id")


def read_file(path: Path) -> list[Maintenance]:
    """The maintenances of a file of JSON lines. Raises UserError with the first line that is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = f"got {path}: {error.strerror}"
        raise UserError(f"the maintenances cannot be read; {reason}; give a readable file") from None
    if len(data) > FILE_BYTES_MAX:
        raise UserError(f"a file of maintenances has at most {FILE_BYTES_MAX} bytes; {path} has more; shorten it")
    lines = data.splitlines()
    return [_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def unjudged(said: Maintenance, policy: Policy) -> str:
    """What is to be said of a scope that no outage under this policy can have; empty where one can."""
    # A shop is blamed, or missed, whatever the policy goes by.
    judged = (*policy.dimensions, "merchant")
    odd = [name for name, _ in parse_scope(said.scope).values if name not in judged]
    if not odd:
        return ""
    return f"a maintenance is of what the policy judges by: {', '.join(judged)}; got {', '.join(odd)} in {said.scope}"


def _line(path: Path, number: int, line: bytes) -> Maintenance:
    try:
        return parse(line)
    except ValueError as error:
        raise UserError(f"{path}:{number}: a line is one maintenance as JSON; got: {error}; mend it") from None
