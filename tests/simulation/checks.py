"""What must hold after every run, each as one question with its words for an answer of no.

Counts are worked out again from the log of events by the dumb ledger, outages by one Judge that reads the tallies log
from its beginning. Does not know how a run was played.
"""

from __future__ import annotations

from collections import Counter as Bag
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from aiokafka import TopicPartition

from detector.contracts.models import OutageEvent
from detector.counting.tally import FIRST, Marker, Source, Tally
from detector.judging.judge import Judge
from detector.judging.sources import State
from streams.intake.session import IN_FLIGHT_MAX
from tests.property import dumb
from tests.property.dumb import Event, ModelJudge
from tests.simulation.shops import START_MS
from tests.simulation.world import World

SLACK_MS = 20_000
"""How long an event may stand in the log before it is counted: while a leader is away, or a fetch is slow."""
AGAIN_MS = 40_000
"""So long before the end, what a wider outage covered can be found again when that is over."""
EVERY = "every bank"
MET, MET_MS = 3, 20_000
"""So many shoppers, and shops, are enough to see that a bank is down, if they met it so long before the end."""
RED = ("declined", "error")
BEHIND_MS_MAX = 15_000
"""How far the Judge may be behind at the end."""
WAITING_MAX = 400
ROWS_MAX = 4_096

Cell = tuple[tuple[str, ...], int]


def problems(world: World) -> Iterator[str]:
    """Everything that is wrong, worst first."""
    yield from world.seen.wrong
    for check in CHECKS:
        yield from check(world)


def followed(world: World) -> Iterator[tuple[int, Tally | Marker]]:
    """Offset and record of the tallies log, but for what stands behind a lost one: a reader leaves that out until the
    source begins a new term, or was said to be stuck."""
    newest: dict[Source, tuple[int, int]] = {}
    stuck: set[Source] = set()
    for _, offset, said in world.seen.tallies:
        if isinstance(said, Tally):
            term, boundary_ms = newest.get(said.source, (said.term, said.after_ms))
            follows = said.after_ms == (boundary_ms if said.term == term else FIRST)
            if said.term >= term and not follows and said.source not in stuck:
                continue
            if (said.term, said.boundary_ms) > (term, boundary_ms):
                newest[said.source] = said.term, said.boundary_ms
                stuck.discard(said.source)
        elif said.kind == "stuck" and said.source is not None:
            stuck.add(said.source)
        yield offset, said


# Counts: I1 to I3


def terms(world: World) -> Iterator[str]:
    """Boundaries of a term only grow; a new owner begins with a snapshot at the noted boundary, and never below. What
    was written behind a lost record says so, and is no part of it."""
    noted: dict[tuple[Source, int], int] = {}
    for _, at, _, note in world.seen.commits:
        noted.setdefault((Source("default", at.partition), note.term), note.boundary_ms)
    last: dict[tuple[Source, int], int] = {}
    for _, said in followed(world):
        if not isinstance(said, Tally):
            continue
        key = said.source, said.term
        begins = key not in last and said.after_ms == FIRST  # else it was lost, and its source stuck meanwhile
        if begins and noted.get(key, -1) >= 0 and (said.first_pane, said.boundary_ms) < (0, noted[key]):
            yield f"terms: {said.source} term {said.term} begins without a snapshot at its noted boundary"
        if key not in last and noted.get(key, -1) > said.boundary_ms:
            yield f"terms: {said.source} term {said.term} tells a boundary below the noted one"
        if said.boundary_ms <= last.get(key, -1):
            yield f"terms: {said.source} term {said.term} tells {said.boundary_ms} after {last[key]}"
        last[key] = said.boundary_ms


