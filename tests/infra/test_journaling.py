"""The journal and the notes of faults: codes, counts and places, and nothing that a debtor could be known by."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from infra import faults, journaling
from models.errors import UsageError

MARKER = "Zhang San 13800138000"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Path]:
    path = journaling.open_journal(tmp_path)
    yield path
    journaling.close_journal()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_is_one_line_of_json_that_only_its_owner_reads(journal: Path) -> None:
    journaling.journal("outbox").info("delivered", agency="north", rows=12)
    (event,) = lines(journal)
    assert event | {"timestamp": ""} == {
        "event": "delivered", "logger": "outbox", "level": "info", "agency": "north", "rows": 12, "timestamp": "",
    }  # fmt: skip
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700


def test_keys_that_are_not_listed_are_dropped_and_counted(journal: Path) -> None:
    before = journaling.dropped["debtor"]
    journaling.journal("outbox").info("delivered", agency="north", debtor=MARKER, rows=[MARKER])
    (event,) = lines(journal)
    assert (event["dropped"], MARKER in journal.read_text()) == (2, False)
    assert journaling.dropped["debtor"] == before + 1


def test_an_exception_is_written_by_type_and_place(journal: Path) -> None:
    try:
        raise ValueError(MARKER)
    except ValueError:
        journaling.journal("outbox").exception("not delivered", agency="north")
    (event,) = lines(journal)
    assert event["error"] == "ValueError"
    assert MARKER not in journal.read_text()


@pytest.mark.parametrize("name", ["paramiko.transport", "prefect.client", "sqlalchemy.engine", "uvicorn.error"])
def test_what_a_library_says_is_kept_without_what_it_says_it_about(journal: Path, name: str) -> None:
    logger = logging.getLogger(name)
    logger.info("quiet")
    logger.warning("cannot open %s", MARKER)
    logger.error(f"already filled in: {MARKER}")  # noqa: G004 - as libraries do
    try:
        raise OSError(MARKER)
    except OSError:
        logger.exception("broken: %r", MARKER)
    assert MARKER not in journal.read_text()
    assert [event["event"] for event in lines(journal)] == ["cannot open %s", "a library spoke", "broken: %r"]
    assert lines(journal)[2]["error"] == "OSError"


def test_the_journal_is_rotated_and_each_part_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaling, "FILE_BYTES", 300)
    path = journaling.open_journal(tmp_path)
    for number in range(20):
        journaling.journal("outbox").info("delivered", agency="north", rows=number)
    journaling.close_journal()
    parts = sorted(path.parent.glob("consign.log*"))
    assert len(parts) == journaling.FILES_KEPT + 1
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o600}


def test_opening_twice_writes_once(journal: Path, tmp_path: Path) -> None:
    assert journaling.open_journal(tmp_path) == journal
    journaling.journal("outbox").info("delivered")
    assert len(lines(journal)) == 1


def test_another_home_has_its_own_journal(journal: Path, tmp_path: Path) -> None:
    other = journaling.open_journal(tmp_path / "other")
    journaling.journal("outbox").info("delivered")
    assert (len(lines(journal)), len(lines(other))) == (0, 1)


def test_without_a_journal_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    journaling.journal("outbox").error("not delivered", agency="north")
    assert capsys.readouterr() == ("", "")


def test_a_person_who_asks_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    journaling.talk()
    journaling.journal("outbox").info("delivered", agency="north", rows=12)
    journaling.close_journal()
    assert capsys.readouterr().err.endswith("outbox: delivered agency=north rows=12\n")


def test_what_is_bound_to_the_context_obeys_the_same_list(journal: Path) -> None:
    with structlog.contextvars.bound_contextvars(verb="place", debtor=MARKER):
        journaling.journal("outbox").info("delivered")
    assert lines(journal)[0]["verb"] == "place"
    assert MARKER not in journal.read_text()


def deep(value: str) -> None:
    local = {"debtor": value}
    try:
        int(local["debtor"])
    except ValueError as first:
        raise KeyError(local) from first


def test_a_fault_is_noted_by_types_and_places_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyError) as caught:
        deep(MARKER)
    fault = faults.record(caught.value, "place", tmp_path)
    noted = fault.path.read_text()
    assert MARKER not in noted
    assert [line for line in noted.splitlines() if line.startswith("error")] == ["error: KeyError", "error: ValueError"]
    assert "test_journaling.py" in noted
    assert stat.S_IMODE(fault.path.stat().st_mode) == 0o600


def test_our_own_errors_keep_their_sentence(tmp_path: Path) -> None:
    fault = faults.record(UsageError("there is no plan 9", fix="list them"), "place", tmp_path)
    assert "said: there is no plan 9\nfix: list them" in fault.path.read_text()


def test_the_faults_of_a_group_are_all_noted(tmp_path: Path) -> None:
    group = ExceptionGroup(MARKER, [ValueError(MARKER), OSError(MARKER)])
    noted = faults.record(group, "place", tmp_path).path.read_text()
    assert ("error: ValueError" in noted, "error: OSError" in noted, MARKER in noted) == (True, True, False)
