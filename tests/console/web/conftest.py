"""A small sandbox to try the console on, built once and copied for whoever changes it; and two kinds of browser."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from infra.people import sessions
from infra.sandbox import staff
from infra.sandbox.world import World, open_world, settings_of
from infra.store.bulk import table_of
from infra.wiring import Desk
from models.tables import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

    import playwright.sync_api as chromium_
    from httpx2 import Response
    from sqlalchemy import ColumnElement, Connection

START = date(2026, 1, 1)
PLACEMENTS = table_of(Placement)
PER_KIND = 2
"""So many pages of one kind (a path but for its numbers, with the same filters) a walk along the links looks at."""
MONTHS, ACCOUNTS = 2, 120
LATER = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""When the pages are looked at: after the sandbox's months."""
CLERKS_AGENCY = "quayside"
ROLES = {**{str(role): actor for role, actor in staff.STAFF.items()}, "second": staff.SECOND, "agency": staff.CLERK}
"""Whom `browse` and `page_as` sign in, by role."""
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-extensions", "--disable-sync", "--no-first-run", "--mute-audio",
)  # fmt: skip
DESK, PHONE = (1440, 900), (390, 844)


@pytest.fixture(scope="session")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of two lenders and six agencies: plans, placements, files, breaks, statements, scores, people.

    TESTS_SANDBOX names one that was built before, so that a test is tried again without the wait.
    """
    if kept := os.environ.get("TESTS_SANDBOX"):
        return Path(kept)
    return built(tmp_path_factory, two_months)


@pytest.fixture(scope="session")
def bare_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same lenders, agencies and people, and nothing that happened: a second to build."""
    return built(tmp_path_factory, lambda _world: None)


def built(folders: pytest.TempPathFactory, live: Callable[[World], object], **settings: Any) -> Path:
    """A sandbox with people, once it has lived; settings: more of them."""
    home = folders.mktemp("sandbox") / "home"
    home.mkdir()
    with (
        contextlib.redirect_stderr(io.StringIO()),
        open_world(home, seed=7, start=START, engine="direct", sftp=False, **settings) as world,
    ):
        live(world)
        staff.hire(world.desk, CLERKS_AGENCY)
    return home


def two_months(world: World) -> None:
    """The story of every sandbox here."""
    from console import scenario

    scenario.Story(world, ACCOUNTS, _silent, MONTHS).run()


def _silent(_what: str, _done: float) -> None:
    """Nobody watches."""


@dataclass
class StillClock:
    """A time that stands until somebody moves it."""

    now: datetime = LATER

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        """So much time has passed: `clock.pass_(minutes=31)`."""
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def desk_of(sandbox: Path, home: Path, clock: StillClock) -> Desk:
    """The console's desk, on a copy of the sandbox."""
    shutil.copytree(sandbox, home)
    return Desk(settings_of(home, engine="direct"), clock=clock, actor="console")


@pytest.fixture
def desk(sandbox_home: Path, tmp_path: Path, clock: StillClock) -> Iterator[Desk]:
    """The console's desk, on a copy of the sandbox of this test's own."""
    made = desk_of(sandbox_home, tmp_path / "home", clock)
    yield made
    made.database.close()


def half_comes_back(desk: Desk) -> Desk:
    """Half of what was placed has come back unpaid: there is something to plan, and to move."""
    with desk.database.write() as connection:
        _come_back(connection, PLACEMENTS.c.placement_id % 2 == 0, desk.today())
    return desk


def some_come_back(desk: Desk, lender: str) -> None:
    """Twelve of the lender's accounts have."""
    some = select(PLACEMENTS.c.placement_id).where(
        PLACEMENTS.c.lender == lender, PLACEMENTS.c.state.in_(("placed", "acknowledged"))
    )
    with desk.database.write() as connection:
        chosen = some.order_by(PLACEMENTS.c.placement_id).limit(12)
        _come_back(connection, PLACEMENTS.c.placement_id.in_(chosen), desk.today())


