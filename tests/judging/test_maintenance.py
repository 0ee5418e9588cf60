"""Announced unavailability: what it covers, when it is obeyed and forgotten, and what it makes of an outage."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from detector.contracts.models import MAINTENANCE_MS_MAX, Maintenance
from detector.contracts.scope import parse_scope
from detector.counting.tally import Marker, decode, encode
from detector.judging.judge import Judge
from detector.judging.maintenance import FORGET_MS, Maintenances
from detector.judging.outage import Change
from tests.judging.test_judge import POLICY, T0, die, refilled, tally

BASE = {"maintenance_id": "m1", "scope": "bank:bnp", "starts_at": T0, "ends_at": T0 + 600_000}


def said(maintenance_id: str = "m1", scope: str = "bank:bnp", begin_s: int = 0, end_s: int = 600, *,
         at_s: int | None = None, cancelled: bool = False, note: str | None = None) -> Maintenance:  # fmt: skip
    """A maintenance; times are seconds from T0."""
    return Maintenance(
        maintenance_id=maintenance_id, scope=scope, starts_at=T0 + begin_s * 1_000, ends_at=T0 + end_s * 1_000,
        declared_at=None if at_s is None else T0 + at_s * 1_000, cancelled=cancelled, note=note,
    )  # fmt: skip


def marker(maintenance: Maintenance) -> Marker:
    """As it stands in the log."""
    read = decode(encode(Marker("maintenance", text=maintenance.model_dump_json())))
    assert isinstance(read, Marker)
    return read


def known(*announced: Maintenance, at_s: int = 1) -> Maintenances:
    """Maintenances as of a boundary."""
    maintenances = Maintenances()
    for one in announced:
        assert maintenances.announce(one, 10)
    maintenances.move_to(T0 + at_s * 1_000, [])
    return maintenances


def seen(changes: list[Change]) -> list[tuple[str, int, str | None, str, bool]]:
    """Type, seconds from T0, reason, severity, scheduled; whether there is traffic is another matter."""
    return [(change.type, (change.data.updated_at - T0) // 1_000, change.data.reason, change.data.severity,
             change.data.scheduled) for change in changes if "traffic" not in str(change.data.reason)]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ends_at": T0}, "ends after it starts"), ({"ends_at": T0 + MAINTENANCE_MS_MAX + 1}, "31 days"),
        ({"scope": "bnp"}, "a scope is"), ({"scope": "planet:mars"}, "planet"),
        ({"scope": "bank:bnp,bank:axa"}, "each dimension once"), ({"scope": ""}, "at least 1"),
        ({"starts_at": "2026-05-02T02:00:00"}, "with a zone"), ({"note": "4111 1111 1111 1111"}, "card number"),
        ({"maintenance_id": "4111111111111111"}, "card number"),
        ({"scope": "merchant:4111111111111111"}, "card number"),
        ({"scope": "method:card,bank:4111 1111 1111 1111"}, "card number"), ({"maintenance_id": "a/b"}, "pattern"),
        ({"note": "a\nb"}, "pattern"), ({"cancelled": "no"}, "boolean"),
    ],
)  # fmt: skip
def test_what_is_no_maintenance(change: dict[str, object], word: str) -> None:
    """A wrong interval, scope, time or text is refused, and the message says what is right."""
    with pytest.raises(ValidationError, match=word):
        Maintenance.model_validate({**BASE, **change})


def test_a_scope_is_written_one_way() -> None:
    """Dimensions come in their order, times as epoch ms, whoever wrote them how."""
    read = Maintenance.model_validate({**BASE, "scope": "method:card,bank:bnp", "starts_at": "2023-11-14T22:13:20Z"})
    assert (read.scope, read.starts_at) == ("bank:bnp,method:card", T0)


@pytest.mark.parametrize(
    ("announced", "scope", "is_covered"),
    [
        ("bank:bnp", "bank:bnp", True), ("bank:bnp", "bank:bnp,method:card", True), ("bank:bnp", "bank:axa", False),
        ("bank:bnp", "method:card", False), ("bank:bnp", "platform", False), ("method:card", "bank:bnp", False),
        ("method:card", "bank:bnp,method:card", True), ("bank:bnp,method:card", "bank:bnp", False),
        ("bank:bnp,method:card", "bank:bnp,method:pix", False), ("platform", "platform", True),
        ("platform", "bank:bnp,method:card", True), ("method:card,bank:bnp", "bank:bnp,method:card", True),
    ],
)  # fmt: skip
def test_what_is_covered(announced: str, scope: str, is_covered: bool) -> None:
    """The announced scope and all below it by name; never what is wider."""
    assert (known(said(scope=announced)).covering(parse_scope(scope)) is not None) == is_covered


@pytest.mark.parametrize(("at_s", "is_covered"), [(9, False), (10, True), (19, True), (20, False)])
def test_an_interval_has_its_first_boundary_and_not_its_last(at_s: int, is_covered: bool) -> None:
    """From the boundary at `starts_at` up to before the one at `ends_at`."""
    maintenances = known(said(begin_s=10, end_s=20), at_s=at_s)
    assert (maintenances.covering(parse_scope("bank:bnp")) is not None) == is_covered
    assert [scope.key for scope in maintenances.running()] == ["bank:bnp"] * is_covered


def test_of_several_the_one_that_ends_last_covers() -> None:
    """The bank's, the platform's, or another of the bank: whichever lasts longest is named."""
    announced = (said("a", end_s=100), said("b", "platform", end_s=300), said("c", end_s=200))
    found = known(*announced).covering(parse_scope("bank:bnp"))
    assert found is not None
    assert found.maintenance_id == "b"


def test_a_change_is_obeyed_when_it_was_said() -> None:
    """Until then the older word holds; a word that came later in the log is not undone by an earlier one."""
    maintenances = known(said(end_s=100), said(end_s=200, at_s=50), said(end_s=300, at_s=60), said(end_s=400, at_s=55))
    ends = []
    for at_s in (49, 50, 55, 60):
        maintenances.move_to(T0 + at_s * 1_000, [])
        found = maintenances.covering(parse_scope("bank:bnp"))
        ends.append((found.ends_at - T0) // 1_000 if found else None)
    assert ends == [100, 200, 400, 400]
    assert [newest.ends_at for newest in maintenances.all()] == [T0 + 400_000]


def test_past_the_limit_more_are_refused() -> None:
    """What is known may change, what is new waits until something is forgotten, a day after its end."""
    maintenances = Maintenances()
    assert [maintenances.announce(said(name), 2) for name in ("a", "b", "c")] == [True, True, False]
    maintenances.move_to(T0, [])
    assert maintenances.announce(said("a", end_s=700), 2)
    maintenances.move_to(T0 + 600_000 + FORGET_MS, [])
    assert "b" not in {one.maintenance_id for one in maintenances.all()}
    assert maintenances.announce(said("c"), 2)


def test_what_is_called_off_makes_room() -> None:
    """As soon as it was said, and for good, whether it ran or not; one that was only changed still takes its own, and a
    late copy of what was announced before counts as any other word."""
    maintenances = Maintenances()
    assert [maintenances.announce(said(name), 2) for name in ("a", "b")] == [True, True]
    maintenances.move_to(T0 + 1_000, [])
    assert not maintenances.announce(said("c", begin_s=3_600, end_s=7_200), 2)
    off = said("a", cancelled=True)
    assert [maintenances.announce(one, 2) for one in (off, off, said("c"), said("d"))] == [True, True, True, False]
    maintenances.move_to(T0 + 2_000, [])
    assert [one.maintenance_id for one in maintenances.all()] == ["b", "c"]
    assert [maintenances.announce(one, 2) for one in (off, said("a"), said("b", end_s=700))] == [True, False, True]
    maintenances.move_to(T0 + 3_000, [])
    assert [one.maintenance_id for one in maintenances.all()] == ["b", "c"]
    assert maintenances.announce(said("b", cancelled=True), 2)
    assert maintenances.announce(said("a"), 2), "said again it is announced again"


def test_the_note_of_what_is_called_off_is_known_while_an_outage_names_it() -> None:
    """The outage pages from the next boundary on; the room is free meanwhile."""
    judge = Judge(replace(POLICY, maintenances_max=1))
    judge.take(marker(said(end_s=3_600, note="new core")))
    die(judge)
    judge.take(marker(said(end_s=3_600, cancelled=True, note="new core")))
    assert seen(judge.take(tally(125, declined=1))) == [("updated", 121, "maintenance_over", "critical", False)]
    assert judge.maintenances.note(judge.open_outages()[0]) == "new core"
    assert judge.maintenances.has_room_for(said("b"), 1)
    restored = Judge.restore(judge.export())
    assert restored.maintenances.has_room_for(said("b"), 1)


def test_what_an_earlier_judge_took_and_this_one_would_not_is_left_out() -> None:
    """A snapshot with a scope that looks like a card number is read all the same, without it."""
    state = known(said("a"), said("b")).export()
    state["known"][0] = state["known"][0].replace("bank:bnp", "merchant:4111111111111111")
    restored = Maintenances()
    restored.load({**state, "waiting": state["known"][:1]})
    assert [one.maintenance_id for one in restored.all()] == ["b"]


def test_what_an_open_outage_names_is_not_forgotten() -> None:
    """However long ago it ended: its note is still told."""
    judge = Judge(POLICY)
    judge.take(marker(said(end_s=150, note="core banking")))
    die(judge)
    [outage] = judge.open_outages()
    judge.maintenances.due_ms = 0
    judge.maintenances.move_to(T0 + 10 * FORGET_MS, [outage])
    assert judge.maintenances.note(outage) == "core banking"
    judge.maintenances.due_ms = 0
    judge.maintenances.move_to(T0 + 10 * FORGET_MS, [])
    assert judge.maintenances.all() == []


def test_an_announced_outage_warns_and_pages_when_it_outlasts_it() -> None:
    """Scheduled and a warning from the start; at the end, jumped to over a silent stretch, critical by an update."""
    judge = Judge(POLICY)
    assert judge.take(marker(said(end_s=150, note="core banking"))) == []
    changes = die(judge)
    assert seen(changes) == [("started", 90, None, "warning", True)]
    assert "Announced maintenance until 22:15 UTC (core banking)." in changes[0].data.explanation
    changes = judge.take(tally(400))
    assert seen(changes) == [("updated", 150, "maintenance_over", "critical", False)]
    [over] = [change.data for change in changes if change.data.reason == "maintenance_over"]
    assert over.maintenance_id == "m1"
    assert "The maintenance announced for it is over." in over.explanation


def test_declared_for_an_open_outage() -> None:
    """It becomes a warning at the next boundary; extended, it says so; called off, it is critical again."""
    judge = Judge(POLICY)
    assert seen(die(judge)) == [("started", 90, None, "critical", False)]
    told = []
    for at_s, maintenance in ((130, said(at_s=129)), (135, said(end_s=900, at_s=134)), (140, said(cancelled=True))):
        assert judge.take(marker(maintenance)) == []
        told += judge.take(tally(at_s, declined=3))
    assert seen(told) == [
        ("updated", 129, "maintenance", "warning", True), ("updated", 134, "maintenance", "warning", True),
        ("updated", 136, "maintenance_over", "critical", False),
    ]  # fmt: skip


def test_muted_it_stays_a_warning_until_the_judge_has_caught_up() -> None:
    """What outlasts its maintenance while the Judge is behind the clock pages when that ends, not before."""
    judge = Judge(POLICY)
    judge.take(marker(said(end_s=150)))
    die(judge)
    judge.take(Marker("catching_up"))
    changes = judge.take(tally(152, declined=3))
    assert seen(changes) == [("updated", 150, "maintenance_over", "warning", False)]
    assert changes[-1].data.catching_up
    assert seen(judge.take(Marker("caught_up"))) == [("updated", 152, "caught_up", "critical", False)]


def test_caught_up_in_a_maintenance_pages_nobody() -> None:
    """Announced, an outage found behind the clock stays a warning when the clock is reached."""
    judge = Judge(POLICY)
    judge.take(Marker("catching_up"))
    judge.take(marker(said()))
    die(judge)
    assert seen(judge.take(Marker("caught_up"))) == [("updated", 120, "caught_up", "warning", True)]


def test_in_shadow_mode_nothing_becomes_critical() -> None:
    """The event says that it is over, and is still a warning."""
    judge = Judge(replace(POLICY, page_mode="shadow"))
    judge.take(marker(said(end_s=150)))
    die(judge)
    assert seen(judge.take(tally(152, declined=3))) == [("updated", 150, "maintenance_over", "warning", False)]


def test_health_says_maintenance_and_offers_nothing_announced() -> None:
    """Covered scopes say so with an outage and without; none of them is an alternative to what is down."""
    judge = Judge(POLICY)
    judge.take(marker(said(scope="bank:bnp")))
    judge.take(tally(5, approved=30))
    status = {record.key: record.status for record in judge.health()}
    assert status == {"platform": "healthy", "bank:bnp": "maintenance", "method:card": "healthy",
                      "bank:bnp,method:card": "maintenance"}  # fmt: skip
    die(judge)
    found = {record.key: (record.status, bool(record.outage_id)) for record in judge.health()}
    assert found["bank:bnp"] == ("maintenance", True)
    outage = judge.open_outages()[0]
    working = judge.report.offers.instead_of(outage.scope, [outage.scope])
    assert not [key for key in working if "bnp" in key]


def test_a_restored_judge_knows_what_was_announced() -> None:
    """Obeyed or not yet: the same events at the same boundaries as from the Judge that wrote the snapshot."""
    log = [marker(said(end_s=150)), *(tally(at_s, approved=3) for at_s in range(5, 65, 5)),
           *(tally(at_s, declined=3) for at_s in range(65, 125, 5)), marker(said(end_s=200, at_s=140))]  # fmt: skip
    judge, restored = refilled(log)
    assert restored.health() == judge.health()
    expected = judge.take(tally(300, declined=3))
    assert [entry[:3] for entry in seen(expected)] == [
        ("updated", 140, "maintenance"), ("updated", 200, "maintenance_over")
    ]  # fmt: skip
    assert restored.take(tally(300, declined=3)) == expected


def test_an_adopted_outage_that_nothing_covers_pages() -> None:
    """A Judge that lost its state and knows of no maintenance does not keep a warning for ever; in doubt it pages."""
    first = Judge(POLICY)
    first.take(marker(said()))
    [started] = die(first)
    for announced, expected in ((False, [("updated", "critical")]), (True, [("updated", "warning")])):
        judge = Judge(POLICY)
        judge.adopt([started.data])
        if announced:
            judge.take(marker(said()))
        changes = judge.take(tally(130, declined=3)) + judge.take(tally(135, declined=3))
        assert [(change.type, change.data.severity) for change in changes] == expected
