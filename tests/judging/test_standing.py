"""Who holds whom back: what only warns holds back nothing that pages, and evidence alone nothing that the operator's
rule has found. What evidence says here is written down; the rules read payments as ever."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from detector.contracts.models import Maintenance
from detector.contracts.policy import EvidenceRules, Policy, Resolve, Rule
from detector.contracts.scope import Leaf
from detector.counting.tally import Marker, Source, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from tests.alone import alone
from tests.property.dumb_judge import Payment, Teller
from tests.scripted import Found, Severity, script

A, B, C = LEAVES = tuple((bank, "card") for bank in "abc")
T0 = 1_700_000_000_000
RULES = alone(
    all_red=Rule(30_000, 4), wait_ms=0, min_merchants=1, resolve=Resolve(hold_ms=15_000, window_ms=20_000, decided=8)
)
LIVE = replace(RULES, evidence=EvidenceRules("live"))
Said = tuple[int, str, str, str, str | None]
"""Second, type, scope, severity and reason."""


def payments(dead: dict[Leaf, list[range]], until_s: int, silent: range = range(0)) -> list[Payment]:
    """One every two seconds of each leaf, answered at once: refused while it is dead. `silent`: of bank a alone."""
    out, voter = [], count(1)
    for leaf in LEAVES:
        for at_s in range(1, until_s, 2):
            status = "declined" if any(at_s in span for span in dead.get(leaf, [])) else "approved"
            if leaf == A or at_s not in silent:
                out.append(Payment(leaf, next(voter), 1, ((T0 + at_s * 1_000 - 900, status),)))
    return out


def tallies(told: list[Payment], until_s: int) -> list[Tally]:
    """What is counted of them, second by second."""
    teller, ends_ms = Teller(RULES, told), range(T0 + 1_000, T0 + until_s * 1_000, 1_000)
    return [teller.tally(Source("default", 0), {"default": 1}, end_ms, end_ms - 1_000) for end_ms in ends_ms]


def played(told: list[Payment], named: dict[int, list[Found]], over: dict[str, range] | None = None, until_s: int = 200,
           policy: Policy = LIVE) -> list[Change]:  # fmt: skip
    """What a Judge makes of them; seconds count from the first payment."""
    at_ms = {T0 + at_s * 1_000: found for at_s, found in named.items()}
    ends = {key: {T0 + at_s * 1_000 for at_s in span} for key, span in (over or {}).items()}
    judge = script(Judge(policy), at_ms, ends)
    changes = [change for tally in tallies(told, until_s) for change in judge.take(tally)]
    return [change for change in changes if change.data.reason != "more_scopes"]


def said(dead: dict[Leaf, list[range]], named: dict[int, list[Found]], over: dict[str, range] | None = None,
         until_s: int = 200, policy: Policy = LIVE) -> list[Said]:  # fmt: skip
    """In short, what is said where these are dead."""
    return [
        ((change.data.updated_at - T0) // 1_000, change.type, change.data.scope.to_scope().key, change.data.severity,
         change.data.reason) for change in played(payments(dead, until_s), named, over, until_s, policy)
    ]  # fmt: skip


def of(found: list[Said], *scopes: str) -> list[Said]:
    """What is said of these scopes."""
    return [one for one in found if one[2] in scopes]


DEAD = {A: [range(60, 150)]}
"""Bank a, of three: by the rules alone it is called for at 90 s, and over at 176."""
ALONE = [(90, "started", "bank:a", "critical", None), (176, "resolved", "bank:a", "critical", "recovered")]


def test_the_rules_alone() -> None:
    """What the stories below are held against."""
    assert said(DEAD, {}, policy=RULES) == ALONE


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_evidence_above_vetoes_no_rule(severity: Severity) -> None:
    """A bank that evidence took for the whole platform is called for when the operator's rule breaks; the platform
    stays what it was, and that it is over changes nothing below it."""
    found = said(
        DEAD, {70: [("bank:a", "warning", [A])], 72: [("platform", severity, LEAVES)]}, {"platform": range(120, 200)}
    )
    assert found == [
        (70, "started", "bank:a", "warning", None),
        (72, "resolved", "bank:a", "warning", "superseded"),
        (72, "started", "platform", severity, None),
        (90, "started", "bank:a", "critical", None),
        (120, "resolved", "platform", severity, "recovered"),
        (176, "resolved", "bank:a", "critical", "recovered"),
    ]  # fmt: skip


def test_the_end_of_evidence_restarts_no_streak() -> None:
    """What evidence alone found above a bank is over before the bank's rule breaks: it breaks when it would have."""
    found = said(DEAD, {70: [("platform", "warning", LEAVES)]}, {"platform": range(86, 200)})
    assert of(found, "bank:a") == ALONE


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_evidence_takes_over_nothing_of_the_rule(severity: Severity) -> None:
    """A bank for which the operator's rule has called stays its own outage when evidence names the platform."""
    found = said(DEAD, {100: [("platform", severity, LEAVES)]}, {"platform": range(120, 200)})
    assert of(found, "bank:a") == ALONE
    assert of(found, "platform") == [
        (100, "started", "platform", severity, None), (120, "resolved", "platform", severity, "recovered")
    ]  # fmt: skip


