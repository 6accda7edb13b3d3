"""Headless Chromium over its DevTools protocol, and a local server for it to read from."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import json
import subprocess
import tempfile
import threading
from pathlib import Path

from tornado.websocket import websocket_connect

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --hide-scrollbars "
    "--remote-debugging-port=0"
).split()


class Browser:
    """The few DevTools commands needed, over one websocket."""

    def __init__(self, socket):
        self.socket, self.count, self.waiting, self.events = socket, 0, {}, []

    async def listen(self) -> None:
        while (text := await self.socket.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self.waiting.pop(message["id"]).set_result(message)
            else:
                self.events.append(message)

    async def call(self, method: str, session: str | None = None, **params) -> dict:
        self.count += 1
        self.waiting[self.count] = answer = asyncio.get_running_loop().create_future()
        message = {"id": self.count, "method": method, "params": params}
        await self.socket.write_message(
            json.dumps(message | ({"sessionId": session} if session else {}))
        )
        reply = await asyncio.wait_for(answer, 60)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        return reply["result"]


@contextlib.contextmanager
def serve(folder: Path):
    """Serve a folder on a free local port; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    with server:  # closes it
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextlib.asynccontextmanager
async def chromium(program: str):
    """Start Chromium with an empty profile; yields a connected Browser."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            socket = await websocket_connect(
                await _address(program, Path(profile)), max_message_size=2**28
            )
            browser = Browser(socket)
            listener = asyncio.create_task(browser.listen())
            try:
                yield browser
            finally:
                listener.cancel()
                socket.close()
        finally:
            process.terminate()
            process.wait()


async def _address(program: str, profile: Path) -> str:
    port_file = profile / "DevToolsActivePort"
    for _ in range(300):
        if port_file.exists() and len(lines := port_file.read_text().split()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        await asyncio.sleep(0.1)
    raise SystemExit(f"{program} did not start within 30 s")
