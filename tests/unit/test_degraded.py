"""What is wrong around a worker: said once at each end, by reason; and a log that neither floods nor stops the work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.degraded.board import Board, Reason
from streams.degraded.heldback import HeldBack
from streams.degraded.lookout import WRITES_S, Lookout
from streams.degraded.pulse import Pulse
from streams.intake import reader
from streams.logs import REPEAT_S, Log
from streams.refused import Refused
from streams.settings import load_settings
from streams.verdict.clock import SILENT_S
from streams.verdict.setback import PAUSE_S, PAUSE_S_MAX, STEADY_S, Setback

AIOKAFKA = logging.getLogger("aiokafka.test")


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def output(clock: Clock) -> Iterator[Log]:
    """The worker's log, into text."""
    handler = Log(StringIO(), clock)
    AIOKAFKA.addHandler(handler)
    AIOKAFKA.propagate = False
    yield handler
    AIOKAFKA.removeHandler(handler)
    AIOKAFKA.propagate = True


def lines(output: Log) -> list[str]:
    """What was written."""
    stream: Any = output.stream
    return [line.partition(": ")[2] for line in stream.getvalue().splitlines()]


def test_a_trouble_is_one_line_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is said: a line when it begins, a line when it is over, and how long it was."""
    board = Board()
    with caplog.at_level(logging.INFO):
        for now_s in range(60):
            board.say(Reason.BROKER, f"no broker answers, at look {now_s}", float(now_s))
        assert board.problems(60.0) == {"broker": "no broker answers, at look 59 (for 60 s)"}
        for now_s in range(60, 70):
            board.say(Reason.BROKER, None, float(now_s))
    assert [record.getMessage() for record in caplog.records] == [
        "degraded: broker: no broker answers, at look 0", "degraded: broker: over after 60 s",
    ]  # fmt: skip
    assert board.problems(70.0) == {}
    assert set(board.flags().values()) == {0}


def complain() -> None:
    """A library says something, always from the same place in its code."""
    AIOKAFKA.warning("unable to connect to %d", 1)


def test_a_library_that_repeats_itself_is_heard_once_a_minute(output: Log, clock: Clock) -> None:
    """230 lines a second become one a minute, with how many were left out."""
    for _ in range(230):
        complain()
    AIOKAFKA.warning("something else")
    clock.now_s += REPEAT_S
    complain()
    said = ["unable to connect to 1", "something else", "unable to connect to 1 (and 229 more like it)"]
    assert lines(output) == said


def test_what_the_worker_has_said_no_library_says_again(output: Log, clock: Clock) -> None:
    """While Kafka is known to be away its clients are not heard at all, and then again."""
    away = True
    output.leave_out(lambda: away)
    complain()
    clock.now_s += 2 * REPEAT_S
    complain()
    assert lines(output) == []
    away = False
    complain()
    assert lines(output) == ["unable to connect to 1 (and 2 more like it)"]


def test_a_refused_write_is_overheard(output: Log) -> None:
    """The class of the error is kept, from a warning of the producer's."""
    AIOKAFKA.addFilter(output.overheard)
    try:
        AIOKAFKA.warning("got error %s, retrying. Error: %s", "topic", TimeoutError)
    finally:
        AIOKAFKA.removeFilter(output.overheard)
    assert output.overheard.error == "TimeoutError"


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    """A write to a device without room is an error of the log alone: lines are counted until one can be written."""
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115  # closing it fails, too
    output = Log(full)
    for number in range(3):
        output.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    assert (output.lost, output.why) == (3, "No space left on device")
    output.stream = StringIO()
    output.emit(logging.makeLogRecord({"msg": "line 3"}))
    assert output.lost == 0
    with contextlib.suppress(OSError):
        full.close()


def test_a_pipe_that_nobody_reads_costs_lines_and_nothing_else() -> None:
    """It is full before long, and a write to it waits for ever: the line is lost, and the next ones, until somebody
    reads."""
    reads, writes = os.pipe()
    output = Log(os.fdopen(writes, "w", buffering=1))
    line = logging.makeLogRecord({"msg": "x" * 1_000})

    def fill() -> None:
        while not output.lost:
            output.emit(line)
        output.emit(line)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    filling.join(30)
    hangs = filling.is_alive()
    said = os.read(reads, 1 << 20)
    assert not hangs
    assert (output.lost, output.why) == (2, "a full pipe that nobody reads")
    assert said.endswith(b"x\n")
    output.emit(line)
    assert output.lost == 0
    output.stream.close()
    os.close(reads)


def test_pauses_double_up_to_a_bound_and_begin_anew() -> None:
    """2, 4, 8, 16, 30, 30 s; after a tenure that held for a minute 2 s again; only the first in a row is news."""
    setback, now_s, pauses = Setback(), 1_000.0, []
    for _ in range(6):
        setback.note("refused", now_s)
        pauses.append(next(s for s in range(100) if not setback.holds_back(now_s + s)))
        now_s += pauses[-1]
    assert pauses == [PAUSE_S, 4, 8, 16, PAUSE_S_MAX, PAUSE_S_MAX]
    assert setback.note("refused", now_s) is False
    setback.is_over()
    assert not setback.holds_back(now_s)
    now_s += STEADY_S + PAUSE_S_MAX + 1
    assert setback.note("refused", now_s) is True
    assert not setback.holds_back(now_s + PAUSE_S)
    assert Setback().note("lost", 0.0, least_s=13.0) is True


