"""Every page as a picture, in both languages: `make pictures`, or `python -m tests.console.web.screenshots [PATH …]`.

A sandbox of half a year is built and stopped in the middle of its work (tests/console/web/posed.py), the console
listens on it, and Chromium looks at every page that there is (tests/console/web/walks.py) as whose work it is: at a
desk and on a telephone, in English and 中文, the main ones in the dark too. The pictures go to docs/pictures/console,
with few colours so that they stay small, and a page that shows them all is written beside them. TESTS_SANDBOX names a
folder where the sandbox is kept: the next pictures need not wait for it, and pages that name it show that path.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import tempfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from console import scenario
from console.web import visits
from console.web.serving import served
from flows.jobs import work_off
from infra.people import sessions
from infra.sandbox import staff
from infra.sandbox.world import open_world, settings_of
from infra.wiring import Desk
from models.kinds import KINDS
from models.permissions import AGENCY
from tests.console.web import posed, walks
from tests.console.web.walks import NOBODY, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Browser, BrowserContext, Page

OUT: Final = Path(__file__).resolve().parents[3] / "docs" / "pictures" / "console"
START: Final = date(2026, 5, 1)
NOW: Final = datetime(2026, 11, 4, 1, tzinfo=UTC)
MONTHS: Final = 6
ACCOUNTS: Final = 1_500
SEED: Final = 7
COLOURS: Final = 16
APART: Final = 18
"""How far two colours of a picture lie apart at least, over red, green and blue."""
PEOPLE: Final = {**{str(role): actor for role, actor in staff.STAFF.items()}, AGENCY: staff.CLERK}
MAIN: Final = frozenset({
    "home", "breaks-open", "plans-one", "audit", "portal", "portal-check-answer", "scorecards-one",
    "disclosures-answer",
})  # fmt: skip
"""The pages that are shown in the dark, and on a telephone in 中文, too."""
MENU: Final = "people-menu"
LATER: Final = "main [hx-trigger=load]"
"""A part of a page that comes by itself, later than the page."""
NARROW: Final = 900
"""Below so many pixels the side of a page is a menu."""
TITLES: Final = {
    NOBODY: "Before signing in", "portfolio_manager": "Portfolio manager", AGENCY: "Agency", "finance": "Finance",
    "compliance": "Compliance", "administrator": "Administrator", "operations": "Operations",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """How a page is looked at."""

    name: str
    language: str
    size: tuple[int, int]
    dark: bool = False

    def shows(self, stop: Stop) -> bool:
        """Whether a picture is taken: what lies behind a page's tabs is shown once, the main pages in every way."""
        if self.name in {"zh-phone", "zh-dark"}:
            return stop.name in MAIN
        if stop.name == MENU:
            return self.size[0] < NARROW
        return self.name == "en" or not stop.is_behind or stop.name in MAIN


VIEWS: Final = (
    View("en", "en", (1440, 900)), View("zh", "zh", (1440, 900)), View("en-phone", "en", (390, 844)),
    View("zh-phone", "zh", (390, 844)), View("zh-dark", "zh", (1440, 900), dark=True),
)  # fmt: skip


