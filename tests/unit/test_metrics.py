"""What a worker says on /metrics: the names promised, no rate without payments, labels without end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter as Count
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client.parser import text_string_to_metric_families

from detector.contracts.policy import Policy
from detector.contracts.scope import PLATFORM, Scope, leaf_scope
from detector.counting.tally import Source
from detector.judging.outage import Outage
from streams.connections import REASONS
from streams.degraded.board import Board, Reason
from streams.degraded.readers import Reading
from streams.health import HealthServer
from streams.intake.lane import Totals
from streams.metrics import METRICS, WorkerMetrics, markdown
from streams.verdict.tenure import Facts

COUNTED = {"dimension", "bank", "method", "psp", "channel", "country", "network"}
PROMISED = {
    "pastille_approval_ratio": COUNTED | {"window"},
    "pastille_pending_ratio": COUNTED | {"window"},
    "pastille_payments_total": {"bank", "method", "status"},
    "pastille_outage_active": COUNTED | {"merchant", "kind", "severity"},
    "pastille_outage_children_left_out": COUNTED | {"merchant"},
    "pastille_outages_left_out": set(),
    "pastille_outages_total": {"kind", "trigger"},
    "pastille_events_total": {"feed", "topic", "result"},
    "pastille_dead_letters_total": {"reason"},
    "pastille_late_answers_total": set(),
    "pastille_too_late_total": set(),
    "pastille_policy_blocked_total": {"reason"},
    "pastille_maintenance_active": COUNTED | {"merchant"},
    "pastille_maintenances_refused": set(),
    "pastille_baseline_frozen_scopes": set(),
    "pastille_baselines_refused": set(),
    "pastille_tallies_left_out_total": set(),
    "pastille_passed_over_total": {"what"},
    "pastille_ingest_lag_events": {"source"},
    "pastille_watermark_age_seconds": {"source"},
    "pastille_boundary_seconds": set(),
    "pastille_judge_active": set(),
    "pastille_judge_standby": set(),
    "pastille_degraded": {"reason"},
    "pastille_outage_reader_up": {"group"},
    "pastille_outage_reader_unread_seconds": {"group"},
    "pastille_ledger_payments": {"source"},
    "pastille_queue_records": {"queue"},
    "pastille_judge_seconds_total": set(),
    "pastille_http_closed_total": {"reason"},
}
NOW_MS = 1_700_000_010_000
BNP, PIX = Scope((("bank", "bnp"),)), leaf_scope(("bank", "method", "psp"), ("bnp", "pix", "one"))
PIX_TWO = leaf_scope(("bank", "method", "psp"), ("bnp", "pix", "two"))
SHOP, OTHER_SHOP = Scope((("merchant", "shop-3"),)), Scope((("merchant", "shop-7"),))
SHOP_AT_BNP = Scope((("bank", "bnp"), ("merchant", "shop-3")))
HOSTILE = ('"', "\\", "\\n", "a\nb", "\\\"} 1", '",bank="x', "{", "}", "#", "a b", "\u2028", "\u202e", "\U0001f4b3",
           "é" * 128)  # fmt: skip
"""Names of banks, from outside."""


@dataclass
class FakeIntake:
    """An intake that counted a little."""

    lanes: dict[Source, Any] = field(
        default_factory=lambda: {
            Source("default", 0): SimpleNamespace(
                boundary_ms=NOW_MS - 4_000, counter=SimpleNamespace(stats=SimpleNamespace(payments=12)),
                keys=SimpleNamespace(sampled=200, mismatched=1),
            )
        }
    )
    bad: dict[str, int] = field(default_factory=lambda: {"not_json": 2})
    corrupt: dict[str, int] = field(default_factory=lambda: {"payments": 1})
    deleted: dict[str, int] = field(default_factory=lambda: {"payments": 6})
    takes_bytes: bool | None = True

    def totals(self) -> Totals:
        return Totals(events=Count({("default", "payments", "counted"): 7}), card_like=Count(bank=1), late_answers=3)

    def names_full(self) -> dict[str, bool]:
        return {"leaves": True, "codes": False}

    def payments(self, _totals: Totals) -> dict[tuple[str, ...], int]:
        return {("bnp", "pix", "approved"): 5}

    def queued(self) -> dict[str, int]:
        return {"tallies": 1, "letters": 2, "held": 3}

    def lag(self, _source: Source) -> int | None:
        return 11


def worker_of(facts: Facts | None, tell: Callable[[], None] = lambda: None) -> Any:
    """A worker with these facts of its Judge; None: it does not judge. `tell` is called in asking it.

    Rates that are not wanted are those of before: here none.
    """

    def say(*, rates: bool) -> Facts | None:
        tell()
        return facts if rates or facts is None else replace(facts, rates=())

    judge = SimpleNamespace(policy=Policy(children_max=2))
    tenure = None if facts is None else SimpleNamespace(facts=say, judge=judge, judged_s=1.5, waiting=lambda: 4)
    verdict = SimpleNamespace(tenure=tenure, started=Count({("all_red", "policy"): 1}), refused_maintenances=2,
                              refused_lessons=3, left_out=7, has_standby=tenure is None,
                              passed_over=SimpleNamespace(counts={"policy": 0, "tally": 9}))  # fmt: skip
    board = Board()
    board.say(Reason.BROKER, "no broker answers", 0.0)
    readers = SimpleNamespace(readings=(Reading("pager", False, 320.0),))
    lookout = SimpleNamespace(board=board, readers=readers)
    return SimpleNamespace(
        intake=FakeIntake(),
        verdict=verdict,
        lookout=lookout,
        is_compiled=True,
        wall_ms=lambda: NOW_MS,
        http_closed={"silent": 5, "slow": 0, "crowded": 1},
    )


def asked(facts: Facts | None, tell: Callable[[], None] = lambda: None, names: Sequence[str] = ()) -> bytes:
    """The page of that worker."""
    return asyncio.run(WorkerMetrics(worker_of(facts, tell)).page(names))


def read(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of a page, each by its name and labels once."""
    samples = [((s.name, frozenset(s.labels.items())), s.value)
               for family in text_string_to_metric_families(page.decode()) for s in family.samples]  # fmt: skip
    assert len(samples) == len(dict(samples)), "Prometheus takes no page that says a series twice"
    return dict(samples)


