"""A session whose topics lack offsets that they had: made again, cut off, or deleted from before they were read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from aiokafka.errors import OffsetOutOfRangeError

from detector.contracts.policy import DEFAULT
from detector.counting.columns import APPROVED, PENDING
from detector.counting.tally import Tally
from streams.intake import session, strays
from streams.intake.reader import TopicPartition
from streams.intake.recovery import Committed, Note
from tests.fuzz.events import START_MS as T
from tests.fuzz.events import TOPICS
from tests.fuzz.way import Letters, Way, _Reader, at
from tests.unit.test_session import event, paid, placed

TERM, READ = 7, 3_001
PAYMENTS = at("payments")


class _Logs(_Reader):
    """A reader of logs: `logs[partition]` are all records that a broker has, from `first[partition]` on."""

    def __init__(self, **logs: Sequence[Any]) -> None:
        super().__init__()
        self.logs = {at(topic): list(logs.get(topic, ())) for topic in TOPICS}
        self.first, self.positions = dict.fromkeys(self.assigned, 0), dict.fromkeys(self.assigned, 0)
        self.said: dict[TopicPartition, int] = {}
        """What a fetch says of ends, where that is not so."""

    async def fetch(self, wanted: Iterable[TopicPartition], timeout_ms: int) -> dict[TopicPartition, Sequence[Any]]:
        found: dict[TopicPartition, Sequence[Any]] = {}
        for tp in wanted:
            position, end = self.positions[tp], self._end(tp)
            if not self.first[tp] <= position <= end:
                raise OffsetOutOfRangeError({tp: position})
            if position < end:
                found[tp] = self.logs[tp][position - self.first[tp] :]
                self.positions[tp] = end
        return found

    async def extents(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {tp: (self.first[tp], self._end(tp)) for tp in partitions}

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.first[tp] for tp in partitions}

    async def commit(self, commits: Any, round_: int) -> bool:
        self.notes = self.notes | {tp: Committed(*commit) for tp, commit in commits.items()}
        return True

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.positions[tp] = offset

    def end(self, tp: TopicPartition) -> int:
        return self.said.get(tp, self._end(tp))

    def lag(self, tp: TopicPartition) -> int:
        return self._end(tp) - self.positions[tp]

    def _end(self, tp: TopicPartition) -> int:
        return self.first[tp] + len(self.logs[tp])


def bad(offset: int) -> Any:
    """A record that is no event."""
    return event(offset, T, payment_id=f"p{offset}", status="no such status")


NEW = [bad(0), *(paid(offset, T + 1_000 + offset) for offset in range(1, 51))]
"""A payments topic that was made again."""


def way(payments: Committed | None, reader: _Logs) -> Way:
    """A worker that takes over what the group committed."""
    made = Way(DEFAULT, Letters(DEFAULT))
    made.reader = reader
    given: Any = reader
    made.session._reader = made.session._strays._reader = given
    if payments is not None:
        reader.notes = {PAYMENTS: payments, at("orders"): Committed(0, Note(TERM, T, 1))}
    return made


async def cycles(of: Way, count: int) -> None:
    """Let the session work, and commit."""
    for _ in range(count):
        await of.session.cycle()


def told(of: Way) -> list[int]:
    """Offsets of the dead letters since the last call."""
    return [json.loads(letter)["offset"] for letter in of.letters.take()]


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says to somebody."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_topic_made_again_before_a_worker_takes_over(caplog: pytest.LogCaptureFixture) -> None:
    """The committed offset is there, and nobody has read as far as the note says: all of the new topic is news."""

    async def run() -> None:
        one = way(Committed(0, Note(TERM, T, READ)), _Logs(payments=NEW, orders=[placed(0, T)]))
        await cycles(one, 4)
        assert told(one) == [0]
        assert one.lane.halves["payments"].results["counted"] == 50
        commits = one.lane.commits()["payments"]
        assert (commits[0], commits[1].read) == (0, 51)

    asyncio.run(run())
    assert [said for said in warned(caplog) if "payments partition 0" in said] == [
        f"intake: payments partition 0 was read up to offset {READ} and no longer had it; now it has 0 to 51: "
        "the topic was made again, or its end was lost; it is read as on a first start"
    ]


@pytest.mark.parametrize("grown", [51, 5_000], ids=["short", "longer than the old one"])
def test_a_topic_made_again_while_it_is_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, grown: int
) -> None:
    """The broker refuses the position, and that is remembered, however fast the new topic grows past it. What was
    committed is a new term's, and its offsets are the new topic's."""

    async def run() -> None:
        old = [paid(offset, T) for offset in range(READ)]
        reader = _Logs(payments=old, orders=[placed(0, T)])
        one = way(None, reader)
        await cycles(one, 3)
        before = one.lane
        reader.logs[PAYMENTS] = NEW
        await one.session.cycle()
        assert one.session.problem == "a topic lacks an offset that it had"
        reader.logs[PAYMENTS] = NEW + [paid(offset, T + 1_000 + offset) for offset in range(51, grown)]
        monkeypatch.setattr(session, "COMMIT_S", 0.0)
        await cycles(one, 6)
        assert told(one) == [0]
        assert one.lane.term == before.term + 1
        assert one.lane.halves["payments"].results["counted"] == grown - 1
        committed = reader.notes[PAYMENTS]
        assert committed.note is not None
        assert (committed.offset, committed.note.term, committed.note.read) == (0, one.lane.term, grown)

    asyncio.run(run())
    assert sum("was made again" in said for said in warned(caplog)) == 1


def test_what_retention_deleted_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """A committed offset before the log's start is normal, and the log is read from there; nothing is forgotten, and
    where something was never read, that is said."""

    async def run(read: int) -> None:
        reader = _Logs(payments=[bad(10), bad(11), bad(12)], orders=[placed(0, T)])
        reader.first[PAYMENTS] = 10
        one = way(Committed(2, Note(TERM, T, read)), reader)
        await cycles(one, 4)
        assert told(one) == [offset for offset in (10, 11, 12) if offset >= read]
        assert (one.lane.term, one.lane.halves["payments"].next) == (TERM + 1, 13)
        assert one.session._all.deleted == ({"payments": 10 - read} if read < 10 else {})

    asyncio.run(run(12))
    assert [said for said in warned(caplog) if "offset" in said] == []
    asyncio.run(run(4))
    assert [said for said in warned(caplog) if "offset" in said] == [
        "intake: payments partition 0 begins at offset 10: what was to be read from 4 on is deleted"
    ]


def test_where_a_transaction_ended_nothing_is_deleted(caplog: pytest.LogCaptureFixture) -> None:
    """The end of a topic is read though no record stands there: when retention has deleted all, nothing is missing."""

    async def run() -> None:
        reader = _Logs(payments=[paid(n, T + n * 1_000) for n in range(50)], orders=[placed(0, T)])
        reader.said[PAYMENTS] = 54  # behind the markers
        one = way(None, reader)
        await cycles(one, 4)
        commits = one.lane.commits()["payments"]
        assert commits[1].read == 54
        reader.logs[PAYMENTS], reader.first[PAYMENTS] = [], 54
        after = way(Committed(*commits), reader)
        await cycles(after, 4)
        assert after.session._all.deleted == {}

    asyncio.run(run())
    assert [said for said in warned(caplog) if "is deleted" in said] == []


def heard(told: Iterable[Any]) -> dict[int, list[int]]:
    """What a Judge holds of each pane: payments by status."""
    panes: dict[int, list[int]] = {}
    for tally in told:
        if isinstance(tally, Tally):
            panes = {pane: counts for pane, counts in panes.items() if not 0 <= tally.first_pane <= pane}
            panes |= zip(tally.cells.pane.tolist(), tally.cells.counts.tolist(), strict=True)
    return panes


@pytest.mark.parametrize("cut", [30, 60], ids=["read before", "never read"])
@pytest.mark.parametrize("topics", [("payments",), ("orders",), TOPICS], ids=["payments", "orders", "both"])
def test_panes_that_lack_a_part_of_their_events_stay_as_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, topics: Sequence[str], cut: int
) -> None:
    """Where payments are deleted that a new owner would read again, it tells nothing of their panes, no order is half
    green for want of them, and what is later is counted; the owner after it likewise. Orders alone may be missing."""
    monkeypatch.setattr(session, "COMMIT_S", 0.0)
    logs = {"payments": [paid(second, T + second * 1_000) for second in range(90)],
            "orders": [placed(second, T + second * 1_000) for second in range(90)]}  # fmt: skip
    first = -(-(T + 50 + (cut * 1_000 if "payments" in topics else -1_000)) // DEFAULT.pane_ms)

    async def run() -> None:
        reader = _Logs(**{topic: log[:45] for topic, log in logs.items()})
        told: list[Any] = []

        async def own() -> None:
            one = way(None, reader)
            await cycles(one, 8)
            assert not one.session.is_rebuilding
            told.extend(one.log.told)

        await own()
        before = heard(told)
        assert sum(map(sum, before.values())) == 43  # the last two are held
        reader.logs = {at(topic): log for topic, log in logs.items()}
        for topic in topics:
            reader.logs[at(topic)] = logs[topic][cut:]
            reader.first[at(topic)] = cut
        for _ in range(2):
            await own()
            after = heard(told)
            assert {pane: after[pane] for pane in after if pane < first} == {
                pane: before[pane] for pane in before if pane < first
            }
            assert sum(counts[PENDING] for counts in after.values()) == 0
            last = (T + 88_000) // DEFAULT.pane_ms
            assert [after[pane][APPROVED] for pane in range(first, last)] == [5] * (last - first)

    asyncio.run(run())
    assert [said.partition(" are not there: ")[2] for said in warned(caplog) if "payments before" in said] == [
        "their panes stay as they were told"
    ] * ("payments" in topics)


HEADS: dict[str, list[tuple[int, int]]] = {"sound": [], "late": [(-3 * 3_600_000, 0)], "ahead": [(0, 50 * 60_000)]}
"""What stands before the payments that are left: when it occurred, and by how much its clock is ahead, ms."""


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("commit", ["none", "by hand", "killed at once"])
def test_payments_of_which_nothing_is_noted_begin_where_they_begin(
    monkeypatch: pytest.MonkeyPatch, head: str, commit: str
) -> None:
    """A payments topic that was made again has no commit, and one that somebody else committed has no note: what was
    told of the panes before stays, no order is half green for want of payments, and what is there is counted, whatever
    one clock says."""
    monkeypatch.setattr(session, "COMMIT_S", 0.0)
    cut, first = 45, -(-(T + 48_000) // DEFAULT.pane_ms)

    async def run() -> None:
        reader = _Logs(payments=[paid(n, T + n * 1_000) for n in range(45)],
                       orders=[placed(n, T + n * 1_000) for n in range(90)])  # fmt: skip
        reader.logs[at("orders")] = reader.logs[at("orders")][:45]
        told: list[Any] = []

        async def own() -> None:
            one = way(None, reader)
            await cycles(one, 8)
            told.extend(one.log.told)

        await own()
        before = heard(told)
        odd = [(T + cut * 1_000 + occurred, ahead) for occurred, ahead in HEADS[head]]
        new = [*odd, *((T + n * 1_000, 0) for n in range(cut, 90))]
        reader.logs[PAYMENTS] = [paid(1_000 + at_ms, occurred) for at_ms, (occurred, _) in enumerate(new)]
        for place, (record, (_, ahead)) in enumerate(zip(reader.logs[PAYMENTS], new, strict=True)):
            record.offset, record.timestamp = place, record.timestamp + ahead
        reader.logs[at("orders")] = [placed(n, T + n * 1_000) for n in range(46)]
        if commit == "by hand":
            reader.notes[PAYMENTS] = Committed(0, None)
        else:
            del reader.notes[PAYMENTS]
        if commit == "killed at once":
            await cycles(way(None, reader), 1)
        await own()
        after = heard(told)
        assert {pane: after.get(pane) for pane in before if pane < first} == {
            pane: counts for pane, counts in before.items() if pane < first
        }
        assert sum(counts[PENDING] for counts in after.values()) == 0
        last = (T + 88_000) // DEFAULT.pane_ms
        assert [after[pane][APPROVED] for pane in range(first, last)] == [5] * (last - first)

    asyncio.run(run())


def test_an_end_that_a_new_leader_says_too_small_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """It is no reason to forget what was read."""

    async def run() -> None:
        reader = _Logs(payments=NEW, orders=[placed(0, T)])
        reader.said[PAYMENTS] = 20
        one = way(Committed(0, Note(TERM, T, 51)), reader)
        await cycles(one, 3)
        assert told(one) == []
        assert one.lane.halves["payments"].results["rebuilt"] == 51

    asyncio.run(run())
    assert not [said for said in warned(caplog) if "offset" in said]


def test_who_strays_again_at_once_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is tried now and then, and not a hundred times a second; after a while it is news again."""
    now_s = 0.0
    monkeypatch.setattr(strays, "loop_s", lambda: now_s)

    async def run() -> None:
        nonlocal now_s
        reader = _Logs(payments=NEW, orders=[placed(0, T)])
        one = way(None, reader)
        await cycles(one, 2)
        for after_s in (1.0, strays.AGAIN_S + 1.0):
            now_s += after_s
            reader.positions[PAYMENTS] = 99
            await cycles(one, 2)
        reader.positions[PAYMENTS] = 99
        with pytest.raises(OffsetOutOfRangeError):
            await cycles(one, 2)

    asyncio.run(run())
