"""`pastille deadletters list` and `replay`: see the records that could not be counted, and send again what can be now.

Payloads are shown only when asked for, and never where they hold what looks like a card number.
"""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detector.contracts.moments import epoch_ms, rfc3339
from detector.counting.rejects import REASONS
from streams.commands import Exit
from streams.deadletters import FLOOD, Letter, holds_card_like
from streams.errors import UserError
from streams.letterbox import Fate, Fates, Findings, Stored, Survey, Verdict, stored_letters
from streams.policy_file import read_policy
from streams.reading import Reader, open_reader
from streams.resending import BATCH, Left, open_resender
from streams.settings import Settings, load_settings

SCANNED_MAX = 2_000_000
"""Records of the dead-letter topic looked at by one run, the newest; marks of letters already sent are among them."""
SENT_MAX = 1_000_000
TOLD_MAX = 10_000
"""Letters that JSON tells one by one; `letters` counts all."""
NAMED_MAX = 20
"""Letters that could not be sent and are named on a terminal."""
SHOWN_CHARACTERS_MAX = 2_000
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

Broker = Annotated[str | None, typer.Option(help="host:port, several by commas (PASTILLE_BROKER).")]
Since = Annotated[str | None, typer.Option(help="Only letters written since: 30m, 2h, 1d, or an RFC 3339 time.")]
Reason = Annotated[str | None, typer.Option(help="Only letters with this reason.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    group = typer.Typer(no_args_is_help=True, help="Records that could not be counted: see them, send them again.")
    group.command("list", epilog="Example: pastille deadletters list --since 2h --reason unknown_status")(list_letters)
    group.command("replay", epilog="Example: pastille deadletters replay --reason unknown_status --yes")(replay)
    app.add_typer(group, name="deadletters")


def list_letters(
    broker: Broker = None,
    since: Since = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most so many, newest first.")] = 50,
    show: Annotated[bool, typer.Option("--show", help="Show payloads too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the newest dead letters. Exit code 0: none; 1: there are some."""
    settings = load_settings(broker=broker)
    with _looked_at(settings, since, reason, lambda _: lambda _: Fate(Verdict.SEND)) as box:
        shown = box.findings.last_first().first(limit)
        records = box.reader.at([found.place for found in shown])
        rows = [_row(stored, show) for stored in stored_letters(shown, records)]
    total = len(box.findings)
    if as_json:
        said = {"total": total, "unreadable": box.unreadable, "not_looked_at": box.left_out, "letters": rows}
        typer.echo(json.dumps(said, indent=2))
    else:
        _print_rows(Console(), settings.topics.dead_letters, rows, total, box.unreadable)
        _print_left_out(Console(), box.left_out)
    if total or box.unreadable or box.left_out:
        raise typer.Exit(Exit.FOUND)


def replay(
    broker: Broker = None,
    since: Since = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, max=SENT_MAX, help="Send at most so many, oldest first.")] = 10_000,
    late: Annotated[bool, typer.Option("--late", help="Send also what comes too late to be counted.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent (the default).")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send again what would be counted now, to its topic with its key; without --yes only say what would be sent.

    What a letter tells of a moment whose pane has closed (11 minutes back, by this machine's clock) would be counted
    nowhere: it is told, and not sent without --late. One run sends a letter once; it may be sent again where a run was
    interrupted, or two go at once, which changes no count. Exit code 0: nothing is left to send; 1: something is, in
    a dry run, behind the limit, or what could not be sent or looked at; 2: cannot connect, or wrong usage.
    """
    if dry_run and yes:
        raise UserError("--dry-run and --yes exclude each other; got both; give one")
    settings = load_settings(broker=broker)
    policy = read_policy(settings.policy)

    def fates(partitions: Mapping[str, int]) -> Callable[[Letter], Fate]:
        return Fates(settings, policy, partitions, _wall_ms).of

    with _looked_at(settings, since, reason, fates) as box:
        sendable = box.findings.of({Verdict.SEND, Verdict.TOO_LATE} if late else {Verdict.SEND})
        sent, refused = _send(settings, box, sendable, limit, late=late) if yes else (0, [])
    chosen = sent + len(refused) if yes else min(len(sendable), limit)
    told = Told(box, not yes, len(sendable), chosen, sent, refused)
    if as_json:
        typer.echo(json.dumps(told.summary(), indent=2))
    else:
        _print_told(Console(), told)
    if told.unsent or box.left_out:
        raise typer.Exit(Exit.FOUND)


@dataclass(frozen=True, slots=True)
class Box:
    """What was found on the topic, and the connection to read letters by; `left_out` older records were not read.
    `fate_of` says what becomes of a letter now: a run may take longer than letters have left."""

    reader: Reader
    fate_of: Callable[[Letter], Fate]
    findings: Findings
    unreadable: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Told:
    """What `replay` has to say: `ready` letters are to be sent, `chosen` of them by this run; `refused` failed."""

    box: Box
    dry_run: bool
    ready: int
    chosen: int
    sent: int
    refused: list[Left]

    @property
    def unsent(self) -> int:
        """Letters that would be counted and are not sent."""
        return self.ready - self.sent + len(self._unplaced)

    @property
    def failed(self) -> int:
        """Letters that cannot be sent."""
        return len(self.refused) + len(self._unplaced)

    def named(self, most: int) -> list[Left]:
        """At most so many of those, and why."""
        unplaced = self._unplaced.first(most)
        gone = (Left(found.place, f"its partition is not there: {found.fate.detail}") for found in unplaced)
        return [*self.refused, *gone][:most]

    @property
    def _unplaced(self) -> Findings:
        return self.box.findings.of({Verdict.NO_PARTITION})

    def summary(self) -> dict[str, Any]:
        """All of it for JSON, at most TOLD_MAX letters one by one."""
        letters: dict[str, int] = {}
        for fate, count in self.box.findings.counts().items():
            letters[fate.verdict.value] = letters.get(fate.verdict.value, 0) + count
        one_by_one = self.box.findings.last_first().first(TOLD_MAX)
        return {
            "dry_run": self.dry_run,
            "sent": self.sent,
            "left": self.unsent,
            "not_looked_at": self.box.left_out,
            "letters": letters,
            "failed": [{"at": str(left.place), "why": left.why} for left in self.named(TOLD_MAX)],
            "records": [
                {"at": str(found.place), "verdict": found.fate.verdict.value, "detail": found.fate.detail}
                for found in one_by_one
            ],
        }


@contextmanager
def _looked_at(
    settings: Settings, since: str | None, reason: str | None,
    fates: Callable[[Mapping[str, int]], Callable[[Letter], Fate]],
) -> Iterator[Box]:  # fmt: skip
    """Go through the topic once, to its end: a mark that was not read would let a letter be sent twice. `fates` makes
    of how many partitions each topic has who says what becomes of a letter."""
    topic = settings.topics.dead_letters
    since_ms = None if since is None else _since_ms(since)
    with open_reader(settings) as reader:
        partitions = reader.partitions()
        if topic not in partitions:
            raise UserError(f"the dead-letter topic does not exist; got no {topic}; run `pastille topics create`")
        fate_of = fates(partitions)
        survey = Survey(topic, lambda letter: fate_of(letter) if reason in (None, letter.reason) else None)
        span = reader.span(topic, SCANNED_MAX, since_ms)
        for records in reader.walk(span):
            survey.take(records)
        _check_reason(reason, survey.reasons)
        yield Box(reader, fate_of, survey.oldest_first(), survey.unreadable, span.left_out)


def _check_reason(reason: str | None, there: set[str]) -> None:
    """Raises UserError for a reason that no letter could have: a slip would be no letter."""
    known = sorted({*map(str, REASONS), FLOOD, *there})  # an older version, or another, has words of its own
    if reason is not None and reason not in known:
        near = difflib.get_close_matches(reason, known, n=1)
        mend = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"there is no such reason; got {reason!r}; {mend}use one of {', '.join(known)}")


def _send(settings: Settings, box: Box, findings: Findings, limit: int, *, late: bool) -> tuple[int, list[Left]]:
    """Send at most so many letters and mark them, some at a time; how many were sent, and which were refused.

    Those refused use up nothing of the limit: however many there are, what is behind them is reached. What has become
    too late to be counted since the topic was looked at is left too, unless `late` is wanted.
    """
    gone: list[Left] = []
    start = 0
    with open_resender(settings) as resender:
        while start < len(findings) and resender.sent < limit:
            batch = findings.part(start, start + BATCH)
            start += len(batch)
            records = box.reader.at([found.place for found in batch])
            gone += [Left(found.place, "no longer on the topic") for found in batch if found.place not in records]
            letters: list[Stored] = []
            for stored in stored_letters(batch, records):
                if late or box.fate_of(stored.letter).verdict is not Verdict.TOO_LATE:
                    letters.append(stored)
                else:
                    gone.append(Left(stored.place, "too late to be counted by now"))
            while letters and resender.sent < limit:
                some = limit - resender.sent
                resender.send(letters[:some])
                letters = letters[some:]
    return resender.sent, [*resender.left, *gone]


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _since_ms(text: str) -> int:
    if ago := _AGO.fullmatch(text):
        return max(0, _wall_ms() - int(ago[1]) * _UNIT_MS[ago[2]])
    try:
        return epoch_ms(text)
    except ValueError:
        raise UserError(
            f"--since is a length of time or a moment; got {text!r}; write 30m, 2h, 1d or "
            f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        ) from None


def _row(stored: Stored, show: bool) -> dict[str, Any]:
    letter = stored.letter
    row: dict[str, Any] = {
        "at": str(stored.place),
        "received_at": rfc3339(letter.received_at_ms),
        "reason": letter.reason,
        "field": letter.field,
        "record": f"{letter.topic}/{letter.partition}/{letter.offset}",
        "bytes": None if letter.value is None else len(letter.value),
        "sent_again": stored.sent_again,
    }
    return row | {"payload": _shown(letter.value)} if show else row


def _shown(value: bytes | None) -> str | None:
    # Letters are checked when they are written; one from elsewhere, or from an older version, is checked here.
    if value is None or holds_card_like(value):
        return None
    return value.decode("utf-8", "backslashreplace")[:SHOWN_CHARACTERS_MAX]


def _print_rows(console: Console, topic: str, rows: list[dict[str, Any]], total: int, unreadable: int) -> None:
    """A line a letter, short enough for a terminal; its topic is said once, and its payload has a line of its own."""
    heads = ("letter", "received (UTC)", "reason", "field", "bytes", "record")
    cells = [heads, *(_cells(row, topic) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row, texts in zip([None, *rows], cells if rows else [], strict=False):
        line = "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()
        _print_line(console, f"[bold]{escape(line)}[/]" if row is None else escape(line))
        if row is not None and "payload" in row:
            _print_line(console, f"    {_plain(row['payload'] or 'left out')}")
    more = f", {unreadable} unreadable" if unreadable else ""
    _print_line(console, f"{len(rows)} of {total} dead letters in {escape(topic)}{more}")


def _cells(row: dict[str, Any], topic: str) -> tuple[str, ...]:
    at, received = row["at"].removeprefix(f"{topic}/"), row["received_at"]
    size = "left out" if row["bytes"] is None else str(row["bytes"])
    record = row["record"] + ("  sent again" if row["sent_again"] else "")
    # Letters are kept for two weeks: the year is known.
    texts = (at, f"{received[5:10]} {received[11:19]}", row["reason"], row["field"] or "", size, record)
    return tuple(_printable(text) for text in texts)


def _print_line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False)


def _plain(text: str) -> str:
    """Text from a topic as it may go to a terminal: no markup, no control characters."""
    return escape(_printable(text))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _print_told(console: Console, told: Told) -> None:
    table = Table("letters", "what becomes of them", "why", box=None)
    for (verdict, detail), count in told.box.findings.counts().most_common():
        table.add_row(str(count), verdict.replace("_", " "), _plain(detail))
    if len(told.box.findings):
        console.print(table)
    for left in told.named(NAMED_MAX):
        _print_line(console, f"cannot be sent: {_plain(str(left.place))}: {_plain(left.why)}")
    if told.failed > NAMED_MAX:
        _print_line(console, f"cannot be sent: {told.failed - NAMED_MAX} more; --json names them")
    behind = told.ready - told.chosen
    later = f", {behind} left for later runs (--limit)" if behind else ""
    if told.dry_run:
        _print_line(console, f"{told.chosen} would be sent{later}; nothing was sent: that takes --yes")
    else:
        failed = f", {told.failed} left that cannot be sent" if told.failed else ""
        _print_line(console, f"{told.sent} sent{later}{failed}")
    _print_left_out(console, told.box.left_out)


def _print_left_out(console: Console, left_out: int) -> None:
    if left_out:
        _print_line(console, f"only the newest {SCANNED_MAX:,} records were looked at, {left_out} older ones were not")
