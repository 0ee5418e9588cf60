"""`pastille deadletters list` and `replay`: see the records that could not be counted, and send again what can be now.

Payloads are shown only when asked for, and never where they hold what looks like a card number.
"""

from __future__ import annotations

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
from streams.commands import Exit
from streams.deadletters import holds_card_like
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
    chosen = [stored for stored in letters.letters if reason in (None, stored.letter.reason)]
    rows = [_row(stored, show) for stored in chosen[:limit]]
    if as_json:
        typer.echo(json.dumps({"total": len(chosen), "unreadable": letters.unreadable, "letters": rows}, indent=2))
    else:
        _print_rows(Console(), rows, len(chosen), letters.unreadable)
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
    chosen = [stored for stored in _read(settings, since).letters if reason in (None, stored.letter.reason)]
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


def _since_ms(text: str) -> int:
    if ago := _AGO.fullmatch(text):
        return time.time_ns() // 1_000_000 - int(ago[1]) * _UNIT_MS[ago[2]]
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


def _print_rows(console: Console, rows: list[dict[str, Any]], total: int, unreadable: int) -> None:
    table = Table("dead letter", "received", "reason", "field", "record", "bytes", "", box=None)
    for row in rows:
        size = "left out" if row["bytes"] is None else str(row["bytes"])
        cells = (row["at"], row["received_at"], row["reason"], row["field"] or "", row["record"], size)
        table.add_row(*map(_plain, cells), "sent again" if row["sent_again"] else "")
        if "payload" in row:
            table.add_row("", "", _plain(row["payload"] or "left out"))
    if rows:
        console.print(table)
    console.print(f"{len(rows)} of {total} dead letters" + (f", {unreadable} unreadable" if unreadable else ""))


def _plain(text: str) -> str:
    """Text from a topic as it may go to a terminal: no markup, no control characters."""
    return escape("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text))


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
