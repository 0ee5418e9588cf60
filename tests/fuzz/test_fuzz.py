"""Spoilt records the whole way: some thousands from seeds, some drawn by hypothesis, and all that ever failed.

`make fuzz` sends a million.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import numba
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.counting import decoder
from detector.counting.counter import Counter
from detector.counting.refuse import NOTHING_SAID, refuse
from detector.counting.rejects import Reason, fault_number
from streams import deadletters
from streams.intake import half, placing
from tests.fuzz.events import TOPICS, stretches
from tests.fuzz.script import CORPUS, Step, drawn, read
from tests.fuzz.shrink import shrunk
from tests.fuzz.spoil import WAYS
from tests.fuzz.trial import failure, play
from tests.property.batches import Written

PLAIN = bool(getattr(numba.config, "DISABLE_JIT", 0))
SEEDS = (1,) if PLAIN else (1, 2)
RECORDS = 300 if PLAIN else 3_000
EXAMPLES = 5 if PLAIN else 40
SOUND = next(stretches(1)).by_topic


@pytest.mark.parametrize("seed", SEEDS)
def test_spoilt_records_are_counted_passed_over_or_told_of(seed: int) -> None:
    """Of thousands of spoilt records among sound ones, each is counted as the reference counts it, passed over, or has
    a dead letter with its reason; no letter holds a card number; a flood's sums speak of as many."""
    report = play(list(drawn(seed, RECORDS)))
    assert report.spoilt >= RECORDS
    assert PLAIN or len(report.reasons) >= 12


@settings(max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(TOPICS), st.integers(0, 4),
            st.lists(st.tuples(st.integers(0, 300), st.sampled_from((None, *WAYS)), st.integers(0, 2**32)), min_size=1),
        ),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_any_mixture_of_ways(steps: list[tuple[str, int, list[tuple[int, str | None, int]]]]) -> None:
    """Whatever is spoilt beside whatever else, in batches of any size and codec, in whatever order of times."""
    made = []
    for topic, codec, rows in steps:
        records = tuple(_spoilt(topic, *row) for row in rows)
        made.append(Step(topic, records, (len(records),), codec))
    assert failure(made) is None


def _spoilt(topic: str, place: int, way: str | None, seed: int) -> Written:
    record = SOUND[topic][place]
    return record if way is None else WAYS[way](Random(seed), record)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda path: path.stem)
def test_what_failed_once(path: Path) -> None:
    """Every trial that failed once, shrunk, holds now."""
    assert failure(read(path)) is None


def _unseen(*_: Any) -> bool:
    return False


def _not_utf8(*arguments: Any) -> None:
    """Refuse what must be, all for one reason."""
    refuse(*arguments)
    said = arguments[-1]
    said[said != NOTHING_SAID] = fault_number(Reason.NOT_UTF8, "")


FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "letters": (deadletters, "holds_card_like", _unseen),
    "AssertionError": (half.Half, "keep", lambda *_: None),
    "decoded": (decoder, "refuse", _not_utf8),
    "flood": (half.Rejects, "reasons", lambda rejects: half.Count(["not_json"])),
    "RecursionError": (placing.KeyCheck, "look", lambda *_: (_ for _ in ()).throw(RecursionError())),
    "fates": (Counter, "take_rejects", lambda counter: []),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Letters that hold cards, records in doubt that nobody keeps, a wrong reason, a sum that is none, an exception,
    records refused and not told of: each is found within the records that are tried."""
    monkeypatch.setattr(*FAULTS[kind])
    trials = chain(map(read, sorted(CORPUS.glob("*.json"))), (list(drawn(seed, RECORDS)) for seed in SEEDS))
    found = next((wrong for steps in trials if (wrong := failure(steps))), None)
    assert found is not None
    assert found.kind == kind


def test_a_failure_is_shrunk_to_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hundreds of records one is left that fails, with hardly more than what makes it fail."""
    monkeypatch.setattr(deadletters, "holds_card_like", _unseen)
    sound = SOUND["payments"]
    bad: Written = (sound[7][0], b"k", b'{"bank": "bnp", "note": "4111111111111111", "more": 7', [])
    (step,) = shrunk([Step("payments", (*sound[:200], bad, *sound[200:]), (200, 1, len(sound) - 200))])
    assert [record[2] for record in step.records] == [b"4111111111111111"]
