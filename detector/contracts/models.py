"""What is said on the wire, both ways: payments, orders, maintenances, lessons, outage events, health, dead letters.

JSON Schemas and the AsyncAPI document are generated from here. Does not know Kafka, nor how an event is judged; the hot
path reads events with a decoder of its own, which must agree with these models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from detector.contracts.card import card_like
from detector.contracts.moments import rfc3339
from detector.contracts.scope import Scope, parse_scope
from detector.contracts.words import Amount, Count, Currency, Ms, PackedFloats, Rate, Time, Word

MAINTENANCE_MS_MAX: Final = 31 * 86_400_000
"""A longer one is a slip of the pen, and would keep a bank that is really down from being paged."""

CLOUD_EVENTS_SOURCE: Final = "/pastille"

SCOPE_DIMENSIONS: Final = ("bank", "method", "psp", "channel", "country", "network", "merchant")
"""Dimensions that a scope may fix, in the order in which its key names them."""


def _scope_key(key: str) -> str:
    """The key with its dimensions in their order. Raises ValueError for what is no key, or fixes a dimension twice."""
    scope = parse_scope(key)
    if len(dict(scope.values)) < len(scope.values):
        raise ValueError(f'a scope fixes each dimension once; got "{key}"')
    return ScopeFields.of(scope).to_scope().key


ScopeKey: TypeAlias = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=1_024), AfterValidator(_scope_key)
]
"""A scope in one line, like `bank:bnp,method:card`."""

Kind: TypeAlias = Literal["all_red", "all_pending", "drop", "slow", "stall"]
Trigger: TypeAlias = Literal["policy", "evidence", "evidence,policy"]
Severity: TypeAlias = Literal["critical", "warning"]
FaultDomain: TypeAlias = Literal["issuer", "network", "acquirer", "authentication", "business", "merchant", "unknown"]
HealthStatus: TypeAlias = Literal["healthy", "suspected", "down", "recovering", "maintenance", "unknown"]
ChangeType: TypeAlias = Literal["started", "updated", "resolved"]


class Contract(BaseModel):
    """What every contract shares: frozen; extra fields are allowed and ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,
    )


class PaymentEvent(Contract):
    """A payment got a status; one event for each. Topic `payments`, key `order_id`."""

    # `status` stays the platform's own word: mapping it is the policy's, which a schema cannot know.

    payment_id: Word = Field(description="One attempt to pay one order; a retry is a payment of its own.")
    order_id: Word = Field(description="The order it pays; also the record's key.")
    bank: Word = Field(description="The bank whose answer decides the payment.")
    method: Word = Field(description="card, pix, transfer, cheque, boleto, wallet, …")
    status: Word = Field(
        description="pending, approved, declined (the bank said no), error (no valid answer), cancelled (the shopper "
        "left), or a word that the policy's [statuses] maps to one of these or to ignore."
    )
    occurred_at: Time = Field(description="When the payment got this status; epoch ms or RFC 3339 with a zone.")
    started_at: Time | None = Field(
        None, description="When the payment began, if this is not its first event. Required on an answer that comes "
        "10 minutes or more after the start."
    )  # fmt: skip
    merchant_id: Word | None = Field(None, description="The shop; opaque. Without it a shop's bug looks like a bank's.")
    shopper_id: Word | None = Field(None, description="The shopper; opaque. Counts retries of one person once.")
    instrument_id: Word | None = Field(None, description="The card or account as an opaque token, never its number.")
    amount: Amount | None = Field(None, description="In minor units of the currency.")
    currency: Currency | None = Field(None, description="ISO 4217, like EUR.")
    code: Word | None = Field(None, description="The raw response code, like 05, 91 or U30.")
    network: Word | None = Field(None, description="The card network, like visa.")
    psp: Word | None = Field(None, description="The payment service provider it went through.")
    country: Word | None = Field(None, description="ISO 3166-1 alpha-2, like FR.")
    channel: Word | None = Field(None, description="web, app, store, …")

    @field_validator("status")
    @classmethod
    def _is_mapped(cls, status: str, info: ValidationInfo) -> str:
        """With `context={"statuses": policy.statuses}` a word that is not mapped is an error; without, any passes."""
        statuses: Mapping[str, str] | None = (info.context or {}).get("statuses")
        if statuses is not None and status not in statuses:
            raise ValueError(f"a status is one of {', '.join(statuses)}; map the platform's word in [statuses]")
        return status


