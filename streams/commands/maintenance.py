"""`pastille maintenance declare`, `extend`, `cancel` and `list`: announced unavailability, which is judged, not paged.

It words, prints and checks what a person says; the topic is `streams.noticeboard`'s, what follows is the Judge's.
"""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detector.contracts.models import Maintenance
from detector.contracts.moments import epoch_ms, rfc3339
from detector.judging.maintenance import has_room
from detector.rehearsal.fault import parse_duration
from streams.errors import UserError
from streams.maintenances import unjudged
from streams.noticeboard import is_seen, read_topic, write
from streams.policy_file import read_policy
from streams.settings import Settings, load_settings

__all__ = ["register"]

KEPT_MS: Final = 90 * 86_400_000
"""So long after its end a maintenance can still be listed."""
_EXAMPLE = 'pastille maintenance declare --scope bank:bnp --from +8h --for 2h --note "new core"'
_OPTION_OF = {"starts_at": "--from", "ends_at": "--to"}

Broker = Annotated[str | None, typer.Option(help="host:port, several by commas (PASTILLE_BROKER).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The maintenance's id, as `list` shows it.", show_default=False)]
Until = Annotated[str | None, typer.Option("--to", help="When it ends: RFC 3339 with a zone, or +90m from now.")]


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    group = typer.Typer(no_args_is_help=True, help="Announced unavailability: judged and shown, not paged.")
    group.command(epilog=f"Example: {_EXAMPLE}")(declare)
    group.command(epilog="Example: pastille maintenance extend 5f0c2a91 --for 30m")(extend)
    group.command(epilog="Example: pastille maintenance cancel 5f0c2a91")(cancel)
    group.command("list", epilog="Example: pastille maintenance list --json")(list_)
    app.add_typer(group, name="maintenance")


