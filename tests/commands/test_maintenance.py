"""Maintenances on a real broker: what a person declares, extends and calls off, and what the worker makes of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from detector.contracts.models import Maintenance
from detector.contracts.moments import epoch_ms
from detector.counting.tally import Marker
from detector.judging.maintenance import FORGET_MS
from streams.commands import main
from streams.commands.maintenance import _print_rows
from streams.embedded import EmbeddedKafka
from streams.tallylog import unpack
from tests.integration.test_failover import DEAD, POLICY, Shop, _now_ms
from tests.integration.workers import Stage, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

Json = dict[str, Any]
SCOPE = f"bank:{DEAD}"


@dataclass
class Person:
    """Somebody who calls `pastille maintenance` on the topics of a stage."""

    stage: Stage
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        for name, value in self.stage.settings_environment.items():
            self.monkeypatch.setenv(name, value)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        with pytest.raises(SystemExit) as stopped:
            main(["maintenance", *arguments])
        assert isinstance(stopped.value.code, int)
        said = self.capsys.readouterr()
        return stopped.value.code, said.out, said.err

    def says(self, *arguments: str) -> Json:
        """What a call that goes well prints with --json."""
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        said: Json = json.loads(out)
        return said

    def listed(self, *arguments: str) -> list[tuple[str, str]]:
        """Scope and state of what is listed."""
        return [(one["scope"], one["state"]) for one in self.says("list", *arguments)["maintenances"]]


def test_what_is_declared_is_a_warning_until_it_is_called_off(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Declared before the worker starts, extended and cancelled while it judges; each is one marker in the log."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    with Stage(kafka, 1) as stage, Shop(stage, rate=200) as shop:
        person = Person(stage, monkeypatch, capsys)
        said = person.says("declare", "--scope", SCOPE, "--for", "1h", "--note", "core banking")["maintenance"]
        worker = stage.worker("--policy", str(policy))
        announced = ("pastille_maintenance_active",
                     frozenset({"dimension": "bank", "bank": DEAD, "method": ""}.items()))  # fmt: skip
        wait_for(lambda: worker.metrics().get(announced) == 1, stage, "the maintenance is known")
        wait_for(lambda: judged_ms(stage) > _now_ms() - 5_000, stage, "judging near the clock")
        shop.is_dead = True
        [started] = wait_for(lambda: _data(stage), stage, "the bank's outage started", every_s=1)
        assert (started["severity"], started["scheduled"], started["catching_up"]) == ("warning", True, False)
        assert started["maintenance_id"] == said["maintenance_id"]
        assert "Announced maintenance until " in started["explanation"]
        assert "(core banking)" in started["explanation"]
        wait_for(lambda: _health(stage) == ("maintenance", started["outage_id"]), stage, "its health says so")
        person.says("extend", said["maintenance_id"], "--for", "30m")
        wait_for(lambda: len(_data(stage)) > 1, stage, "the outage is told again, extended", every_s=1)
        person.says("cancel", said["maintenance_id"])
        wait_for(lambda: len(_data(stage)) > 2, stage, "the outage pages", every_s=1)
        assert [(data["reason"], data["severity"], data["scheduled"]) for data in _data(stage)[1:]] == [
            ("maintenance", "warning", True), ("maintenance_over", "critical", False)
        ]  # fmt: skip
        assert [one["cancelled"] for one in _markers(stage)] == [False, False, True]


def test_a_day_of_a_maintenance(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Declared, extended, cancelled twice and listed; a scope of which nothing was heard is told from a slip."""
    with Stage(kafka, 1) as stage:
        person = Person(stage, monkeypatch, capsys)
        assert person.listed() == []
        later = person.says("declare", "--scope", "method:pix,bank:bnp", "--from", "2099-05-02T02:00:00+02:00",
                            "--to", "2099-05-02T03:30:00Z")["maintenance"]  # fmt: skip
        assert (later["starts_at"], later["ends_at"]) == ("2099-05-02T00:00:00.000Z", "2099-05-02T03:30:00.000Z")
        soon = person.says("declare", "--scope", "merchant:shop-1", "--from", "+8h", "--to", "+10h")["maintenance"]
        assert {name: round((epoch_ms(soon[name]) - _now_ms()) / 60_000) for name in ("starts_at", "ends_at")} == {
            "starts_at": 480, "ends_at": 600,
        }  # fmt: skip
        assert person.says("cancel", soon["maintenance_id"])["done"] == "cancelled"
        one = person.says("declare", "--scope", "bank:axa", "--from", "now", "--for", "1h30m")["maintenance"][
            "maintenance_id"
        ]
        assert person.listed() == [("bank:axa", "running"), ("bank:bnp,method:pix", "planned")]
        assert person.says("extend", one, "--for", "1h")["done"] == "extended"
        assert [person.says("cancel", one)["done"] for _ in range(2)] == ["cancelled", "cancelled before"]
        assert person.listed() == [("bank:bnp,method:pix", "planned")]
        assert sorted(person.listed("--all")) == [
            ("bank:axa", "cancelled"), ("bank:bnp,method:pix", "planned"), ("merchant:shop-1", "cancelled"),
        ]  # fmt: skip
        code, out, _ = person.run("list")
        assert code == 0
        assert "1 maintenance; 2 over or cancelled: --all" in out
        for arguments, word in (
            (("extend", one, "--for", "1h"), "declare a new one"), (("cancel", "absent"), "there is no such"),
            (("extend", later["maintenance_id"], "--to", "2099-05-02T03:00:00Z"), "later than announced"),
        ):  # fmt: skip
            code, _, err = person.run(*arguments)
            assert (code, word in err) == (2, True), err
        stage.send_raw(stage.settings.topics.health, [(b"bank:bnp", b"{}")])
        assert person.run("declare", "--scope", "bank:bnp", "--for", "1h")[2] == ""
        assert "if that is a slip, cancel it" in person.run("declare", "--scope", "bank:bpn", "--for", "1h")[2]