def panes(world: World) -> Iterator[str]:
    """What the log of tallies says of every pane is what the events say, and so is what the Judge holds."""
    judge = _judge(world)
    expected: Bag[Any] = Bag()
    for partition in range(world.history.partitions):
        source = Source("default", partition)
        model = ModelJudge(world.policy)
        for _, said in followed(world):
            if isinstance(said, Tally) and said.source == source:
                model.take(said, is_told_all=True)
        events = events_of(world, partition)
        whole = dumb.cells(events, 2**50, replace(world.policy, grace_ms=2**60))
        spoiled = _spoiled(world, partition, events)
        found = model.holding()
        for cell in sorted(set(whole) | set(found)):
            if cell not in spoiled and whole.get(cell) != found.get(cell):
                yield f"panes: {source} {cell}: events say {_brief(whole, cell)}, tallies {_brief(found, cell)}"
        for cell, said in whole.items():
            expected[cell] = _joined(expected[cell], said)
        for cell in spoiled:
            expected[cell] = None
    if judge is not None:
        yield from _board(judge, expected)


def _board(judge: Judge, expected: dict[Cell, Any]) -> Iterator[str]:
    held = _held(judge)
    first = max(judge.board.oldest, 0)
    for cell in sorted(set(held) | set(expected)):
        wanted = expected.get(cell, 0)
        if cell[1] < first or wanted is None:
            continue
        if wanted != held.get(cell, 0):
            yield f"panes: the Judge holds {held.get(cell)} of {cell}, events say {wanted}"


def _joined(before: Any, said: dumb.Said) -> Any:
    if before is None:
        return None
    counts = (*said[0], *said[1], *said[2], *said[9], *said[10])  # all but the smallest hashes and ages
    return counts if before == 0 else tuple(map(sum, zip(before, counts, strict=True)))


def _held(judge: Judge) -> dict[Cell, tuple[int, ...]]:
    """What the ring holds, over all sources."""
    rows, found = judge.board.rows, {}
    for number, leaf in enumerate(judge.board.nodes.leaves):
        for slot in range(rows.head.shape[1]):
            row, total, pane = int(rows.head[number, slot]), np.zeros(22, np.int64), -1
            while row >= 0:
                total[:12] += np.concatenate((rows.counts[row], rows.votes[row]))
                total[12:] += np.concatenate((rows.late[row], rows.technical[row : row + 1], rows.orders[row]))
                pane, row = int(rows.pane[row]), int(rows.next[row])
            if total.any():
                found[leaf, pane] = tuple(total.tolist())
    return found


def events_of(world: World, partition: int) -> list[Event]:
    """The events that count, of one source."""
    return [sent.event for _, at, _, sent in world.seen.appended if at.partition == partition and not sent.ahead]


