"""As a compliance officer would: what agency X knows about this person, why, and when it will be gone, in few commands.

Each command is printed as it was typed (`pytest -s`), and there are fewer than five of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infra.register import Question, disclosures

ROOT = Path(__file__).resolve().parents[2]
WHY = "letter of the debtor of this morning, reference 17"


class Officer:
    """Types commands, and counts them."""

    def __init__(self, consign: Any) -> None:
        self.consign = consign
        self.typed: list[str] = []

    def __call__(self, *words: str) -> Any:
        self.typed.append(" ".join(["consign", *(f'"{word}"' if " " in word else word for word in words)]))
        print(f"$ {self.typed[-1]}")
        said = self.consign(*words, actor="li.wei")
        print(said.out, said.err)
        return said


def whose(lived: Any, erasure: str) -> tuple[pd.Series, str]:
    """Somebody of whom an agency's data are in that state: the line of the lender's file, and the agency."""
    for line in lived.raw.to_dict("records"):
        told = disclosures(lived.world.desk, Question("harbour", line["account_ref"], WHY)).told
        there = told[told["erasure"] == erasure]
        if len(there):
            return pd.Series(line), str(there["agency"].iloc[0])
    pytest.fail(f"nobody's data are {erasure}")


def test_what_an_agency_knows_why_and_until_when_in_under_five_commands(lived: Any, tmp_path: Path) -> None:
    line, agency = whose(lived, "held")
    officer = Officer(lived.consign)

    seen = officer("disclosures", line["id_number"], "--lender", "harbour", "--agency", agency, "--why", WHY)
    rows = [re.split(r"\s{2,}", text.strip()) for text in seen.out.splitlines() if text.split()[:1] == [agency]]
    fields = {row[3]: row for row in rows}  # agency, kind, delivered, field, treatment, accounts, purpose, policy …
    assert fields["phone"][4] == "release"
    assert fields["id_number"][4] == "mask"
    assert "employer" not in fields
    assert {row[6] for row in rows} == {"collection"}
    gone_by = date.fromisoformat(fields["phone"][8])
    assert date.today() + timedelta(days=30) < gone_by  # noqa: DTZ011 - a day, not an instant
    assert f"{agency}: " in seen.err
    assert "PIPL art. 13" in seen.err
    assert f"to be gone by {gone_by}" in seen.err
    assert line["id_number"] not in seen.out + seen.err

    evidence = tmp_path / "evidence.json"
    made = officer(
        "disclosures", "export", line["phone"], "--lender", "harbour", "--agency", agency, "--why", WHY,
        "--out", str(evidence),
    )  # fmt: skip
    key = next(text.split()[1] for text in made.out.splitlines() if text.startswith("key "))
    checked = officer("disclosures", "verify", str(evidence), "--key", key)
    assert "key expected  yes" in checked.out

    asked = officer("audit", "list", "--rows", "20")
    assert "disclosures.exported" in asked.out
    assert len(officer.typed) < 5

    told = json.loads(evidence.read_text(encoding="utf-8"))["evidence"]
    assert {row["agency"] for row in told["disclosures"]} == {agency}
    assert {row["field"] for row in told["disclosures"]} == set(fields)
    known = {entry["account"] for entry in told["known_as"]}
    assert known
    assert known <= set(lived.world.agencies[agency].book["account"])
    whole = evidence.read_text(encoding="utf-8")
    assert not any(str(line[name]) in whole for name in ("id_number", "phone", "name", "account_ref"))


def test_the_evidence_is_checked_with_nothing_of_the_lender_s_at_hand(lived: Any, tmp_path: Path) -> None:
    line, _ = whose(lived, "held")
    evidence = tmp_path / "evidence.json"
    lived.consign("disclosures", "export", line["id_number"], "--lender", "harbour", "--why", WHY, "--out", evidence)

    def verified(path: Path) -> subprocess.CompletedProcess[str]:
        nowhere = {"CONSIGN_HOME": str(tmp_path / "nowhere"), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-m", "console.cli.main", "disclosures", "verify", str(path)],
            env=os.environ | nowhere, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert verified(evidence).returncode == 0
    told = json.loads(evidence.read_text(encoding="utf-8"))
    told["evidence"]["disclosures"].pop()
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(told), encoding="utf-8")
    done = verified(forged)
    assert (done.returncode, "proves nothing" in done.stderr) == (3, True)
    assert not (tmp_path / "nowhere").exists()


def test_what_is_gone_says_since_when_and_by_which_certificate(lived: Any) -> None:
    line, _ = whose(lived, "erased")
    told = lived.consign("disclosures", line["account_ref"], "--lender", "harbour", "--why", WHY, "--json").json
    gone = [row for row in told["items"] if row["erasure"] == "erased"]
    assert {row["certified_by"] for row in gone} == {"data protection officer"}
    assert all(".erasure_certificate." in row["certificate"] for row in gone)
    assert {row["recall_reason"] for row in gone} == {"performance"}
    assert {row["kind"] for row in gone} == {"placement", "recall", "erasure_request"}
    day = (date.fromisoformat(gone[0]["recalled_on"]) - timedelta(days=1)).isoformat()
    then = lived.consign(
        "disclosures", line["account_ref"], "--lender", "harbour", "--why", WHY, "--as-of", day, "--json"
    ).json["items"]
    assert {row["erasure"] for row in then} == {"held"}
    assert {row["kind"] for row in then} == {"placement"}