def test_no_more_than_the_limit(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Past [limits] maintenances_max a person is told, and a worker counts what others wrote past it."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[limits]\nmaintenances_max = 1\n")
    with Stage(kafka, 1) as stage:
        person = Person(stage, monkeypatch, capsys)
        monkeypatch.setenv("PASTILLE_POLICY", str(policy))
        first = person.says("declare", "--scope", "bank:bnp", "--for", "1h")["maintenance"]
        code, _, err = person.run("declare", "--scope", "bank:axa", "--for", "1h")
        assert (code, "at most 1 maintenances" in err) == (2, True), err
        worker = stage.worker("--policy", str(policy))
        wait_for(lambda: _markers(stage), stage, "the first is written to the log")
        record = json.dumps({**first, "maintenance_id": "another", "scope": "bank:axa"}).encode()
        stage.send_raw(stage.settings.topics.maintenances, [(b"another", record), (b"another", b"no json")])
        wait_for(lambda: worker.metric("pastille_maintenances_refused") == 1, stage, "the second is refused")
        assert "1 more are refused; cancel some" in worker.logged()
        assert [one["maintenance_id"] for one in _markers(stage)] == [first["maintenance_id"]]
        stage.send_raw(stage.settings.topics.maintenances, [(first["maintenance_id"].encode(), None)])
        wait_for(lambda: len(_markers(stage)) > 1, stage, "a record without a value calls it off")
        assert _markers(stage)[1]["cancelled"]


