"""`pastille baseline learn`, `show` and `reset`: what is usual, learned from a file, looked at, and forgotten.

It words, prints and asks; files and topic are `streams.baselines`', what a word does to the Judge is the Judge's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from detector.contracts.models import Lesson
from detector.contracts.moments import rfc3339
from detector.contracts.scope import Scope, parse_scope
from detector.judging.judge import Judge
from detector.judging.known import Known, known_of, signals_of
from detector.judging.learned import Learned
from detector.judging.lessons import forgetting, lessons_of
from streams import baselines
from streams.baseline_table import as_plain, print_all, print_one
from streams.errors import UserError
from streams.judge_state import newest_judge
from streams.learning import learn as learned_from
from streams.policy_file import read_policy
from streams.settings import Settings, load_settings

__all__ = ["register"]

SHOWN_MAX: Final = 20

Broker = Annotated[str | None, typer.Option(help="host:port, several by commas (PASTILLE_BROKER).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyFile = Annotated[Path | None, typer.Option(help="A policy file; else PASTILLE_POLICY, else the defaults.")]


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    group = typer.Typer(no_args_is_help=True, help="What is usual: learned from a file, shown, forgotten.")
    group.command(epilog="Example: pastille baseline learn last-week.jsonl.gz --policy policy.toml")(learn)
    group.command(epilog="Example: pastille baseline show bank:bnp")(show)
    group.command(epilog="Example: pastille baseline reset bank:bnp")(reset)
    app.add_typer(group, name="baseline")


def learn(
    file: Annotated[str, typer.Argument(help="JSON lines in the order of time (.gz is read, - is stdin), or a file "
                                             "of --out.")],
    policy: PolicyFile = None,
    out: Annotated[Path | None, typer.Option(help="Write what was learned to this file, and announce nothing.")] = None,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Learn what is usual from a recorded file, and say it to the Judge, scope by scope, or keep it in a file.

    It takes the place of what the Judge has learned of these scopes; those it does not know yet begin with it.
    Exit code 0: learned, and written. 2: wrong usage, or the file teaches nothing.
    """
    if out is not None and broker is not None:
        raise UserError(f"what was learned goes to a file or to a broker; got --out {out} and --broker; leave one out")
    settings, made_ms = load_settings(broker=broker), _now_ms()
    learned = learned_from(file, read_policy(policy or settings.policy), made_ms)
    began_s = time.monotonic()
    if out is not None:
        baselines.write_file(out, learned)
        where = str(out)
    else:
        baselines.read_topic(settings)  # it says what to do where there is no such topic
        baselines.write(settings, lessons_of(learned, made_ms))
        where = settings.topics.baselines
    _say_learned(learned, where, time.monotonic() - began_s, as_json)


