"""What a run leaves behind: the raw rows and the goals (JSON), the tables (Markdown)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.throughput import goals
from tests.benchmarks.throughput.contest import BATCH, CONTEST, COUNTER, SMALL, SMALL_SHARE, WORKER, Participant
from tests.benchmarks.throughput.events import CALM, PEAK
from tests.benchmarks.throughput.goals import Rows, Spread, best_peer, speed, spread, times

Kept = dict[str, Any]
NAME = "throughput"
TITLES = {
    "drain": "Bare drains",
    "ours": "Pastille, stage by stage",
    "by hand": "By hand, without a framework",
    "peer": "Peers",
}


def load(folder: Path) -> Kept:
    """What was kept."""
    kept: Kept = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
    return kept


def write(folder: Path | None, kept: Kept) -> None:
    """Work out the goals, and keep everything."""
    kept["goals"] = goals.goals(kept["rows"])
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.json").write_text(as_json(kept), encoding="utf-8")
        (folder / f"{NAME}.md").write_text(text(kept), encoding="utf-8")


def as_json(kept: Kept) -> str:
    """A goal and a row a line, so that changes can be read."""
    run = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in kept["run"].items())
    goal = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in kept["goals"].items())
    rows = ",\n".join(f"  {json.dumps(row)}" for row in kept["rows"])
    return f'{{\n "run": {{\n{run}\n }},\n "goals": {{\n{goal}\n }},\n "rows": [\n{rows}\n ]\n}}\n'


def text(kept: Kept) -> str:
    """The page."""
    rows = kept["rows"]
    parts = [HEAD, _goals(kept["goals"]), _speeds(rows), _stages(rows), _small(rows), _files(rows), _left_out(kept)]
    return "\n\n".join([*(part for part in parts if part), _how(kept)]) + "\n"


HEAD = f"""# Throughput: measured

`make bench` writes this page: a real Kafka on this machine, loaded before; then every participant in a process of its
own, in turns, in several rounds. Figures are the middle round's, with the least and the most in brackets; what counts
are ratios within one run, since machines differ and are shared. *A CPU second*: user and system time of the consumer's
process with all its threads, from when it stands at its partition (where only the first event shows that: from that) to
the last event counted; starting up, compiling and joining a group are left out. The broker's time is nobody's. Our
worker counts before its Judge is there: what starting that takes is in its figures.

The events: payments of 50 banks x 5 methods, about 220 bytes of JSON, {PEAK:,} a second of event time (sixty such
partitions are the largest peak ever published; *calm* is {CALM:,} a second), 15 % with a second status; one partition,
not compressed, {BATCH} in a record batch. Peers count by bank x method x status in panes of 5 s. Those whose tables
take a row back join the statuses of a payment, as Pastille does, and run a second time as *events* without; the others
take a second status for another event. Kafka Streams written as in its documents (`groupBy`, `count`) sends what it
groups through a topic; counting events so, it is the peer of the goal. A processor by hand does without that topic.
Pastille gives each voter one vote besides, keeps shops and codes, and tells all that every second. Every participant's
counts must add up to the events read."""


def _goals(found: goals.Goals) -> str:
    lines = [(name, one["goal"], one["measured"], "yes" if one["met"] else "**no**") for name, one in found.items()]
    return _table("Goals", ("what", "goal", "measured", "met"), lines)


def _table(title: str, head: tuple[str, ...], lines: list[tuple[str, ...]], note: str = "") -> str:
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = f"\n{note}\n" if note else ""
    rule = "|---" * len(head) + "|"
    return f"## {title}\n{said}\n| {' | '.join(head)} |\n{rule}\n{body}" if lines else f"## {title}\n\nNot run."


def _speeds(rows: Rows) -> str:
    """A table a kind."""
    head = ("", "events", "events a CPU second", "events a second", "peak memory, MB", "our Counter is")
    parts = []
    for kind, title in TITLES.items():
        lines = [line for one in CONTEST if one.kind == kind and (line := _speed(rows, one, BATCH))]
        parts.append(_table(title, head, lines, _said(rows) if kind == "peer" else ""))
    return "\n\n".join(parts)


def _speed(rows: Rows, one: Participant, batch: int) -> tuple[str, ...] | None:
    cpu, wall = speed(rows, one.name, batch), speed(rows, one.name, batch, "wall_s")
    if cpu is None or wall is None:
        return None
    mine = [row for row in rows if row["name"] == one.name and row["batch"] == batch and "failed" not in row]
    peak, ratio = spread([row["peak_mb"] for row in mine]), times(rows, COUNTER, one.name, batch)
    name = f"{one.name} ({one.note})" if one.note else one.name
    return (
        name,
        f"{max(row['events'] for row in mine):,}",
        cpu.text(",.0f"),
        wall.text(",.0f"),
        f"{peak.middle:,.0f}" if peak else "",
        f"{ratio.text('.2f')} x" if ratio else "",
    )


def _said(rows: Rows) -> str:
    best = best_peer(rows)
    return f"The best Python peer here: {best}." if best else ""


def _stages(rows: Rows) -> str:
    """What each stage adds, in microseconds of CPU an event."""
    lines, before = [], 0.0
    for one in CONTEST:
        cpu = speed(rows, one.name)
        if one.kind == "ours" and one.rate == PEAK and cpu is not None:
            took = _micros(cpu)
            lines.append((one.name, one.note, took.text(".2f"), f"{took.middle - before:+.2f}"))
            before = took.middle
    return _table("Microseconds of CPU an event, up to each stage", ("up to", "", "µs", "it adds"), lines)


def _micros(speed: Spread) -> Spread:
    return Spread(1e6 / speed.high, 1e6 / speed.middle, 1e6 / speed.low, speed.rounds)


def _small(rows: Rows) -> str:
    head = ("", "events", "events a CPU second", "events a second", "peak memory, MB", "our Counter is")
    lines = [line for one in CONTEST if one.small and (line := _speed(rows, one, SMALL))]
    note = f"The same with {SMALL} events a record batch: what a producer sends that waits for nothing."
    return _table("Small batches", head, lines, note)


def _files(rows: Rows) -> str:
    head = ("", "events", "events a CPU second", "events a second", "peak memory, MB", "our Counter is")
    lines = [line for one in CONTEST if one.kind == "file" and (line := _speed(rows, one, BATCH))]
    return _table("An uncompressed file", tuple(head), lines, "The same events as lines; no Kafka.")


def _left_out(kept: Kept) -> str:
    failed = {row["name"]: row["failed"] for row in kept["rows"] if "failed" in row}
    lines = [f"* {name}: {why}" for name, why in {**kept["run"]["left_out"], **failed}.items()]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def _how(kept: Kept) -> str:
    run = kept["run"]
    others = spread([row["others"] for row in kept["rows"] if row.get("others") is not None])
    busy = f"; others kept {others.text('.2f')} of its cores busy between the rounds" if others else ""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"## How it was run\n\n{run['machine']}{busy}. {run['when']}, {run['rounds']} rounds of "
        f"{run['events']:,} events after a warm-up, every other round backwards; slow peers get fewer events, the "
        f"small batches 1 / {SMALL_SHARE} of them. The broker runs on the same machine. Fetches of 4 MiB for every "
        f"client that can be told so, a million records queued ahead in librdkafka; Pastille as it is shipped. The "
        f"{WORKER.removeprefix('our ')} is watched from outside by its metrics until it has judged all, too. "
        f"{versions}.\n\n`python -m tests.benchmarks.throughput --check-only` works the goals out again from "
        f"`{NAME}.json`."
    )
