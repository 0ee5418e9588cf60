"""The topic of maintenances against what the Judge knows: what is said to it, when again, and what is refused."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from detector.contracts.models import Maintenance
from detector.contracts.policy import Policy
from detector.judging.judge import Judge
from detector.judging.maintenance import FORGET_MS
from streams.maintenances import fold
from streams.verdict.announcements import REPEAT_S, Notices, news
from tests.judging.test_judge import T0, tally
from tests.judging.test_maintenance import marker, said

WALL_MS = T0 + 100_000


def topic(*announced: Maintenance) -> dict[str, Maintenance]:
    """The topic, folded."""
    return {one.maintenance_id: one for one in announced}


def judge_of(*announced: Maintenance, at_s: int = 100, policy: Policy | None = None) -> Judge:
    """A Judge at a boundary that took these."""
    judge = Judge(policy or Policy())
    for one in announced:
        judge.take(marker(one))
    judge.take(tally(at_s, approved=1))
    return judge


def words(judge: Judge, *announced: Maintenance) -> list[tuple[str, int, bool]]:
    """What is news: id, end, cancelled."""
    found = news(topic(*announced), judge, judge.time_ms)
    return [(one.maintenance_id, (one.ends_at - T0) // 1_000, one.cancelled) for one in found]


def follower(*records: Maintenance, clock: str = "wall") -> Notices:
    """One that has read these."""
    notices = Notices(clock == "wall")
    for offset, one in enumerate(records):
        notices.take(one.maintenance_id.encode(), one.model_dump_json().encode(), offset)
    return notices


def test_the_topic_is_the_truth() -> None:
    """New and changed ones are said, known ones are not, and what is not there any more is called off."""
    judge = judge_of(said("a"), said("b"), said("c"), said("d", cancelled=True), said("e", end_s=50))
    assert words(judge, said("a", at_s=7), said("b", end_s=700), said("f")) == [
        ("b", 700, False), ("f", 600, False), ("c", 600, True)
    ]  # fmt: skip


def test_what_is_long_over_or_called_off_is_no_news() -> None:
    """A Judge that never knew of it need not; one that ended within the day is told, for events of that time."""
    judge = judge_of(at_s=FORGET_MS // 1_000 + 500)
    assert words(judge, said("a", end_s=400), said("b", cancelled=True), said("c", end_s=600)) == [("c", 600, False)]


def test_a_marker_is_not_written_again_soon() -> None:
    """While the Judge is behind it reads late what was written: it is written again after a minute."""
    notices, judge = follower(said()), judge_of()
    counts = [len(notices.markers(judge, WALL_MS, now_s)) for now_s in (0.0, 1.0, REPEAT_S - 1, REPEAT_S + 1)]
    assert counts == [1, 0, 0, 1]


def test_the_log_masks_a_merchant(caplog: pytest.LogCaptureFixture) -> None:
    """Where a maintenance is of one shop; the marker has its name."""
    caplog.set_level(logging.INFO)
    shop = said().model_copy(update={"scope": "merchant:blumen-meier,method:card"})
    [found] = follower(shop).markers(judge_of(), WALL_MS, 0.0)
    assert "blumen-meier" in found.text
    assert "of method:card,merchant:bl…" in caplog.text
    assert "umen" not in caplog.text


@pytest.mark.parametrize(
    ("clock", "declared_s", "obeyed_s"),
    [("wall", 90, 90), ("wall", 900, 100), ("wall", None, None), ("events", 90, None)],
)  # fmt: skip
def test_no_other_clock_puts_it_off(clock: str, declared_s: int | None, obeyed_s: int | None) -> None:
    """Obeyed from `declared_at`, from now where that lies ahead, and at once where events alone move time."""
    [found] = follower(said(at_s=declared_s), clock=clock).markers(judge_of(), WALL_MS, 0.0)
    assert json.loads(found.text)["declared_at"] == (None if obeyed_s is None else T0 + obeyed_s * 1_000)


def test_past_the_limit_is_counted_and_not_written() -> None:
    """What there is no room for is refused; changes of what is known are written."""
    judge = judge_of(said("a"), policy=Policy(maintenances_max=1))
    notices = follower(said("a", end_s=700), said("b"), said("c"))
    assert [json.loads(one.text)["maintenance_id"] for one in notices.markers(judge, WALL_MS, 0.0)] == ["a"]
    assert notices.refused == 2


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        (b"m2", {"maintenance_id": "m1"}, "the key is the maintenance_id"),
        (b"m1", {"scope": "x"}, "scope: a scope is"), (None, {}, "the key is"),
        (b"m1", {"ends_at": 0}, "ends after it starts"),
    ],
)  # fmt: skip
def test_what_is_no_record_of_the_topic(key: bytes | None, value: dict[str, Any], word: str) -> None:
    """It is passed over, and the words say why."""
    record = json.loads(said().model_dump_json()) | value
    with pytest.raises(ValueError, match=word):
        fold({}, key, json.dumps(record).encode())


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        (b"m1", {"scope": "merchant:blumen-meier,merchant:blumen-meier"}, "scope: a scope fixes each dimension once"),
        (b"m1", {"scope": "merchant:blumen-meier,bnp; got"}, 'scope: a scope is "platform"'),
        (b"merchant:blumen-meier", {}, "the key is the maintenance_id"),
    ],
)  # fmt: skip
def test_the_log_does_not_quote_what_is_no_record(
    key: bytes, value: dict[str, Any], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A merchant may stand in it: the words say what is wrong, and where it is to be looked at."""
    Notices(True).take(key, json.dumps(json.loads(said().model_dump_json()) | value).encode(), 7)
    assert f"record 7 of the maintenances is passed over: {word}" in caplog.text
    assert "umen" not in caplog.text


def test_a_record_without_a_value_ends_what_was_said() -> None:
    """It is not on the topic any more; of one that never was nothing happens."""
    known = topic(said("a"))
    fold(known, b"a", None)
    fold(known, b"b", None)
    assert known == {}
