"""`consign conduct`, `consign complaint` and `consign diligence`, as a person types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.settings import Settings
from infra.store import bulk
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.tables import Account, Activity, Agency, Debtor, InboundFile, Lender, Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Type = Callable[..., Result]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """One account with one agency, which called at eleven in the evening and at noon."""
    at = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(at.database.engine)
    path = at.settings.keyring_path
    path.parent.mkdir(mode=0o700, parents=True)
    Keyring.create(path, key_file=at.settings.key_file_path).new_pseudonym_key("quayside", NOW)
    day = pd.Timestamp(2026, 5, 1)
    with at.database.session() as session:
        session.add(Lender(lender="harbour", name="Harbour", created_at=NOW))
        session.add(Agency(agency="quayside", name="Quayside", state="live", drop="{}", created_at=NOW))
        session.add(Debtor(debtor_id=1, lender="harbour", identity_index="1", created_at=NOW))
        session.add(
            Account(
                account_id=1, lender="harbour", ref_index="1", debtor_id=1, portfolio_id=1, product="card",
                currency="CNY", balance_minor=1, dpd=95, bucket="M4", as_of=day.date(),
            )
        )  # fmt: skip
        session.add(
            Placement(
                placement_id=1, plan_id=1, lender="harbour", agency="quayside", account_id=1, debtor_id=1, round=1,
                stage="phone", segment="all", currency="CNY", balance_minor=1, dpd=95, bucket="M4",
                placed_on=day.date(), due_back_on=day.date(), state="acknowledged",
            )
        )  # fmt: skip
        session.add(
            InboundFile(
                file_id=1, agency="quayside", lender="harbour", name="f1", kind="activity", state="accepted",
                sealed_sha256="1", sealed_size=1, stored_path="", received_at=NOW, accepted_at=NOW,
            )
        )  # fmt: skip
    with at.database.write() as connection:
        bulk.append(connection, Activity, pd.DataFrame({
            "file_id": 1, "line": np.array([1, 2]), "agency": "quayside", "placement_id": 1, "offset_minutes": 480,
            "at": pd.to_datetime(["2026-05-02T15:00Z", "2026-05-03T04:00Z"]), "channel": "phone",
            "contact_point_ref": "p1", "outcome": "no_answer",
        }))  # fmt: skip
    with seated(at):
        yield at
    at.database.close()


@pytest.fixture
def typed(desk: Desk) -> Type:
    """Types a command; it must end with `code`."""
    assert desk is not None

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    return run


def told(result: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_from_the_run_to_the_decision(typed: Type) -> None:
    assert told(typed("conduct", "run", "--dry-run", "--json", code=3))["found"] == 2
    assert "GBT45251-hours" in typed("conduct", "run", code=3).stdout
    typed("conduct", "run")
    assert told(typed("conduct", "breaches", "--json"))["count"] == 2
    assert told(typed("conduct", "breaches", "--rule", "CBA2026-hours", "--agency", "quayside", "--json"))["count"] == 1
    shown = typed("conduct", "show", "1").stdout
    assert "GB/T 45251" in shown
    assert "Asia/Shanghai" in shown
    assert (
        told(typed("conduct", "uphold", "1", "--reason", "its own recording", "--dry-run", "--json"))["state"] == "open"
    )
    assert told(typed("conduct", "uphold", "1", "--reason", "its own recording", "--json"))["state"] == "upheld"
    assert told(typed("conduct", "dismiss", "2", "--reason", "agreed", "--json"))["state"] == "dismissed"
    assert "needs recordings" in typed("conduct", "report").stdout
    typed("conduct", "show", "99", code=2)


def test_the_rules_are_shown_with_how_they_were_read(typed: Type) -> None:
    assert "confirm with counsel" in typed("conduct", "packs", "--pack", "us").stdout
    whole = typed("conduct", "rule", "CBA2026-third").stdout
    assert "2026-01-31" in whole
    assert "第三人" in whole
    typed("conduct", "rule", "nothing", code=2)
    assert told(typed("conduct", "use", "harbour", "cn", "us", "--json"))["packs"] == ["cn", "us"]
    typed("conduct", "use", "harbour", "xx", code=2)


def test_complaints_and_evidence_set_the_gates(typed: Type, desk: Desk, tmp_path: Path) -> None:
    typed("complaint", "add", "quayside", "C-1", "--lender", "harbour", "--category", "threat")
    assert told(typed("complaint", "list", "--json"))["count"] == 1
    typed("complaint", "take", "1")
    typed("complaint", "close", "1", "upheld", "--reason", "the recording shows it")
    assert told(typed("complaint", "list", "--json"))["count"] == 0
    assert "quayside" in typed("complaint", "rate").stdout
    typed("conduct", "run", code=3)
    assert "third-party-or-threat" in typed("conduct", "gates", code=3).stdout
    document = tmp_path / "licence.pdf"
    document.write_bytes(b"%PDF")
    typed("diligence", "due", code=3)
    typed("diligence", "add", "quayside", "licence", "--document", str(document), "--until", "2027-01-01")
    assert told(typed("diligence", "list", "--json"))["count"] == 1
    gates = told(typed("conduct", "gates", "--json", code=3))["items"]
    assert isinstance(gates, list)
    number = next(str(one["gate_id"]) for one in gates if one["gate"] == "third-party-or-threat")
    typed("conduct", "lift", number, "--until", "2026-05-20", "--reason", "collector dismissed")
    typed("conduct", "grant", number, code=6)
    desk.actor = "li.wei"
    assert told(typed("conduct", "grant", number, "--json"))["state"] == "lifted"
