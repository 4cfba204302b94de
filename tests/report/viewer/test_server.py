"""The server answers to whoever knows its address, under this machine's own names, about numbered cases alone."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hilum.errors import ConfigError, DataError
from hilum.report.viewer.server import Server


class Three:
    """Three cases with one channel; the last one cannot be read."""

    def listing(self) -> Mapping[str, Any]:
        return {"cases": [0, 1, 2]}

    def about(self, case: int) -> Mapping[str, Any]:
        return {"id": ("a", "b", "c")[case]}

    def image(self, case: int, channel: int) -> bytes:
        if case == 2:
            raise DataError("scan.nii: no such file")
        return (b"image a", b"image b")[case] + (b" 0",)[channel]

    def labels(self, case: int, layer: str) -> bytes:
        return f"{layer} {case}".encode()

    def outline(self, case: int, layer: str) -> bytes:
        return f"edge of {layer} {case}".encode()

    def middle(self, case: int, layer: str) -> Mapping[str, Any]:
        return {"mm": [case, layer]}

    def progress(self, case: int) -> Mapping[str, Any]:
        return {"state": "ready"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(Three()) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: Server, path: str, *, method: str = "GET", **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    """The answer to a path as it is sent, dots and all."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.getheaders())


def test_what_is_shown_lies_under_the_secret(server: Server) -> None:
    start = f"/{server.token}/"
    assert server.address == f"http://127.0.0.1:{server.server_address[1]}{start}"
    assert len(server.token) >= 20
    assert b"<title>hilum view</title>" in ask(server, start)[1]
    assert json.loads(ask(server, f"{start}cases.json")[1]) == {"cases": [0, 1, 2]}
    assert ask(server, f"{start}image/1/0.nii")[1] == b"image b 0"
    assert ask(server, f"{start}truth/0.nii")[1] == b"truth 0"
    assert ask(server, f"{start}prediction-outline/1.nii")[1] == b"edge of prediction 1"
    assert json.loads(ask(server, f"{start}case/2")[1]) == {"id": "c"}
    assert json.loads(ask(server, f"{start}middle/truth/1")[1]) == {"mm": [1, "truth"]}
    status, content, headers = ask(server, f"{start}viewer.js", method="HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize("path", ["/", "/cases.json", "/wrong/cases.json", "//cases.json", "/{half}/cases.json"])
def test_without_the_secret_there_is_nothing(server: Server, path: str) -> None:
    status, content, _ = ask(server, path.format(half=server.token[:-1]))
    assert status == 403
    assert b"cases" not in content


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil:{port}", ""]
)
def test_a_page_that_changed_its_dns_is_refused(server: Server, host: str) -> None:
    status, content, _ = ask(server, f"/{server.token}/cases.json", Host=host.format(port=server.server_address[1]))
    assert status == 421
    assert b"cases" not in content


def test_this_machines_own_names_are_answered(server: Server) -> None:
    port = server.server_address[1]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert ask(server, f"/{server.token}/cases.json", Host=host)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "image/3/0.nii",
        "image/0/1.nii",
        "image/0/-1.nii",
        "image/-1/0.nii",
        "image/0",
        "truth/0/0.nii",
        "other/0.nii",
        "middle/other/0",
        "middle/truth/-1",
        "middle/0",
        "truth-edge/0.nii",
        "image/%D9%A1/0",
        "image/99999999999/0",
        "server.py",
        "assets.py",
        "../server.py",
        "..%2fserver.py",
        "image/../../../../etc/passwd",
        "//etc/passwd",
    ],
)
def test_no_path_leads_elsewhere(server: Server, path: str) -> None:
    assert ask(server, f"/{server.token}/{path}")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(server: Server, method: str) -> None:
    assert ask(server, f"/{server.token}/cases.json", method=method)[0] == 501


def test_what_cannot_be_read_says_why(server: Server) -> None:
    assert ask(server, f"/{server.token}/image/2/0.nii")[:2] == (422, b"scan.nii: no such file")


def test_other_pages_may_not_use_what_is_sent(server: Server) -> None:
    headers = ask(server, f"/{server.token}/image/0/0.nii")[2]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers


def test_no_other_machine_can_reach_it(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_a_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"--port \d+: .*take another one"):
            Server(Three(), taken.getsockname()[1])
    with pytest.raises(ConfigError, match="--port 99999"):
        Server(Three(), 99999)
