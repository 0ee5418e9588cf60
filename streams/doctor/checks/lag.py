"""A worker counts each source and keeps up, by its tallies: the committed offsets are kept back on purpose."""

from collections.abc import Iterator, Sequence

from detector.counting.tally import Source
from streams.doctor.checkup import Checkup, Counted, Event, FeedSample
from streams.doctor.finding import Finding

BEHIND_MS = 30_000
"""As long as a silent source may hold the Judge's time back."""
SOURCES_SHOWN = 5


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed: its sources that no worker has counted, or is long behind the newest record of."""
    for feed in checkup.feeds:
        behind = [(source, ms) for source in _sources(feed) if (ms := _behind_ms(checkup, feed, source)) > BEHIND_MS]
        if behind:
            yield _finding(checkup, feed, behind)


def _sources(feed: FeedSample) -> list[Source]:
    return [Source(feed.name, index) for index in range(max(topic.partitions for topic in feed.topics))]


def _behind_ms(checkup: Checkup, feed: FeedSample, source: Source) -> int:
    """From what is counted to the newest record; from the oldest record in the sample where nothing is counted."""
    times = [_watermark_ms(event) for event in feed.events if event.place.partition == source.partition]
    if not times:
        return 0
    counted = checkup.counted.get(source)
    if counted is None:
        return max(BEHIND_MS + 1, max(times) - min(times))
    return max(times) - checkup.policy.lateness_ms - counted.boundary_ms


def _watermark_ms(event: Event) -> int:
    """An event moves the watermark to its time, but never past the time at which Kafka got it."""
    return min(event.occurred_at, event.log_time)


def _finding(checkup: Checkup, feed: FeedSample, behind: Sequence[tuple[Source, int]]) -> Finding:
    counted = {source: checkup.counted.get(source) for source, _ in behind}
    worst, worst_ms = max(behind, key=lambda entry: entry[1])
    shown = ", ".join(str(source) for source, _ in behind[:SOURCES_SHOWN])
    waiting = sum(_waits(event, counted.get(Source(feed.name, event.place.partition))) for event in feed.events
                  if Source(feed.name, event.place.partition) in counted)  # fmt: skip
    got = f"{len(behind)} of {len(_sources(feed))} sources ({shown}), at least {waiting} records not counted, "
    newest = max((each.written_ms for each in checkup.counted.values()), default=None)
    if newest is None:
        what, got = "no worker has ever counted this feed", got + "no tally anywhere"
    elif checkup.now_ms - newest > BEHIND_MS:
        what, got = "no worker is running", got + f"newest tally {(checkup.now_ms - newest) // 1000} s ago"
    else:
        what, got = "the worker does not keep up", got + f"{worst} up to {worst_ms // 1000} s behind"
    return Finding(
        "lag", "error", feed.name, what, got,
        "start `pastille worker`, one more for each source that is behind (up to one a partition); a worker that has "
        "just started first reads the last half hour again",
    )  # fmt: skip


def _waits(event: Event, counted: Counted | None) -> bool:
    return counted is None or _watermark_ms(event) >= counted.boundary_ms