class OrderEvent(Contract):
    """An order got a status. Topic `orders`, key `order_id`; placed with a bank and not yet paid it is half green."""

    order_id: Word = Field(description="The order; also the record's key.")
    status: Literal["placed", "confirmed", "cancelled"] = Field(description="What became of the order.")
    occurred_at: Time = Field(description="When; epoch ms or RFC 3339 with a zone.")
    merchant_id: Word | None = Field(None, description="The shop; opaque.")
    bank: Word | None = Field(None, description="The bank the shopper chose.")
    method: Word | None = Field(None, description="The method the shopper chose.")
    amount: Amount | None = Field(None, description="In minor units of the currency.")
    currency: Currency | None = Field(None, description="ISO 4217, like EUR.")
    channel: Word | None = Field(None, description="web, app, store, …")
    shopper_id: Word | None = Field(None, description="The shopper; opaque.")


class ScopeFields(Contract):
    """A set of payments: the values it fixes; none is the whole platform."""

    dimension: str = Field(description="platform, the one dimension that is fixed, or leaf where several are.")
    bank: str | None = None
    method: str | None = None
    merchant: str | None = None
    psp: str | None = None
    channel: str | None = None
    country: str | None = None
    network: str | None = None

    @classmethod
    def of(cls, scope: Scope) -> ScopeFields:
        """The same scope as fields. Raises ValueError for a dimension that the contract does not have."""
        values = dict(scope.values)
        if unknown := set(values) - set(SCOPE_DIMENSIONS):
            raise ValueError(f"a scope fixes {', '.join(SCOPE_DIMENSIONS)}; got {', '.join(sorted(unknown))}")
        return cls(dimension=scope.dimension, **values)

    def to_scope(self) -> Scope:
        """The same scope as a value."""
        pairs = ((name, getattr(self, name)) for name in SCOPE_DIMENSIONS)
        return Scope(tuple((name, value) for name, value in pairs if value is not None))


