"""A small sandbox that the console is tried on: built once, copied for each test that changes it."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from infra.people import sessions
from infra.sandbox.world import open_world, settings_of
from infra.store import people as rows
from infra.wiring import Desk
from models.roles import ROLES
from models.tables import ActorRole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

START = date(2026, 1, 1)
MONTHS, ACCOUNTS = 2, 120
LATER = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""When the pages are looked at: after the sandbox's months."""
PEOPLE = {
    "portfolio_manager": "chen.yu", "compliance": "sun.li", "finance": "m.rossi", "operations": "j.okafor",
    "administrator": "admin",
}  # fmt: skip
"""Who has which role; `second` has every one of them, and `north.clerk` is of an agency."""
SECOND, CLERK, CLERKS_AGENCY = "l.wang", "q.clerk", "quayside"


@pytest.fixture(scope="session")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of two lenders and six agencies: plans, placements, files, breaks, statements, scores, people."""
    from console import scenario

    home = tmp_path_factory.mktemp("sandbox") / "home"
    home.mkdir()
    with contextlib.redirect_stderr(io.StringIO()), open_world(
        home, seed=7, start=START, engine="direct", sftp=False
    ) as world:  # fmt: skip
        scenario.Story(world, ACCOUNTS, lambda _what, _done: None, MONTHS).run()
        people_of(world.desk)
    return home


def people_of(desk: Desk) -> None:
    """Somebody for each role, somebody with all of them, and an agency's clerk; nobody has a password."""
    held = [(actor, role) for role, actor in PEOPLE.items()] + [(SECOND, role) for role in ROLES]
    with desk.database.write() as connection:
        for actor, agency in [*((actor, None) for actor in (*PEOPLE.values(), SECOND)), (CLERK, CLERKS_AGENCY)]:
            rows.add(
                connection, actor=actor, agency=agency, state="active", created_by="sandbox", created_at=desk.now()
            )
        connection.execute(
            insert(ActorRole),
            [{"actor": actor, "role": role, "granted_by": "sandbox", "granted_at": desk.now()} for actor, role in held],
        )


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


@pytest.fixture
def desk(sandbox_home: Path, tmp_path: Path, clock: StillClock) -> Iterator[Desk]:
    """The console's desk, on a copy of the sandbox of this test's own."""
    home = tmp_path / "home"
    shutil.copytree(sandbox_home, home)
    made = Desk(settings_of(home, engine="direct"), clock=clock, actor="console")
    yield made
    made.database.close()


class Browser(TestClient):
    """A browser without scripts, that fills in the word of the page's form as a person would."""

    word: str = ""

    def request(self, method: str, url: Any, **more: Any) -> Response:  # type: ignore[override]  # httpx has them all
        """The answer; the form's word is remembered."""
        answer = super().request(method, url, **more)
        if found := re.search(r'name="_form" value="([^"]+)"', answer.text):
            self.word = found[1]
        return answer

    def send(self, path: str, *, at: str = "", **fields: Any) -> Response:
        """The form is sent; redirects are followed only where `follow_redirects` is set. at: the page it stands on."""
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
                actor = {**PEOPLE, "second": SECOND, "agency": CLERK}.get(who, who)
                cookie = sessions.begin(desk, actor, factors=2, address="testclient", browser="tests")
                client.cookies.set(visits.SESSION, cookie)
            return client

        yield as_