def scraped(facts: Facts | None, *names: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of that page, or of these names."""
    return read(asked(facts, names=names))


def labels(**values: str) -> frozenset[tuple[str, str]]:
    return frozenset(values.items())


def opened(scope: Scope, severity: Literal["critical", "warning"] = "critical", detected_ms: int = 0) -> Outage:
    """An outage that is open."""
    return Outage(scope.key, 1, 1, scope, "all_red", 0, 0, detected_ms, severity, False, frozenset((0,)), 1_000)


def judged() -> Facts:
    """A Judge with four scopes, one of them without a decided payment, and an open outage."""
    outage = opened(BNP)
    outage.children = [f"bank:bnp,method:{method}" for method in ("card", "pix", "wallet", "boleto", "transfer")]
    rates = [
        (PLATFORM, {60_000: [1, 6, 2, 1, 0, 0]}), (BNP, {60_000: [4, 0, 0, 0, 0, 0]}),
        (PIX, {60_000: [0, 3, 1, 0, 0, 0]}), (PIX_TWO, {60_000: [0, 1, 0, 0, 0, 0]}),
    ]  # fmt: skip
    return Facts(NOW_MS - 1_000, rates, [outage], {"min_merchants": 4}, [BNP], [BNP, PIX])


def test_every_promised_metric_is_in_the_list_with_its_labels() -> None:
    """Names and labels are what dashboards and alerts ask for."""
    listed = {metric.name: set(metric.labels) for metric in METRICS}
    assert {name: listed.get(name) for name in PROMISED} == PROMISED


def test_the_page_of_metrics_is_current() -> None:
    """docs/METRICS.md is what the list says; `python -m streams.metrics > docs/METRICS.md` writes it."""
    assert (Path(__file__).parents[2] / "docs" / "METRICS.md").read_text() == markdown()


def test_rates_are_of_decided_payments_only() -> None:
    """0.6 of the platform's decided; no approval ratio, never a 0, for a bank whose payments are all pending."""
    found = scraped(judged())
    platform = labels(dimension="platform", bank="", method="", window="1m")
    bnp = labels(dimension="bank", bank="bnp", method="", window="1m")
    assert found["pastille_approval_ratio", platform] == pytest.approx(6 / 9)
    assert ("pastille_approval_ratio", bnp) not in found
    assert found["pastille_pending_ratio", bnp] == 1.0


def test_leaves_that_differ_elsewhere_have_a_series_each() -> None:
    """Every dimension of a leaf is a label: two leaves of one bank and method are told apart."""
    found = scraped(judged())
    one, two = (labels(dimension="leaf", bank="bnp", method="pix", psp=psp, window="1m") for psp in ("one", "two"))
    assert (found["pastille_approval_ratio", one], found["pastille_approval_ratio", two]) == (0.75, 1.0)


def test_scopes_of_another_dimension_have_a_series_each() -> None:
    """`channel:app` and `channel:web` are not added up to one that names neither."""
    app, web = (Scope((("channel", name),)) for name in ("app", "web"))
    found = scraped(Facts(rates=[(app, {60_000: [0, 1, 3, 0, 0, 0]}), (web, {60_000: [0, 9, 1, 0, 0, 0]})]))
    said = {
        dict(said).get("channel"): rate for (name, said), rate in found.items() if name == "pastille_approval_ratio"
    }
    assert said == {"app": 0.25, "web": 0.9}


def test_a_scope_without_counts_has_no_rate() -> None:
    """Of a merchant's scope the Judge counts no payment of its own: nothing is told of it."""
    found = scraped(Facts(rates=[(SHOP, {60_000: [0] * 6}), (SHOP_AT_BNP, {60_000: [0] * 6})]))
    assert {name for name, _ in found}.isdisjoint({"pastille_approval_ratio", "pastille_pending_ratio"})


def test_a_judge_tells_its_outages() -> None:
    """The open outage is 1, and so is `judge_active`."""
    found = scraped(judged())
    active = labels(dimension="bank", bank="bnp", method="", kind="all_red", severity="critical")
    assert found["pastille_outage_active", active] == 1
    left_out = labels(dimension="bank", bank="bnp", method="")
    assert found["pastille_outage_children_left_out", left_out] == 3
    assert found["pastille_judge_active", labels()] == 1
    assert found["pastille_judge_standby", labels()] == 0
    assert found["pastille_policy_blocked_total", labels(reason="min_merchants")] == 4
    assert found["pastille_boundary_seconds", labels()] == (NOW_MS - 1_000) / 1000


def test_an_outage_is_a_series_that_names_its_scope() -> None:
    """Outages of two shops, of one of them at a bank, and of two leaves that differ in the PSP alone are five series,
    each with all that its scope fixes."""
    scopes = (SHOP, OTHER_SHOP, SHOP_AT_BNP, PIX, PIX_TWO)
    found = scraped(Facts(open_outages=[opened(scope) for scope in scopes]))
    named = {said: value for (name, said), value in found.items() if name == "pastille_outage_active"}
    common = {"kind": "all_red", "severity": "critical", "bank": "", "method": ""}
    assert named == {labels(**(common | {"dimension": scope.dimension} | dict(scope.values))): 1 for scope in scopes}


def test_left_out_children_name_their_scope() -> None:
    """What the events of two shops leave out is told of each."""
    outages = [opened(SHOP), opened(OTHER_SHOP)]
    for more, outage in enumerate(outages):
        outage.children = [f"bank:{number}" for number in range(3 + more)]
    found = scraped(Facts(open_outages=outages))
    said = {dict(said).get("merchant"): value for (name, said), value in found.items()
            if name == "pastille_outage_children_left_out"}  # fmt: skip
    assert said == {"shop-3": 1, "shop-7": 2}


def test_maintenances_of_two_shops_are_two_series() -> None:
    """A maintenance, too, names all of its scope."""
    found = scraped(Facts(maintained=[SHOP, OTHER_SHOP]))
    shops = {dict(said).get("merchant") for name, said in found if name == "pastille_maintenance_active"}
    assert shops == {"shop-3", "shop-7"}


def test_past_a_thousand_outages_the_newest_warnings_have_no_series(caplog: pytest.LogCaptureFixture) -> None:
    """Series are bounded: what pages is told first, then what is oldest; how many are left out is a metric and is
    logged once, not at each scrape."""
    warnings = [opened(Scope((("merchant", f"shop-{age}"),)), "warning", -age) for age in range(1_001)]
    page, logged = WorkerMetrics(worker_of(Facts(open_outages=[*warnings, opened(BNP)]))), []
    for _ in range(2):
        found = read(asyncio.run(page.page()))
        logged.append(caplog.text.count("1002 outages are open, 2 of them without a series"))
    told = [dict(said) for name, said in found if name == "pastille_outage_active"]
    assert (len(told), found["pastille_outages_left_out", labels()], logged) == (1_000, 2, [1, 1])
    assert [said["bank"] for said in told if said["severity"] == "critical"] == ["bnp"]
    assert not {"shop-0", "shop-1"} & {said.get("merchant") for said in told}


def test_no_outage_is_left_out_while_they_are_few() -> None:
    """0 says that every open outage has its series."""
    assert scraped(judged())["pastille_outages_left_out", labels()] == 0


def test_maintenances_are_told() -> None:
    """1 for each scope in one, and how many there was no room for."""
    found = scraped(judged())
    assert found["pastille_maintenance_active", labels(dimension="bank", bank="bnp", method="")] == 1
    assert found["pastille_maintenances_refused", labels()] == 2


def test_what_is_not_learned_is_told() -> None:
    """How many scopes a person is asked about, and how many lessons there was no room for."""
    found = scraped(judged())
    assert found["pastille_baseline_frozen_scopes", labels()] == 2
    assert found["pastille_baselines_refused", labels()] == 3


def test_a_gap_in_what_the_judge_is_told_is_told() -> None:
    """How many tallies came behind one that was lost."""
    assert scraped(judged())["pastille_tallies_left_out_total", labels()] == 7


def test_what_the_judge_passes_over_is_told() -> None:
    """By kind, also of those that there are none of yet."""
    found = scraped(judged())
    assert [found["pastille_passed_over_total", labels(what=what)] for what in ("policy", "tally")] == [0, 9]


def test_who_does_not_judge_tells_no_outage() -> None:
    """Who stands by says 0 for `judge_active` and nothing of scopes: two workers must not contradict each other."""
    found = scraped(None)
    assert found["pastille_judge_active", labels()] == 0
    assert found["pastille_judge_standby", labels()] == 1
    assert {name for name, _ in found}.isdisjoint({"pastille_outage_active", "pastille_approval_ratio"})


def test_counting_is_told_by_every_worker() -> None:
    """Events, payments, dead letters, lag and age of the sources at work."""
    found = scraped(None)
    assert found["pastille_events_total", labels(feed="default", topic="payments", result="counted")] == 7
    assert found["pastille_payments_total", labels(bank="bnp", method="pix", status="approved")] == 5
    assert found["pastille_dead_letters_total", labels(reason="not_json")] == 2
    assert found["pastille_ingest_lag_events", labels(source="default/0")] == 11
    assert found["pastille_watermark_age_seconds", labels(source="default/0")] == 4.0
    assert found["pastille_misplaced_ratio", frozenset()] == 1 / 200


def test_what_is_wrong_around_a_worker_is_told_by_reason() -> None:
    """1 for the reason in force, 0 for every other that there can be, always."""
    found = {dict(labels)["reason"]: value for (name, labels), value in scraped(None).items()
             if name == "pastille_degraded"}  # fmt: skip
    assert found == {"broker": 1, "writes": 0, "letters": 0, "readers": 0, "disk": 0, "clock": 0, "transactions": 0}


def test_who_reads_the_outages_is_told() -> None:
    """Of each group that must read: whether it has a member, and for how long its oldest event is unread."""
    found = scraped(None)
    assert found["pastille_outage_reader_up", labels(group="pager")] == 0
    assert found["pastille_outage_reader_unread_seconds", labels(group="pager")] == 320


def test_queues_and_the_time_of_judging_are_told() -> None:
    """What waits, by queue; how many payments a ledger holds; how long judging took, by who judges alone."""
    found = scraped(judged())
    queues = {dict(said)["queue"]: value for (name, said), value in found.items() if name == "pastille_queue_records"}
    assert queues == {"tallies": 1, "letters": 2, "held": 3, "waiting": 4}
    assert found["pastille_ledger_payments", labels(source="default/0")] == 12
    assert found["pastille_judge_seconds_total", labels()] == 1.5
    assert ("pastille_judge_seconds_total", labels()) not in scraped(None)


def test_a_scrape_holds_up_no_event() -> None:
    """The Judge is asked beside the event loop, which counts and sends tallies meanwhile."""
    asked_in: list[threading.Thread] = []
    assert b"pastille_judge_active 1.0" in asked(judged(), lambda: asked_in.append(threading.current_thread()))
    assert asked_in
    assert threading.main_thread() not in asked_in


def test_a_table_of_names_that_is_full_is_told() -> None:
    """Beside those that are not."""
    found = scraped(None)
    assert {table: found["pastille_names_full", labels(table=table)] for table in ("leaves", "codes")} == {
        "leaves": 1, "codes": 0,
    }  # fmt: skip


def test_connections_that_were_closed_are_told() -> None:
    """By reason, also those of which there were none."""
    found = scraped(None)
    closed = {reason: found["pastille_http_closed_total", labels(reason=reason)] for reason in REASONS}
    assert closed == {"silent": 5, "slow": 0, "crowded": 1}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_a_label(name: str) -> None:
    """Names come from outside: whatever a bank is called, the page is read as any other, and the name is the same."""
    bank = Scope((("bank", name),))
    found = scraped(Facts(rates=[(bank, {60_000: [0, 1, 3, 0, 0, 0]})], open_outages=[opened(bank)]))
    assert {dict(said)["bank"] for (metric, said) in found if metric == "pastille_outage_active"} == {name}
    assert found["pastille_approval_ratio", labels(dimension="bank", bank=name, method="", window="1m")] == 0.25


def test_a_page_of_some_metrics() -> None:
    """Who names metrics gets these as they are on the whole page, and nothing else; a name nobody has is no error."""
    whole, two = scraped(judged()), ("pastille_approval_ratio", "pastille_ledger_payments")
    assert scraped(judged(), *two, "nobody_has_this") == {at: value for at, value in whole.items() if at[0] in two}
    assert {name for name, _ in scraped(judged(), "pastille_boundary_seconds")} == {"pastille_boundary_seconds"}
    assert scraped(judged(), "nobody_has_this") == {}


def test_names_are_asked_for_in_the_query() -> None:
    """The query says which, each in a `name[]`, in either way to write the brackets."""
    wanted: list[list[str]] = []

    async def page(names: Collection[str]) -> bytes:
        wanted.append(list(names))
        return b""

    async def ask(path: str) -> None:
        server: Any = HealthServer(page, dict)
        await server._metrics(make_mocked_request("GET", path))

    for query in ("", "?name[]=one&name[]=two", "?name%5B%5D=one"):
        asyncio.run(ask(f"/metrics{query}"))
    assert wanted == [[], ["one", "two"], ["one"]]
