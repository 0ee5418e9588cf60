"""The board behind the page and the terminal view, and the page itself."""

import asyncio
import re
import socket
from importlib.resources import files
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from detector.contracts.models import ScopeFields
from detector.contracts.scope import Scope
from streams.console.board import Board, Light
from streams.console.page import serving
from streams.demo import seeing
from streams.demo.screen import draw

RATES = {("", ""): 0.9, ("bnp", ""): 0.05, ("bnp", "card"): 0.05, ("iris", ""): 0.9, ("iris", "card"): 0.9,
         ("", "card"): 0.8}  # fmt: skip


def fields(scope: dict[str, str]) -> dict[str, Any]:
    """A scope as the contract has it: its dimension, and every value or null."""
    return ScopeFields.of(Scope(tuple(scope.items()))).model_dump()


def outage(change: str = "started", **scope: str) -> dict[str, Any]:
    """An outage event with what the board reads of it."""
    subject = ",".join(f"{name}:{value}" for name, value in scope.items()) or "platform"
    data = {"outage_id": f"id-{len(subject)}", "scope": fields(scope), "kind": "all_red", "severity": "critical",
            "began_at": 1_000, "updated_at": 61_000, "explanation": f"{subject} is all red."}  # fmt: skip
    return {"type": f"pastille.outage.{change}.v1", "subject": subject, "data": data}


def board_with(*events: dict[str, Any]) -> Board:
    board = Board()
    board.take_rates(dict(RATES), 10.0)
    for event in events:
        board.take_outage(event)
    return board


def test_lights_follow_rates_without_an_outage() -> None:
    """A bank with good approvals is up, one with few is weak, one that nothing was answered of says so."""
    board = board_with()
    assert board.light(("iris", "")) is Light.UP
    assert board.light(("bnp", "")) is Light.WEAK
    assert board.light(("opal", "")) is Light.QUIET
    assert Light.QUIET.value == "no answers", "payments may be waiting"


def test_an_outage_darkens_its_scope_and_what_lies_below() -> None:
    """An open outage of a bank puts out the bank and its leaves, not the platform, the method or another bank."""
    board = board_with(outage(bank="bnp"))
    assert board.light(("bnp", "")) is board.light(("bnp", "card")) is Light.DOWN
    assert Light.DOWN not in {board.light(key) for key in [("", ""), ("", "card"), ("iris", ""), ("iris", "card")]}


def test_a_resolved_outage_is_gone_and_told() -> None:
    """After `resolved` nothing is open, and both events stand in what happened."""
    board = board_with(outage(bank="bnp"), outage("updated", bank="bnp"), outage("resolved", bank="bnp"))
    assert not board.open
    assert [line.change for line in board.lines] == ["started", "resolved"]


def test_health_is_shown() -> None:
    """A suspected or announced scope has its own light, and a recovering one too while its outage is open."""
    board = board_with(outage(bank="bnp"))
    for bank, status in (("bnp", "recovering"), ("iris", "suspected"), ("opal", "maintenance")):
        board.take_health({"scope": fields({"bank": bank}), "status": status})
    assert board.light(("bnp", "")) is Light.RECOVERING
    assert board.light(("iris", "")) is Light.SUSPECTED
    assert board.light(("opal", "")) is Light.MAINTENANCE


@pytest.mark.parametrize("scope", [{"channel": "app"}, {"bank": "iris", "channel": "app"}, {"merchant": "a-shop"}])
def test_what_is_less_than_a_bank_or_a_method_darkens_none(scope: dict[str, str]) -> None:
    """An outage or a health record of one app, at one bank or all, is told of and leaves every light as it was."""
    board, before = board_with(outage(**scope)), board_with()
    board.take_health({"scope": fields(scope), "status": "suspected"})
    keys = [*RATES, ("opal", "")]
    assert [board.light(key) for key in keys] == [before.light(key) for key in keys]
    assert len(board.open) == 1


def test_merchants_are_masked() -> None:
    """The name of a merchant is on no screen, neither as scope nor in the sentence."""
    board = board_with(outage(merchant="secret-shop"))
    assert "secret-shop" not in str(board.plain())
    assert board.light(("iris", "")) is Light.UP


