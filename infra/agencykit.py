"""What a new agency is handed: guide, scripts, our keys, its settings, every schema, and files that are good and bad.

An agency without Consign needs nothing else to certify itself. The bad examples come with what the gateway says of
them, made by the gateway's own check.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
import shlex
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.layouts.package import schema_of
from infra.filecheck import check_file
from infra.store import exchange
from keys import statements
from models.certification import LENDER
from models.checking import CODES
from models.errors import ConfigurationError
from models.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.wiring import Desk

GUIDES: Final = ("for-agencies.md", "for-agencies.zh.md")
SCRIPTS: Final = ("pack.sh", "check.sh", "columns.sh")
PAGES: Final[Mapping[str, str]] = {
    **{f"how-to/{name}": name for name in (*GUIDES, "rotate-keys.md")},
    **{f"how-to/agency/{name}": name for name in SCRIPTS},
    "glossary.md": "glossary.md",
    **{f"reference/{name}": f"reference/{name}" for name in ("files.md", "drops.md", "certification.md")},
}
"""Where each page lies in the documentation, and where in the kit."""
LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)#:]+)(#[^)]*)?\)")
ACCOUNT: Final = "A" + "0" * 25 + "{}"
DAY: Final = "2026-03-02"

README: Final = """\
For {name} ({agency}), from the lender.                          致 {name}（{agency}）

