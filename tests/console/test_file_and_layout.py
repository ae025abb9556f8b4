"""`consign file`, `consign layout` and `consign agency layout`, as a person types them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.settings import Settings
from infra.store.database import Database
from infra.wiring import Desk, seated
from models.checking import CODES
from models.explaining import EXPLAINED, NOTES
from models.tables import Agency

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "connectors" / "layouts" / "golden"
REMITTANCE = GOLDEN / "cn-flat-gb18030" / "HK_harbour_20260103_007.txt"


def run(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def told(*words: str | Path, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code).stdout)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Desk]:
    """A desk with one agency."""
    database = Database(f"sqlite:///{tmp_path / 'consign.sqlite'}")
    SQLModel.metadata.create_all(database.engine)
    with database.session() as session:
        session.add(
            Agency(agency="quayside", name="Quayside", state="live", drop="{}", channels="phone", created_at=NOW)
        )
    desk = Desk(Settings(home=tmp_path, engine="direct"), clock=lambda: NOW, actor="lin.wei")
    with seated(desk):
        yield desk
    database.close()
    desk.database.close()


def test_a_file_is_checked_without_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSIGN_HOME", str(tmp_path / "nothing"))
    out = tmp_path / "receipt.csv"
    found = told("file", "check", REMITTANCE, "--layout", "cn-flat-gb18030", "--out", out)
    assert (found["verdict"], found["lines"], found["refused"]) == ("accepted", 2, 0)
    assert found["sums"] == [{"currency": "CNY", "total_minor": 1_017_550}]
    receipt = pd.read_csv(out, dtype=str)
    assert receipt[["outcome", "lines", "total"]].to_numpy().tolist() == [["accepted", "2", "10175.50"]]
    assert not (tmp_path / "nothing").exists()


def test_a_bad_line_is_told_with_both_numbers_and_the_agencys_column(tmp_path: Path) -> None:
    text = REMITTANCE.read_bytes().decode("gb18030").replace("|12345.50|", "|12,345.50|", 1)
    path = tmp_path / REMITTANCE.name
    path.write_bytes(text.encode("gb18030"))
    found = told("file", "check", path, "--layout", "cn-flat-gb18030", code=3)
    (reject,) = found["rejects"]
    assert (reject["line"], reject["file_line"], reject["column"], reject["code"]) == (1, 2, "还款金额", "not_amount")
    assert "1234.50" in reject["fix"]
    shown = run("file", "check", path, "--layout", "cn-flat-gb18030", code=3)
    assert "还款金额" in shown.stdout


def test_a_folder_is_checked_file_by_file(tmp_path: Path) -> None:
    for path in (GOLDEN / "cn-flat-gb18030").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    found = told("file", "check", tmp_path, "--layout", "cn-flat-gb18030", code=3)["items"]
    codes = {one["file"]: [reject["code"] for reject in one["rejects"]] for one in found}
    assert codes.pop("notes.txt") == ["bad_name"]
    assert codes.pop("HZ_harbour_20260103_007.txt") == ["bad_name"]
    assert codes.pop("TA_harbour_20260103_007.txt") == ["bad_name"]
    assert set(map(tuple, codes.values())) == {()}


def test_a_layout_of_ones_own_is_checked_kept_and_agreed(store: Desk, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(run("layout", "show", "us-csv", "--toml").stdout.replace('name = "us-csv"', 'name = "own"'))
    assert told("layout", "check", own)["layout"] == "own@1"
    assert told("layout", "add", own, "--dry-run")["new"] is True
    assert [one["layout"] for one in told("layout", "list")["items"]].count("own@1") == 0
    assert told("layout", "add", own)["new"] is True
    assert told("layout", "add", own)["new"] is False
    chosen = told("agency", "layout", "quayside", "own")["layout"]
    assert chosen.startswith("own@1#")
    rows = {one["layout"]: one for one in told("layout", "list")["items"]}
    assert rows["own@1"]["agencies"] == "quayside"
    assert told("layout", "show", "own", "--kind", "recall")["items"][0]["field"] == "account"
    path = GOLDEN / "us-csv" / "harbour.quayside.remittance.20260103.000007.csv"
    assert told("file", "check", path, "--agency", "quayside")["layout"] == "own@1"
    assert told("agency", "layout", "quayside", "package")["layout"] == "package"
    assert store.actor == "lin.wei"


@pytest.mark.usefixtures("store")
def test_what_is_wrong_with_the_words_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text('name = "broken"\nversion = 1\n[kinds.recall.columns]\nacount = "a"\n')
    assert "near: account" in run("layout", "check", broken, code=4).output
    assert "near: us-csv" in run("agency", "layout", "quayside", "us-cvs", code=2).output
    assert "same thing twice" in run("file", "check", REMITTANCE, "--layout", "x", "--agency", "y", code=2).output
    assert "has no poem" in run("layout", "show", "us-csv", "--kind", "poem", code=2).output
    assert "no file" in run("file", "check", tmp_path / "none.csv", code=2).output


def test_every_code_is_explained_in_both_languages() -> None:
    assert set(EXPLAINED) == {*CODES, *NOTES}
    for code in CODES:
        english, chinese = told("file", "explain", code), told("file", "explain", code, "--zh")
        assert all(english.values())
        assert english["fix"] == CODES[code]
        assert any("一" <= mark <= "鿿" for mark in chinese["meaning"] + chinese["fix"])
    assert len(told("file", "explain")["items"]) == len(CODES)
    assert "near" not in run("file", "explain", "not_a_code", code=2).stdout