def _come_back(connection: Connection, which: ColumnElement[bool], today: date) -> None:
    connection.execute(update(PLACEMENTS).where(which).values(state="closed", end_reason="term", ended_on=today))


# --- browsers without scripts -----------------------------------------------------------------------------------------


class Browser(TestClient):
    """A browser without scripts, that fills in the word of the page's form as a person would."""

    word: str = ""

    def request(self, method: str, url: Any, **more: Any) -> Response:
        """The answer; the form's word is remembered."""
        answer = super().request(method, url, **more)
        if found := re.search(r'name="_form" value="([^"]+)"', answer.text):
            self.word = found[1]
        return answer

    def send(self, path: Any, *, at: str = "", **fields: Any) -> Response:  # type: ignore[override]  # see below
        """The form is sent, and the answer not followed. at: the page it stands on."""
        if not isinstance(path, str):  # httpx's own, which sends a request that it has built
            return super().send(path, **fields)
        if at or not self.word:
            self.get(at or "/account")
        return self.post(path, data={"_form": self.word, **fields})


class As(Protocol):
    """Signs somebody in."""

    def __call__(self, who: str | None = None, *, language: str = "en") -> Browser:
        """A browser of the person, or of who has that role; None: nobody is signed in."""


@pytest.fixture
def browse(desk: Desk) -> Iterator[As]:
    """`browse("finance")` is a browser that somebody of finance is signed in at."""
    from console.web import visits
    from console.web.app import create_app

    app = create_app(desk)
    with contextlib.ExitStack() as stack:

        def as_(who: str | None = None, *, language: str = "en") -> Browser:
            client = stack.enter_context(Browser(app, base_url="http://testserver", follow_redirects=False))
            client.cookies.set(visits.LANGUAGE, language)
            if who is not None:
                client.cookies.set(visits.SESSION, session_of(desk, who))
            return client

        yield as_


Ask = Callable[..., Any]


@pytest.fixture
def ask(desk: Desk) -> Iterator[Ask]:
    """`ask("chen.yu", "GET", "/plans")` is what that person's token gets of the API."""
    from console.web.app import create_app
    from infra.people import tokens

    given: dict[str, str] = {}
    with TestClient(create_app(desk), raise_server_exceptions=False) as client:

        def call(actor: str, method: str, path: str, body: Any = None) -> Any:
            if actor not in given:
                given[actor] = tokens.make(desk.acting(actor), actor, "tests").token
            headers = {"Authorization": f"Bearer {given[actor]}"}
            return client.request(method, f"/api/v1{path}", json=body, headers=headers)

        yield call


def session_of(desk: Desk, who: str) -> str:
    """The cookie of somebody who has just signed in with password and code."""
    return sessions.begin(desk, ROLES.get(who, who), factors=2, address="127.0.0.1", browser="tests")


class Crawl(Protocol):
    """Follows links."""

    def __call__(self, browser: Browser, start: str = "/") -> Iterator[tuple[str, Response]]:
        """Every page that links lead to from there, with its path: of each kind of page the first few."""


@pytest.fixture
def crawl() -> Crawl:
    """A walk along the links: whatever somebody comes to from the first page on."""
    return _crawled


def _crawled(browser: Browser, start: str = "/") -> Iterator[tuple[str, Response]]:
    """Every page that links lead to, by its path: of each kind of page the first few."""
    waiting, seen, kinds = [start], {start}, dict[str, int]()
    while waiting:
        path = waiting.pop(0)
        answer = browser.get(path)
        yield path, answer
        if answer.status_code == 303:
            found = [answer.headers["location"]]
        elif answer.headers.get("content-type", "").startswith("text/html"):
            found = re.findall(r'(?:href|src|hx-get)="([^"]*)"', answer.text)
        else:
            found = []
        for link in found:
            there = urlsplit(urljoin(path, unescape(link)))
            if there.netloc not in {"", "testserver"} or there.path.startswith("/static/"):
                continue
            whole = there.path + (f"?{there.query}" if there.query else "")
            kind = _kind(there.path, there.query)
            if whole in seen or kinds.get(kind, 0) >= PER_KIND:
                continue
            seen.add(whole)
            kinds[kind] = kinds.get(kind, 0) + 1
            waiting.append(whole)


