"""A headless Chromium that is spoken to over a pipe: pages as a person with this screen would have them, offline."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--hide-scrollbars",
)
PATIENCE_S = 60.0
COMPLAINTS = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Network.loadingFailed"}


def find_browser() -> str | None:
    """Where Chromium is installed; None where it is not."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Browser:
    """One browser with one page, to be used in a `with` statement."""

    program: str
    folder: Path
    """Where its profile is written."""
    flags: tuple[str, ...] = ()
    """What the browser is started with beside the usual."""
    offline: bool = True
    """Without a network, this machine's own included."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Everything that the page said or asked for since it was opened."""
    _number: int = 0
    _session: str | None = None
    _rest: bytes = b""

    def __enter__(self) -> Self:
        low_in, self._out = os.pipe()
        self._in, low_out = os.pipe()
        theirs = [fcntl.fcntl(low, fcntl.F_DUPFD, 10) for low in (low_in, low_out)]
        handed_over = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'  # a browser reads from 3 and writes to 4
        command = [self.program, *FLAGS, *self.flags, f"--user-data-dir={self.folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", handed_over, "browser", *command],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (low_in, low_out, *theirs):
            os.close(descriptor)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        if self.offline:
            self.ask(
                "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_S)
        os.close(self._in)
        os.close(self._out)

    def open(self, page: Path | str, *, width: int, dark: bool, height: int = 900) -> None:
        """Show a file, or an address, on a screen of this width."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.messages.clear()
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        self._wait(lambda message: message.get("method") == "Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        end = monotonic() + PATIENCE_S
        while not self.value(expression):
            assert monotonic() < end, f"never came true: {expression}; {self.complaints}"
            sleep(0.1)

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key)

    def picture(self, out: Path, *, whole: bool = True) -> None:
        """Write what is seen, or the whole page, as PNG."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        out.write_bytes(base64.b64decode(answer["data"]))

    @property
    def requests(self) -> list[str]:
        """The addresses that the page asked for, but for what it holds itself."""
        asked = [message["params"]["request"]["url"] for message in self._of("Network.requestWillBeSent")]
        return [url for url in asked if not url.startswith("data:")]

    @property
    def complaints(self) -> list[str]:
        """Errors and everything else that reached the console."""
        return [json.dumps(message["params"])[:400] for kind in sorted(COMPLAINTS) for message in self._of(kind)]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol."""
        self._number += 1
        number = self._number
        command: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        answer = self._wait(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _of(self, method: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message.get("method") == method]

    def _wait(self, wanted: Any) -> dict[str, Any]:
        end = monotonic() + PATIENCE_S
        while True:
            while b"\0" not in self._rest:
                ready, _, _ = select.select([self._in], [], [], max(0.0, end - monotonic()))
                assert ready, "the browser does not answer"
                self._rest += os.read(self._in, 2**20)
            line, _, self._rest = self._rest.partition(b"\0")
            message: dict[str, Any] = json.loads(line)
            self.messages.append(message)
            if wanted(message):
                return message
