"""What all tests share: one real Kafka broker, started when a test first asks for it where none runs; and their order.

A test marked `runs` takes minutes of its own time, most of them waiting: its first half runs before the tests that the
mark names, its second half last, so that others run meanwhile. Those others wait more than they compute, and may be in
the same folder: `tests.together` runs what only computes in another process.
"""

import signal
from collections.abc import Iterator

import pytest

from streams.embedded import EmbeddedKafka
from tests.broker import broker


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """A real broker: `.bootstrap`, `.new_topic(stem, partitions)` for a name of its own, `.settings(**overrides)`.

    It raises where Kafka cannot start: a test run without Kafka fails, it does not skip.
    """
    with broker() as running:
        yield running


@pytest.fixture
def hears_hangup() -> Iterator[None]:
    """SIGHUP means what it does by default, here and in what is started: under nohup it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the halves where they belong; everything else stays in its order."""
    for item in [item for item in items if item.get_closest_marker("runs")]:
        items.remove(item)
        (when,) = item.get_closest_marker("runs").args  # type: ignore[union-attr]  # it has the mark
        places = [place for place, other in enumerate(items) if when == f"before {other.path.name}"]
        items.insert(places[0] if places else len(items), item)
