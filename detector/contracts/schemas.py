"""The contracts as documents for others: a JSON Schema for each, and one AsyncAPI 3 document of the topics.

Makes texts, from the models alone; writing them is the shell's (`python -m streams.schemas`). Topic names are those of
the default settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from pydantic.json_schema import GenerateJsonSchema

from detector.contracts.models import CONTRACTS, cloud_event
from detector.contracts.models import OutageData as _OutageData

Document: TypeAlias = dict[str, Any]

ASYNCAPI_FILE: Final = "asyncapi.json"

_BEGAN_MS: Final = 1_767_256_200_000  # 2026-01-01 08:30 UTC

_OUTAGE: Final = _OutageData.model_validate(
    {
        "outage_id": "9c1f4e0a7d2b5563",
        "sequence": 1,
        "scope": {"dimension": "bank", "bank": "bnp"},
        "kind": "all_red",
        "trigger": "policy",
        "severity": "critical",
        "fault_domain": "issuer",
        "began_at": _BEGAN_MS,
        "detected_at": _BEGAN_MS + 300_000,
        "updated_at": _BEGAN_MS + 300_000,
        "window": {"start": _BEGAN_MS, "end": _BEGAN_MS + 300_000},
        "evidence": {
            "payments": 48, "approved": 0, "declined": 9, "error": 36, "pending": 3,
            "oldest_pending_s": 12.4, "votes": 41, "merchants": 17,
        },
        "top_codes": [{"code": "91", "count": 36}, {"code": "05", "count": 9}],
        "policy_version": "54d8dbc7b5e4",
        "input": {"sources": {"default/0": 18211, "default/1": 18044}, "boundary": _BEGAN_MS + 300_000},
        "explanation": "bank bnp: 45 of 45 answered payments refused since 08:30:00 UTC, at 17 shops; "
        "bank itau and method pix work.",
    }
)  # fmt: skip

EXAMPLES: Final[Mapping[str, Document]] = {
    "payment": {
        "payment_id": "pay-7f3a", "order_id": "ord-1184", "bank": "bnp", "method": "card", "status": "declined",
        "occurred_at": _BEGAN_MS + 2_350, "started_at": _BEGAN_MS, "merchant_id": "shop-17", "shopper_id": "s-90211",
        "amount": 4990, "currency": "EUR", "code": "51", "network": "visa", "country": "FR", "channel": "web",
    },
    "order": {
        "order_id": "ord-1184", "status": "placed", "occurred_at": "2026-01-01T09:29:58.120+01:00",
        "merchant_id": "shop-17", "bank": "bnp", "method": "card", "amount": 4990, "currency": "EUR",
    },
    "maintenance": {
        "maintenance_id": "5f0c2a91", "scope": "bank:bnp", "starts_at": "2026-05-02T02:00:00Z",
        "ends_at": "2026-05-02T04:00:00Z", "note": "new core banking", "declared_at": "2026-04-30T09:12:00Z",
        "cancelled": False,
    },
    "lesson": {
        "version": 1, "scope": "bank:bnp", "said_at": "2026-01-02T07:00:00Z", "dimensions": ["bank", "method"],
        "policy_version": "54d8dbc7b5e4", "learned_from": "2026-01-01T00:00:00Z", "learned_to": "2026-01-02T00:00:00Z",
        "baseline": {"level": "eJxjYACCCwcdQBRDQ7cDABWgAx0=", "tau2": "eJw7/FUjpv/QUnsAFZoEcg=="}, "hazard": None,
    },
    "outage": cloud_event(_OUTAGE, "started", "9c1f4e0a7d2b5563-1", _BEGAN_MS + 300_900),
    "health": {
        "key": "bank:bnp",
        "scope": {"dimension": "bank", "bank": "bnp", "method": None, "merchant": None, "psp": None, "channel": None,
                  "country": None, "network": None},
        "status": "down", "approval_rate": 0.0, "payments": 48, "since": _BEGAN_MS + 300_000,
        "outage_id": "9c1f4e0a7d2b5563", "alternatives": ["bank:itau,method:card", "method:pix"], "reason": None,
    },
    "dead-letter": {
        "topic": "payments", "partition": 3, "offset": 18207, "key": "ord-1185", "headers": {"origin": "shop-17"},
        "reason": "missing_field", "field": "bank", "received_at": _BEGAN_MS + 3_000,
        "payload": "eyJwYXltZW50X2lkIjoicGF5LTdmM2IifQ==",
    },
}  # fmt: skip
"""One valid record of each contract."""

_CHANNELS: Final[tuple[tuple[str, str, str, Literal["receive", "send"], str, Document], ...]] = (
    ("payments", "payments", "payment", "receive", "order_id (murmur2 partitioner)", {}),
    ("orders", "orders", "order", "receive", "order_id (murmur2 partitioner)", {}),
    ("maintenances", "pastille.maintenances", "maintenance", "receive", "maintenance_id",
     {"partitions": 1, "topicConfiguration": {"cleanup.policy": ["compact"]}}),
    ("baselines", "pastille.baselines", "lesson", "receive", "the key of the scope",
     {"partitions": 1, "topicConfiguration": {"cleanup.policy": ["compact"]}}),
    ("outages", "pastille.outages", "outage", "send", "outage_id", {"partitions": 1}),
    ("health", "pastille.health", "health", "send", "the key of the scope",
     {"topicConfiguration": {"cleanup.policy": ["compact"]}}),
    ("deadLetters", "pastille.dead-letters", "dead-letter", "send", "the key of the record, where it may be kept", {}),
)  # fmt: skip
"""Channel, topic, contract, what Pastille does with it, what its records' key is, and Kafka's settings of the topic."""


class _WithoutTitles(GenerateJsonSchema):
    """A title that repeats a field's name tells a reader nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def documents() -> dict[str, str]:
    """The text of every file, by its name."""
    files = {f"{name}.schema.json": json_schema(name) for name in CONTRACTS}
    files[ASYNCAPI_FILE] = asyncapi()
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in files.items()}


