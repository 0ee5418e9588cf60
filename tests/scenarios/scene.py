"""Scenes: plain-text stories of traffic and what must come out of it, read and played through Counter and Judge.

    A bank refuses everything for twenty minutes.      the story

    policy                                             TOML, as in a policy file (optional)
        min_merchants = 1
    learned                                            bank method rate outcome [, option value] (optional)
        bnp card  12/min  92% approved else declined 51
    traffic                                            bank method rate outcome span [, option value]
        bnp card  12/min  approved     0:00 - 1:00:00
        bnp card   6/h    declined 51  0:20:00 - 0:40:00, shops 1
    maintenance                                        scope span [, option value] (optional)
        bank:bnp  0:20:00 - 0:35:00, declared 0:10:00
    expect                                             when what scope [kind] [word value]; nothing else may come
        25:00  started  bank:bnp all_red began 20:00
        nothing more

Outcomes: `approved`, `declined CODE`, `error CODE`, `pending`, `gives up after 3m`, `60% approved else declined 05`,
`placed` (orders alone). Options: `shops N` (default 20), `shop NAME`, `shoppers N` (default: every payment another),
`answer 2s` and `refused 1s` (how long it takes; refusals as approvals if not said), `retries N` (a refused shopper
tries again so often, every five seconds), `clusters N` (so many at once), `spread N` (answers take from an Nth of
`answer` to N times as long), `daily 10h` (answers come in the first ten hours of each day of the scene; the others in
the first of the next), `dead WHEN` (no answer comes from then on, whenever its payment began), `back WHEN` (those that
were due meanwhile come within ten minutes of it).
Payments lie evenly in their span; the story has no chance in it. A `method` or bank may be a list: `a|b|c`.
`learned` is what the hour before, the first and the second were like the day before: what the statistics know.
Of a maintenance: `declared WHEN` (default: at once), `note WORD`, `cancelled True`; a later line of a scope changes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec

from detector.contracts.models import Maintenance
from detector.contracts.policy import Policy, load_policy
from detector.judging.learned import Learned
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay

START_MS = 1_760_000_400_000 - 1_760_000_400_000 % 3_600_000
"""A full hour: 0:00 of every scene."""
_GOLDEN = 0.6180339887498949
_LINE = re.compile(r"(?P<bank>\S+)\s+(?P<method>\S+)\s+(?P<count>\d+)/(?P<per>min|h|s)\s+(?P<outcome>.+?)\s+"
                   r"(?P<begin>[\d:]+)\s*-\s*(?P<end>[\d:]+)(?P<options>(?:,\s*\w+ [\w:]+)*)$")  # fmt: skip
_MAINTENANCE = re.compile(r"(?P<scope>\S+)\s+(?P<begin>[\d:]+)\s*-\s*(?P<end>[\d:]+)(?P<options>(?:,\s*\w+ \S+)*)$")
_LEARNED_MS = (-25 * 3_600_000, -22 * 3_600_000)
"""The hours that are learned; an hour is learned an hour late."""
_PER_MS = {"s": 1_000, "min": 60_000, "h": 3_600_000}


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of `expect`; times are ms from the scene's start."""

    text: str
    at_ms: int
    type: str
    scope: str
    words: tuple[str, ...]


@dataclass(slots=True)
class Scene:
    """One story, read."""

    name: str
    story: str = ""
    policy_text: str = ""
    learned: list[str] = field(default_factory=list)
    traffic: list[str] = field(default_factory=list)
    maintenances: list[Maintenance] = field(default_factory=list)
    expect: list[Expected] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        """The scene's policy; a scene that says nothing of evidence is about the operator's rules alone."""
        alone = "" if "evidence" in self.policy_text else 'evidence.mode = "off"\n'
        return load_policy(alone + self.policy_text, self.name)


