"""A debtor's letters, from the counter to the answer, by the commands that the how-to names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

LENDER = ("--lender", "harbour")
WHY = ("--why", "letter of the debtor of this morning, reference 17")
PROOF = ("--proof", "passport shown at the counter")


def someone(lived: Any) -> pd.Series:
    """A line of the lender's file whose person has that one account, with an agency."""
    lone = lived.raw.groupby("id_number")["account_ref"].transform("size") == 1
    line: pd.Series = lived.raw[lone].iloc[-1]
    return line


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_erasure_from_the_letter_to_the_certificate_and_the_destroyed_identity(lived: Any, tmp_path: Path) -> None:
    consign, line = lived.consign, someone(lived)
    who = line["id_number"]
    number = consign("subject", "open", "erasure", who, *LENDER, "--ref", "letter 17", "--json").json["request_id"]
    assert "waits" not in consign("subject", "verify", number, *PROOF).err
    assert "recall: 1" in consign("subject", "answer", number, "--forget", exits=6).err
    lived.agencies("give_back")
    consign("collect")
    assert consign("subject", "run", "--json").json["erasures"] == 1
    lived.agencies("erase")
    consign("collect")
    consign("subject", "run")
    before = tmp_path / "before.json"
    consign("disclosures", "export", who, *LENDER, *WHY, "--out", before)
    assert {row["erasure"] for row in json.loads(before.read_text())["evidence"]["disclosures"]} == {"erased"}
    ended = consign("subject", "answer", number, "--forget", "--json").json
    assert (ended["outcome"], ended["forgotten"]) == ("whole", True)
    assert "nobody is known" in consign("disclosures", who, *LENDER, *WHY, exits=2).err
    assert consign("disclosures", "verify", before, "--json").json["ok"]
    assert consign("audit", "verify", "--json").json["ok"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_correction_a_restriction_and_access_by_the_commands(lived: Any, tmp_path: Path) -> None:
    consign, line = lived.consign, someone(lived)
    who = line["phone"]
    number = consign("subject", "open", "correction", who, *LENDER, "--field", "phone", "--json").json["request_id"]
    assert "phone" not in consign("subject", "verify", number, *PROOF).out
    said = consign("subject", "correct", number, "phone", stdin="13912345678\n")
    assert "13912345678" not in said.out + said.err
    lived.agencies("confirm")
    consign("collect")
    consign("subject", "run")
    assert consign("subject", "show", number, "--json").json["agencies_owe"] == []
    consign("subject", "answer", number)
    held = consign("subject", "open", "restriction", line["id_number"], *LENDER, "--ground", "objection", "--json").json
    assert held["on_hold"]
    consign("subject", "refuse", held["request_id"], "legal_claims", "--reason", "a suit is pending")
    asked = consign("subject", "open", "access", "13912345678", *LENDER, "--json").json["request_id"]
    consign("subject", "verify", asked, *PROOF)
    out = tmp_path / "answer.json"
    consign("subject", "answer", asked, "--out", out)
    told = json.loads(out.read_text(encoding="utf-8"))["evidence"]
    assert told["held"]["identities"][0]["phone"] == "13912345678"
    assert {row["kind"] for row in told["disclosures"]} == {"placement", "correction"}
    assert [row["kind"] for row in told["requests"]] == ["correction", "restriction", "access"]
    assert out.stat().st_mode & 0o077 == 0
    assert consign("disclosures", "verify", out, "--json").json["ok"]
    assert consign("subject", "list", "--json").json["count"] == 0
