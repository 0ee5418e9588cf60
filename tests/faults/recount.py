"""Whether anything was lost: what the tallies say of every pane beside a plain count of the payments topic, and whether
the outages topic is what one Judge would have written that nobody ever touched.

The count is a dictionary of payments: it shares nothing with the Counter but the width of a pane.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from sys import intern
from typing import Any

from detector.contracts.policy import Policy
from detector.counting.columns import STATUSES
from detector.counting.tally import Tally
from streams.tallylog import unpack
from tests.integration.workers import Stage
from tests.property.dumb import ModelJudge
from tests.topic import records_of

Cell = tuple[tuple[str, ...], int, str]
"""Leaf, pane, status."""
SHOWN_MAX = 10


def lost(stage: Stage, policy: Policy) -> list[str]:
    """Every cell in which tallies and events differ, in words; empty where nothing was lost or counted twice."""
    events, said = counted(asyncio.run(read(stage)), policy), told(stage, policy)
    wrong = sorted(cell for cell in events.keys() | said.keys() if events[cell] != said[cell])
    shown = [f"{cell}: events say {events[cell]}, tallies {said[cell]}" for cell in wrong[:SHOWN_MAX]]
    return shown + ([f"and {len(wrong) - SHOWN_MAX} cells more"] if len(wrong) > SHOWN_MAX else [])


def counted(values: Iterable[bytes], policy: Policy) -> Counter[Cell]:
    """Payments by leaf, pane of their start, and newest status: a pending that came late changes nothing."""
    newest: dict[str, tuple[int, Cell]] = {}
    for value in values:
        event = json.loads(value)
        rank = STATUSES.index(event["status"]) > 0
        known = newest.get(event["payment_id"])
        if known is None or rank > known[0]:
            leaf = tuple(intern(event[dimension]) for dimension in policy.dimensions)
            newest[event["payment_id"]] = rank, (leaf, event["started_at"] // policy.pane_ms, intern(event["status"]))
    return Counter(cell for _, cell in newest.values())


def told(stage: Stage, policy: Policy) -> Counter[Cell]:
    """The same from the tallies log, as a Judge reads it."""
    judges: dict[Any, ModelJudge] = defaultdict(lambda: ModelJudge(policy))
    for value in stage.read(stage.settings.topics.tallies):
        for record in unpack(value):
            if isinstance(record, Tally):
                judges[record.source].take(record, is_told_all=True)
    found: Counter[Cell] = Counter()
    for judge in judges.values():
        for (leaf, pane), said in judge.holding().items():
            for status, count in zip(STATUSES, said[0], strict=False):
                if count:
                    found[leaf, pane, status] += count
    return found


def doubled(events: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with the outages topic: ids twice, sequences with gaps, two outages of a scope at a time."""
    sequences: dict[str, int] = {}
    open_now: dict[str, str] = {}
    for event in events:
        data, kind, scope = event["data"], event["type"].split(".")[2], event["subject"]
        outage = data["outage_id"]
        if data["sequence"] != sequences.get(outage, 0) + 1:
            yield f"{scope} {outage}: {data['sequence']} follows {sequences.get(outage, 0)}"
        sequences[outage] = data["sequence"]
        if kind == "started" and scope in open_now:
            yield f"{scope}: {outage} started while {open_now[scope]} was open"
        if kind != "started" and open_now.get(scope) != outage:
            yield f"{scope}: {kind} of {outage}, which is not open"
        if kind == "resolved":
            open_now.pop(scope, None)
        else:
            open_now[scope] = outage


async def read(stage: Stage) -> list[bytes]:
    """The values of all payment events."""
    return [record.value async for record in records_of(stage.settings, stage.feed.payments, stage.count)]
