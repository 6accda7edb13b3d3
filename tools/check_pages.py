"""Open every page of the built book in headless Chromium and report what a reader would trip over.

Usage: python tools/check_pages.py [--html _build/html] [--shots FOLDER] [--chromium chromium]

Each page is opened wide and at phone width, light and dark. Reported are console errors, failed
responses, requests to another host, pages wider than the screen, images that did not load, images
without alternative text and mathematics that was not typeset. Exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from tornado.websocket import websocket_connect

WIDTHS = {"wide": 1300, "phone": 390}
SCHEMES = ("light", "dark")
SETTLED_SECONDS = 1.0
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --hide-scrollbars "
    "--remote-debugging-port=0"
).split()

# What the finished page says about itself.
INSPECT = """
(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  document.querySelectorAll("img[loading=lazy]").forEach(i => i.loading = "eager");
  await Promise.allSettled([...document.images].map(i => i.decode()));
  const complaints = [], width = document.documentElement.clientWidth;
  const page = document.scrollingElement;
  if (page.scrollWidth > width) {
    const wide = [...document.querySelectorAll("article *")]
      .filter(e => e.getBoundingClientRect().right > width + 1)
      .slice(0, 3).map(e => e.tagName.toLowerCase() + "." + e.className);
    complaints.push(`page is ${page.scrollWidth} px wide on a ${width} px screen: ${wide}`);
  }
  for (const image of document.images) {
    const name = image.getAttribute("src").slice(0, 60);
    if (!image.naturalWidth) complaints.push(`image did not load: ${name}`);
    const shown = image.closest("article");
    if (shown && !image.alt.trim()) complaints.push(`image without alt: ${name}`);
  }
  for (const svg of document.querySelectorAll("article .cell_output svg"))
    if (!svg.closest("mjx-container, [aria-label], [aria-labelledby], [aria-hidden]"))
      complaints.push("inline SVG without aria-label");
  const math = document.querySelectorAll("article .math").length;
  const set = document.querySelectorAll("article .math mjx-container").length;
  if (set < math) complaints.push(`${math - set} of ${math} formulas not typeset`);
  for (const error of document.querySelectorAll("mjx-container [data-mml-node=merror]"))
    complaints.push("formula with an error: " + error.getAttribute("data-mjx-error"));
  return complaints;
})()
"""


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
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextlib.asynccontextmanager
async def chromium(program: str):
    """Start Chromium with an empty profile; yields a connected Browser."""
    profile = Path(tempfile.mkdtemp())
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and len(lines := port_file.read_text().split()) == 2:
                break
            await asyncio.sleep(0.1)
        else:
            raise SystemExit(f"{program} did not start within 30 s")
        browser = Browser(
            await websocket_connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_message_size=2**28)
        )
        listener = asyncio.create_task(browser.listen())
        yield browser
        listener.cancel()
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def event_complaint(event: dict, own_host: str) -> str | None:
    """One line for an event a reader's console or network panel would show in red."""
    params, method = event["params"], event["method"]
    if method == "Network.requestWillBeSent":
        address = urlsplit(params["request"]["url"])
        foreign = address.scheme not in ("data", "blob") and address.netloc != own_host
        return f"request to another host: {address.geturl()[:100]}" if foreign else None
    if method == "Network.responseReceived" and params["response"]["status"] >= 400:
        return f"{params['response']['status']}: {params['response']['url']}"
    if method == "Runtime.exceptionThrown":
        return f"exception: {params['exceptionDetails'].get('exception', {}).get('description')}"
    if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
        return f"console: {[a.get('value', a.get('description')) for a in params['args']]}"
    if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
        return f"log: {params['entry']['text']} {params['entry'].get('url', '')}"
    return None


async def visit(browser: Browser, url: str, width: int, scheme: str, shot: Path | None) -> list:
    """Open one page in a fresh tab and return its complaints."""
    context = (await browser.call("Target.createBrowserContext"))["browserContextId"]
    target = (
        await browser.call("Target.createTarget", url="about:blank", browserContextId=context)
    )["targetId"]
    session = (await browser.call("Target.attachToTarget", targetId=target, flatten=True))[
        "sessionId"
    ]
    call = functools.partial(browser.call, session=session)
    for domain in ("Page", "Runtime", "Network", "Log"):
        await call(f"{domain}.enable")
    await call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await call("Emulation.setEmulatedMedia", features=[feature])
    browser.events.clear()
    await call("Page.navigate", url=url)
    while not any(e["method"] == "Page.loadEventFired" for e in browser.events):
        await asyncio.sleep(0.05)
    answer = await call(
        "Runtime.evaluate", expression=INSPECT, awaitPromise=True, returnByValue=True
    )
    await asyncio.sleep(SETTLED_SECONDS)
    if shot:
        picture = await call("Page.captureScreenshot", captureBeyondViewport=True)
        shot.write_bytes(base64.b64decode(picture["data"]))
    found = [event_complaint(event, urlsplit(url).netloc) for event in browser.events]
    await browser.call("Target.disposeBrowserContext", browserContextId=context)
    return [line for line in found if line] + answer["result"].get("value", [str(answer)])


async def check(html: Path, shots: Path | None, program: str) -> int:
    """Visit every page in every setting; returns the number of complaints."""
    pages = sorted(html.glob("book/*.html")) + sorted(html.glob("notebooks/*.html"))
    pages += [html / "search.html", html / "genindex.html"]
    total = 0
    with serve(html) as address:
        async with chromium(program) as browser:
            for page in pages:
                for size, width in WIDTHS.items():
                    for scheme in SCHEMES:
                        shot = shots and shots / f"{page.stem}-{size}-{scheme}.png"
                        url = f"{address}/{page.relative_to(html).as_posix()}"
                        for line in await visit(browser, url, width, scheme, shot):
                            total += 1
                            print(f"{page.stem} ({size}, {scheme}): {line}")
    print(f"{len(pages)} pages in {len(WIDTHS) * len(SCHEMES)} settings: {total} complaints")
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", type=Path, default=Path("_build/html"))
    parser.add_argument("--shots", type=Path, help="folder for one screenshot per page and setting")
    parser.add_argument("--chromium", default="chromium", help="program to start")
    args = parser.parse_args()
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    sys.exit(bool(asyncio.run(check(args.html, args.shots, args.chromium))))
