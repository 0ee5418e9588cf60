"""What merchants did since an onset, from what sources told of their open panes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.counting.tally import Details, Source
from detector.judging.lately import NAMES_MAX, Lately

LEAF = ("itau", "card")
SOURCE = Source("default", 0)
OPEN_MS = 660_000


def told(counts: dict[str, tuple[int, int]], leaf: tuple[str, ...] = LEAF) -> Details:
    """Details of one leaf: approved and refused by merchant."""
    table = np.array([[yes + no, yes, no, 0] for yes, no in counts.values()], np.int32).reshape(-1, 4)
    rows = np.arange(len(counts), dtype=np.int32)
    return Details((leaf,), tuple(counts), np.zeros(len(counts), np.int32), rows, table)


def stream(seed: int, minutes: int, struck_ms: int) -> tuple[Lately, dict[str, np.ndarray]]:
    """Ten shops with a payment every two seconds in all; one of them is refused everything from `struck_ms` on. With
    what came from then on."""
    chance, lately = np.random.default_rng(seed), Lately()
    begun: list[tuple[int, str, int]] = []
    for now_ms in range(0, minutes * 60_000, 5_000):
        for _ in range(chance.poisson(2.5)):
            shop = f"shop-{int(chance.integers(10))}"
            is_struck = shop == "shop-3" and now_ms >= struck_ms
            begun.append((now_ms, shop, int(is_struck or chance.random() < 0.1)))
        held = [one for one in begun if one[0] > now_ms - OPEN_MS]
        lately.note(SOURCE, now_ms + 5_000, told(_counted(held)))
    since = {shop: np.array(pair) for shop, pair in _counted([one for one in begun if one[0] >= struck_ms]).items()}
    return lately, since


def _counted(payments: list[tuple[int, str, int]]) -> dict[str, tuple[int, int]]:
    counts: dict[str, list[int]] = {}
    for _, shop, column in payments:
        counts.setdefault(shop, [0, 0])[column] += 1
    return {shop: (pair[0], pair[1]) for shop, pair in sorted(counts.items())}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("minutes_ago", [1, 5, 20, 45])
def test_what_came_since_an_onset_is_known_however_long_ago(seed: int, minutes_ago: int) -> None:
    """Of each shop what came since the onset is known within a few payments, also past the time that panes are open."""
    onset_ms = (60 - minutes_ago) * 60_000
    lately, truth = stream(seed, 60, onset_ms)
    found = lately.since(onset_ms, {LEAF}, OPEN_MS)
    for shop, (yes, no) in truth.items():
        got = found.get(shop, np.zeros(2))
        # Of what was held at the onset the part that came before it is known but for chance.
        assert got.tolist() == pytest.approx([yes, no], abs=4), (seed, shop)
    assert max(found, key=lambda shop: float(found[shop][1])) == "shop-3", seed


@pytest.mark.parametrize("seed", range(4))
def test_a_burst_that_leaves_is_not_what_did_not_come(seed: int) -> None:
    """A shop that was refused four times as often in two minutes eleven minutes ago was so ever since, too: what left
    the open panes meanwhile is known, not taken for the mean."""
    lately, chance, begun = Lately(), np.random.default_rng(seed), list[tuple[int, str, int]]()
    now_ms = onset_ms = 50 * 60_000
    for at_ms in range(0, now_ms + 90_000, 5_000):
        is_burst = onset_ms - OPEN_MS <= at_ms < onset_ms - OPEN_MS + 120_000
        begun += [(at_ms, "shop-3", 1)] * int(chance.poisson(8 if is_burst else 2) if at_ms >= 1_800_000 else 0)
        held = [one for one in begun if one[0] > at_ms - OPEN_MS]
        lately.note(SOURCE, at_ms + 5_000, told(_counted(held)))
    came = sum(at_ms >= onset_ms for at_ms, *_ in begun)
    found = lately.since(onset_ms, {LEAF}, OPEN_MS)
    assert found["shop-3"].tolist() == pytest.approx([0, came], abs=4), seed


@pytest.mark.parametrize("minutes_ago", [1, 5, 20, 45, 60])
def test_who_read_an_hour_again_knows_what_who_read_on_knows(minutes_ago: int) -> None:
    """A Judge that takes over has read the details of the last hour; it must blame the same shop."""
    chance, whole, again, begun = np.random.default_rng(7), Lately(), Lately(), list[tuple[int, str, int]]()
    end_ms = 150 * 60_000
    for now_ms in range(0, end_ms, 5_000):
        begun += [(now_ms, "shop-3", int(red)) for red in chance.random(chance.poisson(2)) < 0.3]
        held = [one for one in begun if one[0] > now_ms - OPEN_MS]
        whole.note(SOURCE, now_ms + 5_000, told(_counted(held)))
        if now_ms + 5_000 > end_ms - 3_600_000:
            again.note(SOURCE, now_ms + 5_000, told(_counted(held)))
    since = [one.since(end_ms - minutes_ago * 60_000, {LEAF}, OPEN_MS)["shop-3"].tolist() for one in (whole, again)]
    assert since[0] == since[1]


def test_leaves_are_told_apart_and_sources_added() -> None:
    """Only the leaves asked for count, each source's rows beside the others'."""
    lately = Lately()
    for number in range(3):
        lately.note(Source("default", number), 5_000, told({"a": (number, 1)}))
    lately.note(Source("default", 3), 5_000, told({"a": (50, 50)}, ("itau", "pix")))
    assert {name: counts.tolist() for name, counts in lately.since(0, {LEAF}, OPEN_MS).items()} == {"a": [3.0, 3.0]}
    assert lately.since(0, {("bnp", "card")}, OPEN_MS) == {}


def test_what_is_kept_of_an_hour_is_bounded() -> None:
    """All of a minute, and of the hour before the last in each half minute."""
    lately = Lately()
    for now_ms in range(0, 4 * 3_600_000, 5_000):
        lately.note(SOURCE, now_ms, told({"a": (1, 0)}))
    assert len(lately._told[SOURCE]) <= 12 + 120


def test_names_that_nobody_holds_are_forgotten() -> None:
    """A stream of ever new shops keeps no more names than the limit and what one source tells at once."""
    lately, at_ms = Lately(), 0
    for part in range(80):
        at_ms += 3_600_000
        names = {f"shop-{part}-{n}": (1, 0) for n in range(1_000)}
        lately.note(SOURCE, at_ms, told(names))
        assert len(lately._merchants) <= NAMES_MAX + 1_000
    assert lately.since(at_ms - 1_000, {LEAF}, OPEN_MS).keys() == names.keys()


def test_technical_refusals_are_told_apart_where_they_are_counted() -> None:
    """By shop, what was refused for a technical reason and what was answered in another way; nothing of sources that
    do not count it."""
    lately = Lately()
    details = told({"shop-1": (5, 4), "shop-2": (7, 1)})
    lately.note(SOURCE, 5_000, details)
    assert lately.technical_since(0, [LEAF], OPEN_MS) == {}
    lately.note(SOURCE, 10_000, replace(details, merchant_technical=np.array([3, 0], np.int32)))
    counts = lately.technical_since(0, [LEAF], OPEN_MS)
    assert {name: pair.tolist() for name, pair in counts.items()} == {"shop-1": [6, 3], "shop-2": [8, 0]}