def show(
    scope: Annotated[str | None, typer.Argument(help="bank:bnp, method:pix, platform…; default: all of them.")] = None,
    file: Annotated[str | None, typer.Option(help="A file of `learn --out`; else the Judge's snapshot.")] = None,
    policy: PolicyFile = None,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:
    """Show what is usual now and how far it may be trusted: rate, votes, tau, bar, volume; of one scope by the hour.

    Without --file it is the Judge as of its newest snapshot, a minute old at most; no worker need run.
    Exit code 0: shown. 2: there is nothing to show.
    """
    settings = load_settings(broker=broker)
    if file is None:
        at_ms, found = _of_judge(_judge(settings))
    else:
        at_ms = _now_ms()
        found = known_of(*signals_of(read_policy(policy or settings.policy), baselines.read_file(file), at_ms))
    chosen = found if scope is None else [_the_one(found, _scope(scope))]
    if as_json:
        facts = [as_plain(one, with_slots=scope is not None) for one in chosen]
        typer.echo(json.dumps({"at": rfc3339(at_ms), "scopes": facts}, ensure_ascii=False))
    elif scope is None:
        print_all(Console(), chosen, at_ms)
    else:
        print_one(Console(), chosen[0], at_ms)


def reset(
    scope: Annotated[str | None, typer.Argument(help="bank:bnp, method:pix, …; what lies below it too.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every scope.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:
    """Forget what was learned of a scope and all below it: each begins anew, from its parent's rate.

    An outage that rests on evidence alone is over by it. Until they have learned again, only dead scopes show.
    Exit code 0: said. 1: not confirmed. 2: wrong usage, or nothing is known of the scope.
    """
    if (scope is None) != every:
        raise UserError(f"give a scope, or --all; got {'both' if every else 'neither'}; see `pastille baseline show`")
    settings = load_settings(broker=broker)
    judge, said = newest_judge(settings), baselines.read_topic(settings)
    chosen = _below(None if scope is None else _scope(scope), judge, said)
    _confirm(chosen, yes)
    dimensions = judge.policy.dimensions if judge else next(iter(said.values())).dimensions
    baselines.write(settings, forgetting(chosen, dimensions, _now_ms()))
    if as_json:
        typer.echo(json.dumps({"done": "reset", "scopes": chosen}, ensure_ascii=False))
        return
    for key in chosen[:SHOWN_MAX]:
        typer.echo(f"{key}: forgotten, it begins anew")
    if len(chosen) > SHOWN_MAX:
        typer.echo(f"and {len(chosen) - SHOWN_MAX} more scopes")


# What a person means


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _scope(text: str) -> Scope:
    try:
        return parse_scope(text)
    except ValueError as error:
        raise UserError(f"{error}; see `pastille baseline show`") from None


def _judge(settings: Settings) -> Judge:
    judge = newest_judge(settings)
    if judge is None:
        raise UserError("the Judge has written no snapshot; got none; let a worker judge for a minute, or give --file")
    if not judge.board.has_evidence:
        raise UserError(
            'nothing is learned; got [evidence] mode = "off"; set it to "shadow" or "live" in the worker\'s policy'
        )
    return judge


def _of_judge(judge: Judge) -> tuple[int, list[Known]]:
    shown = [one for one in known_of(judge.board.signals, judge.board.nodes) if one.scope.value("merchant") is None]
    return max(judge.time_ms, 0), shown


def _the_one(found: Iterable[Known], scope: Scope) -> Known:
    one = next((known for known in found if set(known.scope.values) == set(scope.values)), None)
    if one is None:
        raise UserError(f"nothing is known of {scope.key}; got no such scope; see `pastille baseline show`")
    return one


def _below(scope: Scope | None, judge: Judge | None, said: dict[str, Lesson]) -> list[str]:
    """The scopes at and below one, of those that the Judge knows or was told of."""
    known = {key: None for key, lesson in said.items() if not lesson.forgets}
    if judge is not None:
        of_policy = set(judge.policy.dimensions)
        known |= {one.key: None for one in judge.board.nodes.scopes if {name for name, _ in one.values} <= of_policy}
    wanted = set() if scope is None else set(scope.values)
    chosen = {tuple(sorted(parse_scope(key).values)): key for key in known if wanted <= set(parse_scope(key).values)}
    if not chosen:
        what = "any scope" if scope is None else scope.key
        raise UserError(f"nothing is known of {what}; got no such scope; see `pastille baseline show`")
    return sorted(chosen.values(), key=lambda key: (len(parse_scope(key).values), key))


def _confirm(chosen: Sequence[str], yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("forgetting must be confirmed; got no terminal to ask at; give --yes")
    named = ", ".join(chosen[:5]) + (f" and {len(chosen) - 5} more" if len(chosen) > 5 else "")
    typer.confirm(f"Forget what was learned of {named}?", abort=True)


# What is printed


def _say_learned(learned: Learned, where: str, seconds: float, as_json: bool) -> None:
    origin = learned.origin
    facts: dict[str, Any] = {
        "scopes": len(learned.nodes), "leaves": len(learned.leaves), "from": rfc3339(origin.first_ms),
        "to": rfc3339(origin.last_ms), "policy_version": origin.policy_version, "written_to": where,
        "seconds": round(seconds, 3),
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    hours = (origin.last_ms - origin.first_ms) / 3_600_000
    typer.echo(f"{facts['scopes']:,} scopes, {facts['leaves']:,} leaves, learned from {hours:.1f} h "
               f"({facts['from']} to {facts['to']}); written to {where} in {seconds:.1f} s")  # fmt: skip
