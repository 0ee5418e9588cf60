"""How long the decoder takes for an event, against msgspec alone on the same lines.

`python tests/benchmarks/decode.py` prints microseconds an event, best of several rounds, and the ratio to msgspec.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import msgspec
import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.reference import ReferenceDecoder


class Payment(msgspec.Struct):
    """The contract with nothing but its types: what anybody would decode with."""

    payment_id: str
    order_id: str
    bank: str
    method: str
    status: str
    occurred_at: int
    started_at: int | None = None
    merchant_id: str | None = None
    shopper_id: str | None = None
    instrument_id: str | None = None
    amount: int | None = None
    currency: str | None = None
    code: str | None = None
    network: str | None = None
    psp: str | None = None
    country: str | None = None
    channel: str | None = None


EVENTS, BATCH, ROUNDS = 50_000, 1000, 7
BANKS, METHODS, MERCHANTS = 50, 5, 200


def lines(seed: int) -> list[bytes]:
    """Payment events of about 220 bytes on 250 leaves."""
    draw = random.Random(seed)
    start = 1_772_000_000_000
    return [
        json.dumps(
            {
                "payment_id": f"pay-{draw.getrandbits(48):012x}", "order_id": f"ord-{draw.getrandbits(48):012x}",
                "bank": f"bank{draw.randrange(BANKS)}", "method": f"method{draw.randrange(METHODS)}",
                "status": draw.choice(("pending", "approved", "approved", "declined")), "occurred_at": start + n,
                "merchant_id": f"shop-{draw.randrange(MERCHANTS)}", "shopper_id": f"s-{draw.getrandbits(40):010x}",
                "amount": draw.randrange(100, 99_999), "currency": "EUR",
            },
            separators=(",", ":"),
        ).encode()
        for n in range(EVENTS)
    ]  # fmt: skip


def best_us(work: Callable[[], object], events: int) -> float:
    """The fastest round, in microseconds an event."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took) / events * 1e6


def main() -> None:
    """Print the figures."""
    values = lines(1)
    offsets = np.arange(EVENTS)
    bare = msgspec.json.Decoder(Payment)

    def batches(decoder: Decoder | ReferenceDecoder, count: int) -> None:
        for at in range(0, count, BATCH):
            decoder.decode(values[at : at + BATCH], "payments", None, offsets[at : at + BATCH])

    fast, slow = Decoder(DEFAULT, Names(DEFAULT)), ReferenceDecoder(DEFAULT, Names(DEFAULT))
    batches(fast, EVENTS)
    alone = best_us(lambda: [bare.decode(value) for value in values], EVENTS)
    scanned = best_us(lambda: batches(fast, EVENTS), EVENTS)
    patient = best_us(lambda: batches(slow, 5 * BATCH), 5 * BATCH)
    print(f"bytes an event      {sum(map(len, values)) / EVENTS:8.0f}")
    print(f"msgspec alone       {alone:8.3f} µs")
    print(f"scanner, batches    {scanned:8.3f} µs   {scanned / alone:5.2f} x msgspec")
    print(f"reference           {patient:8.3f} µs   {patient / alone:5.2f} x msgspec")


if __name__ == "__main__":
    main()
