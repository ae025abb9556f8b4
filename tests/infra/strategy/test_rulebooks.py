from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from sqlalchemy import update

from infra.rulebooks import NotInForce, RulesAltered
from infra.store import bulk
from infra.strategy import BOOK, TwoStrategies, going_by_one, of
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.strategy.rules import text_of
from models.tables import AuditEvent, Rulebook

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SHIPPED = text_of("reminders-then-phone")


class Write(Protocol):
    """Writes a strategy into a file."""

    def __call__(self, name: str, version: str = "1", lenders: str = '"harbour"', about: str = "ours") -> str:
        """The file's path."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A strategy of that name, version and lenders is in a file."""

    def to(name: str, version: str = "1", lenders: str = '"harbour"', about: str = "ours") -> str:
        path = tmp_path / f"{name}-{version}-{about}.toml"
        head = f'name = "{name}"\nversion = "{version}"\nabout = "{about}"\nlenders = [{lenders}]\n'
        path.write_text(head + SHIPPED[SHIPPED.index("[[stage]]") :], encoding="utf-8")
        return str(path)

    return to


def in_force(house: Any, file: str, reference: str) -> None:
    house.desk.actor = "chen.yu"
    BOOK.propose(house.desk, file)
    house.desk.actor = "li.wei"
    BOOK.approve(house.desk, reference)


def test_a_lender_goes_by_its_own_strategy_in_force_else_by_the_setting_s(house: Any, write: Write) -> None:
    with house.desk.database.read() as connection:
        assert of(connection, house.desk, "harbour").name == "cn-soft-first"
        assert going_by_one(connection) == []
    in_force(house, write("ours"), "ours@1")
    with house.desk.database.read() as connection:
        assert of(connection, house.desk, "harbour").name == "ours"
        assert of(connection, house.desk, "lotus").name == "cn-soft-first"
        assert going_by_one(connection) == ["harbour"]


def test_a_new_version_supersedes_the_one_before_and_both_are_kept(house: Any, write: Write) -> None:
    in_force(house, write("ours"), "ours@1")
    in_force(house, write("ours", "2"), "ours@2")
    rows = {row.version: row for row in BOOK.history(house.desk, "ours")}
    assert {version: row.state for version, row in rows.items()} == {"1": "superseded", "2": "in_force"}
    assert rows["1"].in_force_until is not None
    with house.desk.database.read() as connection:
        assert BOOK.find(connection, "ours").version == "2"
        assert BOOK.named(connection, "ours@1").version == "1"
    actions = [action for action in house.rows(AuditEvent)["action"] if action.startswith("strategy.")]
    assert actions == ["strategy.proposed", "strategy.approved", "strategy.proposed", "strategy.superseded",
                       "strategy.approved"]  # fmt: skip


def test_what_nobody_else_approved_counts_nowhere(house: Any, write: Write) -> None:
    BOOK.propose(house.desk, write("ours"))
    with pytest.raises(RefusedByPolicy, match="cannot approve it"):
        BOOK.approve(house.desk, "ours@1")
    with house.desk.database.read() as connection, pytest.raises(NotInForce, match="is proposed"):
        BOOK.find(connection, "ours")


def test_a_version_is_one_text_for_ever_and_a_shipped_name_is_taken(house: Any, write: Write) -> None:
    BOOK.propose(house.desk, write("ours"))
    with pytest.raises(UsageError, match="is proposed already, with another text"):
        BOOK.propose(house.desk, write("ours", about="other"))
    with pytest.raises(UsageError, match="comes with Consign"):
        BOOK.propose(house.desk, write("cn-soft-first"))


def test_two_strategies_in_force_never_name_one_lender(house: Any, write: Write) -> None:
    in_force(house, write("ours"), "ours@1")
    with pytest.raises(TwoStrategies, match="harbour already"):
        BOOK.propose(house.desk, write("theirs"))
    in_force(house, write("theirs", lenders='"lotus"'), "theirs@1")


def test_a_text_that_somebody_changed_in_the_store_counts_no_more(house: Any, write: Write) -> None:
    in_force(house, write("ours"), "ours@1")
    table = bulk.table_of(Rulebook)
    with house.desk.database.write() as connection:
        connection.execute(update(table).values(toml=SHIPPED))
    with (
        house.desk.database.read() as connection,
        pytest.raises(RulesAltered, match="is not the one that was approved"),
    ):
        BOOK.find(connection, "ours")


def test_a_withdrawn_version_counts_no_more_and_says_why(house: Any, write: Write) -> None:
    in_force(house, write("ours"), "ours@1")
    with pytest.raises(UsageError, match="needs a reason"):
        BOOK.withdraw(house.desk, "ours@1", " ")
    assert BOOK.withdraw(house.desk, "ours@1", "nobody liked it") == "in_force"
    with house.desk.database.read() as connection:
        with pytest.raises(NotInForce, match="is withdrawn"):
            BOOK.find(connection, "ours")
        assert of(connection, house.desk, "harbour").name == "cn-soft-first"
    with pytest.raises(IllegalMove):
        BOOK.approve(house.desk, "ours@1")
    with pytest.raises(UsageError, match="names no version"):
        BOOK.withdraw(house.desk, "ours", "why not")
