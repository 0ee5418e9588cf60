"""The operator's policy as a value: every rule and limit, in force for a scope or a leaf, with a version.

Does not know the file it was written in: what a file may say is `policy_check`'s, where it says it is `toml_lines`'.
Reading files is the shell's business; text comes in as an argument.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import combinations
from typing import Any, ClassVar, Final, Literal

from detector.contracts.policy_agreement import ring_panes
from detector.contracts.policy_check import merge
from detector.contracts.policy_problem import Problem
from detector.contracts.scope import Leaf, Scope, leaf_scope, parse_scope
from detector.contracts.toml_lines import line_of, open_line

NEVER: Final = -1
"""The `answer_ms` of a payment whose pending is never overdue."""

IGNORE: Final = "ignore"
"""What `statuses` maps a word to that is counted and not judged."""

FINDINGS_MAX: Final = 100
"""As many as a person mends in one go; finding the line of each takes a moment."""

_VERSION_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in a policy file: the line (from 1; 0 where the file has none for it), the dotted key, the words."""

    line: int
    key: str
    message: str


class PolicyError(Exception):
    """A policy file that cannot be used; `findings` holds every mistake found in it, in the order of lines."""

    def __init__(self, name: str, findings: tuple[Finding, ...]) -> None:
        self.name = name
        self.findings = findings
        super().__init__("\n".join(f"{name}:{finding.line}: {finding.message}" for finding in findings))


@dataclass(frozen=True, slots=True)
class Rule:
    """A breach needs this many distinct bad voters (n), the first bad pane having begun this long ago (T)."""

    after_ms: int = 300_000
    voters: int = 10


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one scope."""

    all_red: Rule
    all_pending: Rule
    min_merchants: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """When an outage of the rules is over.

    Among the newest panes that hold max(`decided`, those of the last `window_ms`): `approved` payments from `voters`
    voters, at a rate of `rate_share` of the usual, held for `hold_ms`.
    """

    hold_ms: int = 60_000
    window_ms: int = 60_000
    decided: int = 10
    approved: int = 3
    voters: int = 2
    rate_share: float = 0.5


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """What the statistics may do, see docs/EVIDENCE.md.

    Bars are return periods. `off`: nothing is said of them; `shadow`: what they alone find only warns.
    """

    mode: Literal["off", "shadow", "live"] = "live"
    page_years: float = 1_000.0
    ticket_years: float = 50.0
    freeze_days: float = 7.0
    page_z: float = 3.0
    ticket_z: float = 2.0
    votes_min: int = 200
    """Usual votes below which evidence warns and only the policy pages."""
    recovery_hold_ms: int = 120_000
    reopen_min: int = 30
    """What is found again so soon after it recovered is the same trouble."""


_STATUSES = {
    "pending": "pending", "approved": "approved", "declined": "declined", "error": "error", "cancelled": "cancelled",
    "refunded": IGNORE, "captured": IGNORE, "settled": IGNORE, "chargeback": IGNORE,
}  # fmt: skip
_ANSWERS = {"default": 60_000, "boleto": NEVER, "cheque": NEVER, "transfer": NEVER}


@dataclass(frozen=True, slots=True)
class Policy:
    """Every rule and limit. Times are ms.

    `statuses`: a platform's word -> one of the five or `ignore`. `answers`: a method -> ms or NEVER, and `default`.
    `overrides`: a scope's key -> the few values it sets apart: `all_red.after_ms`, `all_red.voters`, the same of
    `all_pending`, `min_merchants`, `answer_ms`. Which override wins for a scope is said at `rules`.
    """

    dimensions: tuple[str, ...] = ("bank", "method")
    min_merchants: int = 2
    all_red: Rule = Rule()
    all_pending: Rule = Rule()
    resolve: Resolve = Resolve()
    evidence: EvidenceRules = EvidenceRules()
    answers: Mapping[str, int] = field(default_factory=lambda: dict(_ANSWERS), hash=False)
    statuses: Mapping[str, str] = field(default_factory=lambda: dict(_STATUSES), hash=False)
    overrides: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    page_mode: Literal["live", "shadow"] = "live"
    wait_ms: int = 60_000
    horizon_ms: int = 600_000
    grace_ms: int = 60_000
    pane_ms: int = 5_000
    lateness_ms: int = 1_000
    clock_ahead_ms: int = 300_000
    ring_ms: int = 3_600_000
    details_ms: int = 5_000
    leaves_max: int = 5_000
    codes_max: int = 1_000
    merchants_detail_max: int = 256
    merchant_names_max: int = 20_000
    children_max: int = 100
    dead_letters_per_s_max: int = 100
    dead_letter_bytes_max: int = 65_536
    maintenances_max: int = 1_000

    boundary_ms: ClassVar[int] = 1_000
    """All judging happens at full seconds of event time."""
    vote_block_ms: ClassVar[int] = 600_000
    """A voter has one vote a leaf in an aligned block of starts this long."""

    version: str = field(init=False, compare=False)
    """The start of the SHA-256 of `canonical()`: equal for files that mean the same."""
    _by_scope: Mapping[tuple[tuple[str, str], ...], Mapping[str, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.canonical().encode()).hexdigest()
        object.__setattr__(self, "version", digest[:_VERSION_CHARACTERS])
        object.__setattr__(self, "_by_scope", {parse_scope(key).values: value for key, value in self.overrides.items()})

    def canonical(self) -> str:
        """The whole policy as JSON, keys sorted; `Policy.parse` reads it again."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return json.dumps(plain, default=asdict, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def parse(cls, canonical: str) -> Policy:
        """Read what `canonical` wrote. Raises ValueError for anything else, keys of another version included."""
        plain = json.loads(canonical)
        if not isinstance(plain, dict):
            raise ValueError(
                f"a canonical policy is a JSON object; got {type(plain).__name__}; pass Policy.canonical()"
            )
        return _from_plain(plain)

    def rules(self, scope: Scope) -> Rules:
        """What holds for a scope. For each value the narrowest override that covers the scope wins.

        A leaf's own beats its bank's, a bank's beats a method's (the order of `dimensions`), and these beat the
        policy's own. An override named `platform` is for the platform alone.
        """
        layers = tuple(self._covering(scope))
        return Rules(
            _rule("all_red", self.all_red, layers),
            _rule("all_pending", self.all_pending, layers),
            _first("min_merchants", layers, self.min_merchants),
        )

    def answer_ms(self, leaf: Leaf) -> int:
        """How old a pending payment of the leaf may be before it is overdue; NEVER for slow methods."""
        method = leaf[self.dimensions.index("method")]
        usual = self.answers.get(method, self.answers["default"])
        return _first("answer_ms", tuple(self._covering(leaf_scope(self.dimensions, leaf))), usual)

    @property
    def open_ms(self) -> int:
        """How long a pane is open after its end, for Counter and Judge alike."""
        return self.horizon_ms + self.grace_ms

    @property
    def ring_panes(self) -> int:
        """How many panes the Judge's ring holds."""
        return ring_panes(self.ring_ms, self.open_ms, self.pane_ms)

    @property
    def reach_ms(self) -> int:
        """How far before log time a source is read again at most, should all be lost; see `Counter.commit_from`."""
        return self.open_ms + 2 * self.horizon_ms + self.clock_ahead_ms + self.vote_block_ms + 2 * self.pane_ms

    @property
    def counts_votes(self) -> bool:
        """Whether anybody asks for votes. Where nobody does, every payment is told as one."""
        return self.evidence.mode != "off"

    @property
    def voters_max(self) -> int:
        """The largest n of any rule: how many of the smallest voter hashes a cell carries."""
        names = ("all_red.voters", "all_pending.voters")
        special = (value for override in self.overrides.values() for name, value in override.items() if name in names)
        return max(self.all_red.voters, self.all_pending.voters, *special)

    @property
    def merchants_max(self) -> int:
        """The largest `min_merchants` of any rule: how many of the smallest merchant hashes a cell carries."""
        return max(self.min_merchants, *(value.get("min_merchants", 0) for value in self.overrides.values()), 0)

    def _covering(self, scope: Scope) -> Iterator[Mapping[str, int]]:
        """The overrides that cover a scope, the one that wins first."""
        if not self._by_scope:
            return
        values = sorted(scope.values, key=lambda pair: self._rank(pair[0]))
        for size in range(len(values), 0 if values else -1, -1):
            for subset in combinations(values, size):
                if override := self._by_scope.get(subset):
                    yield override

    def _rank(self, dimension: str) -> int:
        return self.dimensions.index(dimension) if dimension in self.dimensions else len(self.dimensions)