def test_what_the_judge_would_refuse_is_refused(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the Judge's own rule: what ended today still takes room, what is called off does not, and what a Judge has
    forgotten needs some to be extended."""
    policy, now_ms = tmp_path / "policy.toml", time.time_ns() // 1_000_000
    policy.write_text("[limits]\nmaintenances_max = 1\n")
    monkeypatch.setenv("PASTILLE_POLICY", str(policy))
    with Stage(kafka, 1) as stage:
        person = Person(stage, monkeypatch, capsys)

        def over(name: str, ago_ms: int) -> None:
            ends_ms = now_ms - ago_ms
            one = {"maintenance_id": name, "scope": "bank:cic", "starts_at": ends_ms - 60_000, "ends_at": ends_ms}
            stage.send_raw(stage.settings.topics.maintenances, [(name.encode(), json.dumps(one).encode())])

        over("old", 2 * FORGET_MS)
        first = person.says("declare", "--scope", "bank:bnp", "--for", "1h")["maintenance"]
        assert "at most 1 maintenances" in person.run("extend", "old", "--for", "3d")[2]
        assert person.says("extend", first["maintenance_id"], "--for", "1h")["done"] == "extended"
        person.says("cancel", first["maintenance_id"])
        second = person.says("declare", "--scope", "bank:axa", "--for", "1h")["maintenance"]
        person.says("cancel", second["maintenance_id"])
        over("today", 60_000)
        code, _, err = person.run("declare", "--scope", "bank:axa", "--for", "1h")
        assert (code, "over for less than a day" in err) == (2, True), err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--scope", "bnp", "--for", "1h"], "--scope: a scope is"), (["--scope", "bank:bnp"], "got neither"),
        (["--scope", "bank:bnp", "--for", "1h", "--to", "2099-01-01T00:00:00Z"], "got both"),
        (["--scope", "bank:bnp", "--for", "long"], "--for: a duration"),
        (["--scope", "bank:bnp", "--from", "noon", "--for", "1h"], "--from is a moment with its zone"),
        (["--scope", "bank:bnp", "--from", "+soon", "--for", "1h"], "got '+soon'; write it like"),
        (["--scope", "bank:bnp", "--from", "+2h", "--to", "+1h"], "ends after it starts"),
        (["--scope", "bank:bnp,psp:x", "--for", "1h"], "got psp in bank:bnp,psp:x; mend the scope"),
        (["--scope", "bank:bnp", "--for", "90d"], "at most 31 days"),
        (["--scope", "bank:bnp", "--from", "2020-01-01T00:00:00Z", "--for", "1h"], "ends in the future"),
        (["--scope", "bank:bnp", "--for", "1h", "--note", "a\nb"], "--note: has a control character"),
        (["--scope", "merchant:4111111111111111", "--for", "1h"], "may look like a card number"),
    ],
)  # fmt: skip
def test_wrong_usage_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str], word: str) -> None:
    """Before anything is asked of Kafka: what, what it got, what to do; exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        main(["maintenance", "declare", *arguments])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert word in err
    assert "4111" not in err


def _data(stage: Stage) -> list[Json]:
    """The data of the dead bank's outage events."""
    return [event["data"] for event in stage.outages() if event["subject"] == SCOPE]


def _health(stage: Stage) -> tuple[str, str | None]:
    """Status and outage of the dead bank, as told last."""
    records = [json.loads(value) for value in stage.read(stage.settings.topics.health)]
    mine = [record for record in records if record["key"] == SCOPE]
    return (mine[-1]["status"], mine[-1]["outage_id"]) if mine else ("", None)


def _markers(stage: Stage) -> list[Json]:
    """The maintenances in the tallies log, in order."""
    records = (record for value in stage.read(stage.settings.topics.tallies) for record in unpack(value))
    return [json.loads(record.text) for record in records
            if isinstance(record, Marker) and record.kind == "maintenance"]  # fmt: skip


def test_an_id_is_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what is typed to extend and to cancel; whatever else is folded."""
    monkeypatch.setenv("COLUMNS", "40")
    said = Maintenance(maintenance_id="435236e6", scope=SCOPE, starts_at=0, ends_at=60_000, note="new core banking")
    _print_rows([said], 1, 0)
    assert "435236e6" in capsys.readouterr().out
