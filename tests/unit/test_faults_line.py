"""The line that `make faults` cuts: it must be as a network is, or what it shows says nothing."""

import json
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.faults.line import HOST, Line

QUIET_S = 0.3
ANSWER_S = 5.0


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it hears."""
    with socketserver.ThreadingTCPServer((HOST, 0), _Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def line(echo: int) -> Iterator[Line]:
    """A line to it."""
    opened = Line([echo])
    yield opened
    opened.close()


def _connect(line: Line, port: int) -> socket.socket:
    return socket.create_connection((HOST, json.loads(line.program[-1])[str(port)]), ANSWER_S)


def _is_quiet(connection: socket.socket) -> bool:
    connection.settimeout(QUIET_S)
    try:
        connection.recv(1024)
    except TimeoutError:
        connection.settimeout(ANSWER_S)
        return True
    return False  # something came, or the end


def test_a_cut_line_is_silent_and_what_waited_arrives_when_it_is_mended(echo: int, line: Line) -> None:
    """Old connections neither carry nor end, new ones are taken and hear nothing; mended, both go on in order."""
    with _connect(line, echo) as old:
        old.sendall(b"one")
        assert old.recv(1024) == b"one"
        line.cut()
        old.sendall(b"two")
        assert _is_quiet(old)
        with _connect(line, echo) as new:
            new.sendall(b"three")
            assert _is_quiet(new)
            line.mend()
            assert new.recv(1024) == b"three"
        assert old.recv(1024) == b"two"


def test_a_program_behind_it_connects_through_it(echo: int, line: Line) -> None:
    """Whatever the process connects to by the server's own port goes through the line."""
    ask = f"import socket; s = socket.create_connection(('{HOST}', {echo})); s.sendall(b'hello'); print(s.recv(9))"
    program = [part.replace("from streams.commands import main\nmain()", ask) for part in line.program]
    assert subprocess.run(program, capture_output=True, text=True, timeout=30).stdout == "b'hello'\n"
    assert line.carried == 2 * len(b"hello")