for-agencies.md, for-agencies.zh.md   what to do, step by step     操作指南（英文、中文）
pack.sh check.sh columns.sh           the scripts of the guide     指南中的脚本
settings.sh                           your settings: . ./settings.sh      您的设置
keys/                                 the lender's public keys     委托方公钥
fingerprints.txt                      compare them by telephone    指纹，请电话核对
reference/, glossary.md               files, drops, certification, words  参考、术语
rotate-keys.md                        when keys change             更换密钥
schemas/                              every column of every file   每种文件的字段说明
examples/                             good files                   正确示例
examples/faulty/                      bad ones, and what we say    错误示例及我方答复
codes.csv                             every code and its fix       全部代码及处理方法
"""

EXAMPLES: Final[Mapping[str, tuple[dict[str, str], ...]]] = {
    "acknowledgement": (
        {"account": "1", "status": "booked", "currency": "CNY", "booked_balance": "7150.25", "booked_on": DAY},
        {"account": "2", "status": "rejected", "currency": "CNY", "booked_balance": "0.00", "booked_on": DAY,
         "reason": "deceased"},
    ),
    "activity": (
        {"account": "1", "at": f"{DAY}T09:30:00+08:00", "channel": "phone", "contact_point_ref": "p1",
         "outcome": "promise", "collector_ref": "c7"},
    ),
    "return": (
        {"account": "1", "reason": "recalled", "returned_on": DAY, "currency": "CNY", "final_balance": "7000.25"},
    ),
    "remittance": (
        {"agency_txn_id": "Q-000001", "account": "1", "type": "recovery", "currency": "CNY", "gross": "150.00",
         "net": "150.00", "value_date": DAY, "batch_ref": "QUAYSIDE-20260302"},
        {"agency_txn_id": "Q-000002", "account": "1", "type": "reversal", "currency": "CNY", "gross": "-150.00",
         "net": "-150.00", "value_date": DAY, "batch_ref": "QUAYSIDE-20260302", "original_txn_id": "Q-000001"},
    ),
    "invoice": (
        {"invoice_no": "I-1", "agency_txn_id": "Q-000001", "account": "1", "currency": "CNY", "base": "150.00",
         "commission": "30.00", "vat": "1.80", "period": "2026-03"},
    ),
    "erasure_certificate": (
        {"account": "1", "erased_at": f"{DAY}T18:00:00+08:00", "scope": "all", "method": "files deleted",
         "certified_by": "data protection officer"},
    ),
    "correction_confirmation": (
        {"account": "1", "field": "phone", "status": "corrected", "corrected_on": DAY},
        {"account": "2", "field": "address", "status": "not_held", "corrected_on": DAY},
    ),
    "complaint": (
        {"complaint_ref": "K-1", "account": "1", "received_on": DAY, "category": "conduct", "severity": "normal"},
    ),
    "plan": (
        {"plan_ref": "P-1", "account": "1", "instalment": "1", "due_on": "2026-04-01", "currency": "CNY",
         "amount": "500.00"},
        {"plan_ref": "P-1", "account": "1", "instalment": "2", "due_on": "2026-05-01", "currency": "CNY",
         "amount": "500.00"},
    ),
    "hold_request": ({"account": "1", "reason": "dispute", "since": DAY, "until": "2026-04-01"},),
    "recall_objection": ({"account": "1", "reason": "payment_promised", "keep_until": "2026-03-09"},),
    "refusal": (
        {"file": "harbour.quayside.placement.20260302.000004.zip.age", "code": "control_sum"},
        {"file": "harbour.quayside.placement.20260302.000005.zip.age", "at_line": "17", "at_column": "currency",
         "code": "not_currency"},
    ),
    "fingerprint": (
        {"whose": "lender", "use": "sign", "fingerprint": "SHA256:" + "A" * 43, "compared_on": DAY,
         "compared_by": "operations"},
    ),
}  # fmt: skip
"""A good file of each kind that agencies send; what a line does not say is empty."""

FAULTY: Final[Mapping[str, tuple[str, dict[str, str]]]] = {
    "amount_with_a_comma": ("acknowledgement", {"booked_balance": "7,150.25"}),
    "account_made_a_number_by_a_spreadsheet": ("acknowledgement", {"account": "1.23457E+17"}),
    "date_the_wrong_way_round": ("acknowledgement", {"booked_on": "02/03/2026"}),
    "day_that_does_not_exist": ("return", {"returned_on": "2026-02-30"}),
    "day_to_come": ("return", {"returned_on": "2026-12-31"}),
    "status_of_ones_own": ("acknowledgement", {"status": "ok"}),
    "time_without_its_offset": ("activity", {"at": f"{DAY} 09:30"}),
    "net_that_does_not_add_up": ("remittance", {"net": "149.00"}),
    "reversal_above_zero": ("remittance", {"type": "reversal"}),
    "month_written_out": ("invoice", {"period": "March 2026"}),
    "currency_in_words": ("remittance", {"currency": "yuan"}),
    "value_missing": ("erasure_certificate", {"certified_by": ""}),
    "column_unknown": ("complaint", {"debtor_name": "x"}),
}
"""Kind, and what its first line says otherwise."""


@dataclass(frozen=True)
class Kit:
    """What was written."""

    agency: str
    folder: Path
    files: int
    fingerprints: Mapping[str, str]


def write(desk: Desk, code: str, out: Path) -> Kit:
    """The agency's kit stands in the folder; written again, it is the newest. Raises what a missing key raises."""
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
    out.mkdir(parents=True, exist_ok=True)
    prints = _keys(desk, agency, out / "keys")
    _put(out / "README.txt", README.format(name=agency.name, agency=code))
    _put(out / "settings.sh", _settings(agency))
    _put(out / "fingerprints.txt", "".join(f"{what}\t{fingerprint}\n" for what, fingerprint in prints.items()))
    documentation = _documentation()
    for page, place in PAGES.items():
        _put(out / place, relinked((documentation / page).read_text(encoding="utf-8"), page))
    for kind in KINDS.values():
        schema = {"fields": [schema_of(one) for one in kind.fields], "missingValues": [""]}
        way = "to_agency" if kind.to_agency else "from_agency"
        _put(out / "schemas" / way / f"{kind.name}.json", json.dumps(schema, ensure_ascii=False, indent=1) + "\n")
    _examples(out / "examples")
    _put(out / "codes.csv", _csv(["code", "fix"], [{"code": one, "fix": fix} for one, fix in CODES.items()]))
    return Kit(code, out, sum(1 for path in out.rglob("*") if path.is_file()), prints)