def json_schema(name: str) -> Document:
    """The JSON Schema of a contract: of what we accept, or of what we write."""
    received = any(contract == name and action == "receive" for _, _, contract, action, _, _ in _CHANNELS)
    schema = CONTRACTS[name].model_json_schema(
        mode="validation" if received else "serialization", schema_generator=_WithoutTitles
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:pastille:schema:{name}:v1",
        **schema,
        "examples": [EXAMPLES[name]],
    }


def asyncapi() -> Document:
    """The AsyncAPI 3 document; payloads are the schema files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pastille",
            "version": "1.0.0",
            "description": "Payment and order events in, outage events out. All records are JSON, UTF-8; fields that "
            "are not named here are allowed and ignored. Topic names are those of the default settings.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {row[0]: _channel(*row) for row in _CHANNELS},
        "operations": {
            f"{action}{channel[0].upper()}{channel[1:]}": _operation(channel, contract, action)
            for channel, _, contract, action, _, _ in _CHANNELS
        },
        "components": {"messages": {contract: _message(contract, key) for _, _, contract, _, key, _ in _CHANNELS}},
    }


def _channel(channel: str, topic: str, contract: str, action: str, key: str, settings: Document) -> Document:
    return {
        "address": topic,
        "description": _summary(contract),
        "messages": {contract: {"$ref": f"#/components/messages/{contract}"}},
        "bindings": {"kafka": {"topic": topic, **settings, "bindingVersion": "0.5.0"}},
    }


def _operation(channel: str, contract: str, action: str) -> Document:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{contract}"}],
    }


def _message(contract: str, key: str) -> Document:
    return {
        "name": CONTRACTS[contract].__name__,
        "summary": _summary(contract),
        "payload": {"$ref": f"./{contract}.schema.json"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
        "examples": [{"name": contract, "payload": EXAMPLES[contract]}],
    }


def _summary(contract: str) -> str:
    return (CONTRACTS[contract].__doc__ or "").partition("\n")[0]