def _spoiled(world: World, partition: int, events: list[Event]) -> set[Cell]:
    """The cells on which something came so late that it may not have counted."""
    late = _late(world, partition)
    if not late:
        return set()
    payments = {event.payment for event in late} - {None}
    orders = {event.order for event in late}
    touched = [event for event in events if event.payment in payments or event.order in orders]
    shoppers = {event.shopper for event in touched} - {None}
    orders |= {event.order for event in touched}
    touched = [event for event in events if event.shopper in shoppers or event.order in orders]
    return {(leaf, at // world.policy.pane_ms) for event in touched for leaf in {e.leaf for e in touched if e.leaf}
            for at in (event.occurred, dumb.start_of(event))}  # fmt: skip


def _late(world: World, partition: int) -> list[Event]:
    """The events whose panes may have been closed when they were counted: a payment's is that of the earliest start
    known by then."""
    policy, source = world.policy, Source("default", partition)
    told = [(at_s, said.boundary_ms) for at_s, _, said in world.seen.tallies
            if isinstance(said, Tally) and said.source == source]  # fmt: skip
    found, starts = [], dict[tuple[str, str | None], int]()
    for at_s, at, written_ms, sent in world.seen.appended:
        if at.partition != partition or sent.ahead:
            continue
        event, start_ms = sent.event, sent.event.occurred
        if not dumb.is_late_answer(event, policy):
            start_ms = dumb.start_of(event)
            if event.kind == "payment":
                key = event.order, event.payment
                start_ms = starts[key] = min(start_ms, starts.get(key, start_ms))
        first_ms = start_ms // policy.pane_ms * policy.pane_ms
        closes_ms = first_ms + policy.pane_ms + policy.open_ms
        until_s = at_s + SLACK_MS / 1000
        if written_ms + 2_000 >= closes_ms or any(ms >= closes_ms for told_s, ms in told if told_s <= until_s):
            found.append(sent.event)
    return found


def _brief(said: dict[Cell, dumb.Said], cell: Cell) -> str:
    return str(said[cell][:4] + said[cell][9:]) if cell in said else "nothing"


# Outages: I4 to I6


def written(world: World) -> list[OutageEvent]:
    """What a pager reads."""
    log = world.broker.partition(TopicPartition(world.settings.topics.outages, 0))
    return [OutageEvent.model_validate_json(record.value or b"") for record in log.visible()]


def outages(world: World) -> Iterator[str]:
    """The topic holds what one Judge says that reads the tallies log in one go: each event, once, in order."""
    tenure = world.seen.tenure
    if tenure is None:
        yield "judging: nobody judges at the end"
        return
    straight = Judge(world.policy, is_told_all=True)
    changes = [change for offset, said in followed(world) if offset < tenure.next for change in straight.take(said)]
    expected = [(change.type, change.data) for change in changes]
    found = [(event.type.split(".")[2], event.data) for event in written(world)]
    for number, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        if wanted[0] != got[0] or wanted[1].model_dump_json() != got[1].model_dump_json():
            yield f"outages: event {number} is {_event(got)}, and must be {_event(wanted)}; {_differences(wanted, got)}"
            return
    for kind, rest in (("missing", expected[len(found) :]), ("too much", found[len(expected) :])):
        if rest:
            yield f"outages: {len(rest)} {kind}, the first {_event(rest[0])}"
    one, other = _state(straight), _state(tenure.judge)
    if one != other:
        yield f"judging: restored Judges ended in another state: {_first_difference(one, other)}"


def _event(event: tuple[str, Any]) -> str:
    data = event[1]
    return f"{event[0]} {data.scope.to_scope().key} {data.kind} {data.outage_id[:6]}:{data.sequence}"


def _differences(wanted: tuple[str, Any], got: tuple[str, Any]) -> str:
    one, other = wanted[1].model_dump(), got[1].model_dump()
    return ", ".join(f"{name}: {other[name]} for {one[name]}" for name in one if one[name] != other[name])


def _state(judge: Judge) -> dict[str, Any]:
    """What a snapshot would say, as it is decoded; since when scopes are healthy is for those who ask."""
    found: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(judge.export()))
    del found["health"]
    fold = judge.board.fold
    for name in ("voters", "merchants", "wait_voters", "wait_merchants"):
        hashes, count = getattr(fold, name), getattr(fold, f"{name.removesuffix('s')}_count")
        is_held = np.arange(hashes.shape[1]) < count[:, None]  # behind these stands what was there before
        found["board"]["arrays"]["fold"][fold._fields.index(name)] = np.where(is_held, hashes, 0).tobytes()
    return found