def _keys(desk: Desk, agency: Any, folder: Path) -> dict[str, str]:
    """Our public keys, as the guide names the files; what each fingerprint is of."""
    now = desk.now()
    public = desk.keyring.public_keys(agency.suite, now)
    signer = statements.signer(desk.keyring, now)
    _put(folder / "lender.allowed_signers", signer.public["allowed_signers"].rstrip() + "\n")
    if agency.suite == "age":
        _put(folder / "lender.age", public["encrypt"].rstrip() + "\n")
        return {"lender sign": public["fingerprint"], "lender encrypt": public["encrypt_fingerprint"]}
    _put(folder / "lender.asc", public["encrypt"].rstrip() + "\n")
    _put(folder / "lender.fingerprint", public["fingerprint"] + "\n")
    return {
        "lender sign and encrypt": public["fingerprint"],
        "lender signs certificates": signer.fingerprint,
    }


def _settings(agency: Any) -> str:
    """The guide's first block, filled in with what we know of the agency's server."""
    drop = json.loads(agency.drop)
    reach = (
        f"export HOST={shlex.quote(str(drop['host']))} PORT={int(drop.get('port', 22))} "
        f"LOGIN={shlex.quote(str(drop['username']))}\n"
        if drop.get("kind") == "sftp"
        else "# exchanged through a folder: copy instead of sftp\n"
    )
    return f"export LENDER={LENDER}          # while you certify yourself\nexport AGENCY={agency.agency}\n{reach}"


def _examples(folder: Path) -> None:
    for kind, lines in EXAMPLES.items():
        _put(folder / f"{kind}.csv", example(kind, lines))
    for name, (kind, otherwise) in FAULTY.items():
        text = example(kind, [EXAMPLES[kind][0] | otherwise])
        _put(folder / "faulty" / f"{kind}.{name}.csv", text)
        _put(folder / "faulty" / f"{kind}.{name}.receipt.csv", _said(kind, text))


def example(kind: str, lines: tuple[dict[str, str], ...] | list[dict[str, str]]) -> str:
    """The table of these lines, with every column of the kind; accounts are numbered."""
    known = [one.name for one in KINDS[kind].fields]
    columns = [*known, *(name for name in lines[0] if name not in known)]
    named = [line | ({"account": _account(line["account"])} if "account" in line else {}) for line in lines]
    return _csv(columns, named)


def _account(text: str) -> str:
    return ACCOUNT.format(text) if len(text) == 1 else text


def _said(kind: str, text: str) -> str:
    """What the gateway would answer, as a table."""
    from datetime import date

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "example.csv"
        path.write_text(text, encoding="utf-8")
        found = check_file(path, kind, date.fromisoformat(DAY)).rejects
    told = ["line", "column", "code", "fix"]
    return _csv(told, found[told].to_dict("records"))


def _csv(columns: list[str], rows: list[dict[Any, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def relinked(text: str, page: str) -> str:
    """The page with its links as they lead in the kit; what leads out of the kit is text alone."""
    if not page.endswith(".md"):
        return text

    def led(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link[2]))
        if target not in PAGES:
            return link[1]
        here = posixpath.relpath(PAGES[target], posixpath.dirname(PAGES[page]) or ".")
        return f"[{link[1]}]({here}{link[3] or ''})"

    return LINK.sub(led, text)


def _documentation() -> Path:
    """Where the documentation lies: beside the packages in a checkout, inside infra where it was installed."""
    for root in (Path(__file__).resolve().parents[1] / "docs", Path(str(files("infra"))) / "docs"):
        if (root / "glossary.md").is_file():
            return root
    raise ConfigurationError(
        "the guides are not part of this installation", fix="install Consign again, or from its sources"
    )
