"""The sandbox's bank: the lender's account as statements, day by day or month by month, in the forms that banks have.

camt.053 and MT940 statements, camt.052 reports and camt.054 notifications before them, and a wallet's fund flow.
"""

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
BEFORE = {"camt.052": ("BkToCstmrAcctRpt", "Rpt"), "camt.054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}
"""What comes before a statement: the message's element, and that of its one report or notification."""
WALLET_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额（元）,账户结余（元）,"
    "资金变更提交申请人,备注,业务凭证号"
)
WALLET_TOTALS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
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
            out.writelines(self._entries(entries, version, self.statements))
            out.write("</Stmt></BkToCstmrStmt></Document>\n")
        return path

    def announce(
        self, path: Path, entries: pd.DataFrame, day: date, *, form: str = "camt.054", version: int = 8
    ) -> Path:
        """A report or notification of the day's first entries is at `path`; the next statement will say them again.

        entries: as of `write`, of which they are the beginning: the bank names an entry the same in both.
        """
        message, within = BEFORE[form]
        head = f"{self.number}-{day:%Y%m%d}-{form[-3:]}-{self.statements + 1:05d}-{len(entries)}"
        space = NAMESPACE.format(version=version).replace("camt.053", form)
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.write(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{space}"><{message}>'
                f"<GrpHdr><MsgId>{head}</MsgId><CreDtTm>{day}T12:00:00Z</CreDtTm></GrpHdr>\n"
                f"<{within}><Id>{head}</Id><CreDtTm>{day}T12:00:00Z</CreDtTm>"
                f"<Acct><Id><Othr><Id>{escape(self.number)}</Id></Othr></Id><Ccy>{self.currency}</Ccy></Acct>\n"
            )
            out.writelines(self._entries(entries, version, self.statements + 1))
            out.write(f"</{within}></{message}></Document>\n")
        return path

    def write_mt940(self, path: Path, entries: pd.DataFrame, last: date) -> Path:
        """The same as an MT940 statement up to the day `last`; the account stands at its closing balance."""
        self.statements += 1
        opening = self.balance_minor
        self.balance_minor += int(entries["amount_minor"].sum())
        texts = entries["text"] if "text" in entries else pd.Series(None, index=entries.index, dtype="str")
        rows = zip(entries["amount_minor"], entries["value_date"], entries["reference"], texts, strict=True)
        lines = [f":20:S{self.statements:05d}", f":25:{self.number}", f":28C:{self.statements:05d}/001"]
        lines.append(f":60F:{self._mt940(opening, last)}")
        for number, (minor, day, reference, text) in enumerate(rows, 1):
            side = "C" if minor >= 0 else "D"
            amount = _decimal(minor, self.currency).replace(".", ",") + ("" if exponent(self.currency) else ",")
            lines.append(
                f":61:{day:%y%m%d%m%d}{side}{amount}NTRF{_or(reference, 'NONREF')[:16]}"
                f"//{self.statements:05d}{number:07d}"
            )
            lines.append(f":86:{' '.join(str(one) for one in (reference, text) if isinstance(one, str))}")
        lines += [f":62F:{self._mt940(self.balance_minor, last)}", "-"]
        path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
        return path

    def _mt940(self, minor: int, day: date) -> str:
        amount = _decimal(minor, self.currency).replace(".", ",") + ("" if exponent(self.currency) else ",")
        return f"{'C' if minor >= 0 else 'D'}{day:%y%m%d}{self.currency}{amount}"

    def write_wallet(self, path: Path, entries: pd.DataFrame) -> Path:
        """The same as the fund flow of a WeChat Pay merchant; the account stands at its closing balance."""
        self.statements += 1
        lines = [WALLET_HEADER]
        texts = entries["text"] if "text" in entries else pd.Series("", index=entries.index, dtype="str")
        rows = zip(entries["amount_minor"], entries["value_date"], entries["reference"], texts, strict=True)
        for number, (minor, day, reference, text) in enumerate(rows, 1):
            self.balance_minor += minor
            balance = ("-" if self.balance_minor < 0 else "") + _decimal(self.balance_minor, self.currency)
            cells = (
                f"{day:%Y-%m-%d} 10:00:00", "", f"{self.statements:05d}{number:07d}", "交易", "交易",
                "收入" if minor >= 0 else "支出", _decimal(minor, self.currency), balance, "system",
                text if isinstance(text, str) else "", reference if isinstance(reference, str) else "",
            )  # fmt: skip
            lines.append(",".join(f"`{cell}" for cell in cells))
        came, went = (entries["amount_minor"].clip(lower=0), -entries["amount_minor"].clip(upper=0))
        sums = (len(entries), int((came > 0).sum()), _decimal(int(came.sum()), self.currency), int((went > 0).sum()))
        totals = (*sums, _decimal(int(went.sum()), self.currency))
        lines += [WALLET_TOTALS, ",".join(f"`{cell}" for cell in totals)]
        path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
        return path

    def _balance(self, kind: str, minor: int, day: date) -> str:
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{self._amount(minor)}<Dt><Dt>{day}</Dt></Dt></Bal>\n"
        )

    def _amount(self, minor: int) -> str:
        side = "CRDT" if minor >= 0 else "DBIT"
        return f'<Amt Ccy="{self.currency}">{_decimal(minor, self.currency)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'

    def _entries(self, entries: pd.DataFrame, version: int, statement: int) -> list[str]:
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
            f"<AcctSvcrRef>{statement:05d}{number:07d}</AcctSvcrRef>"
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
