"""Log time and its doubted jumps, the watermark of two topics, held events, boundaries, where to read again from."""

from __future__ import annotations

import pytest

from detector.contracts.policy import Policy
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.offsets import OffsetIndex
from detector.counting.tally import Source, Tally
from tests.property import dumb
from tests.property.dumb import Event

T = 1_700_000_000_000
YEAR_2099 = 4_070_908_800_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
POLICY = Policy()


def made(*, orders_ended: bool = True, **more: int) -> Counter:
    counter = Counter(POLICY, Names(POLICY), Source("main", 0), {"main": 1}, **more)
    counter.at_end(1, orders_ended)
    return counter


def take(counter: Counter, *times: int, topic: int = 0, log: int | None = None) -> list[Tally]:
    """One declined payment at each time, in a file (log time = occurred_at) or at a log time."""
    events = [Event("payment", f"o{at}", at, f"p{at}", "declined", ("bnp", "card")) for at in times]
    log_times = list(times) if log is None else [log] * len(times)
    return counter.take(dumb.columns(events, counter.names, log_times, times), topic)


def boundaries(tallies: list[Tally]) -> list[int]:
    return [tally.boundary_ms - T for tally in tallies]


def counted(tallies: list[Tally]) -> int:
    """Payments in the newest cells told."""
    cells: dumb.Told = {}
    for tally in tallies:
        cells |= dumb.told(tally)
    return sum(sum(said[0]) for said in cells.values())


def test_a_lone_record_of_2099_moves_nothing() -> None:
    """A record far ahead among ordinary ones is refused, and neither log time nor watermark follow it."""
    counter = made()
    before = [T + 100 * n for n in range(50)]
    after = [T + 5_000 + 100 * n for n in range(50)]
    tallies = take(counter, *before, YEAR_2099, *after) + counter.finish()
    assert counter.take_rejects() == [(0, YEAR_2099)]
    assert counter.stats.clock_ahead == 1
    assert counter.log_time_ms == after[-1]
    assert counter.watermark_ms == after[-1] - 1_000
    assert boundaries(tallies) == list(range(0, 9_000, 1_000))


@pytest.mark.parametrize("rogues", [1, 2, 5])
def test_a_file_that_begins_in_2099_begins_where_most_records_are(rogues: int) -> None:
    """Even the first record is asked for witnesses where its log time is its own word."""
    counter = made()
    take(counter, *(YEAR_2099 + n for n in range(rogues)), *(T + 100 * n for n in range(60)))
    counter.finish()
    assert counter.log_time_ms == T + 5_900
    assert len(counter.take_rejects()) == rogues


def test_a_lone_record_of_2099_at_the_end_is_refused() -> None:
    """Nobody can be asked behind the last record: time does not jump 70 years on its word."""
    counter = made()
    take(counter, *(T + 100 * n for n in range(50)), YEAR_2099)
    counter.finish()
    assert counter.log_time_ms == T + 4_900
    assert counter.take_rejects() == [(0, YEAR_2099)]


@pytest.mark.parametrize("followers", [1, 5, 60])
def test_a_first_record_that_kafka_dates_next_year_is_taken_at_its_word(followers: int) -> None:
    """The others do not know its log time: it is counted, and log time is theirs, or its `occurred_at`."""
    counter = made()
    take(counter, T, log=T + 365 * DAY)
    for n in range(1, followers + 1):
        take(counter, T + 100 * n, log=T + 100 * n)
    counter.finish()
    assert counter.log_time_ms == T + 100 * followers
    assert counter.stats.held + counter.stats.events == followers + 1
    assert counter.take_rejects() == []


@pytest.mark.parametrize("followers", [0, 1, 60])
def test_a_straggler_may_be_the_first(followers: int) -> None:
    """An event that came an hour late is believed to have, on the word of what follows, or where nothing does."""
    counter = made()
    take(counter, T - HOUR, log=T)
    for n in range(1, followers + 1):
        take(counter, T + 100 * n, log=T + 100 * n)
    counter.finish()
    assert counter.log_time_ms == T + 100 * followers
    assert counter.take_rejects() == []


@pytest.mark.parametrize("ahead", [0, 3])
def test_a_first_record_of_a_fast_clock_is_refused(ahead: int) -> None:
    """A producer's clock gives both of its times: what follows does not know the day."""
    counter = made()
    take(counter, YEAR_2099, log=YEAR_2099 + ahead)
    for n in range(30):
        take(counter, T + 100 * n, log=T + 100 * n)
    assert counter.log_time_ms == T + 2_900
    assert counter.take_rejects() == [(0, YEAR_2099)]
    assert counter.stats.too_late == 0


