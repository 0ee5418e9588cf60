"""Reads the file of known incidents: CSV with a header, one incident a row, for one or several recorded days.

Does not know the recorded days themselves.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast, get_args

from detector.contracts.models import Kind
from detector.contracts.moments import epoch_ms
from detector.contracts.scope import Scope
from detector.rehearsal.score import Incident
from streams.errors import UserError

__all__ = ["dataset_of", "read_incidents"]

REQUIRED: Final = ("dataset", "bank", "method", "kind", "start", "end")
INCIDENTS_MAX: Final = 10_000
KINDS: Final = get_args(Kind)


def dataset_of(file: str) -> str:
    """The name of a recorded day when none is given: the file's, up to its first dot."""
    return Path(file).name.split(".")[0]


def read_incidents(path: Path, dataset: str, is_given: bool) -> list[Incident]:
    """The incidents of a data set, in the order of the file.

    A file that does not know the name, and it was not given on purpose, is taken to be of one day if its rows name no
    data set. Raises UserError with the line that is wrong.
    """
    rows = list(_rows(path))
    names = {name for name, _ in rows}
    if dataset not in names and "" in names and not is_given:
        dataset = ""
    if rows and dataset not in names:
        known = ", ".join(sorted(filter(None, names)))
        raise UserError(
            f"{path} must have incidents of the data set {dataset}; got {known}; choose one with --dataset, or leave "
            "--incidents out for a day on which nothing is known to have gone wrong"
        )
    return [incident for name, incident in rows if name == dataset]


def _rows(path: Path) -> Iterator[tuple[str, Incident]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if missing := [name for name in REQUIRED if name not in (reader.fieldnames or ())]:
                raise UserError(
                    f"{path} needs the columns {', '.join(REQUIRED)}; it has no {', '.join(missing)}; add them"
                )
            for number, row in enumerate(reader, 1):
                if number > INCIDENTS_MAX:
                    raise UserError(f"{path} has more than {INCIDENTS_MAX} incidents; give one data set at a time")
                yield row["dataset"].strip(), _incident(row, f"{path}, line {reader.line_num}")
    except OSError as error:
        raise UserError(f"--incidents cannot be read; got {path}: {error.strerror}; give a readable file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--incidents cannot be read; got {path}: {error}; give CSV in UTF-8") from None


def _incident(row: dict[str, str], where: str) -> Incident:
    kind = row["kind"].strip()
    if kind not in KINDS:
        raise UserError(f'{where}: kind is one of {", ".join(KINDS)}; got "{kind}"; choose one')
    start_ms, end_ms = (_time(row, name, where) for name in ("start", "end"))
    if end_ms <= start_ms:
        raise UserError(f"{where}: end comes after start; got {row['start']} to {row['end']}; put the later time last")
    values = ((name, row[name].strip()) for name in ("bank", "method"))
    return Incident(Scope(tuple((name, value) for name, value in values if value)), cast(Kind, kind), start_ms, end_ms,
                    (row.get("source") or "").strip(), (row.get("evidence") or "").strip())  # fmt: skip


def _time(row: dict[str, str], name: str, where: str) -> int:
    try:
        return epoch_ms(row[name].strip())
    except ValueError:
        raise UserError(
            f'{where}: {name} is RFC 3339 with a zone; got "{row[name]}"; write it like 2024-01-31T14:05:00Z'
        ) from None