class Maintenance(Contract):
    """Announced unavailability of a scope: judged and shown, not paged. Topic `pastille.maintenances`, compacted."""

    maintenance_id: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._-]{1,64}$")] = Field(
        description="Also the record's key; a record without a value cancels it."
    )
    scope: ScopeKey = Field(description="The key of the scope, like bank:bnp; what lies below it is announced too.")
    starts_at: Time = Field(description="From when; epoch ms or RFC 3339 with a zone.")
    ends_at: Time = Field(description="Until when, at most 31 days later: what is still down then pages.")
    note: Word | None = Field(None, description="Why, in a few words.")
    declared_at: Time | None = Field(
        None, description="When this was declared, or last changed: it is obeyed from then on; without it, at once."
    )
    cancelled: Annotated[bool, Field(strict=True)] = Field(False, description="Whether it was called off.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if not 0 < self.ends_at - self.starts_at <= MAINTENANCE_MS_MAX:
            raise ValueError(
                f"a maintenance ends after it starts, at most 31 days later; got {rfc3339(self.starts_at)} to "
                f"{rfc3339(self.ends_at)}; give another end"
            )
        named = [value for _, value in parse_scope(self.scope).values]
        if any(map(card_like, (self.note or "", self.maintenance_id, *named))):
            raise ValueError(
                "nothing in a maintenance may look like a card number; name its scope, or write, otherwise"
            )
        return self


class Lesson(Contract):
    """What is usual for a scope, or that it is to be learned anew. Topic `pastille.baselines`, compacted."""

    version: Literal[1] = Field(1, description="Of how the values are packed.")
    scope: ScopeKey = Field(description="The key of the scope, which is the record's key too; of this scope alone.")
    said_at: Time = Field(description="When; a Judge takes each word once, from the boundary at which it reads it.")
    dimensions: Annotated[list[Word], Field(min_length=1, max_length=len(SCOPE_DIMENSIONS))] = Field(
        description="Those of the policy that it was learned by; a Judge of others passes it over."
    )
    policy_version: Word | None = Field(None, description="Hash of the canonical policy that it was learned by.")
    learned_from: Time | None = Field(None, description="The oldest event it was learned from.")
    learned_to: Time | None = Field(None, description="The newest event it was learned from.")
    baseline: dict[Word, PackedFloats] | None = Field(
        None, description="Its approval rate and volume; null: what was learned is forgotten."
    )
    hazard: dict[Word, PackedFloats] | None = Field(None, description="How soon its answers come; of leaves only.")

    @property
    def forgets(self) -> bool:
        """Whether the scope begins anew."""
        return self.baseline is None and self.hazard is None


class Window(Contract):
    """The stretch of event time that the counts are of, in epoch ms."""

    start: Ms
    end: Ms


class Evidence(Contract):
    """The counts behind the verdict; what a later statistic fills is null until then."""

    payments: Count = Field(description="Payments in the window, by start.")
    approved: Count
    declined: Count
    error: Count
    pending: Count
    oldest_pending_s: Annotated[float, Field(ge=0)] | None = Field(None, description="Age of the oldest pending.")
    votes: Count = Field(0, description="Votes: a voter's retries in 10 minutes are one.")
    merchants: Count = Field(0, description="Merchants whose payments are bad; all without a name are one.")
    return_period_s: Annotated[float, Field(ge=0)] | None = Field(
        None, description="A healthy scope shows this at most once per so many seconds."
    )
    baseline_rate: Rate | None = Field(None, description="The usual approval rate of this scope at this hour.")
    lower_bound: Rate | None = Field(None, description="The approval rate below which this is unusual.")


class CodeCount(Contract):
    """How many reds came with a response code."""

    code: str
    count: Count


class Impact(Contract):
    """The first question of operations: whom did it hit."""

    orders_hit: Count = Field(description="Orders whose payments went red or stayed half green in the outage.")
    orders_recovered: Count = Field(description="How many of them were approved later, in any way.")
    merchants: Count


class Input(Contract):
    """What had been read when this was judged, so that the same log gives the same verdict again."""

    sources: dict[str, int] = Field(default_factory=dict, description="Source (feed/partition) to newest offset.")
    boundary: Ms = Field(description="The full second of event time it was judged at.")
    without: list[str] = Field(default_factory=list, description="Sources that were silent or rebuilding: not judged.")


class OutageData(Contract):
    """The `data` of an outage event. Times are integer epoch ms."""

    outage_id: str = Field(description="Hash of the scope and the ordinal of its outage; the record's key.")
    sequence: Annotated[int, Field(ge=1)] = Field(description="1 for started, one more with each event.")
    scope: ScopeFields
    kind: Kind
    trigger: Trigger = Field("policy", description="What raised it: the operator's policy, or evidence.")
    severity: Severity = Field(description="critical pages a person, warning waits for office hours.")
    fault_domain: FaultDomain | None = Field(None, description="Whose fault the response codes say it is.")
    began_at: Ms = Field(description="The estimated onset.")
    detected_at: Ms = Field(description="When the outage started to be one, in event time.")
    updated_at: Ms
    ended_at: Ms | None = Field(None, description="When it was over; null while it is open.")
    scheduled: bool = Field(False, description="Whether it lies in an announced maintenance.")
    catching_up: bool = Field(False, description="Whether it was judged more than 2 minutes behind the clock.")
    shadow: bool = Field(False, description="Whether [page] mode was shadow: to be looked at, not paged.")
    reason: str | None = Field(
        None, description="Why this event: recovered, superseded by an ancestor or baseline_reset by a person where it "
        "is resolved, reopened where it starts again; of an update what changed: partly_recovered, worse, more_scopes, "
        "no_traffic, frozen_24h, page_mode, …"
    )  # fmt: skip
    window: Window
    evidence: Evidence
    top_codes: list[CodeCount] = Field(default_factory=list, description="The commonest response codes of the reds.")
    impact: Impact | None = None
    parent_id: str | None = Field(None, description="The outage that took this one over.")
    continues_id: str | None = Field(
        None, description="The outage that this one goes on with: it recovered a short while ago, and the trouble is "
        "back. It pages only if that one did not, or was narrower."
    )  # fmt: skip
    children: list[str] = Field(default_factory=list, description="Keys of the scopes below it that broke their rule.")
    children_left_out: Count = Field(0, description="How many more there are than the policy's children_max.")
    maintenance_id: str | None = None
    policy_version: str = Field(description="Hash of the canonical policy.")
    input: Input
    explanation: str = Field(description="One sentence for the person woken at 02:30.")


class OutageEvent(Contract):
    """An outage started, changed or was resolved: CloudEvents 1.0, structured JSON; topic `pastille.outages`."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    type: Literal["pastille.outage.started.v1", "pastille.outage.updated.v1", "pastille.outage.resolved.v1"]
    subject: str = Field(description="The key of the scope, like bank:bnp,method:card.")
    time: str = Field(description="When it was written, RFC 3339.", json_schema_extra={"format": "date-time"})
    datacontenttype: Literal["application/json"] = "application/json"
    data: OutageData


class HealthRecord(Contract):
    """How one scope is now; topic `pastille.health`, compacted, key = `key`."""

    key: str = Field(description="The scope in one line; also the record's key.")
    scope: ScopeFields
    status: HealthStatus
    approval_rate: Rate | None = Field(None, description="Approved ÷ (approved + declined + error); null without any.")
    payments: Count = Field(0, description="Payments it was judged by.")
    since: Ms = Field(description="When the status became this one.")
    outage_id: str | None = Field(None, description="The open outage that says so.")
    alternatives: list[str] = Field(default_factory=list, description="Keys of healthy ways to pay, best first.")
    reason: str | None = Field(None, description="Why it is only suspected, like min_merchants.")


class DeadLetter(Contract):
    """A record that could not be counted; topic `pastille.dead-letters`. Bytes that are no text are `base64:…`."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    key: str | None = Field(None, description="The record's key; null where it looks like a card number.")
    headers: dict[str, str | None] = Field(default_factory=dict)
    reason: str = Field(description="What is wrong, in one word of snake_case.")
    field: str | None = Field(None, description="The field that is wrong, where it is one.")
    received_at: Ms = Field(description="The record's Kafka timestamp.")
    payload: str | None = Field(
        None, description="The record's value in base64; left out when it holds what looks like a card number, or is "
        "too long.", json_schema_extra={"contentEncoding": "base64"}
    )  # fmt: skip


CONTRACTS: Final[Mapping[str, type[Contract]]] = {
    "payment": PaymentEvent,
    "order": OrderEvent,
    "maintenance": Maintenance,
    "lesson": Lesson,
    "outage": OutageEvent,
    "health": HealthRecord,
    "dead-letter": DeadLetter,
}
"""The contracts by the name of their schema file."""


def cloud_event(data: OutageData, type_: ChangeType, id_: str, time_ms: int) -> dict[str, Any]:
    """The CloudEvents envelope around an outage's data, ready for JSON; `time_ms` is when it is written."""
    event = OutageEvent.model_validate(
        {
            "id": id_,
            "source": CLOUD_EVENTS_SOURCE,
            "type": f"pastille.outage.{type_}.v1",
            "subject": data.scope.to_scope().key,
            "time": rfc3339(time_ms),
            "data": data,
        }
    )
    return event.model_dump(mode="json")