def _kind(path: str, query: str) -> str:
    """The path without its numbers, and the names of its filters."""
    names = ",".join(sorted({name for name, value in parse_qsl(query) if value}))
    return re.sub(r"\d+", "#", path) + "?" + names


# --- Chromium ---------------------------------------------------------------------------------------------------------


@dataclass
class Window:
    """A page in Chromium on a running console, which notes what should not be."""

    page: chromium_.Page
    url: str
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> chromium_.Page:
        """The page of that path, looked at by axe."""
        self.page.goto(self.url + path)
        self.look()
        return self.page

    def look(self) -> None:
        """Axe finds nothing on the page as it is now."""
        self.page.evaluate(_axe())
        found = self.page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
        wrong = [
            f"{one['id']}: {one['help']}: {', '.join(node['html'][:120] for node in one['nodes'][:3])}"
            for one in found["violations"]
        ]
        assert not wrong, (self.page.url, wrong)


def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


class PageAs(Protocol):
    """Opens a window."""

    def __call__(
        self, who: str | None = None, language: str = "en", size: tuple[int, int] = DESK, *, dark: bool = False
    ) -> Window:
        """A window of who has that role, in that language."""


@pytest.fixture(scope="module")
def chromium(needs: Callable[[str], Path]) -> Iterator[chromium_.Browser]:
    """Debian's Chromium, or the one that CONSIGN_TESTS_CHROMIUM names."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("TESTS_CHROMIUM") or str(needs("chromium"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield browser
        browser.close()


@dataclass
class Console:
    """A running console and its desk."""

    url: str
    desk: Desk


@pytest.fixture(scope="module")
def running(sandbox_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console that listens, on a copy of the sandbox of this module's own, with a worker for its jobs."""
    from console.web.serving import served
    from flows import jobs

    desk = desk_of(sandbox_home, tmp_path_factory.mktemp("running") / "home", StillClock())
    with served(desk, 0) as console, jobs.beside(desk):
        yield Console(console.url, desk)
    desk.database.close()


@pytest.fixture
def page_as(chromium: chromium_.Browser, running: Console) -> Iterator[PageAs]:
    """`page_as("finance", "zh").go("/breaks")` is the page; nothing may be wrong in any window at the end."""
    from console.web import visits

    windows: list[Window] = []
    with contextlib.ExitStack() as stack:

        def open_(
            who: str | None = None, language: str = "en", size: tuple[int, int] = DESK, *, dark: bool = False
        ) -> Window:
            context = chromium.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
            stack.callback(context.close)
            cookies = {visits.LANGUAGE: language}
            if who is not None:
                cookies[visits.SESSION] = session_of(running.desk, who)
            context.add_cookies([{"name": name, "value": value, "url": running.url} for name, value in cookies.items()])
            window = Window(context.new_page(), running.url)
            windows.append(window)
            _note(window)
            return window

        yield open_
        faults = [fault for window in windows for fault in window.faults]
    assert not faults


def _note(window: Window) -> None:
    """Whatever the browser complains of, and every request that would leave the machine, is a fault."""
    page = window.page
    page.on("pageerror", lambda error: window.faults.append(f"{page.url}: {error}"))
    page.on("console", lambda said: window.faults.append(f"{page.url}: {said.text}") if _is_fault(said) else None)
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((window.url, "data:", "blob:"))
            else window.faults.append(f"{page.url} asked for {asked.url}")
        ),
    )


def _is_fault(said: chromium_.ConsoleMessage) -> bool:
    """An error; but that a page itself says no to a form (4xx) Chromium writes down too, and it is none."""
    refused = re.search(r"responded with a status of 4\d\d", said.text) is not None
    return said.type == "error" and not (refused and said.location["url"] == said.page.url if said.page else refused)
