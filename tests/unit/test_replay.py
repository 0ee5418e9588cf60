"""Replay: the made day's outages, the same whatever the cutting or the sources, and bad lines told by number."""

import gzip
import json
import os
import random
import threading
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kafka.partitioner.default import murmur2 as kafka_murmur2
from typer.testing import CliRunner

from detector.contracts.models import Maintenance
from detector.contracts.policy import Rule
from detector.counting.tally import Marker, Tally, decode, encode
from detector.judging.outage import Change
from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.partition import partitions
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import made_day, simulate
from streams import maintenances
from streams.commands import app_for
from streams.errors import UserError
from streams.recording import blocks_of, counted_ahead, played
from tests.alone import alone

ALONE = alone()
QUICK = alone(all_red=Rule(30_000, 5), all_pending=Rule(30_000, 5))
SEED = 20_240_101
START_MS = 1_700_000_000_000


def lines_of(shops: Shops, duration_ms: int) -> list[bytes]:
    lines = Lines(shops)
    return [line.encode() for events in simulate(shops, duration_ms) for line in lines.values(events)]


@pytest.fixture(scope="module")
def scene() -> list[bytes]:
    """Ten minutes of four banks, one of them red from minute two to five."""
    faults = (parse_fault("bank:aurora all_red 2m 5m"),)
    return lines_of(Shops(rate=6.0, banks=4, shoppers=3_000, swing=0.0, faults=faults), 600_000)


def play(lines: list[bytes], replay: Replay, cuts: list[int] | None = None) -> list[dict[str, Any]]:
    """The data of all changes, the type among them; the lines are fed in pieces that end at `cuts`."""
    changes: list[Change] = []
    edges = [0, *(cuts or []), len(lines)]
    for start, stop in pairwise(edges):
        changes += replay.feed(lines[start:stop])
    changes += replay.finish()
    return [{"type": change.type, **change.data.model_dump()} for change in changes]