@pytest.mark.parametrize(
    ("merchant", "shown"),
    [("shop:paris", "sh…"), ("100%, really", "10…"), ("ab", "…"), ("ang", "a…"), ("a\\1b(", "a\\…"),
     ("<b>x</b>", "<b…"), ("\U0001f4b3\U0001f4b3\U0001f4b3", "\U0001f4b3…")],
)  # fmt: skip
def test_a_merchant_is_masked_however_it_is_written(merchant: str, shown: str) -> None:
    """Also where a scope writes it otherwise, as a colon; a short one is not shown whole, and a bank called the same
    keeps its name."""
    scope = Scope((("bank", "a-bank"), ("merchant", merchant)))
    event = outage(bank="a-bank", merchant=merchant) | {"subject": scope.key}
    event["data"]["explanation"] = f"Iris, {merchant}: payments hang since 09:11, see '{scope.key}'."
    (line,) = board_with(event).open.values()
    assert line.scope == f"bank:a-bank,merchant:{shown}"
    assert line.explanation == f"Iris, {shown}: payments hang since 09:11, see '{line.scope}'."


def test_the_view_says_in_words_what_it_says_in_colour() -> None:
    """Without colours the terminal view still names the bank, its state and the explanation."""
    console = Console(width=120, record=True, color_system=None, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(draw(board_with(outage(bank="bnp")), "Pastille", "note", "now"))
    text = console.export_text()
    assert "■ down" in text
    assert "● up" in text
    assert "bank:bnp is all red." in text


def test_the_page_and_its_data_are_served() -> None:
    """The page forbids everything that is not its own; the data have the open outage; another host name is refused."""

    async def visit() -> None:
        async with serving(board_with(outage(bank="bnp")), 18_080) as port, aiohttp.ClientSession() as session:
            async with session.get(f"http://localhost:{port}/") as page:
                allowed, text = page.headers["Content-Security-Policy"], await page.text()
                assert "default-src 'none'" in allowed
                assert ("img-src data:" in allowed) == ('href="data:' in text)  # its icon, which is none
                assert "http" not in text.replace("http-equiv", "")
            async with session.get(f"http://127.0.0.1:{port}/api/board") as data:
                assert [line["scope"] for line in (await data.json())["open"]] == ["bank:bnp"]
            for host in ("elsewhere.example", "localhost:99999"):
                async with session.get(f"http://127.0.0.1:{port}/", headers={"Host": host}) as refused:
                    assert refused.status == 403

    asyncio.run(visit())


def test_names_are_no_markup() -> None:
    """The page writes names as text alone: they come from the events of others."""
    page = (files("streams.console") / "page.html").read_text(encoding="utf-8")
    assert "textContent" in page
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML", page)


def test_a_taken_port_is_left_for_the_next() -> None:
    """Where the port is taken the page is at the next free one."""

    async def visit(taken: int) -> int:
        async with serving(Board(), taken) as port:
            return port

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert asyncio.run(visit(taken)) > taken


@pytest.mark.parametrize("change", ["started", "updated"])
def test_an_open_outage_is_one_line(change: str) -> None:
    """Whatever event of it is seen first, an outage is open once."""
    assert len(board_with(outage(bank="bnp"), outage(change, bank="bnp")).open) == 1


def test_rates_of_parts_are_not_shown_as_a_whole() -> None:
    """What the worker says of a channel, or of a leaf at one PSP, takes the place of no bank's, method's or platform's
    rate."""
    board, name = Board(), "pastille_approval_ratio"
    page = f"""# TYPE {name} gauge
{name}{{dimension="platform",bank="",method="",window="1m"}} 0.9
{name}{{dimension="bank",bank="bnp",method="",window="1m"}} 0.8
{name}{{dimension="leaf",bank="bnp",method="pix",window="1m"}} 0.7
{name}{{dimension="channel",bank="",method="",channel="app",window="1m"}} 0.1
{name}{{dimension="leaf",bank="bnp",method="pix",psp="one",window="1m"}} 0.2
"""
    seeing._take(board, page)
    assert board.rates == {("", ""): 0.9, ("bnp", ""): 0.8, ("bnp", "pix"): 0.7}