def declare(
    scope: Annotated[str, typer.Option(help="What: bank:bnp, method:pix, bank:bnp,method:card or platform.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="When it starts: RFC 3339 with a zone, or +8h from now; default: now.")
    ] = None,
    to: Until = None,
    for_: Annotated[str | None, typer.Option("--for", help="How long it lasts: 30m, 2h, 1h30m, 1d.")] = None,
    note: Annotated[str | None, typer.Option(help="Why, in a few words; it is shown.")] = None,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:
    """Announce that a scope will be unavailable: its outages, and those below it, are warnings until the end.

    An outage wider than the scope pages as ever; one that is still open at the end becomes critical then.
    Exit code 0: announced. 2: wrong usage, or it cannot be done.
    """
    settings, now_ms = load_settings(broker=broker), _now_ms()
    starts_ms = now_ms if from_ is None else _moment("--from", from_, now_ms)
    ends_ms = _end(to, for_, starts_ms, now_ms)
    said = _checked(maintenance_id=secrets.token_hex(4), scope=scope, starts_at=starts_ms, ends_at=ends_ms, note=note,
                    declared_at=now_ms)  # fmt: skip
    _require_future(settings, said, now_ms)
    _require_judged(settings, said)
    known = read_topic(settings)
    _require_room(settings, said, known, now_ms)
    write(settings, said, [name for name, old in known.items() if old.ends_at + KEPT_MS < now_ms])
    _print_one("announced", said, now_ms, as_json)
    if not is_seen(settings, said.scope):
        typer.echo(f"warning: no payment of {said.scope} was judged so far; if that is a slip, cancel it", err=True)


def extend(
    maintenance_id: Id,
    to: Until = None,
    for_: Annotated[str | None, typer.Option("--for", help="How much longer than announced: 30m, 2h.")] = None,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:
    """Let a maintenance end later. One that is over already goes on from now.

    Exit code 0: announced. 2: wrong usage, or it cannot be done.
    """
    settings, now_ms = load_settings(broker=broker), _now_ms()
    known = read_topic(settings)
    old = _known(known, maintenance_id)
    if old.cancelled:
        raise UserError(f"what is cancelled cannot be extended; got {maintenance_id}; declare a new one")
    base_ms = max(old.ends_at, now_ms) if settings.clock == "wall" else old.ends_at
    ends_ms = _end(to, for_, base_ms, now_ms)
    if ends_ms <= old.ends_at:
        raise UserError(
            f"--to must be later than announced; got {rfc3339(ends_ms)}, announced was {rfc3339(old.ends_at)}; "
            "to end it earlier, cancel it"
        )
    said = _checked(**old.model_dump() | {"ends_at": ends_ms, "declared_at": now_ms})
    _require_future(settings, said, now_ms)
    _require_room(settings, said, known, now_ms)
    write(settings, said)
    _print_one("extended", said, now_ms, as_json)


def cancel(maintenance_id: Id, broker: Broker = None, as_json: AsJson = False) -> None:
    """Call a maintenance off, or end it now: what is still down pages.

    Exit code 0: it is cancelled, or was already. 2: there is none, or it is over.
    """
    settings, now_ms = load_settings(broker=broker), _now_ms()
    old = _known(read_topic(settings), maintenance_id)
    if old.cancelled:
        _print_one("cancelled before", old, now_ms, as_json)
        return
    if old.ends_at <= now_ms and settings.clock == "wall":
        raise UserError(f"it is over; got {maintenance_id}, which ended {rfc3339(old.ends_at)}; nothing is left to do")
    said = old.model_copy(update={"cancelled": True, "declared_at": now_ms})
    write(settings, said)
    _print_one("cancelled", said, now_ms, as_json)


def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over or cancelled.")] = False,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:
    """List what is announced, the next to end first; with --all also what was, up to 90 days back.

    Exit code 0, also where there is none. 2: wrong usage, or the topic cannot be read.
    """
    now_ms = _now_ms()
    found = sorted(read_topic(load_settings(broker=broker)).values(), key=lambda one: (one.ends_at, one.maintenance_id))
    rows = [one for one in found if every or _state(one, now_ms) in ("running", "planned")]
    if as_json:
        typer.echo(json.dumps({"maintenances": [_plain(one, now_ms) for one in rows]}, indent=2, ensure_ascii=False))
    else:
        _print_rows(rows, len(found), now_ms)


# What a person may say


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moment(option: str, text: str, now_ms: int) -> int:
    try:
        if text == "now" or text.startswith("+"):
            return now_ms + parse_duration(text.removeprefix("now").removeprefix("+") or "0")
        return epoch_ms(text)
    except ValueError:
        example = f"{datetime.now(UTC):%Y-%m-%dT%H:00:00Z}"
        raise UserError(
            f"{option} is a moment with its zone, or so long from now; got {text!r}; write it like {example} or +90m"
        ) from None


def _length_ms(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"--for: {error}") from None


def _end(to: str | None, for_: str | None, base_ms: int, now_ms: int) -> int:
    if (to is None) == (for_ is None):
        got = "neither" if to is None else "both"
        raise UserError(f"the end is given by --to or by --for; got {got}; give one")
    return _moment("--to", to, now_ms) if to is not None else base_ms + _length_ms(for_ or "")


def _checked(**fields: Any) -> Maintenance:
    try:
        return Maintenance.model_validate(fields)
    except ValidationError as error:
        raise UserError("\n".join(_sentence(dict(mistake)) for mistake in error.errors())) from None


def _sentence(mistake: dict[str, Any]) -> str:
    what = str(mistake["msg"]).removeprefix("Value error, ")
    if not mistake["loc"]:
        return what
    option = _OPTION_OF.get(mistake["loc"][0], f"--{mistake['loc'][0]}")
    if mistake["type"] == "string_pattern_mismatch":
        what = "has a control character, or none at all; write plain words"
    return f"{option}: {what}"


def _require_future(settings: Settings, said: Maintenance, now_ms: int) -> None:
    # Where events alone move time, now is theirs, and only the Judge knows it.
    if said.ends_at <= now_ms and settings.clock == "wall":
        raise UserError(f"a maintenance ends in the future; got {rfc3339(said.ends_at)}; give a later --to or --for")


def _require_judged(settings: Settings, said: Maintenance) -> None:
    odd = unjudged(said, read_policy(settings.policy))
    if odd:
        whose = "PASTILLE_POLICY is not set" if settings.policy is None else f"PASTILLE_POLICY is {settings.policy}"
        raise UserError(f"{odd}; mend the scope, or name the workers' policy: {whose}")


def _require_room(settings: Settings, said: Maintenance, known: dict[str, Maintenance], now_ms: int) -> None:
    # By the Judge's own rule: what it refused would page, though it was announced.
    at_most = read_policy(settings.policy).maintenances_max
    if not has_room(said, known.values(), now_ms, at_most):
        raise UserError(
            f"at most {at_most} maintenances may be announced, or over for less than a day; got one more; cancel some, "
            "or raise maintenances_max in the policy's [limits]"
        )


def _known(known: dict[str, Maintenance], maintenance_id: str) -> Maintenance:
    if maintenance_id not in known:
        raise UserError(f"there is no such maintenance; got {maintenance_id!r}; see `pastille maintenance list --all`")
    return known[maintenance_id]


# What is printed


def _state(one: Maintenance, now_ms: int) -> str:
    if one.cancelled:
        return "cancelled"
    if now_ms >= one.ends_at:
        return "over"
    return "running" if now_ms >= one.starts_at else "planned"


def _plain(one: Maintenance, now_ms: int) -> dict[str, Any]:
    times = {name: rfc3339(getattr(one, name)) for name in ("starts_at", "ends_at")}
    declared = {"declared_at": None if one.declared_at is None else rfc3339(one.declared_at)}
    return one.model_dump() | times | declared | {"state": _state(one, now_ms)}


def _print_one(done: str, said: Maintenance, now_ms: int, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"done": done, "maintenance": _plain(said, now_ms)}, ensure_ascii=False))
        return
    note = f": {said.note}" if said.note else ""
    span = f"{_clock(said.starts_at)} to {_clock(said.ends_at)} UTC"
    words = f"{said.maintenance_id} {done}, {said.scope}, {span}{note}"
    Console(soft_wrap=True, highlight=False).print(_shown(words))


def _print_rows(rows: list[Maintenance], total: int, now_ms: int) -> None:
    console = Console()
    if rows:
        table = Table(box=None)
        table.add_column("id", no_wrap=True)  # it is what is typed to extend and to cancel
        for name in ("scope", "from (UTC)", "to (UTC)", "state", "note"):
            table.add_column(name, overflow="fold")
        for one in rows:
            cells = (one.maintenance_id, one.scope, _clock(one.starts_at), _clock(one.ends_at), _state(one, now_ms),
                     one.note or "")  # fmt: skip
            table.add_row(*map(_shown, cells))
        console.print(table)
    hidden = total - len(rows)
    more = f"; {hidden} over or cancelled: --all" if hidden else ""
    console.print(f"{len(rows) or 'no'} maintenance{'s' * (len(rows) != 1)}{more}", highlight=False)


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _shown(text: str) -> str:
    """Text from a topic as it may go to a terminal: no markup, no control characters."""
    return escape("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text))