@contextlib.contextmanager
def sandbox(kept: str | None) -> Iterator[Desk]:
    """The console's desk on a sandbox that is in the middle of its work; one that is to be kept is built but once."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(kept) if kept else Path(folder) / "home"
        settings = settings_of(home, engine="direct").model_copy(update={"propensity": "shown"})
        desk = Desk(settings, clock=lambda: NOW, actor="console")
        if not home.exists():
            home.mkdir(parents=True)
            with (
                contextlib.redirect_stderr(io.StringIO()),
                open_world(home, seed=SEED, start=START, engine="direct", sftp=False) as world,
            ):
                scenario.Story(world, ACCOUNTS, lambda what, done: print(f"{done:4.0%} {what}"), MONTHS).run()
                staff.hire(world.desk, posed.CLERKS_AGENCY)
            posed.pose(desk)
        yield desk
        desk.database.close()


def _checked(page: Page, _desk: Desk) -> None:
    """An agency has checked a file with a mistake in it."""
    columns = [field.name for field in KINDS["remittance"].fields]
    line = {"account": "psn_00f2c9aa10", "agency_txn_id": "HR-88120", "type": "recovery", "gross": '"1.250,00"',
            "net": "975.00", "currency": "CNY", "value_date": "2026-10-30"}  # fmt: skip
    text = ",".join(columns) + "\n" + ",".join(line.get(name, "") for name in columns) + "\n"
    page.locator("input[type=file]").first.set_input_files(
        {"name": "remittance-2026-10.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    page.locator("select[name=kind]").select_option("remittance")
    page.locator("main form .button-main").first.click()
    page.get_by_role("alert").wait_for()


def _told(page: Page, desk: Desk) -> None:
    """The register has answered who was told what about a debtor."""
    (one,) = posed.known(desk, 1)
    page.locator("input[name=who]").fill(one.number)
    page.locator("select[name=lender]").select_option(one.lender)
    page.locator("textarea[name=why]").fill(posed.WHY)
    page.locator("main form .button-main").click()
    page.locator("article").first.wait_for()


def _chosen(page: Page, _desk: Desk) -> None:
    """Placements are ticked, and what recalling them would do is shown."""
    for key in ("j", "x", "j", "x", "j", "x", "r"):
        page.keyboard.press(key)
    page.wait_for_url("**/recalls/preview")


def _priced(page: Page, desk: Desk) -> None:
    """A month was priced under other terms: the job is done, and its answer is looked at."""
    page.locator("select[name=agency]").select_option(posed.CLERKS_AGENCY)
    page.locator("textarea[name=changes]").fill("vat_rate=0.09\ntier.2.rate=0.25")
    page.locator("main form .button-main").click()
    page.wait_for_url("**/jobs/*")
    work_off(desk)
    page.locator(".job[data-ended] .button-main").click()
    page.wait_for_url("**/contracts/compare?cost=*")


def _tried(page: Page, desk: Desk) -> None:
    """A draft was worked out with other rules, and stands beside what it is."""
    page.locator("main a[data-open]").last.click()
    page.locator("main a[href$='/what-if']").click()
    page.locator("input[name=agency]").first.uncheck()
    page.locator("main form .button-main").click()
    page.wait_for_url(re.compile(r"/what-if/[0-9a-f]+$"))
    work_off(desk)
    page.locator("#working").wait_for(state="detached")
    page.wait_for_load_state()


def _helped(page: Page, _desk: Desk) -> None:
    """The help lies beside the work."""
    page.keyboard.press("?")
    page.get_by_role("complementary").wait_for()


def _opened(page: Page, _desk: Desk) -> None:
    """The menu that a telephone has."""
    if page.locator(".menu").is_visible():
        page.locator(".menu").click()


ACTS: Final[Mapping[Stop, Callable[[Page, Desk], None]]] = {
    Stop("/portal/check", AGENCY, "/portal/check", "portal-check-answer"): _checked,
    Stop("/disclosures", "compliance", "/disclosures", "disclosures-answer"): _told,
    Stop("/placements", "portfolio_manager", "/placements", "placements-recall"): _chosen,
    Stop("/contracts/compare", "portfolio_manager", "/contracts/compare", "contracts-compare-answer"): _priced,
    Stop("/plans?state=draft", "portfolio_manager", "/plans/{plan_id}/what-if/{name}", "plans-one-what-if-one"): _tried,
    Stop("/breaks", "finance", "/breaks", "breaks-help"): _helped,
    Stop("/people", "administrator", "/people", MENU): _opened,
}
"""What is done on a page before its picture is taken: answers to forms, and what opens over a page."""


class Camera:
    """Takes the pictures of one console."""

    def __init__(self, browser: Browser, desk: Desk, url: str, out: Path) -> None:
        self.browser, self.desk, self.url, self.out = browser, desk, url, out
        self.taken: dict[Stop, list[str]] = defaultdict(list)
        """by page, the views that there are pictures of"""

    def take(self, stops: list[Stop], view: View, *, look_further: bool) -> list[Stop]:
        """A picture of each; the pages that were looked at: with `look_further` also those that were found on them."""
        looked: dict[str, Stop] = {}
        with contextlib.ExitStack() as stack:
            pages: dict[str, Page] = {}
            waiting = list(stops)
            while waiting:
                stop = waiting.pop(0)
                if stop.name in looked or not view.shows(stop):
                    continue
                looked[stop.name] = stop
                if stop.who not in pages:
                    pages[stop.who] = stack.enter_context(self._window(view, stop)).new_page()
                page = pages[stop.who]
                page.goto(self.url + stop.path)
                if page.locator(LATER).count():
                    page.wait_for_load_state("networkidle")
                if stop in ACTS:
                    ACTS[stop](page, self.desk)
                if stop.is_behind and page.evaluate(walks.EMPTY):
                    del looked[stop.name]
                    continue
                _small(page.screenshot(), self.out / f"{stop.name}.{view.name}.png")
                self.taken[stop].append(view.name)
                if look_further and stop not in ACTS:
                    waiting[:0] = walks.further(page, stop)
        return list(looked.values())

    @contextlib.contextmanager
    def _window(self, view: View, stop: Stop) -> Iterator[BrowserContext]:
        """A window of whose page it is."""
        context = self.browser.new_context(
            viewport={"width": view.size[0], "height": view.size[1]},
            color_scheme="dark" if view.dark else "light",
            reduced_motion="reduce",
        )
        actor = PEOPLE.get(stop.who, staff.SECOND)
        factors = 0 if stop.who == NOBODY else 2  # the code is asked for where the password was right
        cookie = sessions.begin(self.desk, actor, factors=factors, address="127.0.0.1", browser="Chromium on Debian")
        cookies = {visits.LANGUAGE: view.language, visits.SESSION: cookie}
        context.add_cookies([{"name": name, "value": value, "url": self.url} for name, value in cookies.items()])
        try:
            yield context
        finally:
            context.close()


def _small(png: bytes, path: Path) -> None:
    """The picture in few colours that can be told apart, frequent and bright ones: a fifth of the bytes."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        plain = picture.convert("RGB")
    chosen: list[tuple[int, int, int]] = []
    counted = cast("list[tuple[int, tuple[int, int, int]]]", plain.getcolors(plain.width * plain.height))  # of RGB
    # a badge is small, and its colour says more than another grey between a letter and its paper
    for _, colour in sorted(counted, key=lambda one: one[0] * (8 + 4 * (max(one[1]) - min(one[1]))), reverse=True):
        if all(sum(abs(one - other) for one, other in zip(colour, known, strict=True)) >= APART for known in chosen):
            chosen.append(colour)
        if len(chosen) == COLOURS:
            break
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in [*chosen, *chosen[:1] * (256 - len(chosen))] for value in colour])
    few = plain.quantize(palette=palette, dither=Image.Dither.NONE)
    written = []
    for bits in (4, 8):  # two pixels to a byte are fewer bytes, but repeat themselves less
        few.save(file := io.BytesIO(), "PNG", bits=bits, compress_level=9, compress_type=zlib.Z_FILTERED)
        written.append(file.getvalue())
    path.write_bytes(min(written, key=len))


