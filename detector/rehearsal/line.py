"""Simulated events as the JSON lines a shop platform would send, and the keys and topics they go to.

Does not know how the events were drawn.
"""

from __future__ import annotations

from detector.counting.columns import STATUSES
from detector.rehearsal.shops import METHOD_NAMES, Shops
from detector.rehearsal.simulate import CODES, PLACED, Events

_STATUS = (*STATUSES, "placed", "confirmed", "cancelled")
_CODE = tuple(f',"code":"{code}"' if code else "" for code in CODES)


class Lines:
    """Writes the events of one `Shops`; ids carry its seed and start, so that runs do not meet in one topic."""

    def __init__(self, shops: Shops) -> None:
        self._run = f"{shops.seed}-{shops.start_ms:x}"
        self._banks = shops.bank_names
        self._merchants = shops.merchant_names
        # Bank and method always stand together, so one look-up serves both.
        self._choice = {
            (bank, method): f'"bank":"{self._banks[bank]}","method":"{METHOD_NAMES[method]}",'
            for bank in range(shops.banks) for method in range(len(METHOD_NAMES))
        } | {(-1, -1): ""}  # fmt: skip

    def values(self, events: Events) -> list[str]:
        """One JSON object an event, without a line's end."""
        run, choice, merchants, payment_kinds = self._run, self._choice, self._merchants, PLACED
        # The loop makes every byte of the output: it is written for speed, one formatted string an event.
        return [
            f'{{"payment_id":"pay-{run}-{order}-{attempt}","order_id":"ord-{run}-{order}",{choice[bank, method]}'
            f'"status":"{_STATUS[kind]}","occurred_at":{at},"started_at":{start},'
            f'"merchant_id":"{merchants[merchant]}","shopper_id":"shopper-{shopper}",'
            f'"amount":{amount},"currency":"EUR"{_CODE[code]}}}'
            if kind < payment_kinds
            else f'{{"order_id":"ord-{run}-{order}",{choice[bank, method]}"status":"{_STATUS[kind]}",'
            f'"occurred_at":{at},"merchant_id":"{merchants[merchant]}","shopper_id":"shopper-{shopper}",'
            f'"amount":{amount},"currency":"EUR"}}'
            for at, start, order, attempt, kind, bank, method, merchant, shopper, amount, code in events.tolist()
        ]

    def keys(self, events: Events) -> list[str]:
        """The `order_id` of each event: its key in Kafka."""
        return [f"ord-{self._run}-{order}" for order in events["order"].tolist()]


def is_order(events: Events) -> list[bool]:
    """Which events go to the orders topic; the others are payments."""
    orders: list[bool] = (events["kind"] >= PLACED).tolist()
    return orders


