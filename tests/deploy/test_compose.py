"""docker-compose.yml and the image, held against the project: there is no Docker engine in a test.

The shape is checked by a schema of our own over the part of the Compose Specification that the file uses: a key that
is not listed here is a spelling mistake or needs a line here.
"""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from detector.contracts.policy import load_policy
from streams.settings import Settings, known_variables

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "pastille"}
HELP_TIMEOUT_S = 60

WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m)$"}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object that has these properties and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def mapping(values: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with any names and such values."""
    return {"type": "object", "additionalProperties": values}


CONDITION = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
HEALTHCHECK = closed(
    {
        "test": WORDS,
        "interval": DURATION,
        "timeout": DURATION,
        "start_period": DURATION,
        "retries": {"type": "integer", "minimum": 1},
        "disable": {"type": "boolean"},
    }
)
SERVICE = closed(
    {
        "image": {"type": "string"},
        "build": closed({"context": {"type": "string"}, "dockerfile": {"type": "string"}}, "context"),
        "command": WORDS,
        "environment": mapping({"type": "string"}),
        "depends_on": mapping(closed({"condition": CONDITION}, "condition")),
        "deploy": closed({"replicas": {"type": "integer", "minimum": 1}}),
        "healthcheck": HEALTHCHECK,
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[\w./-]+:/[\w/.-]+(:ro)?$"}},
        "profiles": WORDS,
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "init": {"type": "boolean"},
        "cap_drop": WORDS,
        "security_opt": WORDS,
        "stop_grace_period": DURATION,
    },
    "image",
    "restart",
)
SCHEMA = closed(
    {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": mapping(SERVICE),
        "volumes": mapping({"type": "null"}),
        "x-pastille": {"type": "object"},
    },
    "services",
)


def test_the_file_has_the_shape_of_a_compose_file() -> None:
    """Every key is one that Compose knows, with a value of the right kind; ports are open on this machine only."""
    jsonschema.validate(COMPOSE, SCHEMA)


def test_the_parts_are_the_ones_that_are_promised() -> None:
    """Kafka, its topics, two workers, the simulator in a profile of its own, Prometheus."""
    assert set(SERVICES) == {"kafka", "topics", "worker", "simulator", "prometheus"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert [name for name, service in SERVICES.items() if service.get("profiles") == ["demo"]] == ["simulator"]


def test_whatever_a_service_waits_for_can_happen() -> None:
    """A service waits for services that exist: for health only where it is checked, for an end only of what ends."""
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            if wait["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"], f"{name} waits for the health of {other}"
            if wait["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no", f"{name} waits for the end of {other}"


def test_whatever_is_mounted_exists() -> None:
    """Folders that are mounted are in the project, named volumes are declared."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_command_exists(name: str) -> None:
    """`pastille` knows the command of each service, and every option in it."""
    command = OURS[name]["command"]
    options = {word.split("=")[0] for word in command if word.startswith("--")}
    words = list(itertools.takewhile(lambda word: not word.startswith("--"), command))
    asked = [sys.executable, "-c", "from streams.commands import main; main()", *words, "--help"]
    wide = os.environ | {"COLUMNS": "200"}
    done = subprocess.run(asked, capture_output=True, text=True, timeout=HELP_TIMEOUT_S, check=False, env=wide)
    assert done.returncode == 0, f"pastille {shlex.join(words)} --help: {done.stdout}{done.stderr}"
    assert options <= set(re.findall(r"--[a-z][a-z-]*", done.stdout))


def test_every_variable_is_one_that_the_settings_read() -> None:
    """No PASTILLE_ variable in the compose file or the image is one that nothing reads."""
    named = set(re.findall(r"\bPASTILLE_[A-Z0-9_]+", DOCKERFILE))
    for service in OURS.values():
        named |= set(service.get("environment", {}))
    assert named, "no variable was found, so this test looks in the wrong place"
    assert named <= {*known_variables()}


def test_the_values_are_settings_that_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's variables make valid settings, which name the compose file's own broker and a policy that loads."""
    worker = SERVICES["worker"]
    mounted = {inside: ROOT / source for source, inside, _ in (volume.split(":") for volume in worker["volumes"])}
    for variable, value in worker["environment"].items():
        monkeypatch.setenv(variable, str(mounted.get(value, value)))
    settings = Settings()
    assert settings.policy is not None
    load_policy(settings.policy.read_text(encoding="utf-8"))
    assert (settings.broker, settings.http_host, settings.http_port) == ("kafka:9092", "0.0.0.0", 8090)


def test_prometheus_asks_the_workers() -> None:
    """The scrape configuration names the workers' service, and the port they listen on."""
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "pastille"]
    (discovery,) = job["dns_sd_configs"]
    assert discovery["names"] == ["worker"]
    assert str(discovery["port"]) == SERVICES["worker"]["environment"]["PASTILLE_HTTP_PORT"]


def test_the_kafka_is_the_one_we_test_with() -> None:
    """The image runs the very version of Kafka that the embedded broker is."""
    version = SERVICES["kafka"]["image"].split(":")[1]
    locks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "streams" / "embedded").glob("*.lock"))
    assert f"org.apache.kafka:kafka_2.13:{version}" in locks


def test_the_image_is_lean_and_not_root() -> None:
    """Two stages; the last one leaves root before its command, warms the compiled code, and watches /health/live."""
    _, first, last = re.split("^FROM ", DOCKERFILE, flags=re.MULTILINE)
    assert "pip install" in first
    assert "pip install" not in last
    assert last.index("USER pastille") < last.index("python -m detector.warm") < last.index("ENTRYPOINT")
    assert "NUMBA_CACHE_DIR=" in last
    assert "/health/live" in last


def test_the_image_holds_what_the_build_copies() -> None:
    """Whatever the Dockerfile copies from the project exists and is let through by .dockerignore."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M) for word in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