def read(path: Path) -> Scene:
    """Read a scene file; anything that is not understood is an error with its line."""
    scene, part = Scene(path.stem), "story"
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.split("#")[0].rstrip() if part != "story" else raw.rstrip()
        if line in ("policy", "learned", "traffic", "maintenance", "expect"):
            part = line
        elif not line:
            continue
        elif part == "story":
            scene.story += line + " "
        elif part == "policy":
            scene.policy_text += line.strip() + "\n"
        elif part == "learned":
            begin, _, options = line.strip().partition(",")
            scene.learned.append(f"{begin} 0 - {(_LEARNED_MS[1] - _LEARNED_MS[0]) // 1000}{options and ','}{options}")
            assert _LINE.match(scene.learned[-1]), f"{path.name}:{number}: got: {line}"
        elif part == "traffic":
            mend = f"{path.name}:{number}: traffic is `bank method rate outcome span`; got: {line}"
            assert _LINE.match(line.strip()), mend
            scene.traffic.append(line.strip())
        elif part == "maintenance":
            scene.maintenances.append(_maintenance(line.strip()))
        elif line.strip() != "nothing more":
            scene.expect.append(_expected(line.strip()))
    return scene


def clock_ms(text: str) -> int:
    """`1:30:00` or `25:00` as ms."""
    parts = [int(part) for part in text.split(":")]
    return sum(part * unit for part, unit in zip(reversed(parts), (1_000, 60_000, 3_600_000), strict=False))


def _maintenance(line: str) -> Maintenance:
    found = _MAINTENANCE.match(line)
    assert found, f"a maintenance is `scope span [, option value]`; got: {line}"
    options = dict(part.split() for part in found["options"].split(",") if part.strip())
    begin, end = START_MS + clock_ms(found["begin"]), START_MS + clock_ms(found["end"])
    return Maintenance(
        maintenance_id=re.sub(r"\W", "-", found["scope"]), scope=found["scope"], starts_at=begin, ends_at=end,
        note=options.get("note"), cancelled="cancelled" in options,
        declared_at=START_MS + clock_ms(options["declared"]) if "declared" in options else None,
    )  # fmt: skip


def _expected(line: str) -> Expected:
    at, type_, scope, *words = line.split()
    return Expected(line, clock_ms(at), type_, scope, tuple(words))


def events(scene: Scene) -> list[dict[str, object]]:
    """The scene's events in the order they arrive."""
    return _events(scene.traffic, START_MS)


def _events(traffic: list[str], start_ms: int) -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    for number, line in enumerate(traffic):
        found = _LINE.match(line)
        assert found
        pairs = [(bank, method) for bank in found["bank"].split("|") for method in found["method"].split("|")]
        for place, (bank, method) in enumerate(pairs):
            out += _stream(found, bank, method, f"{number}-{place}", start_ms)
    return sorted(out, key=lambda event: int(str(event["occurred_at"])))


def _stream(found: re.Match[str], bank: str, method: str, tag: str, start_ms: int) -> Iterator[dict[str, object]]:
    options = dict(part.split() for part in found["options"].split(",") if part.strip())
    period = _PER_MS[found["per"]] / int(found["count"])
    begin, end = clock_ms(found["begin"]), clock_ms(found["end"])
    shops, clusters = int(options.get("shops", 20)), int(options.get("clusters", 1))
    waits = {word: int(options.get(word, options.get("answer", "0s"))[:-1]) * 1_000 for word in ("answer", "refused")}
    for k in range(int((end - begin) / period)):
        at = start_ms + begin + int((k - k % clusters + 0.5) * period)
        base: dict[str, object] = {"order_id": f"order-{tag}-{k}", "bank": bank, "method": method}
        if shops:
            base["merchant_id"] = options.get("shop", f"shop-{k % shops}")
        if "shoppers" in options:
            base["shopper_id"] = f"shopper-{tag}-{k % int(options['shoppers'])}"
        outcome = _pick(found["outcome"], k)
        is_refused = outcome.startswith(("declined", "error"))
        if "retries" in options:
            base["shopper_id"] = f"shopper-{tag}-{k}"
        for again in range(1 + is_refused * int(options.get("retries", 0))):
            tried = {**base, "order_id": f"{base['order_id']}-{again}"} if again else base
            began = at + 5_000 * again - start_ms
            wait_ms = _wait_ms(waits["refused" if is_refused else "answer"], options, k, began)
            events = _payment(tried, outcome, start_ms + began, wait_ms, f"pay-{tag}-{k}-{again}")
            dead_ms = start_ms + clock_ms(options["dead"]) if "dead" in options and "back" not in options else None
            yield from (event for event in events if dead_ms is None or int(str(event["occurred_at"])) < dead_ms
                        or event["status"] == "pending")  # fmt: skip


