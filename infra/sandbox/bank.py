"""The sandbox's bank: the lender's account as camt.053 statements, day by day or month by month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pandas as pd

from models.money import exponent

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02d}"
PARTY_SINCE = 8
"""From this version on a party's name stands one level deeper, and a status in a code."""


@dataclass
class BankAccount:
    """One account of the lender, and where it stands: each statement continues the last."""

    number: str
    currency: str
    balance_minor: int = 0
    statements: int = 0

    def write(self, path: Path, entries: pd.DataFrame, first: date, last: date, *, version: int = 8) -> Path:
        """The statement of the days `first` to `last` is at `path`; the account stands at its closing balance.

        entries: `amount_minor` (int64, credit to the lender positive), `value_date`, `reference`; and, where they are
        there, `booked_on`, `text` (free remittance text beside the reference), `payer_account`, `payer`, `is_reversal`.
        """
        self.statements += 1
        opening = self.balance_minor
        self.balance_minor += int(entries["amount_minor"].sum())
        space = NAMESPACE.format(version=version)
        head = f"{self.number}-{last:%Y%m%d}-{self.statements:05d}"
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.write(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{space}"><BkToCstmrStmt>'
                f"<GrpHdr><MsgId>{head}</MsgId><CreDtTm>{last}T23:00:00Z</CreDtTm></GrpHdr>\n"
                f"<Stmt><Id>{head}</Id><ElctrncSeqNb>{self.statements}</ElctrncSeqNb><CreDtTm>{last}T23:00:00Z</CreDtTm>"
                f"<FrToDt><FrDtTm>{first}T00:00:00Z</FrDtTm><ToDtTm>{last}T23:59:59Z</ToDtTm></FrToDt>"
                f"<Acct><Id><Othr><Id>{escape(self.number)}</Id></Othr></Id><Ccy>{self.currency}</Ccy></Acct>\n"
            )
            out.write(self._balance("OPBD", opening, first) + self._balance("CLBD", self.balance_minor, last))
            out.writelines(self._entries(entries, version))
            out.write("</Stmt></BkToCstmrStmt></Document>\n")
        return path

    def _balance(self, kind: str, minor: int, day: date) -> str:
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{self._amount(minor)}<Dt><Dt>{day}</Dt></Dt></Bal>\n"
        )

    def _amount(self, minor: int) -> str:
        side = "CRDT" if minor >= 0 else "DBIT"
        return f'<Amt Ccy="{self.currency}">{_decimal(minor, self.currency)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'

    def _entries(self, entries: pd.DataFrame, version: int) -> list[str]:
        days = entries["value_date"].dt.strftime("%Y-%m-%d")
        booked = entries["booked_on"].dt.strftime("%Y-%m-%d") if "booked_on" in entries else days
        optional = [
            entries[name] if name in entries else pd.Series(None, index=entries.index, dtype="str")
            for name in ("text", "payer_account", "payer")
        ]
        undoes = entries["is_reversal"] if "is_reversal" in entries else pd.Series(data=False, index=entries.index)
        status = "<Sts><Cd>BOOK</Cd></Sts>" if version >= PARTY_SINCE else "<Sts>BOOK</Sts>"
        rows = zip(entries["amount_minor"], booked, days, entries["reference"], undoes, *optional, strict=True)
        return [
            f"<Ntry>{self._amount(minor)}{'<RvslInd>true</RvslInd>' if undo else ''}{status}"
            f"<BookgDt><Dt>{book}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>"
            f"<AcctSvcrRef>{self.statements:05d}{number:07d}</AcctSvcrRef>"
            f"<NtryDtls><TxDtls><Refs><EndToEndId>{_or(reference, 'NOTPROVIDED')}</EndToEndId></Refs>"
            f"{self._amount(minor) if version >= PARTY_SINCE else ''}"
            f"{_parties(payer, account, 'Dbtr' if minor >= 0 else 'Cdtr', version)}"
            f"{'<RmtInf><Ustrd>' + escape(text) + '</Ustrd></RmtInf>' if isinstance(text, str) else ''}"
            f"</TxDtls></NtryDtls></Ntry>\n"
            for number, (minor, book, day, reference, undo, text, account, payer) in enumerate(rows, 1)
        ]


def _decimal(minor: int, currency: str) -> str:
    places = exponent(currency)
    text = str(abs(minor)).rjust(places + 1, "0")
    return f"{text[:-places]}.{text[-places:]}" if places else text


def _or(text: object, otherwise: str) -> str:
    return escape(text) if isinstance(text, str) else otherwise


def _parties(payer: object, account: object, side: str, version: int) -> str:
    named = f"<Nm>{_or(payer, '')}</Nm>"
    party = f"<Pty>{named}</Pty>" if version >= PARTY_SINCE else named
    parts = f"<{side}>{party}</{side}>" if isinstance(payer, str) else ""
    if isinstance(account, str):
        parts += f"<{side}Acct><Id><Othr><Id>{escape(account)}</Id></Othr></Id></{side}Acct>"
    return f"<RltdPties>{parts}</RltdPties>" if parts else ""