def test_a_warning_holds_back_no_page() -> None:
    """Evidence that pages is an outage of its own below one that only warns; below one that pages it is a child."""
    named: dict[int, list[Found]] = {
        20: [("platform", "warning", LEAVES)], 22: [("bank:a", "warning", [A])], 24: [("bank:a", "critical", [A])],
        26: [("bank:b", "critical", [B]), ("bank:a", "critical", [A])],
        30: [("platform", "critical", LEAVES)], 32: [("bank:c", "critical", [C]), ("bank:a", "critical", [A])],
    }  # fmt: skip
    assert said({}, named, until_s=60) == [
        (20, "started", "platform", "warning", None),
        (24, "started", "bank:a", "critical", None),
        (26, "started", "bank:b", "critical", None),
        (30, "resolved", "bank:a", "critical", "superseded"),
        (30, "resolved", "bank:b", "critical", "superseded"),
        (30, "updated", "platform", "critical", "worse"),
    ]


def test_a_warning_takes_over_no_page() -> None:
    """A page of the evidence is not over because evidence for something wider only warns."""
    found = said({}, {20: [("bank:a", "critical", [A])], 24: [("platform", "warning", LEAVES)]}, until_s=60)
    assert [one[1:] for one in found] == [
        ("started", "bank:a", "critical", None), ("started", "platform", "warning", None)
    ]  # fmt: skip


def test_a_rule_that_joins_takes_over_what_is_below() -> None:
    """The operator's rule speaks for a platform that evidence had found: it takes over the bank that called before."""
    dead = {A: [range(60, 150)], B: [range(75, 150)], C: [range(75, 150)]}
    found = said(dead, {70: [("platform", "warning", LEAVES)]}, {"platform": range(150, 200)})
    assert found == [
        (70, "started", "platform", "warning", None),
        (90, "started", "bank:a", "critical", None),
        (105, "resolved", "bank:a", "critical", "superseded"),
        (105, "updated", "platform", "critical", "policy"),
        (176, "resolved", "platform", "critical", "recovered"),
    ]


def test_what_the_rule_calls_over_rests_on_evidence_alone() -> None:
    """The platform comes back as far as the rule asks, not as far as evidence does, and stays open. A bank that dies
    then is called for as by the rules alone; and so is the platform, when it dies again."""
    dead = {
        A: [range(60, 120), range(160, 260)],
        B: [range(60, 120), range(230, 300)],
        C: [range(60, 120), range(230, 300)],
    }
    alone_ = [one for one in said(dead, {}, until_s=300, policy=RULES) if one[1] == "started"]
    assert [one[:3] for one in alone_] == [
        (90, "started", "platform"),
        (190, "started", "bank:a"),
        (260, "started", "platform"),
    ]
    found = said(dead, {70: [("platform", "critical", LEAVES)]}, until_s=300)
    assert found == [
        (70, "started", "platform", "critical", None),
        (90, "updated", "platform", "critical", "policy"),
        (190, "started", "bank:a", "critical", None),
        (260, "resolved", "bank:a", "critical", "superseded"),
        (260, "updated", "platform", "critical", "policy"),
    ]


