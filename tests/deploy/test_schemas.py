"""The kept schema documents: current, well-formed, and true of real records."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from detector.contracts.models import CONTRACTS
from detector.contracts.schemas import ASYNCAPI_FILE, EXAMPLES, documents
from streams.schemas import write
from streams.settings import Feed, TopicNames

SCHEMAS = Path(__file__).parents[2] / "deploy" / "schemas"


def load(name: str) -> dict[str, Any]:
    """A kept document."""
    document: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return document


def references(document: object) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            yield from references(item)


def resolve(reference: str, file: str) -> Any:
    """What a `$ref` in a file points at; raises where it points at nothing."""
    other, _, pointer = reference.partition("#")
    target: Any = load(other.removeprefix("./") if other else file)
    for part in pointer.split("/")[1:]:
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return target


def test_kept_documents_are_current(tmp_path: Path) -> None:
    """deploy/schemas holds exactly what the models say now (else: python -m streams.schemas deploy/schemas)."""
    write(tmp_path / "new")
    made = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "new").iterdir()}
    assert made == documents()
    assert {file.name: file.read_text(encoding="utf-8") for file in SCHEMAS.iterdir()} == made


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_json_schemas(name: str) -> None:
    """Each schema is one, accepts its example, and refuses the example without any one required field."""
    schema = load(f"{name}.schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(EXAMPLES[name])
    for field in schema["required"]:
        assert not validator.is_valid({key: value for key, value in EXAMPLES[name].items() if key != field}), field


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("payment", {"bank": ""}), ("payment", {"bank": "a\u0007"}), ("payment", {"occurred_at": 1.5}),
        ("payment", {"amount": -1}), ("payment", {"currency": "eur"}), ("order", {"status": "paid"}),
        ("outage", {"type": "pastille.outage.started.v2"}), ("outage", {"data": {}}), ("health", {"status": "fine"}),
        ("dead-letter", {"offset": -1}), ("maintenance", {"cancelled": 1}), ("maintenance", {"ends_at": 1.5}),
        ("maintenance", {"maintenance_id": "a b"}), ("lesson", {"version": 2}), ("lesson", {"baseline": {"a": "?"}}),
    ],
)  # fmt: skip
def test_json_schemas_refuse(name: str, change: dict[str, object]) -> None:
    """A schema says no to what the models say no to."""
    assert not jsonschema.Draft202012Validator(load(f"{name}.schema.json")).is_valid({**EXAMPLES[name], **change})


def test_asyncapi_has_what_version_3_requires() -> None:
    """The AsyncAPI document has its required keys, and each operation an action, a channel and its messages."""
    document = load(ASYNCAPI_FILE)
    assert document["asyncapi"].startswith("3.")
    assert {"title", "version"} <= set(document["info"])
    for channel in document["channels"].values():
        assert channel["address"]
        assert channel["messages"]
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        channel_messages = {f"{channel}/messages/{name}" for name in resolve(channel, ASYNCAPI_FILE)["messages"]}
        assert {message["$ref"] for message in operation["messages"]} == channel_messages


@pytest.mark.parametrize("name", sorted(documents()))
def test_references_resolve(name: str) -> None:
    """Every reference in every document points at something that is there."""
    for reference in references(load(name)):
        assert resolve(reference, name) is not None


def test_channels_are_the_default_topics() -> None:
    """The document's channels are the topics of the default settings that others read or write."""
    feed, own = Feed(), TopicNames()
    addresses = {channel["address"] for channel in load(ASYNCAPI_FILE)["channels"].values()}
    assert addresses == {*feed.topics, own.maintenances, own.baselines, own.outages, own.health, own.dead_letters}
