"""`python tests/benchmarks/count.py`: what counting costs beside decoding the same events with msgspec alone.

Dense: 1,000 events a second of event time, 250 leaves, a boundary a second with all its cells. Sparse: 16 events a
second over 11 leaves. CPU time of this process, both in one run, since machines differ and are shared.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.columns import Columns
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.tally import Source, encode

START_MS = 1_700_000_000_000
DENSE_LEAVES, DENSE_PER_S, DENSE_S = 250, 500, 900
SPARSE_LEAVES, SPARSE_PER_S, SPARSE_S = 11, 8, 20_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Payments, each pending and then answered."""

    names: Names
    columns: Columns


def traffic(leaves: int, per_s: int, seconds: int) -> Traffic:
    """Payments of 200 merchants, answered within 5 s, four in five approved."""
    names, random = Names(DEFAULT), np.random.default_rng(1)
    numbers = np.array([names.leaf((f"bank-{n // 5}", f"method-{n % 5}")) for n in range(leaves)], np.int32)
    count = per_s * seconds
    start = np.sort(random.integers(START_MS, START_MS + seconds * 1000, count))
    occurred = np.concatenate([start, start + random.integers(200, 5_000, count)])
    order = np.argsort(occurred, kind="stable")
    status = np.concatenate([np.zeros(count), random.choice([1, 1, 1, 1, 2], count)]).astype(np.uint8)
    payment = random.integers(1, 1 << 62, count).astype(np.uint64)
    merchant = np.array([names.merchant(f"shop-{n}") for n in range(200)], np.uint64)[random.integers(0, 200, count)]
    leaf = random.choice(numbers, count)

    def twice(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, values])[order]

    both = 2 * count
    columns = Columns(
        np.zeros(both, np.uint8), status[order], twice(leaf), np.full(both, -1, np.int32), twice(payment),
        twice(payment + np.uint64(1)), np.zeros(both, np.uint64), twice(merchant), occurred[order], np.full(both, -1),
        occurred[order], np.arange(both),
    )  # fmt: skip
    return Traffic(names, columns)


def lines(traffic: Traffic, count: int) -> list[bytes]:
    """Equal events as they would stand on the topic."""
    columns, words = traffic.columns, ("pending", "approved", "declined")
    return [json.dumps({
        "payment_id": f"pay-{columns.payment[n]}", "order_id": f"ord-{columns.order[n]}",
        "bank": traffic.names.leaves[columns.leaf[n]][0], "method": traffic.names.leaves[columns.leaf[n]][1],
        "status": words[columns.status[n]], "occurred_at": int(columns.occurred_at[n]),
        "merchant_id": f"shop-{columns.merchant[n] % 200}",
    }).encode() for n in range(count)]  # fmt: skip


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    before = time.process_time()
    work()
    return time.process_time() - before


def count(traffic: Traffic, batch: int) -> tuple[float, int, float]:
    """(CPU s to count, tallies, CPU s to encode these)."""
    counter = Counter(DEFAULT, traffic.names, Source("main", 0), {"main": 1})
    counter.at_end(1, True)
    tallies = []
    columns = traffic.columns
    spent = cpu_s(lambda: [tallies.extend(counter.take(columns.rows(n, n + batch)))
                           for n in range(0, len(columns), batch)])  # fmt: skip
    return spent, len(tallies), cpu_s(lambda: [encode(tally) for tally in tallies])


def main() -> None:
    """Print the figures."""
    count(traffic(10, 10, 100), 100)  # loads the loops
    for name, made in (("dense", traffic(DENSE_LEAVES, DENSE_PER_S, DENSE_S)),
                       ("sparse", traffic(SPARSE_LEAVES, SPARSE_PER_S, SPARSE_S))):  # fmt: skip
        sample = lines(made, 50_000)
        decoding = decode_only(sample) / len(sample)
        spent, tallies, encoding = count(made, 2_000)
        events = len(made.columns)
        merging = merge_only(made) / events
        print(f"{name}: msgspec {decoding * 1e6:.2f} µs/event; count {spent / events * 1e6:.2f} µs/event, of it merge "
              f"{merging * 1e6:.2f}; {(spent / events - merging) * events / tallies * 1e6:.0f} µs/boundary, encode "
              f"{encoding / tallies * 1e6:.0f} µs")  # fmt: skip


def decode_only(sample: list[bytes]) -> float:
    """CPU s to decode with msgspec and do nothing else, the best of three."""
    decoder = msgspec.json.Decoder()
    return min(cpu_s(lambda: [decoder.decode(line) for line in sample]) for _ in range(3))


def merge_only(traffic: Traffic) -> float:
    """CPU s to merge alone: a Counter that rebuilds tells nothing."""
    counter = Counter(DEFAULT, traffic.names, Source("main", 0), {"main": 1}, noted_ms=START_MS * 2)
    counter.at_end(1, True)
    columns = traffic.columns
    return cpu_s(lambda: [counter.take(columns.rows(n, n + 2_000)) for n in range(0, len(columns), 2_000)])


if __name__ == "__main__":
    main()