def _rule(name: str, usual: Rule, layers: tuple[Mapping[str, int], ...]) -> Rule:
    after_ms = _first(f"{name}.after_ms", layers, usual.after_ms)
    return Rule(after_ms, _first(f"{name}.voters", layers, usual.voters))


def _first(name: str, layers: tuple[Mapping[str, int], ...], usual: int) -> int:
    return next((layer[name] for layer in layers if name in layer), usual)


def _from_plain(plain: Mapping[str, Any]) -> Policy:
    known = {item.name for item in fields(Policy) if item.init}
    if set(plain) != known:
        raise ValueError(
            f"a canonical policy has exactly the keys of this version; got {sorted(set(plain) ^ known)} "
            "missing or unknown; run the same version everywhere"
        )
    shaped = {
        "dimensions": tuple(plain["dimensions"]),
        "all_red": Rule(**plain["all_red"]),
        "all_pending": Rule(**plain["all_pending"]),
        "resolve": Resolve(**plain["resolve"]),
        "evidence": EvidenceRules(**plain["evidence"]),
    }
    return Policy(**{**plain, **shaped})


DEFAULT: Final = Policy()
"""What holds where a file says nothing."""


def load_policy(toml_text: str, name: str = "policy.toml") -> Policy:
    """The policy a TOML text means; what it leaves out has the default.

    Raises PolicyError with every mistake, its line and the mend; `name` is how the words call the file.
    """
    try:
        data = tomllib.loads(toml_text)
    except (ValueError, RecursionError) as error:  # not only tomllib's own: Python reads no number of 5,000 digits
        raise PolicyError(name, (_syntax_finding(toml_text, error),)) from None
    plain, problems = merge(data, json.loads(DEFAULT.canonical()))
    if problems:
        raise PolicyError(name, _findings(toml_text, problems))
    return _from_plain(plain)


def _findings(toml_text: str, problems: list[Problem]) -> tuple[Finding, ...]:
    shown = [_finding(toml_text, problem) for problem in problems[:FINDINGS_MAX]]
    shown.sort(key=lambda finding: (finding.line, finding.key))
    if more := len(problems) - len(shown):
        shown.append(Finding(0, "", f"{more} more mistakes are not shown; mend these first"))
    return tuple(shown)


def _finding(toml_text: str, problem: Problem) -> Finding:
    key = ".".join(str(part) for part in problem.path)
    return Finding(line_of(toml_text, problem.path), key, problem.message)


def _syntax_finding(toml_text: str, error: Exception) -> Finding:
    found = re.search(r"line (\d+)", str(error))
    line = int(found[1]) if found else open_line(toml_text)
    return Finding(line, "", f"this is not TOML; got: {error}; mend this line first")