def _first_difference(one: Any, other: Any, path: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        key = next(key for key in one if one[key] != other[key])
        return _first_difference(one[key], other[key], f"{path}.{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        place = next(n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        return _first_difference(one[place], other[place], f"{path}[{place}]")
    return f"{path}: {str(other)[:60]} for {str(one)[:60]}"


def lives(world: World) -> Iterator[str]:
    """Of each outage started comes first, resolved last, sequences without a gap; one is open a scope."""
    sequence: dict[str, int] = {}
    open_: dict[str, str] = {}
    for event in written(world):
        type_, data = event.type.split(".")[2], event.data
        key = data.scope.to_scope().key
        if data.sequence != sequence.get(data.outage_id, 0) + 1:
            yield f"lives: {key} {data.outage_id} tells {data.sequence} after {sequence.get(data.outage_id, 0)}"
        sequence[data.outage_id] = data.sequence
        if (type_ == "started") == (key in open_) or (type_ != "started" and open_[key] != data.outage_id):
            yield f"lives: {key} {type_}, open is {open_.get(key)}"
        if type_ == "started":
            open_[key] = data.outage_id
        elif type_ == "resolved":
            open_.pop(key, None)


def found(world: World) -> Iterator[str]:
    """A bank that many see down when all is calm has an open outage over it, or had a wider one lately."""
    open_ = {}
    for event in written(world):
        open_[event.data.outage_id] = event
    since_ms = START_MS + world.history.shops.span_ms - AGAIN_MS
    over = [dict(data.scope.to_scope().values).get("bank", EVERY) for data in (event.data for event in open_.values())
            if data.ended_at is None or (data.ended_at >= since_ms and data.scope.bank is None)]  # fmt: skip
    for bank in _seen_down(world):
        if bank not in over and EVERY not in over:
            yield f"found: {bank} is down, and nothing is open"


def _seen_down(world: World) -> list[str]:
    """The banks that are down at the end, as enough shoppers of enough shops met it."""
    shops, seen = world.history.shops, []
    until_ms = START_MS + shops.span_ms - MET_MS
    for down in shops.downs:
        met = [sent.event for *_, sent in world.seen.appended if sent.event.kind == "payment" and sent.event.leaf
               and sent.event.leaf[0] == down.bank and sent.event.status in ("pending", *RED)
               and START_MS + down.begin_ms <= dumb.start_of(sent.event) < until_ms]  # fmt: skip
        shoppers, merchants = ({getattr(event, name) for event in met} - {None} for name in ("shopper", "merchant"))
        if down.bank in shops.lasting and len(shoppers) >= MET and len(merchants) >= MET:
            seen.append(down.bank)
    return seen


# Everything else


def letters(world: World) -> Iterator[str]:
    """Each event from the future has a dead letter, and no other event has."""
    log = world.broker.partition(TopicPartition(world.settings.topics.dead_letters, 0))
    told = {(said["topic"], said["partition"], said["offset"]) for said in
            (msgspec.json.decode(record.value or b"") for record in log.visible())}  # fmt: skip
    counts: dict[TopicPartition, int] = defaultdict(int)
    wanted = set()
    for _, at, _, sent in world.seen.appended:
        if sent.ahead:
            wanted.add((at.topic, at.partition, counts[at]))
        counts[at] += 1
    if told != wanted:
        yield f"letters: missing {sorted(wanted - told)[:3]}, too much {sorted(told - wanted)[:3]}"


def calm(world: World) -> Iterator[str]:
    """At the end every source is counted to its end, told, and judged."""
    judge, lanes = _judge(world), world.seen.lanes
    for source in world.placing.sources():
        lane = lanes.get(source)
        if lane is None:
            yield f"calm: nobody counts {source}"
        elif lane.counter.rebuilding or not lane.is_at_end:
            yield f"calm: {source} is not counted to its end"
    if judge is not None:
        behind_ms = world.wall_ms() - judge.time_ms
        away = [str(source) for source, mine in judge.sources.by_source.items() if mine.state is not State.LIVE]
        if behind_ms > BEHIND_MS_MAX or away:
            yield f"calm: the Judge is {behind_ms} ms behind; away: {away}"


def memory(world: World) -> Iterator[str]:
    """Nothing grows beyond what the traffic needs."""
    judge = _judge(world)
    if any(len(session._in_flight) > IN_FLIGHT_MAX for session in world.seen.sessions):
        yield "memory: more tallies wait for an answer than may"
    for source, lane in world.seen.lanes.items():
        if lane.counter.stats.held > 64 or lane.counter.stats.payments > ROWS_MAX:
            yield f"memory: {source} holds {lane.counter.stats.held} events, {lane.counter.stats.payments} rows"
    if judge is not None:
        waiting = max((len(mine.waiting) for mine in judge.sources.by_source.values()), default=0)
        if waiting > WAITING_MAX or len(judge.board.rows.next) > ROWS_MAX:
            yield f"memory: {waiting} records wait, {len(judge.board.rows.next)} rows"


def epochs(world: World) -> Iterator[str]:
    """A new Judge's epoch is above that of every snapshot it could see."""
    for epoch, before in world.seen.tenures:
        if epoch <= before:
            yield f"epochs: a Judge of epoch {epoch} began where one of epoch {before} had written"


def _judge(world: World) -> Judge | None:
    return None if world.seen.tenure is None else world.seen.tenure.judge


CHECKS: tuple[Callable[[World], Iterator[str]], ...] = (
    terms, panes, outages, lives, found, letters, calm, memory, epochs,
)  # fmt: skip