def story(changes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What happened when, without counts that depend on how votes fall on sources."""
    names = ("type", "kind", "began_at", "detected_at", "ended_at")
    return [(change["scope"]["bank"], change["scope"]["method"], *(change[name] for name in names))
            for change in changes if change["type"] != "updated"]  # fmt: skip


def test_partitions_are_kafkas() -> None:
    """Every key goes to the partition that Kafka's default partitioner sends it to."""
    chance = random.Random(SEED)
    keys = [chance.randbytes(chance.randrange(64)) for _ in range(2_000)]
    expected = [(kafka_murmur2(key) & 0x7FFFFFFF) % 7 for key in keys]
    assert partitions(keys, 7).tolist() == expected


def test_the_made_day_has_its_three_outages() -> None:
    """Each fault of the made day is one outage, of its scope and kind, found within seconds of the policy's T."""
    shops, duration_ms = made_day()
    replay = Replay(ALONE)
    found = play(lines_of(shops, duration_ms), replay)
    told = [(change["type"], change["scope"]["bank"], change["scope"]["method"], change["kind"])
            for change in found if change["type"] != "updated"]  # fmt: skip
    assert told == [
        ("started", "bnp", None, "all_red"), ("resolved", "bnp", None, "all_red"),
        ("started", "cedar", None, "all_pending"), ("resolved", "cedar", None, "all_pending"),
        ("started", None, "pix", "all_red"), ("resolved", None, "pix", "all_red"),
    ]  # fmt: skip
    started = [change for change in found if change["type"] == "started"]
    for fault, change in zip(shops.faults, started, strict=True):
        assert 0 <= change["began_at"] - shops.start_ms - fault.from_ms <= 10_000
        assert 0 <= change["detected_at"] - change["began_at"] - ALONE.all_red.after_ms <= 5_000
    assert replay.seen.events == replay.seen.lines
    assert replay.time_ms >= replay.seen.last_ms - 5_000


def test_any_cutting_gives_the_same(scene: list[bytes]) -> None:
    """However the lines are cut into batches, every field of every change is the same."""
    whole = play(scene, Replay(QUICK))
    assert [change["type"] for change in whole].count("started") == 1
    chance = random.Random(SEED)
    for pieces in (7, 400):
        cuts = sorted(chance.sample(range(1, len(scene)), pieces))
        assert play(scene, Replay(QUICK), cuts) == whole, f"seed {SEED}, {pieces} cuts"


@pytest.mark.parametrize("sources", [2, 8])
def test_sources_change_no_verdict(scene: list[bytes], sources: int) -> None:
    """Counted by several sources, the same outages start and end at the same times."""
    assert story(play(scene, Replay(QUICK, sources))) == story(play(scene, Replay(QUICK)))


@pytest.mark.parametrize("sources", [2, 8])
def test_any_cutting_gives_the_same_with_sources(scene: list[bytes], sources: int) -> None:
    """With several sources too, batches do not show, in any field."""
    cuts = sorted(random.Random(SEED).sample(range(1, len(scene)), 50))
    assert play(scene, Replay(QUICK, sources), cuts) == play(scene, Replay(QUICK, sources)), f"seed {SEED}"


def test_a_source_that_ends_sooner_is_counted_to_its_end() -> None:
    """The last refusal of three, after which its source has nothing more, is judged while the others go on."""
    orders = [f"o{number}" for number in range(40)]
    of = partitions([order.encode() for order in orders], 2).tolist()
    here, there = ([order for order, at in zip(orders, of, strict=True) if at == source] for source in (0, 1))
    red = zip((here[0], here[1], there[0]), (0, 5, 12), strict=True)
    lines = [_paid(order, "bnp", "declined", at_s) for order, at_s in red]
    lines += [_paid(order, "axa", "approved", 20 + at_s) for at_s, order in enumerate(here[2:12])]
    policy = alone(all_red=Rule(10_000, 3), min_merchants=1, wait_ms=0)
    one, two = (story(play(lines, Replay(policy, sources))) for sources in (1, 2))
    assert [change[:3] for change in one] == [("bnp", None, "started")]
    assert two == one


def _paid(order: str, bank: str, status: str, at_s: int) -> bytes:
    return json.dumps({"payment_id": order, "order_id": order, "bank": bank, "method": "card", "status": status,
                       "occurred_at": START_MS + 1_000 * at_s}).encode()  # fmt: skip


def test_the_wire_changes_nothing(scene: list[bytes]) -> None:
    """Tallies that were encoded and decoded on their way to the Judge give every field of every change again."""

    def through(tally: Tally) -> Tally | Marker:
        return decode(encode(tally))

    assert play(scene, Replay(QUICK, 2, through)) == play(scene, Replay(QUICK, 2))


@pytest.mark.parametrize("sources", [1, 2])
def test_reading_and_counting_ahead_changes_nothing(scene: list[bytes], sources: int) -> None:
    """While a block is judged the next is counted and the one after it read: the same changes in the same order, and
    each bad line with the block it stood in."""
    lines = [*scene[:3_000], b"{", *scene[3_000:], b"["]
    plain, ahead = Replay(QUICK, sources), Replay(QUICK, sources)
    changes, bad = [], []
    for counted in counted_ahead(blocks_of(BytesIO(b"\n".join(lines)), 10_000), ahead):
        changes += ahead.judge(counted)
        bad += [line.line for line in ahead.bad_lines if line.line <= ahead.seen.lines]
    changes += ahead.finish()
    assert [{"type": change.type, **change.data.model_dump()} for change in changes] == play(lines, plain)
    assert bad == [3_001, len(lines)]
    assert ahead.seen == plain.seen


def test_bad_lines_are_told_by_number() -> None:
    """Lines that are no events are counted by reason and named by their numbers, over batches; the others count."""
    good = lines_of(Shops(rate=5.0), 10_000)
    replay = Replay(ALONE)
    replay.feed([good[0], b"{", good[1]])
    assert [(bad.line, str(bad.reason)) for bad in replay.bad_lines] == [(2, "not_json")]
    replay.feed([b'{"order_id":"o","status":"lost","occurred_at":1}', good[2]])
    assert [bad.line for bad in replay.bad_lines] == [4]
    assert replay.seen.lines == 5
    assert replay.seen.events == 3
    assert sum(replay.seen.reasons.values()) == 2


@pytest.mark.parametrize("sources", [0, 5_000])
def test_sources_have_a_limit(sources: int) -> None:
    """A number of sources that no topic has is refused with the limit."""
    with pytest.raises(ValueError, match="sources must be from 1"):
        Replay(ALONE, sources)


# ── the command ──


def run(*arguments: str, given: bytes = b"") -> Any:
    return CliRunner().invoke(app_for(["replay"]), ["replay", *arguments], input=given)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    file = tmp_path / "policy.toml"
    file.write_text("[all_red]\nafter_s = 30\nvoters = 5\n", encoding="utf-8")
    return str(file)


def test_command_prints_the_same_from_file_gzip_and_stdin(scene: list[bytes], tmp_path: Path, policy: str) -> None:
    """A file, the same packed, and standard input give the same CloudEvents, byte for byte."""
    data = b"\n".join(scene)
    (tmp_path / "day.jsonl").write_bytes(data)
    (tmp_path / "day.jsonl.gz").write_bytes(gzip.compress(data))
    plain = run(str(tmp_path / "day.jsonl"), "--policy", policy)
    packed = run(str(tmp_path / "day.jsonl.gz"), "--policy", policy)
    given = run("-", "--policy", policy, given=data + b"\n")
    assert plain.exit_code == packed.exit_code == given.exit_code == 0
    assert plain.stdout == packed.stdout == given.stdout
    events = [json.loads(line) for line in plain.stdout.splitlines()]
    assert [events[0]["type"], events[-1]["type"]] == ["pastille.outage.started.v1", "pastille.outage.resolved.v1"]
    assert len({event["id"] for event in events}) == len(events)
    assert "events of" in plain.stderr


def test_a_pipe_is_judged_as_it_comes(scene: list[bytes], tmp_path: Path) -> None:
    """What stands in a named pipe is judged while its writer waits: nobody waits for the next block, where Ctrl-C would
    not reach him."""
    pipe, judged, waited = tmp_path / "pipe", threading.Event(), list[bool]()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as out:
            out.write(b"\n".join(scene[:200]) + b"\n")
            waited.append(judged.wait(20))

    writer = threading.Thread(target=write)
    writer.start()
    replay = Replay(ALONE)
    for _ in played([str(pipe)], replay):
        judged.set()
    writer.join()
    assert (waited, replay.seen.events) == ([True], 200)


def test_command_writes_bad_lines_without_their_text(scene: list[bytes], tmp_path: Path) -> None:
    """--rejects holds number and reason of each bad line and no word of it; the summary counts them."""
    (tmp_path / "day.jsonl").write_bytes(b'{"payment_id":"secret-word"}\nnonsense\n' + scene[0])
    rejects = tmp_path / "rejects.jsonl"
    result = run(str(tmp_path / "day.jsonl"), "--rejects", str(rejects), "--json")
    assert result.exit_code == 0
    bad = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert [item["line"] for item in bad] == [1, 2]
    assert "secret-word" not in rejects.read_text(encoding="utf-8")
    assert sum(json.loads(result.stderr)["rejects"].values()) == 2


def test_what_is_read_is_not_written_to(tmp_path: Path) -> None:
    """Bad lines never take the place of the recording, whatever it is called."""
    day = tmp_path / "day.jsonl"
    day.write_text("nonsense\n")
    (tmp_path / "same.jsonl").symlink_to(day)
    result = run(str(day), "--rejects", str(tmp_path / "same.jsonl"))
    assert "--rejects is a file of its own" in str(result.exception)
    assert day.read_text() == "nonsense\n"


@pytest.mark.parametrize("sources", [1, 4])
def test_events_that_come_too_late_are_told(scene: list[bytes], sources: int) -> None:
    """Half an hour after, then before it: what is of the time before is too late; in order, nothing is."""
    before = [line for line in scene if b'"payment_id"' in line]
    after = lines_of(Shops(rate=6.0, banks=4, shoppers=3_000, swing=0.0, start_ms=Shops().start_ms + 1_800_000), 10_000)
    in_order, wrong = Replay(ALONE, sources), Replay(ALONE, sources)
    play(before + after, in_order)
    play(after + before, wrong)
    assert in_order.seen.too_late == 0
    assert wrong.seen.too_late > len(before) / 2  # of a payment's several events none, or the first, changes anything


def test_command_says_that_lines_are_out_of_order(scene: list[bytes], tmp_path: Path) -> None:
    """How many events are not in the counts, and what to do; as a figure in JSON, and never for a good file."""
    good, turned = tmp_path / "good.jsonl", tmp_path / "turned.jsonl"
    later = lines_of(Shops(rate=6.0, banks=4, start_ms=Shops().start_ms + 1_800_000), 10_000)
    good.write_bytes(b"\n".join(scene + later))
    turned.write_bytes(b"\n".join(later + scene))
    assert "too late" not in run(str(good)).stderr
    result = run(str(turned))
    assert result.exit_code == 0
    count = json.loads(run(str(turned), "--json").stderr)["too_late"]
    assert count > 0
    assert f"{count:,} events came too late to count, 660 s and more behind" in result.stderr
    assert "sort the lines by occurred_at" in result.stderr


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "got 0 lines without any in"),
        ("nonsense\n{}\n", "got 2 lines without any (1 missing_field, 1 not_json) in"),
    ],
)
def test_a_file_without_events_is_refused(tmp_path: Path, text: str, got: str) -> None:
    """Nothing to judge is no calm day; why the lines are no events is said, and where."""
    (tmp_path / "day.jsonl").write_text(text, encoding="utf-8")
    result = run(str(tmp_path / "day.jsonl"))
    assert type(result.exception).__name__ == "UserError"
    assert got in str(result.exception)


