"""`pastille deadletters list` and `replay`: see the records that could not be counted, and send again what can be now.

Payloads are shown only when asked for, and never where they hold what looks like a card number.
"""

from __future__ import annotations

import difflib
import json
import re
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detector.contracts.moments import epoch_ms, rfc3339
from detector.counting.rejects import REASONS
from streams.commands import Exit
from streams.deadletters import FLOOD, holds_card_like
from streams.errors import UserError
from streams.letterbox import Letters, Plan, Stored, Verdict, open_letters, plan, send
from streams.policy_file import read_policy
from streams.reading import open_reader
from streams.settings import Settings, load_settings

SCANNED_MAX = 20_000
"""Records of the dead-letter topic read at most, a partition; marks of letters already sent are among them."""
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
    letters = _read(settings, since)
    chosen = _with_reason(letters, reason)
    rows = [_row(stored, show) for stored in chosen[:limit]]
    if as_json:
        typer.echo(json.dumps({"total": len(chosen), "unreadable": letters.unreadable, "letters": rows}, indent=2))
    else:
        _print_rows(Console(), settings.topics.dead_letters, rows, len(chosen), letters.unreadable)
    if chosen or letters.unreadable:
        raise typer.Exit(Exit.FOUND)


def replay(
    broker: Broker = None,
    since: Since = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, max=SCANNED_MAX, help="Send at most so many, newest first.")] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent (the default).")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send again what decodes now, to its topic with its key; without --yes only say what would be sent.

    A letter is sent once, unless a send was interrupted; sending twice changes no count. Exit code 0: nothing is
    left to send; 1: in a dry run, something would be sent; 2: cannot connect, or wrong usage.
    """
    if dry_run and yes:
        raise UserError("--dry-run and --yes exclude each other; got both; give one")
    settings = load_settings(broker=broker)
    policy = read_policy(settings.policy)
    chosen = _with_reason(_read(settings, since), reason)
    plans = _limited(plan(chosen, settings, policy, time.time_ns() // 1_000_000), limit)
    sent = send(settings, plans, settings.topics.dead_letters) if yes else 0
    if as_json:
        typer.echo(json.dumps(_plan_summary(plans, sent, yes), indent=2))
    else:
        _print_plans(Console(), plans, sent, yes)
    if not yes and any(item.verdict is Verdict.SEND for item in plans):
        raise typer.Exit(Exit.FOUND)


def _read(settings: Settings, since: str | None) -> Letters:
    topic = settings.topics.dead_letters
    since_ms = None if since is None else _since_ms(since)
    with open_reader(settings) as reader:
        if topic not in reader.partitions():
            raise UserError(f"the dead-letter topic does not exist; got no {topic}; run `pastille topics create`")
        newest = reader.newest([topic], SCANNED_MAX, since_ms)
    if newest.cut_short:
        # A mark that was not read would let a letter be sent twice.
        raise UserError(f"{topic} could not be read to its end in time; got a part; narrow it with --since")
    return open_letters(newest.records[topic])


def _with_reason(letters: Letters, reason: str | None) -> list[Stored]:
    """The letters with a reason, or all. Raises UserError for one that none could have: a slip would be no letter."""
    there = {stored.letter.reason for stored in letters.letters}  # an older version, or another, has words of its own
    known = sorted({*map(str, REASONS), FLOOD, *there})
    if reason is not None and reason not in known:
        near = difflib.get_close_matches(reason, known, n=1)
        mend = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"there is no such reason; got {reason!r}; {mend}use one of {', '.join(known)}")
    return [stored for stored in letters.letters if reason in (None, stored.letter.reason)]


def _since_ms(text: str) -> int:
    if ago := _AGO.fullmatch(text):
        return max(0, time.time_ns() // 1_000_000 - int(ago[1]) * _UNIT_MS[ago[2]])
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


def _limited(plans: list[Plan], limit: int) -> list[Plan]:
    """The plans up to the last of `limit` that are sent."""
    sends = [at for at, item in enumerate(plans) if item.verdict is Verdict.SEND]
    return plans if len(sends) <= limit else plans[: sends[limit - 1] + 1]


def _plan_summary(plans: list[Plan], sent: int, yes: bool) -> dict[str, Any]:
    return {
        "dry_run": not yes,
        "sent": sent,
        "letters": dict(Counter(item.verdict.value for item in plans)),
        "records": [
            {"at": str(item.stored.place), "verdict": item.verdict.value, "detail": item.detail} for item in plans
        ],
    }


def _print_plans(console: Console, plans: list[Plan], sent: int, yes: bool) -> None:
    table = Table("letters", "what becomes of them", "why", box=None)
    for (verdict, detail), count in Counter((item.verdict, item.detail) for item in plans).most_common():
        table.add_row(str(count), verdict.replace("_", " "), _plain(detail))
    if plans:
        console.print(table)
    ready = sum(item.verdict is Verdict.SEND for item in plans)
    console.print(f"{sent} sent" if yes else f"{ready} would be sent; nothing was sent: that takes --yes")
