"""Every page as a picture, in both languages: `python -m tests.console.web.screenshots [PATH …]`.

A sandbox is built, the console listens on it, and Chromium looks: desk-wide in English and 中文, one in the dark, and
phone-wide. The pictures go to docs/pictures/console, with few colours so that they stay small.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi.routing import APIRoute

from console import scenario
from console.web import visits
from console.web.app import ROUTES
from console.web.serving import served
from infra.people import sessions
from infra.sandbox import staff
from infra.sandbox.world import open_world, settings_of
from infra.wiring import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

OUT: Final = Path(__file__).resolve().parents[3] / "docs" / "pictures" / "console"
NOW: Final = datetime(2026, 3, 2, 1, tzinfo=UTC)
VIEWS: Final = (
    ("en", (1440, 900), False), ("zh", (1440, 900), False),
    ("zh-dark", (1440, 900), True), ("en-phone", (390, 844), False),
)  # fmt: skip
COLOURS: Final = 128
LEFT_OUT: Final = frozenset({"/metrics", "/healthz", "/healthz/live", "/sign-in/vouched", "/sign-in/vouched/back"})


def paths() -> list[str]:
    """Every page that has no blank in its path."""
    found = {
        route.path
        for router in ROUTES
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and "{" not in route.path
    }
    return sorted(path for path in found - LEFT_OUT if not re.search(r"\.(csv|xlsx|pdf)$|/export|/download", path))


@contextlib.contextmanager
def sandbox(kept: str | None) -> Iterator[Desk]:
    """The console's desk on a sandbox: the one that is kept there, or one that is built now."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(kept) if kept else Path(folder) / "home"
        if not kept:
            home.mkdir()
            with (
                contextlib.redirect_stderr(io.StringIO()),
                open_world(home, seed=7, start=date(2026, 1, 1), engine="direct", sftp=False) as world,
            ):
                scenario.Story(world, 240, lambda _what, _done: None, 2).run()
                staff.hire(world.desk, "quayside")
        desk = Desk(settings_of(home, engine="direct"), clock=lambda: NOW, actor="console")
        yield desk
        desk.database.close()


def take(browser: Browser, desk: Desk, url: str, wanted: list[str], out: Path) -> int:
    """The pictures of the pages; how many."""
    count = 0
    for view, (width, height), dark in VIEWS:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        cookie = sessions.begin(desk, staff.SECOND, factors=2, address="127.0.0.1", browser="Chromium")
        cookies = {visits.LANGUAGE: view[:2], visits.SESSION: cookie}
        context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies.items()])
        page = context.new_page()
        for path in wanted:
            if path.startswith("/sign-in"):
                page.context.clear_cookies(name=visits.SESSION)
            page.goto(url + path)
            name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "home"
            _small(page.screenshot(), out / f"{name}.{view}.png")
            count += 1
        context.close()
    return count


def _small(png: bytes, path: Path) -> None:
    """The picture with few colours: a fifth of the bytes, and nobody sees it."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    """Take the pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("paths", nargs="*", help="these alone; default every page without a blank in its path")
    asked.add_argument("--out", type=Path, default=OUT)
    asked.add_argument("--chromium", default=os.environ.get("TESTS_CHROMIUM", "/usr/bin/chromium"))
    given = asked.parse_args()
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    wanted = given.paths or sorted(paths(), key=lambda path: path.startswith("/sign-in"))  # signed out at the end
    with (
        sandbox(os.environ.get("TESTS_SANDBOX")) as desk,
        served(desk, 0) as running,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        print(f"{take(browser, desk, running.url, wanted, given.out)} pictures in {given.out}")
        browser.close()


if __name__ == "__main__":
    main()
