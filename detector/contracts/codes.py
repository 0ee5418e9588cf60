"""Whose fault a red is, by its response code; the table is `codes.toml`.

A label for people and evidence. It never decides whether there is an outage: a bank that is down may answer with any
code, or none.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, get_args

from detector.contracts.models import FaultDomain

DOMAINS: Final[tuple[FaultDomain, ...]] = get_args(FaultDomain)

TECHNICAL: Final[frozenset[FaultDomain]] = frozenset({"issuer", "network"})
"""Domains of a red that nobody decided: the bank could not answer, or was not reached."""

_COMMON: Final = "iso8583"
_OTHER_SPELLINGS: Final = {"american express": "amex", "master card": "mastercard", "mc": "mastercard"}


@dataclass(frozen=True, slots=True)
class Code:
    """What the table says of one code; `alive`: only a working bank can answer this."""

    domain: FaultDomain
    alive: bool
    means: str


def fault_domain(code: str, method: str, network: str | None = None) -> FaultDomain:
    """The fault domain of a red with this code; `unknown` where the table does not have it."""
    found = look_up(code, method, network)
    return found.domain if found else "unknown"


def proves_alive(code: str, method: str = "card", network: str | None = None) -> bool:
    """Whether the code proves that the bank answers."""
    found = look_up(code, method, network)
    return found is not None and found.alive


def label(codes: Iterable[tuple[str, int]], method: str, network: str | None = None) -> FaultDomain:
    """The fault domain of most reds, given how many had each code; `unknown` without codes.

    Of domains with equally many the one named first in DOMAINS.
    """
    reds: Counter[FaultDomain] = Counter()
    for code, count in codes:
        reds[fault_domain(code, method, network)] += count
    return max(DOMAINS, key=lambda domain: reds[domain]) if reds.total() > 0 else "unknown"


def reader_of(method: str, network: str | None = None) -> int:
    """The number of who reads a code: methods and networks for which the table says the same have the same one."""
    known, names = (*_tables(), ""), (method.strip().lower(), _spelled((network or "").strip().lower()))
    first, second = (known.index(name) if name in known else len(known) - 1 for name in names)
    return first * len(known) + second


def technical_for(code: str) -> int:
    """Whom the code tells of a technical reason: bit `reader_of(method, network)`."""
    known = (*_tables(), "")
    assert len(known) ** 2 <= 64, "as many readers as a word has bits"
    readers = ((method or "other", network) for method in known for network in known)
    return sum(1 << reader for reader, who in enumerate(readers) if fault_domain(code, *who) in TECHNICAL)


def look_up(code: str, method: str, network: str | None = None) -> Code | None:
    """The entry of a code: its method's, else its network's, else the common one.

    Else an entry that one table alone has is as good; UPI's, where the method is known not to be UPI, are not.
    Upper and lower case are the same.
    """
    tables, code = _tables(), code.strip().upper()
    for table in (method.strip().lower(), _spelled((network or "").strip().lower()), _COMMON):
        if found := tables.get(table, {}).get(code):
            return found
    owners = [table for name, table in tables.items() if code in table and (name != "upi" or not method)]
    return owners[0][code] if len(owners) == 1 else None


def _spelled(network: str) -> str:
    return _OTHER_SPELLINGS.get(network, network)


@cache
def _document() -> Mapping[str, object]:
    return tomllib.loads(resources.files(__package__).joinpath("codes.toml").read_text(encoding="utf-8"))


@cache
def _tables() -> Mapping[str, Mapping[str, Code]]:
    document = _document()
    return {
        name: {code: Code(**entry) for code, entry in table.items()}
        for name, table in document.items()
        if isinstance(table, dict)
    }


CODES_VERSION: Final = str(_document()["version"])
"""Which table it was; goes wherever a label does."""