def test_who_was_silent_for_a_month_is_believed_where_a_clock_says_so() -> None:
    """In pauses each record is alone: none waits, and none is refused."""
    counter = made()
    take(counter, T - 31 * DAY, log=T - 31 * DAY)
    counter.finish()
    for n in range(3):
        take(counter, T + 10_000 * n, log=T + 10_000 * n)
        counter.idle(0, T + 10_000 * n)
        assert counter.log_time_ms == T + 10_000 * n
    assert counter.take_rejects() == []


@pytest.mark.parametrize("before", [0, 3])
def test_a_lone_record_ahead_of_the_clock_waits_for_another(before: int) -> None:
    """A shop whose clock is an hour ahead sells at night, be it the first: in no pause is it believed, and what comes
    next says that it is wrong."""
    counter = made()
    for n in range(before):
        take(counter, T + 10_000 * n, log=T + 10_000 * n)
        counter.idle(1_000, T + 10_000 * n)
    take(counter, T + 30_000 + HOUR, log=T + 30_000 + HOUR)
    for n in range(3, 9):
        counter.idle(0, T + 10_000 * n)
        take(counter, T + 10_000 * n, log=T + 10_000 * n)
    counter.idle(2_000, T + 90_000)
    assert counter.take_rejects() == [(0, T + 30_000 + HOUR)]
    assert (counter.log_time_ms, counter.stats.too_late, counter.stats.events) == (T + 80_000, 0, before + 6)


def test_a_lone_first_record_of_two_ages_waits_for_another() -> None:
    """Whether an event is of 1970 or its log time of next year is not known before there is a second."""
    counter = made()
    take(counter, 0, log=T)
    assert counter.idle(HOUR) == []
    assert counter.log_time_ms is None
    take(counter, T, log=T)
    counter.finish()
    assert counter.log_time_ms == T
    assert counter.take_rejects() == []


def test_a_real_gap_is_crossed_once_twenty_have_followed() -> None:
    """An hour's gap holds processing until most of 20 records have confirmed it, and then changes no boundary."""
    counter = made()
    take(counter, *(T + 100 * n for n in range(30)))
    gap = [T + HOUR + 100 * n for n in range(11)]
    assert take(counter, *gap) == []
    assert counter.log_time_ms == T + 2_900
    tallies = take(counter, T + HOUR + 1_100)
    assert counter.log_time_ms == T + HOUR + 1_100
    assert boundaries(tallies) == [2_000, 3_000, 5_000, HOUR - 1_000, HOUR]
    assert counter.take_rejects() == []


def test_six_payments_an_hour_are_told_at_the_boundaries_of_no_doubt() -> None:
    """Records ten minutes apart are all jumps; they wait for witnesses and are told as if none had been asked."""
    times = [T + 10 * MINUTE * n for n in range(60)]
    doubtful, sure = made(), made()
    found = take(doubtful, *times) + doubtful.finish()
    expected = [tally for at in times for tally in take(sure, at) + sure.finish()]
    assert [tally.boundary_ms for tally in found] == [tally.boundary_ms for tally in expected]
    assert counted(found) == 59  # the last is held: its boundary has not passed
    assert doubtful.stats.clock_ahead == 0


def test_copies_from_before_a_gap_do_not_refute_it() -> None:
    """Old records that are sent again after a gap are the fewer, and outvoted."""
    counter = made()
    take(counter, *(T + 100 * n for n in range(30)))
    after = [T + HOUR + MINUTE * n for n in range(30)]
    mixed = [at for n, at in enumerate(after) for at in ([at, T + 100 * (n % 30)] if n % 3 == 1 else [at])]
    take(counter, *mixed)
    counter.finish()
    assert counter.take_rejects() == []
    assert counter.log_time_ms == after[-1]


def test_ahead_of_the_clock_is_refused_by_five_minutes() -> None:
    """`occurred_at` may be 5 min ahead of log time, and not a millisecond more."""
    counter = made()
    take(counter, T + 5 * MINUTE, T + 5 * MINUTE + 1, log=T)
    counter.finish()
    assert counter.take_rejects() == [(0, T + 5 * MINUTE + 1)]
    assert counter.take_rejects() == []


