"""Response codes and whose fault they say a red is."""

import tomllib
from importlib import resources

import pytest

from detector.contracts.codes import (
    CODES_VERSION,
    DOMAINS,
    TECHNICAL,
    fault_domain,
    label,
    look_up,
    proves_alive,
    reader_of,
    technical_for,
)

TABLE = tomllib.loads(resources.files("detector.contracts").joinpath("codes.toml").read_text(encoding="utf-8"))
ENTRIES = [
    (name, code, entry) for name, table in TABLE.items() if isinstance(table, dict) for code, entry in table.items()
]


@pytest.mark.parametrize(
    ("domain", "codes"),
    [
        ("issuer", ["91", "N0", "Z3"]),
        ("network", ["96", "92", "06", "68"]),
        ("business", ["51", "54", "55", "61", "65"]),
        ("unknown", ["05", "", "no such code", "99999"]),
        ("merchant", ["03", "12", "13", "30"]),
    ],
)
def test_the_common_codes(domain: str, codes: list[str]) -> None:
    """The codes that every card platform meets have the fault domain that the design gives them."""
    assert {code: fault_domain(code, "card") for code in codes} == dict.fromkeys(codes, domain)


@pytest.mark.parametrize("code", ["51", "54", "55", "61", "65"])
def test_business_codes_prove_the_bank_alive(code: str) -> None:
    """A bank that says insufficient funds or wrong PIN has looked, so it is alive."""
    assert proves_alive(code)


@pytest.mark.parametrize("code", ["91", "05", "96", "03", "68", "no such code"])
def test_other_codes_prove_nothing(code: str) -> None:
    """A code that a stand-in or the network can give proves nothing of the bank."""
    assert not proves_alive(code)


@pytest.mark.parametrize(
    ("code", "method", "network", "domain"),
    [
        ("82", "card", None, "authentication"),
        ("82", "card", "mastercard", "business"),
        ("82", "card", "MC", "business"),
        ("1A", "card", "visa", "authentication"),
        ("1a", "card", " Visa ", "authentication"),
        ("911", "card", "American Express", "issuer"),
        ("911", "card", None, "issuer"),
        ("70", "card", None, "unknown"),  # visa and mastercard mean different things
        ("51", "card", "a network of its own", "business"),
        ("Z9", "upi", None, "business"),
        ("UT", "upi", None, "issuer"),
        ("XY", "upi", None, "issuer"),
        ("U68", "upi", None, "acquirer"),
        ("U30", "upi", None, "unknown"),
        ("91", "upi", None, "issuer"),
        ("U68", "", None, "acquirer"),  # of a whole bank, whatever the method
        ("ZM", "card", None, "unknown"),  # UPI's codes are UPI's
    ],
)
def test_method_and_network_come_first(code: str, method: str, network: str | None, domain: str) -> None:
    """A code means what its method says, else its network, else the common table."""
    assert fault_domain(code, method, network) == domain


@pytest.mark.parametrize(
    ("codes", "domain"),
    [
        ([], "unknown"),
        ([("91", 0)], "unknown"),
        ([("91", 3), ("51", 2)], "issuer"),
        ([("91", 2), ("51", 1), ("61", 2)], "business"),  # two codes of one domain add up
        ([("05", 9), ("91", 1)], "unknown"),
        ([("96", 4), ("91", 4)], "issuer"),
    ],
)
def test_label_of_an_outage(codes: list[tuple[str, int]], domain: str) -> None:
    """An outage is labelled with the fault domain of most of its reds."""
    assert label(codes, "card") == domain
    assert label(reversed(codes), "card") == domain


def test_the_table_is_whole() -> None:
    """Every entry has a domain of the design, a flag and words; nothing but a looking bank proves life."""
    assert TABLE["version"] == CODES_VERSION
    assert {entry["domain"] for _, _, entry in ENTRIES} == set(DOMAINS)
    for name, code, entry in ENTRIES:
        assert set(entry) == {"domain", "alive", "means"}, (name, code)
        assert code == code.upper(), (name, code)
        assert not (entry["alive"] and entry["domain"] in ("issuer", "network", "acquirer")), (name, code)
        assert look_up(code, name if name == "upi" else "card", name) is not None


@pytest.mark.parametrize("code", [*sorted({code for _, code, _ in ENTRIES}), "", "no such code"])
def test_readers_of_a_code_agree_with_the_table(code: str) -> None:
    """Who reads a code finds a technical reason in it exactly where its fault domain is the issuer's or the network."""
    methods = ("card", "pix", "upi", "UPI ", "visa", "none", "iso8583")
    for method in methods:
        for network in (None, "", "visa", " MC", "amex", "American Express", "elo"):
            said = technical_for(code) >> reader_of(method, network) & 1
            assert bool(said) == (fault_domain(code, method, network) in TECHNICAL), (code, method, network)