def pulse(leaders: dict[int, int | None]) -> Pulse:
    """A pulse of a Kafka with one topic, whose partitions have these leaders."""
    settings = load_settings()
    tallies = settings.topics.tallies
    cluster = SimpleNamespace(
        partitions_for_topic=lambda name: set(leaders) if name == tallies else None,
        leader_for_partition=lambda at: leaders[at.partition],
        unauthorized_topics=set(),
    )

    async def asked() -> bool:
        return True

    async def close() -> None:
        return None

    made: Any = Pulse(settings, [tallies])
    made._client = SimpleNamespace(cluster=cluster, close=close)
    made._asked = asked
    found: Pulse = made
    return found


def test_one_answer_that_fails_says_nothing() -> None:
    """A leader moves within one answer; two in a row that fail are said, and one that does not ends it."""
    leaders: dict[int, int | None] = {0: -1}
    kafka = pulse(leaders)
    asyncio.run(kafka.feel())
    assert (kafka.problem, kafka.is_deaf) == (None, False)
    asyncio.run(kafka.feel())
    assert "got none of pastille.tallies/0" in (kafka.problem or "")
    assert kafka.is_deaf
    leaders[0] = 1
    asyncio.run(kafka.feel())
    assert (kafka.problem, kafka.is_deaf) == (None, False)


def test_a_topic_that_is_missing_is_no_broken_disk() -> None:
    """It is called missing, with what to do, where the others have their leaders; one that may not be seen, hidden."""
    kafka = pulse({0: 1})
    cluster = kafka._client.cluster  # type: ignore[union-attr]  # it has one
    kafka._topics = ["pastille.dead-letters", "pastille.tallies"]
    for _ in range(2):
        asyncio.run(kafka.feel())
    said = "topics must be there; got none named pastille.dead-letters; run 'pastille topics create'"
    assert (kafka.problem, kafka.is_deaf) == (said, False)
    cluster.unauthorized_topics = {"pastille.dead-letters"}
    asyncio.run(kafka.feel())
    assert "got no right to pastille.dead-letters" in (kafka.problem or "")


def test_a_refusal_that_lasts_is_shown_at_once(output: Log, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that may be a leader that moves only after a while; and while nobody answers, none."""
    monkeypatch.setattr("streams.degraded.lookout.loop_s", clock)
    worker: Any = SimpleNamespace(wall_ms=lambda: 0, letters_refused=Refused("letters wait", 100.0, is_lasting=True))
    lookout = Lookout(load_settings(), [], worker, output)
    assert lookout._letters() == "letters wait"
    worker.letters_refused = Refused("letters wait", 100.0, is_lasting=False)
    assert lookout._letters() is None
    clock.now_s += WRITES_S
    assert lookout._letters() == "letters wait"
    lookout._pulse.is_deaf = True
    assert lookout._letters() is None


def test_a_transaction_that_goes_on_is_said() -> None:
    """Only where the same one has held back the partition for a while; the next one begins its own time."""
    held, at = HeldBack(), TopicPartition("payments", 3)
    assert held.problem({at: 7}, 0.0) is None
    assert held.problem({at: 7}, SILENT_S - 1) is None
    assert "payments/3 from offset 7;" in (held.problem({at: 7}, SILENT_S) or "")
    assert held.problem({at: 9}, SILENT_S + 1) is None
    assert held.problem({}, 2 * SILENT_S) is None
    assert held.problem({at: 9}, 3 * SILENT_S) is None
    many = {TopicPartition("orders", number): 0 for number in range(5)}
    held.problem(many, 3 * SILENT_S)
    assert "orders/2 from offset 0 and 2 more;" in (held.problem(many, 4 * SILENT_S) or "")


def test_a_look_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture, output: Log) -> None:
    """An error in looking, or a wait that a client cancels, is told once, and the next look comes."""
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks % 2:
            raise asyncio.CancelledError
        raise ValueError("not as expected")

    async def some_looks() -> None:
        worker: Any = SimpleNamespace(wall_ms=lambda: 0)
        lookout = Lookout(load_settings(), [], worker, output)
        looking = asyncio.create_task(lookout._again(look, 0.0))
        while looks < 10:
            await asyncio.sleep(0)
        looking.cancel()
        await asyncio.wait([looking])
        assert looking.cancelled()

    asyncio.run(some_looks())
    assert caplog.text.count("looking around failed") == 2


def test_an_end_that_nobody_confirms_is_no_end(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A partition without a leader keeps the end that it had: it is known for five seconds, and again with the next
    answer, whatever o'clock the client notes it was."""
    monkeypatch.setattr(reader, "loop_s", clock)
    known: Any = reader.Reader.__new__(reader.Reader)
    known._answered = {}
    at = reader.TopicPartition("payments", 0)
    assert known._is_fresh(at, 1_000)
    clock.now_s += reader.CONFIRMED_S - 1
    assert known._is_fresh(at, 1_000)
    clock.now_s += 1
    assert not known._is_fresh(at, 1_000)
    assert known._is_fresh(at, 500)
