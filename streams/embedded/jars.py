"""Kafka's jars: which they are (a lock file of coordinates and hashes), fetched once into the user's cache folder.

`python -m streams.embedded.jars` resolves Kafka anew and prints the lock file, for a change of version. Where the
jars come from is jgo's affair: its default repository, or the `[repositories]` of the user's jgo configuration.
This module does not know how Kafka is run.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from streams.errors import UserError

__all__ = [
    "KAFKA_VERSION", "LOCK_FILE", "Jar", "cache_folder", "classpath", "jars_folder", "only_one_process", "read_lock",
]  # fmt: skip

KAFKA_VERSION: Final = "4.3.0"
# slf4j-reload4j, because beside log4j-slf4j-impl an older kafka-clients is resolved, and the broker does not start.
ENDPOINT: Final = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-reload4j:1.7.36"
LOCK_FILE: Final = Path(__file__).with_name("jars.lock")
DOWNLOADS_AT_ONCE: Final = 4
ATTEMPTS: Final = 3

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file: what to fetch, how long it is, and what it must hash to."""

    group: str
    artifact: str
    version: str
    length_bytes: int
    sha256: str

    @property
    def filename(self) -> str:
        """The file's name, in a repository as in our cache."""
        return f"{self.artifact}-{self.version}.jar"

    def is_whole(self, path: Path) -> bool:
        """Whether the file is there, unchanged."""
        if not path.is_file() or path.stat().st_size != self.length_bytes:
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256

    def __str__(self) -> str:
        """The line of the lock file."""
        return f"{self.sha256} {self.length_bytes:>9} {self.group}:{self.artifact}:{self.version}"


def read_lock(path: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """The jars of a lock file, in class path order."""
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line and not line.startswith("#")]
    return tuple(_parse(line) for line in lines)


def _parse(line: str) -> Jar:
    sha256, length, coordinate = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, int(length), sha256)


def cache_folder() -> Path:
    """Where jars are kept: `PASTILLE_CACHE`, else the user's cache folder."""
    if own := os.environ.get("PASTILLE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pastille"


def jars_folder() -> Path:
    """Where Kafka's jars are kept."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def classpath(folder: Path | None = None, jars: Iterable[Jar] | None = None) -> str:
    """Java's class path of a whole Kafka, every jar checked against the lock; what is missing or broken is fetched.

    Raises UserError where a jar cannot be fetched, does not hash to the lock, or cannot be kept.
    """
    locked = tuple(read_lock() if jars is None else jars)
    folder = folder or jars_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one_process(folder / ".lock"):
            wanted = [jar for jar in locked if not jar.is_whole(folder / jar.filename)]
            if wanted:
                _fetch_all(wanted, folder)
    except OSError as error:
        raise UserError(f"Kafka's jars cannot be kept in {folder}; got: {error}; set PASTILLE_CACHE") from error
    return os.pathsep.join(str(folder / jar.filename) for jar in locked)


@contextmanager
def only_one_process(path: Path) -> Iterator[None]:
    """Wait until no other process is inside with this lock file."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file releases the lock, also when the process is killed


def _fetch_all(jars: list[Jar], folder: Path) -> None:
    total_bytes = sum(jar.length_bytes for jar in jars)
    for abandoned in folder.glob(".fetch-*"):  # by a process that was killed: we hold the lock, nobody uses it
        shutil.rmtree(abandoned, ignore_errors=True)
    with _progress() as progress, tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as staging:
        task = progress.add_task(f"fetching Kafka {KAFKA_VERSION}", total=total_bytes)

        def fetch(jar: Jar) -> None:
            _fetch(jar, Path(staging), folder, lambda count: progress.advance(task, count))

        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(fetch, jars))


def _progress() -> Progress:
    # On stderr, because stdout may be a pipe of JSON lines.
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))


def _fetch(jar: Jar, staging: Path, folder: Path, advance: Advance) -> None:
    """Fetch one jar, check it, and only then give it its name in the cache: readers never see half a file."""
    fetched = _download(jar, staging, advance)
    if not jar.is_whole(fetched):
        raise UserError(
            f"{jar.filename} is not the file that the lock names; got {fetched.stat().st_size} bytes with another "
            f"SHA-256 than {jar.sha256}; check the repository or proxy it came from"
        )
    os.replace(fetched, folder / jar.filename)


def _download(jar: Jar, staging: Path, advance: Advance) -> Path:
    errors: list[Exception] = []
    for _ in range(ATTEMPTS):
        # A folder of its own for each attempt: jgo takes what it finds in one, also the half of a broken download.
        attempt = Path(tempfile.mkdtemp(dir=staging))
        try:
            return _resolve(jar, attempt, advance)
        except Exception as error:  # jgo and requests raise RuntimeError, OSError and their own; all mean "not here"
            errors.append(error)
            shutil.rmtree(attempt, ignore_errors=True)
    raise UserError(
        f"{jar.filename} cannot be fetched; got: {errors[-1]}; check the network and proxy, "
        "or name a repository under [repositories] in ~/.config/jgo.conf"
    )


def _resolve(jar: Jar, repo_cache: Path, advance: Advance) -> Path:
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def each_file(filename: str, length_bytes: int) -> Iterator[Advance]:
        yield advance

    context = MavenContext(
        resolver=PythonResolver(progress_callback=each_file),
        repo_cache=repo_cache,
        remote_repos=GlobalSettings.load().repositories or None,
    )
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def resolve_anew() -> tuple[Jar, ...]:
    """Kafka's jars as jgo resolves them now, hashed: the content of a new lock file."""
    import jgo

    return tuple(_hashed(artifact.resolve(), artifact) for artifact in jgo.resolve(ENDPOINT))


def _hashed(path: Path, artifact: object) -> Jar:
    group, name, version = (str(getattr(artifact, part)) for part in ("groupId", "artifactId", "version"))
    content = path.read_bytes()
    return Jar(group, name, version, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    print(f"# Apache Kafka {KAFKA_VERSION}: sha256, bytes, Maven coordinate.")
    print("# Made by: python -m streams.embedded.jars > streams/embedded/jars.lock")
    print(*resolve_anew(), sep="\n")
