"""Every page on PostgreSQL: its SQL is the same, and takes less on trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.sandbox.world import settings_of
from infra.wiring import Desk
from tests.console.web import posed
from tests.console.web.conftest import built, two_months

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.console.web.conftest import As, Crawl, StillClock

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def desk(empty_postgres_url: str, tmp_path_factory: pytest.TempPathFactory, clock: StillClock) -> Iterator[Desk]:
    """A sandbox's months on PostgreSQL, in the middle of its work."""
    home = built(tmp_path_factory, two_months, database=empty_postgres_url)
    made = Desk(settings_of(home, engine="direct", database=empty_postgres_url), clock=clock, actor="console")
    posed.pose(made)
    yield made
    made.database.close()


@pytest.mark.timeout(900)
def test_every_page_that_links_lead_to_opens_on_postgresql(browse: As, crawl: Crawl) -> None:
    for who, fewest in (("second", 150), ("agency", 12)):
        answers = {path: answer.status_code for path, answer in crawl(browse(who))}
        assert {path: status for path, status in answers.items() if status not in {200, 303}} == {}
        assert len(answers) > fewest