def test_a_time_of_1970_is_named_not_waited_for(tmp_path: Path) -> None:
    """One wrong time before all others would be judged second by second for half a century."""
    lines = [_paid(f"o{at_s}", "bnp", "approved", at_s if at_s else -START_MS // 1_000) for at_s in range(60)]
    (tmp_path / "day.jsonl").write_bytes(b"\n".join(lines))
    result = run(str(tmp_path / "day.jsonl"))
    assert "got 1970-01-01T00:00:01.000Z and 2023-11-14" in str(result.exception)
    assert Replay(ALONE).feed(lines[1:]) == []


@pytest.mark.parametrize("wrong_s", [-START_MS // 1_000, 30 * 365 * 86_400])
def test_one_wrong_time_makes_no_day_a_century(wrong_s: int) -> None:
    """It is refused, or too late, and a file is as long as what is counted of it."""
    replay = Replay(ALONE)
    play([_paid(f"o{at_s}", "bnp", "approved", wrong_s if at_s == 30 else at_s) for at_s in range(60)], replay)
    assert START_MS - ALONE.open_ms <= replay.seen.first_ms <= START_MS
    assert replay.seen.last_ms == START_MS + 59_000


def test_the_first_moment_of_1970_is_a_moment() -> None:
    """A file from there on has its whole length, however it is cut."""
    replay = Replay(ALONE)
    play([_paid(f"o{at_s}", "bnp", "approved", at_s - START_MS // 1_000) for at_s in range(60)], replay, [1, 30])
    assert (replay.seen.first_ms, replay.seen.last_ms) == (0, 59_000)


@pytest.mark.parametrize("arguments", [("missing.jsonl",), ("-", "--sources", "0"), ("-", "--policy", "missing.toml")])
def test_command_says_what_is_wrong(arguments: tuple[str, ...]) -> None:
    """A missing file, an impossible number of sources or a missing policy is a sentence, not a traceback."""
    result = run(*arguments)
    assert type(result.exception).__name__ == "UserError"


def said(at_ms: int | None, end_ms: int, **more: Any) -> Maintenance:
    """A maintenance of the scene's bank from its beginning on; times are ms of the scene."""
    return Maintenance(maintenance_id="m1", scope="bank:aurora", starts_at=START_MS, ends_at=START_MS + end_ms,
                       declared_at=None if at_ms is None else START_MS + at_ms, **more)  # fmt: skip


def test_maintenances_are_obeyed_when_they_were_said(scene: list[bytes]) -> None:
    """Whatever the cutting and the sources: a warning from its start, critical when what was said later ends it."""
    announced = [said(200_000, 600_000, cancelled=True), said(None, 600_000)]
    expected = None
    for sources in (1, 8):
        for cuts in ([], [700, 1500, 2100]):
            changes = play(scene, Replay(QUICK, sources, maintenances=announced), cuts)
            found = [(change["type"], change["severity"], change["scheduled"], change["updated_at"] - START_MS)
                     for change in changes if change["reason"] in (None, "maintenance_over")]  # fmt: skip
            expected = expected or found
            assert expected == found
    assert expected is not None
    assert [entry[:3] for entry in expected] == [("started", "warning", True), ("updated", "critical", False)]
    assert expected[1][3] == 200_000


def test_too_many_maintenances_are_refused(scene: list[bytes]) -> None:
    """More than the policy's limit would be forgotten in silence."""
    with pytest.raises(ValueError, match="at most 1; got 2"):
        Replay(alone(maintenances_max=1), maintenances=[said(None, 1_000)] * 2)


def test_the_command_reads_maintenances(scene: list[bytes], tmp_path: Path) -> None:
    """From a file of JSON lines, times in either form; a wrong line is named with its number."""
    events, file, policy = tmp_path / "events.jsonl", tmp_path / "maintenances.jsonl", tmp_path / "policy.toml"
    events.write_bytes(b"\n".join(scene))
    policy.write_text("[all_red]\nafter_s = 30\nvoters = 5\n")
    line = {"maintenance_id": "m1", "scope": "bank:aurora", "starts_at": "2023-11-14T22:13:20Z",
            "ends_at": START_MS + 600_000}  # fmt: skip
    file.write_text(json.dumps(line) + "\n\n")
    call = ["replay", str(events), "--policy", str(policy), "--maintenances", str(file)]
    done = CliRunner().invoke(app_for(["replay"]), call)
    events_said = [json.loads(text) for text in done.stdout.splitlines()]
    assert {event["data"]["severity"] for event in events_said if "started" in event["type"]} == {"warning"}
    assert "warning" not in done.stderr
    file.write_text(json.dumps({**line, "scope": "psp:stripe"}))
    warned = CliRunner().invoke(app_for(["replay"]), call)
    assert "got psp in psp:stripe; no outage will be in it" in warned.stderr
    file.write_text(json.dumps(line) + "\n" + json.dumps({**line, "scope": "aurora"}))
    failed = CliRunner().invoke(app_for(["replay"]), call)
    assert f"{file}:2: a line is one maintenance as JSON; got: scope: a scope is" in str(failed.exception)


def test_maintenances_are_bounded_whatever_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than a file may hold: what is no file does not say its size, and /dev/zero has no end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(maintenances, "FILE_BYTES_MAX", 1_000)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"\0" * 2_000,))
    writer.start()
    with pytest.raises(UserError, match="at most 1000 bytes"):
        maintenances.read_file(pipe)
    writer.join()
