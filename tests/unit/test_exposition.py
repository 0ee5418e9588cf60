"""The page of metrics is, to the byte, what Prometheus's own client would write."""

from __future__ import annotations

import random

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from streams.exposition import CONTENT_TYPE, Samples, family

WORDS = ("", "bnp", 'a "bank"', "back\\slash", "two\nlines", "crédit", "{x=1}", " ", "a,b", "\\n", "\\")
VALUES = (0, 1, True, False, 0.1, 6 / 9, 12, 1.5e-9, -3)


class Made:
    """A registry with one metric."""

    def __init__(self, name: str, kind: str, labels: tuple[str, ...], text: str, samples: Samples) -> None:
        made = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
        self._family = made(name.removesuffix("_total"), text, labels=labels)
        for values, value in samples:
            self._family.add_metric(list(values), value)

    def collect(self) -> list[GaugeMetricFamily | CounterMetricFamily]:
        return [self._family]


@pytest.mark.parametrize("seed", range(40))
def test_as_the_client_writes_it(seed: int) -> None:
    """Whatever stands in labels, help and values; labels come in alphabetical order here, as the client sorts them."""
    chance = random.Random(seed)
    kind = chance.choice(("gauge", "counter"))
    name = "pastille_some_total" if kind == "counter" else "pastille_some"
    labels = tuple(sorted(chance.sample(("bank", "method", "status", "window"), chance.randrange(4))))
    sets = {tuple(chance.choice(WORDS) for _ in labels) for _ in range(chance.randrange(6))}
    samples: Samples = [(values, chance.choice(VALUES)) for values in sets]
    text = f"What it is{chance.choice(WORDS)}."
    registry = CollectorRegistry()
    registry.register(Made(name, kind, labels, text, samples))  # type: ignore[arg-type]  # it has what is asked
    assert family(name, kind, labels, text, samples).encode() == generate_latest(registry), f"seed {seed}"


def test_large_values_are_read_as_they_are() -> None:
    """Seconds of an epoch, counts past what a float shows without an exponent."""
    values = (1_700_000_010.25, 123_456_789_012.0, 1e22, float("inf"))
    text = family("pastille_some", "gauge", ("n",), "Some.", [((str(value),), value) for value in values])
    read = [sample.value for one in text_string_to_metric_families(text) for sample in one.samples]
    assert tuple(read) == values
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
