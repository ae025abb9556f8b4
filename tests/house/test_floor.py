"""What every test stands on holds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import sqlalchemy

from flows import serving


def test_no_setting_of_the_person_who_runs_the_tests_comes_in() -> None:
    ours = set(serving.QUIET)  # set by whichever test of this worker ran a flow under Prefect first
    foreign = {name for name in os.environ if name.startswith(("CONSIGN_", "PREFECT_"))} - ours
    assert foreign <= {"CONSIGN_SHARED_DATA", "PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED"}
    assert Path(os.environ["PREFECT_HOME"]).is_relative_to(tempfile.gettempdir())
    assert Path.home().is_relative_to(tempfile.gettempdir())
    assert not list(Path.cwd().glob("consign.toml"))


def test_a_store_of_either_kind_answers_and_starts_empty(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == []
        connection.execute(sqlalchemy.text("CREATE TABLE accounts (id bigint PRIMARY KEY)"))
    engine.dispose()


@pytest.mark.postgres
def test_a_worker_keeps_one_postgresql_database(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select 1")).scalar_one() == 1
    engine.dispose()
