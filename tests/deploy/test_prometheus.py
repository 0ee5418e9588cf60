"""The scrape configuration and the alert rules, as the real promtool sees them, and the runbooks they lead to."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from detector.contracts.models import FaultDomain, HealthRecord, Kind, OutageData
from streams.degraded.board import Reason
from streams.metrics import METRICS
from streams.settings import Settings
from streams.topics import needed_topics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
CONFIG = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
RULES = yaml.safe_load((PROMETHEUS / "pastille.rules.yml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
RULE_TESTS = ("rules_test.yml", "events_rules_test.yml")
PROMTOOL_TIMEOUT_S = 60


@pytest.fixture
def promtool() -> str:
    """The path of promtool; without it the test is skipped by name, and fails where CI=true."""
    path = shutil.which("promtool")
    if path is None:
        word = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        word("promtool is not installed; on Debian: apt install prometheus")
    return str(path)


def run(*command: str) -> None:
    """Run promtool in the folder of the tests; fail with its words if it finds anything."""
    done = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=PROMTOOL_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def runbook(alert: str) -> str:
    """The text of an alert's runbook."""
    return (ROOT / "deploy" / "runbooks" / f"{alert}.md").read_text(encoding="utf-8")


def test_the_scrape_configuration_is_valid(promtool: str) -> None:
    """Prometheus accepts the configuration, and the rule files it names."""
    run(promtool, "check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_the_rules_are_valid(promtool: str) -> None:
    """Prometheus accepts the rules."""
    run(promtool, "check", "rules", str(PROMETHEUS / "pastille.rules.yml"))


def test_the_rules_fire_when_they_should(promtool: str) -> None:
    """Each alert fires and ends at the moments written beside this file, also while the Judge moves."""
    run(promtool, "test", "rules", *RULE_TESTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """Every alert has a severity, a summary, and a runbook of its own name that exists and says what it means."""
    assert alert["labels"]["severity"]
    assert alert["annotations"]["summary"]
    page = runbook(alert["alert"])
    assert page.startswith(f"# {alert['alert']}\n")
    assert "**Means**" in page


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_links_to_its_runbook(alert: dict[str, Any]) -> None:
    """With the external label that prometheus.yml names, `runbook_url` is a URL; without it, a path that exists."""
    found = re.fullmatch(
        r"\{\{ or \$externalLabels\.(\w+) \"([\w/]+)\" \}\}/(\w+\.md)", alert["annotations"]["runbook_url"]
    )
    assert found is not None
    label, folder, page = found.groups()
    assert (ROOT / folder / page).exists()
    shown = re.search(rf"^  # external_labels:\n  #   {label}: (https://\S+[^/\s])$", CONFIG, re.MULTILINE)
    assert shown is not None, "the configuration shows how the label is set"
    assert shown[1].endswith(folder)


def test_an_outage_alert_has_every_label_of_the_metric() -> None:
    """Two outages are never one alert: whatever tells series apart tells alerts apart, and the summary names it."""
    (labels,) = (metric.labels for metric in METRICS if metric.name == "pastille_outage_active")
    (alert,) = (alert for alert in ALERTS if alert["alert"] == "PastilleOutageActive")
    kept = re.findall(r"by \(([\w, ]+)\)", alert["expr"])
    assert kept == [", ".join(labels)] * 2
    assert set(labels) - {"dimension", "severity"} <= set(
        re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])
    )


def test_the_runbook_of_outages_knows_every_kind() -> None:
    """Whoever is called finds the kind in the alert, and where the codes say the fault is, in the runbook."""
    page = runbook("PastilleOutageActive")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(get_args(Kind))
    assert {word for word in get_args(FaultDomain) if f"`{word}`" not in page} == set()


def test_the_runbook_of_outages_names_fields_that_events_have() -> None:
    """What it says to look at in an event or a health record is there, and each reason of a warning is named."""
    page = runbook("PastilleOutageActive")
    assert set(re.findall(r"`data\.(\w+)`", page)) <= set(OutageData.model_fields)
    assert "alternatives" in HealthRecord.model_fields
    for field in ("scheduled", "catching_up", "shadow", "trigger", "continues_id"):
        assert field in OutageData.model_fields
        assert re.search(rf"^\|.*`{field}`", page, re.MULTILINE), f"a warning may be for `{field}`"


def test_the_runbook_of_degraded_workers_knows_every_reason() -> None:
    """Each reason that the alert can have is a part of the runbook."""
    parts = re.findall(r"^### (\w+)$", runbook("PastilleDegraded"), re.MULTILINE)
    assert sorted(parts) == sorted(reason.value for reason in Reason)


LOGGED = {
    "PastilleNoJudge": ("partitions taken up anew", "worker: joined", "a newer Judge has taken over",
                        "the Judge leaves its seat and begins anew by itself"),
    "PastilleDegraded": ("degraded: ",),
}  # fmt: skip


@pytest.mark.parametrize("alert", LOGGED)
def test_what_a_runbook_looks_for_in_a_log_is_logged(alert: str) -> None:
    """Words that a runbook says to look for are words that the worker logs."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "streams").rglob("*.py"))
    for words in LOGGED[alert]:
        assert words in runbook(alert), words
        assert re.search(rf'(log\.\w+|super\(\).__init__)\(\s*"[^"\n]*{re.escape(words)}', code), words


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_what_a_runbook_asks_kafka_can_be_typed(alert: dict[str, Any]) -> None:
    """Kafka's commands say which broker; groups and topics that they name are those of the default settings."""
    settings = Settings()
    for command in re.findall(r"`(kafka-[\w-]+\.sh[^`]*)`", runbook(alert["alert"])):
        assert " --bootstrap-server $BROKER" in command
        assert set(re.findall(r"--group ([a-z]\S*)", command)) <= {settings.counter_group, settings.judge_group}
        assert set(re.findall(r"--topic ([a-z]\S*)", command)) <= {topic.name for topic in needed_topics(settings)}


def test_every_runbook_belongs_to_an_alert() -> None:
    """No runbook is left over from an alert that is gone."""
    assert {path.stem for path in (ROOT / "deploy" / "runbooks").glob("*.md")} == {alert["alert"] for alert in ALERTS}


def test_every_alert_is_tested() -> None:
    """Each alert has at least one moment in a test at which it must fire."""
    files = [yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8")) for name in RULE_TESTS]
    rows = [row for file in files for case in file["tests"] for row in case.get("alert_rule_test", [])]
    firing = {row["alertname"] for row in rows if row["exp_alerts"]}
    assert firing == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_the_rules_ask_for_what_a_worker_says(alert: dict[str, Any]) -> None:
    """Each metric in a rule is one of the worker's, and each label that a rule names is one of the metric's."""
    labels = {metric.name: set(metric.labels) for metric in METRICS}
    for name in re.findall(r"\bpastille_\w+", alert["expr"]):
        assert name in labels
    for by, name in re.findall(r"by \(([\w, ]+)\)\s+\((?:\w+\()?(pastille_\w+)", alert["expr"]):
        assert set(by.split(", ")) <= labels[name]
    for name, label in re.findall(r"(pastille_\w+)\{(\w+)", alert["expr"]):
        assert label in labels[name]


def test_the_rules_are_those_prometheus_loads() -> None:
    """The configuration loads the rules, and scrapes under the job name they ask for."""
    config = yaml.safe_load(CONFIG)
    assert config["rule_files"] == ["pastille.rules.yml"]
    assert [job["metrics_path"] for job in config["scrape_configs"] if job["job_name"] == "pastille"] == ["/metrics"]