def test_a_name_that_the_rule_may_not_say_is_not_joined() -> None:
    """Only one bank is awake: to the operator's rule it is the bank, whatever evidence had named."""
    told = payments({A: [range(60, 150)]}, 120, silent=range(50, 120))
    out = played(told, {70: [("platform", "warning", LEAVES)]}, until_s=120)
    assert [(change.data.scope.to_scope().key, change.data.trigger, change.data.severity) for change in out] == [
        ("platform", "evidence", "warning"), ("bank:a", "policy", "critical")
    ]  # fmt: skip


def test_what_is_silent_holds_back_no_rule() -> None:
    """Trouble that came back wakes nobody for what evidence finds below it, and somebody where the rule breaks."""
    named: dict[int, list[Found]] = {
        20: [("platform", "critical", LEAVES)],
        60: [("platform", "critical", LEAVES)],
        65: [("bank:a", "critical", [A])],
    }
    assert said(DEAD, named, {"platform": range(40, 45)}, until_s=100) == [
        (20, "started", "platform", "critical", None),
        (40, "resolved", "platform", "critical", "recovered"),
        (60, "started", "platform", "warning", "reopened"),
        (90, "started", "bank:a", "critical", None),
    ]


def test_an_announced_scope_is_no_page_whoever_finds_it() -> None:
    """Where the bank is announced its own outage is a warning, below a warning of the evidence, too."""
    at_ms = {T0 + 70_000: [("platform", "warning", LEAVES)]}
    judge = script(Judge(LIVE), at_ms, {})
    announced = Maintenance(maintenance_id="m", scope="bank:a", starts_at=T0, ends_at=T0 + 100_000, declared_at=T0)
    judge.take(Marker("maintenance", text=announced.model_dump_json()))
    changes = [change for tally in tallies(payments(DEAD, 120), 120) for change in judge.take(tally)]
    found = [((change.data.updated_at - T0) // 1_000, change.data.severity, change.data.reason) for change in changes
             if change.data.scope.bank == "a"]  # fmt: skip
    assert found == [(90, "warning", None), (100, "critical", "maintenance_over")]


def test_what_is_in_breach_is_not_called_over() -> None:
    """Where evidence began before the streak, the operator's rule finds approvals since then that are older than what
    is wrong: as long as it is broken it calls nothing over, and joins once."""
    statuses = {**dict.fromkeys(range(1, 68, 2), "approved"), **dict.fromkeys((75, 85, 95, 104), "declined"),
                **dict.fromkeys((107, 113, 119), "pending")}  # fmt: skip
    told = [Payment(A, at_s, 1, ((T0 + at_s * 1_000 - 900, status),)) for at_s, status in statuses.items()]
    joined = [
        ((change.data.updated_at - T0) // 1_000, change.data.reason)
        for change in played(told, {70: [("bank:a", "warning", [A])]}, until_s=130)
    ]
    assert joined == [(70, None), (104, "policy")]


def test_a_judge_that_lost_everything_takes_both_over() -> None:
    """The warning and the page below it are open on the topic: each goes on under its id, and ends by itself."""
    told = tallies(payments(DEAD, 220), 220)
    named = {T0 + 70_000: [("platform", "warning", LEAVES)], T0 + 130_000: [("bank:a", "critical", [A])]}
    over = {"platform": {T0 + 140_000}, "bank:a": set(range(T0 + 180_000, T0 + 220_000, 1_000))}
    judge = script(Judge(LIVE), dict(named), over)
    newest = {change.data.outage_id: change.data for tally in told[:100] for change in judge.take(tally)}
    assert [data.severity for data in newest.values()] == ["warning", "critical"]
    again = script(Judge(LIVE), dict(named), over)
    again.adopt(newest.values())
    after = [change.data for tally in told[100:] for change in again.take(tally) if change.data.reason != "more_scopes"]
    assert [(data.scope.to_scope().key, data.severity, data.reason) for data in after] == [
        ("bank:a", "critical", "evidence"), ("platform", "warning", "recovered"), ("bank:a", "critical", "recovered")
    ]  # fmt: skip
    assert {data.outage_id for data in after} == set(newest)


def test_a_snapshot_of_before_is_read() -> None:
    """One that says of no outage whether the operator's rule has called it over."""
    judge = Judge(RULES)
    for tally in tallies(payments(DEAD, 120), 120):
        judge.take(tally)
    state = judge.export()
    [was] = state["lifecycle"]["open"]
    del was["released"]
    assert [outage.is_ruled for outage in Judge.restore(state).open_outages()] == [True]