def test_a_clock_that_is_ahead_does_not_move_the_watermark() -> None:
    """What is read before it should have occurred counts, for the watermark, as its log time."""
    counter = made()
    take(counter, T + 4 * MINUTE, log=T)
    counter.finish()
    assert counter.watermark_ms == T - 1_000


def test_the_watermark_is_the_lesser_of_the_topics_that_go_on() -> None:
    """A topic that was not read holds the source back until it is read, or was read to its end."""
    counter = made(orders_ended=False)
    assert take(counter, T, T + 5_000, log=T + 5_000) + counter.finish() == []
    assert counter.watermark_ms is None
    take(counter, T + 2_000, topic=1, log=T + 5_000)
    assert counter.watermark_ms is None  # a topic's first record waits for witnesses, or a pause
    counter.finish()
    assert counter.watermark_ms == T + 1_000
    counter.at_end(1, True)
    assert counter.watermark_ms == T + 4_000
    counter.at_end(1, False)
    assert counter.watermark_ms == T + 4_000  # it never goes back
    assert boundaries(counter.idle(0))[-1] == 4_000


def test_both_topics_at_their_end_are_as_far_as_the_newer() -> None:
    """Where nothing is left to read no older event is expected from either."""
    counter = made(orders_ended=False)
    take(counter, T, log=T + 1)
    counter.finish()
    counter.at_end(0, True)
    counter.at_end(1, True)
    assert counter.watermark_ms == T - 1_000


def test_idle_moves_boundaries_by_what_went_by() -> None:
    """A source at its end goes on by elapsed time, and tells what it held."""
    counter = made()
    take(counter, T + 100, log=T + 101)
    tallies = counter.idle(3_000)
    assert boundaries(tallies) == [1_000, 2_000]
    assert counted(tallies) == 1


def test_stretches_of_nothing_are_skipped() -> None:
    """A watermark that jumps tells the boundaries that changed something, and the last it passed."""
    counter = made()
    take(counter, T + 100, log=T + 101)
    counter.finish()
    tallies = take(counter, T + 250_000, log=T + 250_001)
    assert boundaries(tallies) == [1_000, 249_000]
    assert [len(tally.cells) for tally in tallies] == [1, 0]


def test_the_skip_is_right_past_the_ring_of_seconds() -> None:
    """Events further apart than the ring of held seconds keep their own boundaries."""
    counter = made(orders_ended=False)
    times = [T + 100 + 4_096_000 * n for n in range(4)]
    for at in times:
        take(counter, at, log=at)
    counter.finish()
    counter.at_end(1, True)
    told = [tally for tally in counter.idle(5_000) if len(tally.cells)]
    assert boundaries(told) == [1_000 + 4_096_000 * n for n in range(4)]


def test_an_event_of_1970_among_the_first_costs_no_walk_through_the_years() -> None:
    """The first boundary is at most a day before the first watermark; what is older is too late."""
    counter = made(orders_ended=False)
    take(counter, T, 0, log=T + 1)
    counter.finish()
    counter.at_end(1, True)
    assert boundaries(counter.idle(0))[-1] == -1_000
    assert counter.stats.too_late == 1


def test_hours_of_idling_close_panes() -> None:
    """What comes for a pane that elapsed time has closed is too late, and told nowhere."""
    counter = made()
    take(counter, T, log=T + 1)
    counter.idle(HOUR)
    assert counted(take(counter, T + 10, log=T + 10) + counter.idle(2_000)) == 0
    assert counter.stats.too_late == 1


def test_the_offset_to_read_again_from_covers_the_pane() -> None:
    """Every record of the asked log time and later lies at or after the offset."""
    index = OffsetIndex(5_000, DAY)
    log_times = [T + 700 * n for n in range(1_000)]
    for offset in range(1, len(log_times)):
        index.note(log_times[offset - 1], offset)
    for asked in range(T + 10_000, T + 690_000, 7_001):
        first = index.first(asked)
        needed = next(offset for offset, at in enumerate(log_times) if at >= asked)
        assert first is not None
        assert first <= needed
        assert needed - first <= 9  # a pane's worth of records
    assert index.first(T) is None


def test_the_offset_index_forgets() -> None:
    """It holds what it was told to keep, not a day more."""
    index = OffsetIndex(5_000, HOUR)
    for n in range(100_000):
        index.note(T + 5_000 * n, n)
    assert len(index._times) < HOUR / 5_000 + 70
    assert index.first(T + 5_000 * 99_990) == 99_989