def _wait_ms(wait_ms: int, options: dict[str, str], k: int, began: int) -> int:
    """How long the k-th answer takes: spread evenly on the scale of logarithms, and later where it comes by day."""
    wait_ms = int(wait_ms * float(options.get("spread", "1")) ** (2 * (k * _GOLDEN % 1) - 1))
    if "daily" in options:
        day, hour = divmod(began + wait_ms, 24 * _PER_MS["h"])
        if hour >= int(options["daily"][:-1]) * _PER_MS["h"]:
            return int((day + 1) * 24 * _PER_MS["h"] + k * _GOLDEN % 1 * _PER_MS["h"]) - began
    if "back" in options and clock_ms(options["dead"]) <= began + wait_ms < clock_ms(options["back"]):
        return int(clock_ms(options["back"]) + k * _GOLDEN % 1 * 10 * _PER_MS["min"]) - began
    return wait_ms


def _pick(outcome: str, k: int) -> str:
    """`60% approved else declined 05` for the k-th payment: spread evenly, without chance."""
    if "%" not in outcome:
        return outcome
    share, rest = outcome.split("% ")
    first, other = rest.split(" else ")
    return first if (k * _GOLDEN) % 1 < float(share) / 100 else other


def _payment(base: dict[str, object], outcome: str, at: int, answer_ms: int, name: str) -> Iterator[dict[str, object]]:
    word, *rest = outcome.split()
    if word == "placed":
        yield {**base, "status": "placed", "occurred_at": at}
        return
    payment = {**base, "payment_id": name}
    if word == "gives":
        wait_ms = int(rest[-1][:-1]) * 60_000
        yield {**payment, "status": "pending", "occurred_at": at}
        yield {**payment, "status": "cancelled", "occurred_at": at + wait_ms, "started_at": at}
    elif word == "pending" or answer_ms == 0:
        yield {**payment, "status": word, "occurred_at": at, **({"code": rest[0]} if rest else {})}
    else:
        yield {**payment, "status": "pending", "occurred_at": at}
        code = {"code": rest[0]} if rest else {}
        yield {**payment, "status": word, "occurred_at": at + answer_ms, "started_at": at, **code}


def _lines(events: list[dict[str, object]]) -> list[bytes]:
    return [msgspec.json.encode(event) for event in events]


@cache
def _known(lines: tuple[str, ...], policy: Policy) -> Learned | None:
    """What the hours of `learned` teach. Several scenes begin with the same; a Judge copies what it is given."""
    if not lines:
        return None
    replay = Replay(policy)
    replay.feed(_lines(_events(list(lines), START_MS + _LEARNED_MS[0])))
    replay.finish()
    return replay.learned()


def play(scene: Scene, sources: int = 1, batch: int = 500) -> list[Change]:
    """The changes the scene gives, through the very Counter and Judge of the worker."""
    lines = _lines(events(scene))
    learned = _known(tuple(scene.learned), scene.policy)
    replay = Replay(scene.policy, sources, maintenances=scene.maintenances, learned=learned)
    changes = [change for at in range(0, len(lines), batch) for change in replay.feed(lines[at : at + batch])]
    return changes + replay.finish()
