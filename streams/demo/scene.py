"""What happens in the demo: the shops, the faults, and a policy quick enough to watch.

Knows the command lines of the simulator; not processes, Kafka or screens.
"""

from __future__ import annotations

from typing import Final

POLICY: Final = """\
# The demo's policy: quicker than production's, so that an outage can be watched from its beginning to its end.
wait_s = 15

[all_red]
after_s = 30

[all_pending]
after_s = 30

[answer_s]
default = 10

[resolve]
hold_s = 15
window_s = 10

[evidence]
# Statistics know nothing of shops that opened a minute ago, and let an outage be over after two minutes at the soonest.
mode = "off"
"""

POLICY_NOTE: Final = (
    "demo policy, quicker than production's: an outage after 30 s (5 min), overdue after 10 s (60 s), "
    "over after 15 s (60 s) of good payments"
)

FAULTS: Final = ("bank:bnp all_red 15s 65s", "bank:cedar all_pending 30s 90s")
"""Counted from the first event; both outages are over by 140 s."""

_ENCORES: Final = (
    "method:pix all_red", "bank:aurora all_pending", "bank:bnp,method:card all_red", "bank:delta all_red",
)  # fmt: skip
_ENCORES_FROM_S, _ENCORE_EVERY_S, _ENCORE_S, _ENCORES_MAX = 240, 180, 60, 398

PARTITIONS: Final = 4


def simulator_arguments() -> list[str]:
    """Arguments of `pastille simulate`: 20 banks, 5 methods, 200 shops, at least 50 payments a second all day."""
    faults = [word for fault in (*FAULTS, *_encores()) for word in ("--fault", fault)]
    # The day lasts ten minutes, and its night still has 56 first payments a second.
    return ["--to", "kafka", "--for", "20h", "--rate", "80", "--day", "10m", "--swing", "0.3", "--banks", "20",
            "--merchants", "200", "--seed", "11", *faults]  # fmt: skip


def _encores() -> list[str]:
    """For those who keep watching, something breaks every three minutes."""
    starts = (_ENCORES_FROM_S + number * _ENCORE_EVERY_S for number in range(_ENCORES_MAX))
    return [f"{_ENCORES[number % len(_ENCORES)]} {start}s {start + _ENCORE_S}s" for number, start in enumerate(starts)]
