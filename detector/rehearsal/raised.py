"""Outages as they were raised: the life of each, put together again from the changes that went out.

Does not know what was to be raised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from detector.contracts.models import Kind, Severity
from detector.contracts.scope import Scope
from detector.judging.outage import Change


@dataclass(frozen=True, slots=True)
class Raised:
    """One outage from its start to its end; times are epoch ms, `ended_ms` is None while it is open.

    `severity` is the worst it had; `pages`: how often it became critical, by starting so or later; `continues_id`: the
    outage that it goes on with.
    """

    outage_id: str
    scope: Scope
    kind: Kind
    began_ms: int
    detected_ms: int
    ended_ms: int | None
    severity: Severity
    pages: int
    scheduled: bool
    continues_id: str | None = None


def raised(changes: Iterable[Change]) -> list[Raised]:
    """The outages that these changes tell of, in the order in which they started."""
    lives: dict[str, Raised] = {}
    now: dict[str, Severity] = {}
    for change in changes:
        data, key = change.data, change.data.outage_id
        page = int(data.severity == "critical" and now.get(key) != "critical" and not data.scheduled)
        now[key] = data.severity
        life = lives.get(key)
        if life is None:
            lives[key] = Raised(key, data.scope.to_scope(), data.kind, data.began_at, data.detected_at, data.ended_at,
                                data.severity, page, data.scheduled, data.continues_id)  # fmt: skip
        else:
            worst: Severity = "critical" if "critical" in (life.severity, data.severity) else "warning"
            lives[key] = replace(life, ended_ms=data.ended_at, severity=worst, pages=life.pages + page)
    return list(lives.values())
