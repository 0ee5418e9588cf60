"""Every scene gives exactly the outage events its file expects, whatever the batches and the number of sources."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from detector.judging.outage import Change
from tests.scenarios.scene import START_MS, Scene, clock_ms, play, read

FOLDER = Path(__file__).parent / "scenes"
SCENES = sorted(FOLDER.glob("*.txt"))


@cache
def played(path: Path) -> list[Change]:
    """All that comes out of a scene."""
    return play(read(path))


def said(change: Change, scene: Scene) -> str:
    """A change in the words of the scene's own line, where it has them; else in the shortest."""
    data = change.data
    words = {
        "severity": data.severity, "domain": str(data.fault_domain), "shadow": str(data.shadow),
        "children": ",".join(data.children), "began": _clock(data.began_at - START_MS),
        "scheduled": str(data.scheduled), "maintenance": str(data.maintenance_id),
        "kind": data.kind, "trigger": data.trigger, "continues": "yes" if data.continues_id else "no",
        "hit": str(data.impact and data.impact.orders_hit), "paid": str(data.impact and data.impact.orders_recovered),
    }  # fmt: skip
    line = [_clock(data.updated_at - START_MS), change.type, data.scope.to_scope().key]
    line.append(data.kind if change.type == "started" else str(data.reason))
    wanted = next((expected for expected in scene.expect if (expected.type, expected.scope) == (change.type, line[2])
                   and expected.at_ms == data.updated_at - START_MS), None)  # fmt: skip
    asked = wanted.words[1::2] if wanted else ("began",)
    return " ".join([*line, *(part for word in asked for part in (word, words[word]))])


def _clock(ms: int) -> str:
    hours, rest = divmod(ms // 1000, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def wanted(scene: Scene) -> list[str]:
    """The expected lines with single spaces and clocks as `_clock` writes them."""
    out = []
    for expected in scene.expect:
        words = list(expected.words)
        words = [_clock(clock_ms(word)) if words[k - 1] == "began" else word for k, word in enumerate(words)]
        out.append(" ".join([_clock(expected.at_ms), expected.type, expected.scope, *words]))
    return out


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_scene(path: Path) -> None:
    """What a story expects is all that comes out of it, in order."""
    scene = read(path)
    assert wanted(scene) == [said(change, scene) for change in played(path)], scene.story


def told(changes: list[Change]) -> list[dict[str, object]]:
    """What may not depend on how many sources there are: all but what rests on each source's own details and votes."""
    own = {"input": True, "top_codes": True, "explanation": True, "evidence": {"merchants", "votes"},
           "impact": {"merchants"}}  # fmt: skip
    return [change.data.model_dump(exclude=own) for change in changes]


@pytest.mark.parametrize("name", ["all_red", "two_banks_then_platform", "payments_feed_stops", "leak",
                                  "maintenance_said_late", "evidence_platform"])  # fmt: skip
def test_sources_and_batches_change_nothing(name: str) -> None:
    """The same story over eight sources, and one event a batch, gives the same events but for `input`."""
    path = FOLDER / f"{name}.txt"
    scene, expected = read(path), played(path)
    assert expected == play(scene, batch=1)
    assert told(expected) == told(play(scene, sources=8))
