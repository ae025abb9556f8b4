"""The agency guide's shell script makes packages that the gateway accepts and a stranger's validator calls valid."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from frictionless import Package

from connectors.layouts.package import control_holds, read_package
from infra.filecheck import check_file
from models.checking import check
from models.kinds import KINDS

PACK = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "agency" / "pack.sh"
TABLES = {
    "acknowledgement": "account,status,currency,booked_balance,booked_on,reason\n"
    "GAAA,booked,CNY,150.05,2026-03-01,\nGBBB,booked,CNY,99999999.95,2026-03-01,\nGCCC,rejected,JPY,1200,2026-03-01,deceased\n",
    "remittance": "agency_txn_id,account,type,currency,gross,commission,vat,net,value_date,batch_ref,original_txn_id\n"
    "Q-1,GAAA,recovery,CNY,0.10,,,0.10,2026-03-01,B-1,\nQ-2,GAAA,recovery,CNY,0.2,,,0.2,2026-03-01,B-1,\n"
    "Q-3,GBBB,reversal,CNY,-150.35,-30.00,-1.80,-118.55,2026-03-01,B-1,Q-0\n",
    "return": "account,reason,returned_on,currency,final_balance\nGAAA,paid,2026-03-01,CNY,0.00\n",
    "activity": "account,at,channel,outcome\nGAAA,2026-03-01T09:30:00+08:00,phone,busy\n",
    "erasure_certificate": "account,erased_at,scope,method,certified_by\n"
    "GAAA,2026-03-01T18:00:00+08:00,all,files deleted,officer\n",
    "correction_confirmation": "account,field,status,corrected_on\nGAAA,phone,corrected,2026-03-01\n",
    "complaint": "complaint_ref,account,received_on,category\nR-1,,2026-03-01,conduct\n",
    "plan": "plan_ref,account,instalment,due_on,currency,amount\nP-1,GAAA,1,2026-04-01,CNY,500.10\n"
    "P-1,GAAA,2,2026-05-01,CNY,499.90\n",
    "hold_request": "account,reason,since,until\nGAAA,dispute,2026-03-01,\n",
    "recall_objection": "account,reason,keep_until\nGAAA,payment_promised,2026-03-09\n",
    "refusal": "file,sha256,at_line,at_column,code\n"
    "harbour.quayside.update.20260301.000001.zip.age,,3,currency,not_currency\n",
    "fingerprint": "whose,use,fingerprint,compared_on,compared_by\n"
    "lender,sign,SHA256:b5xculSvEhUZP+YFHQ2SoczcY//8njrUQnynojwtxnw,2026-03-01,operations\n",
    "invoice": "invoice_no,account,currency,base,commission,vat,period\nI-1,GAAA,CNY,100.00,20.00,1.20,2026-03\n",
}


@pytest.fixture
def pack(tmp_path: Path, needs: Callable[[str], Path]) -> Callable[..., Path]:
    """A function: the package of a table, as the script makes it."""
    needs("zip")

    def run(kind: str, table: bytes, *more: str, fails: bool = False) -> Path:
        csv = tmp_path / "table.csv"
        csv.write_bytes(table)
        done = subprocess.run(
            ["sh", PACK, kind, csv, "7", *more],
            cwd=tmp_path, env=os.environ | {"LENDER": "harbour", "AGENCY": "quayside"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, done.stderr
        return tmp_path / (done.stdout.strip() or done.stderr)

    return run


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_every_kind_of_package_is_accepted_line_by_line(kind: str, pack: Callable[..., Path]) -> None:
    path = pack(kind, TABLES[kind].encode())
    assert check_file(path).refused == 0
    package = read_package(path)
    assert (package.manifest["sequence"], package.manifest["previous"]) == (7, None)
    if KINDS[kind].control:
        sums = check(KINDS[kind], package.table).sums
        assert sums is not None
        assert control_holds(package.manifest, sums)


@pytest.mark.parametrize("kind", ["acknowledgement", "remittance"])
def test_a_strangers_validator_calls_it_valid(kind: str, pack: Callable[..., Path]) -> None:
    report = Package(str(pack(kind, TABLES[kind].encode()))).validate()
    assert report.valid, report.flatten(["type", "message"])


def test_what_a_spreadsheet_saves_is_taken(pack: Callable[..., Path]) -> None:
    quoted = "\r\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in TABLES["acknowledgement"].splitlines()
    )
    path = pack("acknowledgement", b"\xef\xbb\xbf" + quoted.encode() + b"\r\n\r\n")
    assert check_file(path).refused == 0
    assert read_package(path).table.num_rows == 3


def test_it_names_the_file_before(pack: Callable[..., Path], tmp_path: Path) -> None:
    before = tmp_path / "before.zip.age"
    before.write_bytes(b"sealed")
    told = read_package(pack("return", TABLES["return"].encode(), str(before))).manifest["previous"]
    assert told == subprocess.run(["sha256sum", before], capture_output=True, text=True, check=True).stdout[:64]


@pytest.mark.parametrize(
    ("kind", "table", "word"),
    [
        ("placement", TABLES["return"], "kind"),
        ("remittance", TABLES["return"], "column"),
        ("acknowledgement", TABLES["acknowledgement"].replace("150.05", "1e5"), "amount"),
        ("complaint", TABLES["complaint"].replace("conduct", '"rude, loud"'), "comma"),
        ("return", "", "empty"),
    ],
)
def test_what_it_cannot_pack_it_says(
    kind: str, table: str, word: str, pack: Callable[..., Path], tmp_path: Path
) -> None:
    assert word in str(pack(kind, table.encode(), fails=True))
    assert not list(tmp_path.glob("out/*"))
