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
import functools
import sys
from pathlib import Path
from urllib.parse import urlsplit

from devtools import Browser, chromium, serve

WIDTHS = {"wide": 1300, "phone": 390}
SCHEMES = ("light", "dark")
SETTLED_SECONDS = 1.0

# What the finished page says about itself.
INSPECT = """
(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  document.querySelectorAll("img[loading=lazy]").forEach(i => i.loading = "eager");
  await Promise.allSettled([...document.images].map(i => i.decode()));
  const complaints = [], width = document.documentElement.clientWidth;
  const page = document.scrollingElement;
  const boxed = e => getComputedStyle(e).overflowX != "visible";
  const scrolls = e => e && (boxed(e) || scrolls(e.parentElement));
  if (page.scrollWidth > width) {
    const wide = [...document.querySelectorAll("article *")]
      .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e))
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
    if (!svg.closest("button, mjx-container, [aria-label], [aria-labelledby], [aria-hidden]"))
      complaints.push("inline SVG without aria-label");
  const math = document.querySelectorAll("article .math").length;
  const set = document.querySelectorAll("article .math mjx-container").length;
  if (set < math) complaints.push(`${math - set} of ${math} formulas not typeset`);
  for (const unknown of document.querySelectorAll("mjx-container [data-mml-node][fill=red]"))
    complaints.push("formula with an unknown command in: " +
      unknown.closest("mjx-container").parentElement.textContent.trim().slice(0, 80));
  for (const error of document.querySelectorAll("mjx-container [data-mml-node=merror]"))
    complaints.push("formula with an error: " + error.getAttribute("data-mjx-error"));
  return complaints;
})()
"""


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
    resize = functools.partial(
        call,
        "Emulation.setDeviceMetricsOverride",
        width=width,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    await resize(height=900)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await call("Emulation.setEmulatedMedia", features=[feature])
    browser.events.clear()
    await call("Page.navigate", url=url)
    try:
        async with asyncio.timeout(60):
            while not any(e["method"] == "Page.loadEventFired" for e in browser.events):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise SystemExit(f"{url} has not loaded within 60 s; is the browser still there?") from None
    answer = await call(
        "Runtime.evaluate", expression=INSPECT, awaitPromise=True, returnByValue=True
    )
    await asyncio.sleep(SETTLED_SECONDS)
    if shot:
        length = (await call("Page.getLayoutMetrics"))["cssContentSize"]["height"]
        await resize(height=min(length, 8000))
        await asyncio.sleep(SETTLED_SECONDS)
        picture = await call("Page.captureScreenshot")
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
