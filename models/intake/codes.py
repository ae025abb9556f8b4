"""Why a line of a portfolio is refused, or let in with a warning: the one table of reports, command line and docs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "malformed_line": (
            "The line has another number of columns than the header. Quote texts that hold the delimiter."
        ),
        "missing": "A value is required here. Fill it in, or give the field a constant in the profile.",
        "spreadsheet_number": (
            "A spreadsheet turned this into a number and lost digits. Export anew with the column formatted as text."
        ),
        "spreadsheet_date": (
            "This is a spreadsheet's day number, not a date. Export anew with the column formatted as a date or text."
        ),
        "spreadsheet_error": "This is a spreadsheet's error or filler (#N/A, ####). Mend the sheet and export anew.",
        "thousands_separator": (
            "Write the amount without thousands marks, or name the mark as `thousands` in the profile."
        ),
        "decimal_mark": (
            "The decimal mark is not the profile's. Set `decimal` in the profile to the one that the file uses."
        ),
        "not_amount": "Write the amount in digits, without a currency sign: 1234.50.",
        "too_many_decimals": (
            'More decimals than the currency has. Send exact amounts, or allow `rounding = "half_up"` in the profile.'
        ),
        "amount_too_large": "The amount has more digits than an account can owe. Check the column and its unit.",
        "negative_balance": (
            "The debtor owes nothing here: the balance is negative. Take credit balances out of the extract."
        ),
        "negative_amount": "This part of a debt cannot be negative. Check the column, or leave it out of the profile.",
        "absurd_balance": (
            "The balance is beyond the profile's limits. Check the unit (`amount`), or raise `max_balance`."
        ),
        "not_integer": "Write a whole number, digits only.",
        "dpd_out_of_range": "Days past due lie between 0 and 36500. Check the column.",
        "not_date": "Not a day in the profile's `date_format`. Correct the date, or the format in the profile.",
        "date_out_of_range": "The date lies before 1900. Correct it.",
        "future_date": "The date lies after the day of the snapshot. Correct it, or import under the right --as-of.",
        "not_currency": "Not an ISO 4217 code in use. Write three capital letters, as in CNY.",
        "unreadable_filter": (
            "The profile's `where` compares this line by a number that is not one. Correct the line, or the filter."
        ),
        "unmapped_value": "The profile's `map` does not have this value. Add it, or give the map an `otherwise`.",
        "pattern_mismatch": "The value does not have the form that the profile's `pattern` asks for.",
        "too_long": (
            "The text is longer than the field allows (consign portfolio codes --fields). Check the columns' order."
        ),
        "control_character": "Take line breaks and other invisible characters out of this value.",
        "repeated": (
            "An earlier line of this file has the same account number; that one counts. Send one line per account."
        ),
        "erased": "This account's identity was erased on request. Take it out of the extract.",
    }
)
"""Codes that keep a line out, and what to do."""

WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        "id_number_check": "Looks like a resident ID, but its date or check character is wrong. Verify the number.",
        "phone_doubtful": "Does not look like a telephone number. Verify it.",
        "email_doubtful": "Does not look like an e-mail address. Verify it.",
        "parts_differ": "Principal, interest and fees do not add up to the balance. The balance counts.",
        "date_order": "The last payment lies before the account was opened. Verify both dates.",
        "no_identity": "Neither ID number nor telephone: the account stands for a debtor of its own.",
        "identity_changed": (
            "Another ID number or telephone than before. The account stays with its debtor; verify who it is."
        ),
    }
)
"""Codes that let a line in, and what somebody should look at."""

CODES: Mapping[str, str] = MappingProxyType({**REFUSALS, **WARNINGS})