def gallery(taken: dict[Stop, list[str]], out: Path) -> None:
    """A page that shows every picture, by whose work it is."""
    lines = [
        "# Every page of the console", "",
        "Made by `make pictures`: a sandbox of half a year, in the middle of its work. Its debtors are synthetic.", "",
        "The main pages, with a word about each: [the tour](../../console-tour.md).", "",
    ]  # fmt: skip
    for who, title in TITLES.items():
        mine = [stop for stop in taken if stop.who == who]
        if not mine:
            continue
        lines += [f"## {title}", "", "| page | English | 中文 | telephone |", "|---|---|---|---|"]
        for stop in mine:
            shown = {view: f'<img src="{stop.name}.{view}.png" alt="{stop.name}, {view}">' for view in taken[stop]}
            desk = " | ".join(shown.get(view, "").replace("<img", '<img width="300"') for view in ("en", "zh"))
            phone = " ".join(
                shown[view].replace("<img", '<img width="120"') for view in ("en-phone", "zh-phone") if view in shown
            )
            dark = shown.get("zh-dark", "").replace("<img", '<img width="300"')
            lines.append(f"| `{stop.route or stop.path}` | {desk}{' ' + dark if dark else ''} | {phone} |")
        lines.append("")
    (out / "README.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Take the pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("paths", nargs="*", help="pages whose path begins so; default all of them")
    asked.add_argument("--out", type=Path, default=OUT)
    asked.add_argument("--views", nargs="*", default=[view.name for view in VIEWS])
    asked.add_argument("--chromium", default=os.environ.get("TESTS_CHROMIUM", "/usr/bin/chromium"))
    given = asked.parse_args()
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    with (
        sandbox(os.environ.get("TESTS_SANDBOX")) as desk,
        served(desk, 0) as running,
        sync_playwright() as playwright,
    ):
        with desk.database.read() as connection:
            stops = [*walks.stops(connection), *ACTS]
        if given.paths:
            stops = [stop for stop in stops if any(stop.path.startswith(path) for path in given.paths)]
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        camera = Camera(browser, desk, running.url, given.out)
        for place, view in enumerate(view for view in VIEWS if view.name in given.views):
            seen = camera.take(stops, view, look_further=place == 0)
            stops = list(dict.fromkeys([*seen, *stops]))
            print(f"{view.name}: {len(seen)} pages")
        browser.close()
    if not given.paths:
        gallery(camera.taken, given.out)


if __name__ == "__main__":
    main()
