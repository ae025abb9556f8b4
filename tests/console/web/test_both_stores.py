"""The console on SQLite and on PostgreSQL: signing in, people, jobs, metrics; and `next page` on both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from flows import jobs as working
from infra import jobs
from infra.people import accounts, second_factor, signing_in
from infra.sandbox import staff
from infra.sandbox.world import settings_of
from infra.store import jobs as job_rows
from infra.store import keyset, schema
from infra.store import people as rows
from infra.wiring import Desk
from keys.keyring import Keyring
from models.tables import Agency

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.console.web.conftest import As, StillClock

PASSWORD = "a sentence nobody guesses"


@pytest.fixture
def desk(database_url: str, tmp_path: Path, clock: StillClock) -> Iterator[Desk]:
    """A desk on a store of either kind, with people and one agency."""
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    made = Desk(settings_of(home, engine="direct", database=database_url), clock=clock, actor="console")
    Keyring.create(made.settings.keyring_path, key_file=made.settings.key_file_path)
    schema.ensure(made.database)
    with made.database.session() as session:
        session.add(Agency(agency="quayside", name="Quayside", drop="{}", created_at=clock.now))
    staff.hire(made, "quayside")
    yield made
    made.database.close()


def test_a_person_signs_in_works_and_is_counted(browse: As, desk: Desk) -> None:
    accounts.set_password(desk.acting("t.berg"), "m.rossi", PASSWORD)
    browser = browse()
    assert browser.send("/sign-in", at="/sign-in", name="m.rossi", password="wrong").status_code == 403
    assert browser.send("/sign-in", name="m.rossi", password=PASSWORD).status_code == 303
    assert browser.get("/").headers["location"] == "/account/password"
    another = "some other words entirely"
    browser.send("/account/password", at="/account/password", old=PASSWORD, new=another, again=another)
    for path in ("/", "/account", "/account/authenticator", "/jobs", "/exceptions", "/help"):
        assert browser.get(path).status_code == 200, path
    boss = browse("administrator")
    for path in ("/people", "/people/m.rossi", "/people/new", "/operations"):
        assert boss.get(path).status_code == 200, path
    assert 'consign_agencies{state="prospect"} 1.0' in browse("operations").get("/metrics").text
    assert browse().get("/healthz").status_code == 200


def test_names_lock_and_recovery_codes_count_once(desk: Desk) -> None:
    for _ in range(signing_in.NAME_FREE):
        with pytest.raises(signing_in.NotSignedIn):
            signing_in.sign_in(desk, "nobody", "wrong", address="a", browser="b")
    with pytest.raises(signing_in.LockedOut):
        signing_in.sign_in(desk, "nobody", "wrong", address="a", browser="b")
    with desk.database.write() as connection:
        rows.replace_codes(connection, "chen.yu", ["one", "two"])
        assert rows.use_code(connection, "chen.yu", "one", desk.now())
        assert not rows.use_code(connection, "chen.yu", "one", desk.now())
    assert second_factor.left(desk, "chen.yu") == 1


def test_jobs_are_taken_one_at_a_time_and_listed_page_by_page(desk: Desk) -> None:
    asked = [jobs.ask(desk, "deliver", {"agency": f"a{number}"}) for number in range(7)]
    taken = jobs.take(desk)
    assert taken is not None
    assert (taken.job_id, taken.verb, taken.identifiers) == (asked[0], "deliver", {"agency": "a0"})
    seen, after = [], None
    with desk.database.read() as connection:
        while True:
            page = keyset.page(connection, select(job_rows.JOBS), job_rows.NEWEST_FIRST, after, rows=3)
            seen += [row["job_id"] for row in page.rows]
            after = page.after
            if after is None:
                break
    assert seen == asked[::-1]
    assert working.VERBS["deliver"].action == "agencies.change"
