"""A profile is checked as a whole, strictly, and says what is wrong in one go."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from connectors.portfolio.errors import ProfileInvalid, ProfileUnknown
from connectors.portfolio.mapping import Mapped, mapped
from connectors.portfolio.profiles import load_profile, parse_profile, shipped_profiles

AS_OF = date(2026, 6, 30)
HEAD = 'name = "t"\nversion = 1\n'
COLUMNS = '[columns]\naccount_ref = "a"\nproduct = { constant = "card" }\ncurrency = { constant = "CNY" }\n'
PLAIN = HEAD + COLUMNS + 'balance = "b"\ndpd = "d"\n'


def through(toml: str, **columns: list[str | None]) -> Mapped:
    profile = parse_profile(toml, "t.toml")
    table = pa.table({name: pa.array(values, type=pa.large_string()) for name, values in columns.items()})
    return mapped(profile, table, np.arange(1, table.num_rows + 1), AS_OF)


def values(result: Mapped, field: str) -> list[object]:
    return list(result.readings[field].values.to_pylist())


def faults(result: Mapped, field: str) -> list[tuple[str, list[int]]]:
    return [(code, rows.nonzero()[0].tolist()) for code, rows in result.readings[field].faults]


def test_every_shipped_profile_loads_under_its_own_name() -> None:
    assert {"consign", "consign_zh", "lendingclub", "taiwan_card"} <= set(shipped_profiles())
    assert all(load_profile(name).name == name for name in shipped_profiles())


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (PLAIN.replace("balance", "balanse"), "unknown key 'balanse' (near: balance)"),
        (PLAIN.replace('dpd = "d"\n', ""), "dpd: is required"),
        (PLAIN + "[source]\nencodign = 'utf-8'\n", "(near: encoding)"),
        (PLAIN + "[source]\nencoding = 'klingon'\n", "'klingon' is not one of"),
        (PLAIN + "[source]\ndelimiter = ';;'\n", "one character each"),
        (PLAIN + "[source]\nskip_rows = -1\n", "skip_rows"),
        (PLAIN + "[source]\nskip_rows = true\n", "needs a whole number"),
        (PLAIN + "[amounts]\ndecimal = ','\nthousands = ','\n", "different marks"),
        (PLAIN + "[limits]\nmax_balance = 1.5\n", "decimal in quotes"),
        (PLAIN + "[where]\nx = 'y'\n", "needs a list of texts"),
        (PLAIN + "[where]\nx = { over = 3 }\n", "unknown key 'over'"),
        (PLAIN.replace('"b"', '{ minus = ["x"] }'), "two columns or more"),
        (PLAIN.replace('"d"', '{ minus = ["x", "y"] }'), "minus makes an amount"),
        (PLAIN.replace('"b"', '{ days_since = "x" }'), "days_since makes a number of days"),
        (PLAIN.replace('"d"', '{ column = "x", pattern = "no group" }'), "exactly one group"),
        (PLAIN.replace('"d"', '{ column = "x", otherwise = "0" }'), "otherwise goes with map"),
        (PLAIN.replace('"d"', '{ column = "x", constant = "1" }'), "exactly one of"),
        (PLAIN.replace('"d"', "7"), "needs the name of a column"),
        (PLAIN.replace("version = 1", "version = 0"), "version"),
        (PLAIN.replace('name = "t"', 'name = "T T"'), "name"),
        (PLAIN + 'name_of = "x"\n[synthetic_identity]\n', "from: needs the column"),
        (HEAD + 'date_format = "%d.%m"\n' + COLUMNS, "does not hold a year"),
        ("name =", "is not TOML"),
    ],
)
def test_what_a_profile_cannot_mean_is_told(toml: str, said: str) -> None:
    with pytest.raises(ProfileInvalid) as told:
        parse_profile(toml, "t.toml")
    assert said in str(told.value)
    assert told.value.exit_code == 4


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ProfileInvalid) as told:
        parse_profile('nmae = "t"\n[columns]\nbalanse = "b"\n', "t.toml")
    assert str(told.value).count("\n  - ") >= 7


def test_an_unknown_profile_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ProfileUnknown, match="near: lendingclub"):
        load_profile("lendingklub")


def test_real_identities_and_synthetic_ones_do_not_mix() -> None:
    with pytest.raises(ProfileInvalid, match="identities are synthetic"):
        parse_profile(PLAIN + 'name = "n"\n[synthetic_identity]\nfrom = "a"\n', "t.toml")


def test_amounts_are_subtracted_and_added_exactly_before_they_are_rounded() -> None:
    toml = HEAD + COLUMNS + 'dpd = "d"\nbalance = { minus = ["x", "y"] }\nfees = { plus = ["x", "y"] }\n'
    result = through(
        toml + '[amounts]\nrounding = "half_up"\n', a=["1", "2"], d=["1", "1"], x=["0.015", "1"], y=["0.01", None]
    )
    assert values(result, "balance") == [1, None]
    assert values(result, "fees") == [3, None]


def test_days_past_due_count_from_the_first_date_that_is_filled() -> None:
    toml = HEAD + COLUMNS + 'balance = "b"\ndpd = { days_since = ["paid", "issued"], at_least = 120 }\n'
    result = through(
        toml,
        a=["1", "2", "3", "4"],
        b=["1"] * 4,
        paid=["2026-01-01", None, "2026-06-01", "soon"],
        issued=["2025-01-01", "2025-06-30", None, None],
    )
    assert values(result, "dpd") == [180, 365, 120, None]
    assert faults(result, "dpd") == [("not_date", [3])]


def test_months_past_due_are_thirty_days_each_and_none_is_none() -> None:
    result = through(
        HEAD + COLUMNS + 'balance = "b"\ndpd = { months_to_dpd = "m" }\n', a=list("1234"), b=["1"] * 4,
        m=["-2", "0", "2", "x"],
    )  # fmt: skip
    assert values(result, "dpd") == [0, 0, 60, None]
    assert faults(result, "dpd") == [("not_integer", [3])]


def test_a_map_translates_and_refuses_what_it_does_not_have_unless_told_otherwise() -> None:
    looked_up = 'region = { column = "r", map = { "N" = "north" } }\n'
    result = through(PLAIN + looked_up, a=["1", "2", "3"], b=["1"] * 3, d=["1"] * 3, r=["N", "S", None])
    assert values(result, "region") == ["north", None, None]
    assert faults(result, "region") == [("unmapped_value", [1])]
    with_default = looked_up.replace(" }\n", ', otherwise = "elsewhere" }\n')
    result = through(PLAIN + with_default, a=["1", "2", "3"], b=["1"] * 3, d=["1"] * 3, r=["N", "S", None])
    assert values(result, "region") == ["north", "elsewhere", "elsewhere"]


def test_a_pattern_cuts_out_its_group() -> None:
    cut = "region = { column = 'r', pattern = '^(?:CN-)?([0-9]{6})' }\n"
    result = through(PLAIN + cut, a=["1", "2"], b=["1"] * 2, d=["1"] * 2, r=["CN-110101 x", "somewhere"])
    assert values(result, "region") == ["110101", None]
    assert faults(result, "region") == [("pattern_mismatch", [1])]


def test_a_filter_leaves_lines_out_and_refuses_those_it_cannot_judge() -> None:
    toml = PLAIN + '[where]\nstatus = ["bad", "worse"]\nmonths = { above = 0, at_most = 6 }\n'
    result = through(
        toml,
        a=list("123456"), b=["1"] * 6, d=["1"] * 6,
        status=["bad", "good", "worse", "bad", "good", "bad"], months=["1", "1", "0", "x", "x", "7"],
    )  # fmt: skip
    assert result.lines.tolist() == [1]
    assert result.left_out == 4
    assert result.refused[["line", "code"]].to_numpy().tolist() == [[4, "unreadable_filter"]]


def test_a_synthetic_identity_is_the_same_for_the_same_line_and_says_that_it_is_none() -> None:
    toml = PLAIN + '[synthetic_identity]\nfrom = "a"\n'
    first = through(toml, a=["X1", "X2"], b=["1"] * 2, d=["1"] * 2)
    again = through(toml, a=["X2", "X1"], b=["1"] * 2, d=["1"] * 2)
    for field in ("name", "id_number", "phone", "email", "address"):
        assert values(first, field) == values(again, field)[::-1]
    assert values(first, "id_number") == ["SYNTHETIC-X1", "SYNTHETIC-X2"]
    assert all(str(phone).startswith("154") and len(str(phone)) == 11 for phone in values(first, "phone"))
