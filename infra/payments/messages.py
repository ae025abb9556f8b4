"""A payment run as a bank takes it: pain.001.001.09, valid by ISO 20022's own schema, or CSV.

The schema beside this module is the one that ISO 20022 publishes for the message (of February 2019). The same run gives
the same bytes, whenever it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from lxml import etree

from models.errors import ConsignError
from models.money import exponent
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from models.payments import BankAccount, Transfer

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_DEFAULT: Final[Any] = {None: NAMESPACE}
"""The stubs know no default namespace."""
NAME_LENGTH: Final = 140
COLUMNS: Final = ("end_to_end_id", "payee_name", "payee_account", "payee_bank", "amount", "currency", "pay_on", "about")


class MessageInvalid(ConsignError):
    """What was written is no pain.001.001.09: a fault of ours, and nothing was let out."""


@dataclass(frozen=True)
class Run:
    """Everything that a bank is told of a payment run."""

    message_id: str
    made_at: datetime
    """when it was approved: the same in every copy"""
    pay_on: date
    currency: str
    payer: BankAccount
    transfers: Sequence[Transfer]

    @property
    def total_minor(self) -> int:
        """The sum of the transfers."""
        return sum(transfer.amount_minor for transfer in self.transfers)


def pain001(run: Run) -> bytes:
    """The message. Raises MessageInvalid where the schema does not hold it."""
    document = etree.Element(f"{{{NAMESPACE}}}Document", nsmap=_DEFAULT)
    root = _add(document, "CstmrCdtTrfInitn")
    _header(_add(root, "GrpHdr"), run)
    payment = _add(root, "PmtInf")
    _add(payment, "PmtInfId", run.message_id)
    _add(payment, "PmtMtd", "TRF")
    _add(payment, "BtchBookg", "false")
    _add(payment, "NbOfTxs", str(len(run.transfers)))
    _add(payment, "CtrlSum", _amount(run.total_minor, run.currency))
    if run.currency == "EUR" and run.payer.is_iban:
        _add(_add(_add(payment, "PmtTpInf"), "SvcLvl"), "Cd", "SEPA")
    _add(_add(payment, "ReqdExctnDt"), "Dt", run.pay_on.isoformat())
    _party(payment, "Dbtr", run.payer)
    _account(payment, "DbtrAcct", run.payer, run.currency)
    _agent(payment, "DbtrAgt", run.payer)
    _add(payment, "ChrgBr", "SLEV" if run.currency == "EUR" else "SHAR")
    for transfer in run.transfers:
        _transfer(_add(payment, "CdtTrfTxInf"), transfer, run.currency)
    schema = _schema()
    if not schema.validate(document):
        # its words quote what was written: only where and which rule
        rule = getattr(getattr(schema.error_log, "last_error", None), "type_name", "of unknown rule")
        raise MessageInvalid(
            f"the message of run {run.message_id} is no pain.001.001.09: {rule}",
            fix="look at the names and accounts of the run's payees; report it if they are right",
        )
    content: bytes = etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def listing(run: Run) -> bytes:
    """The run as CSV, for banks whose portal takes a list: columns COLUMNS, no cell a formula."""
    rows = [
        (one.end_to_end_id, one.payee.name, one.payee.account, one.payee.bank or "",
         _amount(one.amount_minor, run.currency), run.currency, run.pay_on.isoformat(), one.about)
        for one in run.transfers
    ]  # fmt: skip
    told = pd.DataFrame(rows, columns=list(COLUMNS))
    return defused(told).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def _header(header: etree._Element, run: Run) -> None:
    _add(header, "MsgId", run.message_id)
    _add(header, "CreDtTm", run.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    _add(header, "NbOfTxs", str(len(run.transfers)))
    _add(header, "CtrlSum", _amount(run.total_minor, run.currency))
    _add(_add(header, "InitgPty"), "Nm", run.payer.name[:NAME_LENGTH])


def _transfer(element: etree._Element, transfer: Transfer, currency: str) -> None:
    identity = _add(element, "PmtId")
    _add(identity, "InstrId", transfer.end_to_end_id)
    _add(identity, "EndToEndId", transfer.end_to_end_id)
    amount = _add(_add(element, "Amt"), "InstdAmt", _amount(transfer.amount_minor, currency))
    amount.set("Ccy", currency)
    _agent(element, "CdtrAgt", transfer.payee)
    _party(element, "Cdtr", transfer.payee)
    _account(element, "CdtrAcct", transfer.payee)
    _add(_add(element, "RmtInf"), "Ustrd", transfer.about[:NAME_LENGTH])


def _party(parent: etree._Element, name: str, account: BankAccount) -> None:
    _add(_add(parent, name), "Nm", account.name[:NAME_LENGTH])


def _account(parent: etree._Element, name: str, account: BankAccount, currency: str | None = None) -> None:
    element = _add(parent, name)
    identity = _add(element, "Id")
    if account.is_iban:
        _add(identity, "IBAN", account.account)
    else:
        _add(_add(identity, "Othr"), "Id", account.account)
    if currency is not None:
        _add(element, "Ccy", currency)


def _agent(parent: etree._Element, name: str, account: BankAccount) -> None:
    """The account's bank: by BIC, by its code in CNAPS (code CNAPS of ISO's external list), or not told."""
    institution = _add(_add(parent, name), "FinInstnId")
    if account.bank is None:
        _add(_add(institution, "Othr"), "Id", "NOTPROVIDED")
    elif account.is_cnaps:
        member = _add(institution, "ClrSysMmbId")
        _add(_add(member, "ClrSysId"), "Cd", "CNAPS")
        _add(member, "MmbId", account.bank)
    else:
        _add(institution, "BICFI", account.bank)


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def _amount(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-exponent(currency)):f}"


@cache
def _schema() -> etree.XMLSchema:
    content = files("infra.payments").joinpath("pain.001.001.09.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True)))
