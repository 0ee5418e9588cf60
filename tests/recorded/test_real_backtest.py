"""Back-tests of recorded days: the figures are there, whatever the policy of the day finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.commands import app_for
from tests.recorded.days import DATA, recorded

DAYS = [("acquirer_day1", "acquirer", (0.5, 1.0), 7, 4), ("bank_0303", "bank", (0.0, 1.0), 3, 24)]
"""Name, kind, from and to which share of its events all lies that is known of it, the incidents that are known, and
scopes: the platform, and each bank, method and leaf."""


@pytest.mark.parametrize(("name", "kind", "part", "incidents", "scopes"), DAYS)
def test_a_real_day_is_scored(
    tmp_path: Path, name: str, kind: str, part: tuple[float, float], incidents: int, scopes: int
) -> None:
    """Every incident that is known of the day gets a verdict, and nothing false wakes anybody on it."""
    file, lines = tmp_path / f"{name}.jsonl", recorded(name, kind)
    first, last = (int(len(lines) * share) for share in part)
    file.write_bytes(b"\n".join(lines[first:last]))
    arguments = ["backtest", str(file), "--incidents", str(DATA / "incidents.csv"), "--json"]
    result = CliRunner().invoke(app_for(["backtest"]), arguments)
    told = json.loads(result.stdout)
    verdicts = [one["verdict"] for one in told["incidents"]]
    assert (len(verdicts), told["outside"], told["scopes"]) == (incidents, [], scopes)
    assert told["false"]["critical"]["count"] == 0
    assert result.exit_code == ("missed" in verdicts)
