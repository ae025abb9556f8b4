"""A portfolio comes in once, whole or not at all; snapshots update; nothing of an identity is left in clear."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from flows.intake import IntakeReport, intake
from infra.sandbox.debtors import portfolio, snapshot, write
from infra.store import bulk, portfolios
from infra.wiring import Desk
from keys.vault import open_cells
from models.errors import ConsignError, UsageError
from models.intake.fields import IDENTITY
from models.tables import Account, AuditEvent, Debtor, Identity, IntakeReject, Portfolio

LATER = date(2026, 7, 31)


def table(at: Desk, rows: type[Any]) -> pd.DataFrame:
    with at.database.read() as connection:
        found = bulk.table_of(rows)
        return bulk.read(connection, select(found).order_by(*found.primary_key))


def everything(at: Desk) -> dict[str, pd.DataFrame]:
    """All that an import can touch."""
    return {str(rows.__tablename__): table(at, rows) for rows in (Account, Debtor, Identity, Portfolio, IntakeReject)}


def facts(at: Desk) -> pd.DataFrame:
    """The accounts' facts, whatever order they came in."""
    dropped = ["account_id", "debtor_id", "portfolio_id", "version"]
    return table(at, Account).drop(columns=dropped).sort_values("ref_index", ignore_index=True)


def identities(at: Desk) -> pd.DataFrame:
    """The identities, opened, by account."""
    sealed = table(at, Identity)
    opened = {"account_id": sealed["account_id"]}
    for name in IDENTITY:
        parts = [
            open_cells(
                at.keyring.data_key(str(key)), name, part["account_id"].to_numpy(), part[name].tolist()
            ).set_axis(part.index)
            for key, part in sealed.groupby("data_key_id")
        ]
        opened[name] = pd.concat(parts).sort_index()
    return pd.DataFrame(opened)


def take(path: Path, as_of: date, **more: Any) -> IntakeReport:
    return intake(path, more.pop("profile", "consign"), more.pop("lender", "nova"), as_of, **more)


@pytest.fixture
def raw(day: date) -> pd.DataFrame:
    """A hundred accounts as the lender sends them."""
    return portfolio(5, 100, "nova", day)


@pytest.fixture
def file(raw: pd.DataFrame, tmp_path: Path) -> Path:
    return write(raw, tmp_path / "june.csv")


def test_a_portfolio_comes_in_with_its_facts_clear_and_its_identities_sealed(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date
) -> None:
    report = take(file, day)
    assert (report.rows_read, report.accepted, report.refused, report.new) == (100, 100, 0, 100)
    assert report.balance_minor == int(raw["balance"].str.replace(".", "").astype("int64").sum())
    accounts = table(at_desk, Account)
    assert accounts["balance_minor"].sum() == report.balance_minor
    assert (accounts["status"] == "open").all()
    opened = identities(at_desk).set_index("account_ref").loc[raw["account_ref"]].reset_index()
    pd.testing.assert_frame_equal(opened[list(IDENTITY)], raw[list(IDENTITY)])
    by_ref = accounts.merge(identities(at_desk), on="account_id").set_index("account_ref").loc[raw["account_ref"]]
    assert by_ref["dpd"].astype("str").tolist() == raw["dpd"].tolist()
    assert by_ref["region"].tolist() == raw["region"].tolist()


def test_accounts_of_one_person_share_a_debtor_and_lenders_share_none(at_desk: Desk, file: Path, day: date) -> None:
    take(file, day)
    take(file, day, lender="orion")
    accounts = table(at_desk, Account).merge(identities(at_desk), on="account_id")
    ours = accounts[accounts["lender"] == "nova"]
    assert len(ours.groupby("id_number")) == ours["debtor_id"].nunique() < 100
    assert len(ours[["id_number", "debtor_id"]].drop_duplicates()) == ours["debtor_id"].nunique()
    assert not set(ours["debtor_id"]) & set(accounts.loc[accounts["lender"] == "orion", "debtor_id"])


def test_accounts_and_debtors_are_numbered_as_the_file_names_them(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date
) -> None:
    take(file, day)
    rows = table(at_desk, Account).merge(identities(at_desk), on="account_id").sort_values("account_id")
    assert rows["account_ref"].tolist() == raw["account_ref"].tolist()
    assert rows["debtor_id"].drop_duplicates().is_monotonic_increasing


def test_the_same_file_twice_changes_nothing(at_desk: Desk, file: Path, day: date) -> None:
    first = take(file, day)
    before = everything(at_desk)
    again = take(file, day)
    assert again.already
    assert (again.portfolio_id, again.accepted, again.new) == (first.portfolio_id, 100, 0)
    for name, frame in everything(at_desk).items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_columns_and_lines_in_another_order_give_the_same_accounts(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date, tmp_path: Path
) -> None:
    take(file, day)
    first = facts(at_desk)
    shuffled = raw.sample(frac=1, random_state=1)[sorted(raw.columns)]
    report = take(write(shuffled, tmp_path / "shuffled.csv"), day)
    assert (report.new, report.updated, report.unchanged) == (0, 0, 100)
    pd.testing.assert_frame_equal(facts(at_desk), first)


def test_every_kind_of_source_gives_the_same_accounts(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(file, day)
    first = facts(at_desk)
    chinese = portfolio(5, 100, "nova", day, language="zh")
    engine = create_engine(f"sqlite:///{tmp_path / 'lender.sqlite'}")
    raw.to_sql("due", engine, index=False)
    engine.dispose()
    monkeypatch.setenv("LENDER_DB", f"sqlite:///{tmp_path / 'lender.sqlite'}")
    query = tmp_path / "due.sql"
    query.write_text("SELECT * FROM due ORDER BY account_ref")
    reports = [
        take(write(raw, tmp_path / "june.csv.gz"), day),
        take(write(raw, tmp_path / "june.parquet"), day),
        take(write(raw, tmp_path / "june.xlsx"), day),
        take(write(chinese, tmp_path / "六月.csv"), day, profile="consign_zh"),
        intake("env:LENDER_DB", "consign", "nova", day, query=query),
    ]
    assert {(report.new, report.updated, report.unchanged) for report in reports} == {(0, 0, 100)}
    pd.testing.assert_frame_equal(facts(at_desk), first)
    assert intake("env:LENDER_DB", "consign", "nova", day, query=query).already


def test_a_newer_snapshot_updates_what_it_speaks_of_and_leaves_the_rest(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date, tmp_path: Path
) -> None:
    take(file, day)
    before = table(at_desk, Account).merge(identities(at_desk)[["account_id", "account_ref"]]).set_index("account_ref")
    refs = raw["account_ref"]
    paid_in_full = int(before.loc[refs[0], "balance_minor"])
    newer = snapshot(raw, LATER, {refs[0]: paid_in_full, refs[1]: 1})
    take(write(newer.iloc[:60], tmp_path / "july.csv"), LATER)
    after = table(at_desk, Account).merge(identities(at_desk)[["account_id", "account_ref"]]).set_index("account_ref")
    assert len(after) == 100
    assert after.loc[refs[0], ["balance_minor", "dpd", "status"]].tolist() == [0, 0, "paid"]
    assert after.loc[refs[1], "balance_minor"] == before.loc[refs[1], "balance_minor"] - 1
    assert (after.loc[refs[1:60], "dpd"] == before.loc[refs[1:60], "dpd"] + 31).all()
    assert (after.loc[refs[:60], "version"] == 2).all()
    pd.testing.assert_frame_equal(after.loc[refs[60:]], before.loc[refs[60:]])


def test_the_order_in_which_snapshots_come_does_not_matter_to_the_facts(
    at_desk: Desk, raw: pd.DataFrame, day: date, tmp_path: Path
) -> None:
    june = write(raw, tmp_path / "june.csv")
    july = write(snapshot(raw, LATER, {raw["account_ref"][3]: 500}), tmp_path / "july.csv")
    take(june, day)
    take(july, LATER)
    in_order = facts(at_desk)
    take(july, LATER, lender="orion")
    late = take(june, day, lender="orion")
    assert (late.new, late.updated, late.unchanged) == (0, 0, 100)
    accounts = facts(at_desk)
    nova, orion = (accounts[accounts["lender"] == lender].drop(columns="lender") for lender in ("nova", "orion"))
    pd.testing.assert_frame_equal(nova.reset_index(drop=True), orion.reset_index(drop=True))
    pd.testing.assert_frame_equal(nova.reset_index(drop=True), in_order.drop(columns="lender"))


def test_the_version_rises_only_where_a_fact_changed(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date, tmp_path: Path
) -> None:
    take(file, day)
    corrected = raw.copy()
    corrected.loc[7, "score_band"] = "Z"
    corrected.loc[8, "region"] = None
    report = take(write(corrected, tmp_path / "corrected.csv"), day)
    assert (report.updated, report.unchanged) == (2, 98)
    assert table(at_desk, Account)["version"].value_counts().to_dict() == {1: 98, 2: 2}


def test_a_correction_of_an_identity_flows_in_and_the_account_stays_with_its_debtor(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date, tmp_path: Path
) -> None:
    take(file, day)
    before = table(at_desk, Account).set_index("account_id")["debtor_id"]
    corrected = raw.copy()
    corrected.loc[0, ["name", "id_number"]] = ["Corrected Name", "E12345678"]
    report = take(write(corrected, tmp_path / "corrected.csv"), day)
    assert report.warnings == {"identity_changed": 1}
    assert "Corrected Name" in identities(at_desk)["name"].tolist()
    pd.testing.assert_series_equal(table(at_desk, Account).set_index("account_id")["debtor_id"], before)


def test_an_erased_account_does_not_come_back(
    at_desk: Desk, raw: pd.DataFrame, file: Path, day: date, tmp_path: Path
) -> None:
    take(file, day)
    gone = table(at_desk, Account)["account_id"][0]
    with at_desk.database.write() as connection:
        accounts, cells = bulk.table_of(Account), bulk.table_of(Identity)
        connection.execute(accounts.update().where(accounts.c.account_id == int(gone)).values(status="erased"))
        connection.execute(cells.delete().where(cells.c.account_id == int(gone)))
    report = take(write(snapshot(raw, LATER), tmp_path / "july.csv"), LATER, threshold="0.01")
    assert report.refusals == {"erased": 1}
    assert gone not in table(at_desk, Identity)["account_id"].tolist()


BAD: list[tuple[str, str, str]] = [
    ("balance", "-5.00", "negative_balance"),
    ("balance", "9999999999", "absurd_balance"),
    ("balance", "1,234.50", "thousands_separator"),
    ("balance", "6.2E+17", "spreadsheet_number"),
    ("balance", "lots", "not_amount"),
    ("balance", "1.005", "too_many_decimals"),
    ("balance", "", "missing"),
    ("account_ref", "6.22848E+17", "spreadsheet_number"),
    ("account_ref", "", "missing"),
    ("id_number", "1.10101E+17", "spreadsheet_number"),
    ("name", "a\x07b", "control_character"),
    ("name", "n" * 201, "too_long"),
    ("currency", "RMB", "not_currency"),
    ("dpd", "-3", "dpd_out_of_range"),
    ("dpd", "thirty", "not_integer"),
    ("opened_on", "45658", "spreadsheet_date"),
    ("opened_on", "2026-13-01", "not_date"),
    ("last_paid_on", "2026-07-01", "future_date"),
]


def test_each_bad_line_is_refused_by_code_and_keeps_all_out_unless_the_threshold_lets_it_pass(
    at_desk: Desk, raw: pd.DataFrame, day: date, tmp_path: Path
) -> None:
    for place, (name, value, _) in enumerate(BAD):
        raw.loc[3 * place, name] = value
    path = write(raw, tmp_path / "bad.csv")
    report = take(path, day, threshold="0.17")
    assert (report.state, report.refused, report.new) == ("refused", len(BAD), 0)
    assert table(at_desk, Account).empty
    assert table(at_desk, Debtor).empty
    expected = [[3 * place + 1, name, code] for place, (name, _, code) in enumerate(BAD)]
    assert table(at_desk, IntakeReject)[["line", "field", "code"]].to_numpy().tolist() == expected
    told = pd.read_csv(report.rejects_path)
    refused = told[told["outcome"] == "refused"]
    assert refused[["line", "field", "code"]].to_numpy().tolist() == expected
    passed = take(path, day, threshold="0.18")
    assert (passed.state, passed.accepted, passed.refused) == ("accepted", 100 - len(BAD), len(BAD))
    assert passed.portfolio_id == report.portfolio_id
    assert len(table(at_desk, Account)) == 100 - len(BAD)
    assert take(path, day, threshold="0.18").already


def test_a_refused_portfolio_may_be_tried_again_and_is_refused_again(
    at_desk: Desk, raw: pd.DataFrame, day: date, tmp_path: Path
) -> None:
    raw.loc[0, "balance"] = "-1"
    path = write(raw, tmp_path / "bad.csv")
    first, second = take(path, day), take(path, day)
    assert first == second
    assert len(table(at_desk, Portfolio)) == len(table(at_desk, IntakeReject)) == 1


def test_nothing_of_a_refused_value_is_in_report_rejects_log_audit_or_clear_columns(
    at_desk: Desk, raw: pd.DataFrame, day: date, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    marks = [f"MARK{place}SECRET" for place in range(7)]
    columns = ["balance", "dpd", "opened_on", "currency", "original", "due_on", "product"]
    for place, name in enumerate(columns):
        raw.loc[place, name] = marks[place]
    raw.loc[6, "balance"] = "-1"
    raw.loc[7, "name"] = "MARK7SECRET\x00"
    report = take(write(raw, tmp_path / "bad.csv"), day, threshold="0.5")
    assert report.refused == 8
    clear = {name: frame for name, frame in everything(at_desk).items() if name != "identity"}
    said = [repr(report), caplog.text, *capsys.readouterr(), Path(report.rejects_path).read_text()]
    said += [frame.to_csv() for frame in clear.values()] + [table(at_desk, AuditEvent).to_csv()]
    assert all("SECRET" not in text for text in said)


def test_identities_are_nowhere_in_the_store_in_clear(at_desk: Desk, raw: pd.DataFrame, file: Path, day: date) -> None:
    take(file, day)
    with at_desk.database.read() as connection:
        dumped = io.BytesIO()
        for name in portfolios.ACCOUNTS.metadata.tables:
            for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"'):
                dumped.write(b"|".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row))
    for name in IDENTITY:
        for value in raw[name].dropna():
            assert len(value) <= 4 or value.encode() not in dumped.getvalue()


def test_a_dry_run_says_what_would_come_in_and_keeps_nothing(
    at_desk: Desk, raw: pd.DataFrame, day: date, tmp_path: Path
) -> None:
    raw.loc[0, "balance"] = "-1"
    report = take(write(raw, tmp_path / "bad.csv"), day, threshold="0.1", dry_run=True)
    assert (report.state, report.accepted, report.refused, report.portfolio_id) == ("checked", 99, 1, None)
    assert all(frame.empty for frame in everything(at_desk).values())


@pytest.mark.usefixtures("at_desk")
def test_an_unknown_lender_and_a_threshold_beyond_one_are_usage_errors(file: Path, day: date) -> None:
    with pytest.raises(UsageError, match="no lender nobody"):
        take(file, day, lender="nobody")
    with pytest.raises(UsageError, match="share from 0 to 1"):
        take(file, day, threshold="2")


def test_every_import_leaves_one_audit_event(at_desk: Desk, file: Path, day: date) -> None:
    take(file, day)
    take(file, day)
    events = table(at_desk, AuditEvent)
    assert events["action"].tolist().count("portfolio.accepted") == 1


def test_a_portfolio_of_two_currencies_has_no_sum(at_desk: Desk, raw: pd.DataFrame, day: date, tmp_path: Path) -> None:
    raw.loc[0, "currency"] = "USD"
    report = take(write(raw, tmp_path / "mixed.csv"), day)
    assert (report.currency, report.balance_minor) == ("XXX", None)
    assert table(at_desk, Portfolio)["balance_minor"].tolist() == [0]


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("after", [1, 2, 4, 7])
def test_killed_anywhere_and_run_again_ends_as_if_undisturbed(
    at_desk: Desk, file: Path, day: date, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    take(file, day, lender="orion")
    steps = iter(range(1, 100))

    def dying(body: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            done = body(*args, **kwargs)
            if next(steps) == after:
                raise Killed
            return done

        return call

    with monkeypatch.context() as patched:
        for name in ("keep_accounts", "keep_identities", "keep_portfolio"):
            patched.setattr(portfolios, name, dying(getattr(portfolios, name)))
        with pytest.raises(Killed):
            take(file, day)
    assert (table(at_desk, Account)["lender"] == "orion").all()
    report = take(file, day)
    assert (report.new, report.already) == (100, False)
    accounts = facts(at_desk)
    nova, orion = (accounts[accounts["lender"] == lender].drop(columns="lender") for lender in ("nova", "orion"))
    pd.testing.assert_frame_equal(nova.reset_index(drop=True), orion.reset_index(drop=True))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 19))), min_size=1, max_size=5))
def test_after_any_snapshots_each_account_is_as_the_newest_that_spoke_of_it(
    at_desk: Desk, tmp_path: Path, day: date, spoken: list[tuple[int, set[int]]]
) -> None:
    """Each snapshot: a month, and which accounts it speaks of. Lenders differ, so that examples do not meet."""
    lender = f"l{abs(hash(str(spoken))) % 10**9}"
    with at_desk.database.write() as connection:
        portfolios.add_lender(connection, lender, lender, at_desk.now())
    raw = portfolio(9, 20, "nova", day)
    newest: dict[int, int] = {}
    for number, (month, places) in enumerate(spoken):
        as_of = day + timedelta(days=30 * month)
        if not places:
            continue
        part = snapshot(raw, as_of).iloc[sorted(places)]
        take(write(part, tmp_path / f"{lender}-{number}.csv"), as_of, lender=lender)
        newest |= {place: max(month, newest.get(place, 0)) for place in places}
    accounts = table(at_desk, Account)
    found = (
        accounts[accounts["lender"] == lender].merge(identities(at_desk)[["account_id", "account_ref"]])
        if newest
        else accounts[:0]
    )
    expected = {raw["account_ref"][place]: int(raw["dpd"][place]) + 30 * month for place, month in newest.items()}
    assert len(found) == len(expected)
    if newest:
        assert dict(zip(found["account_ref"], found["dpd"], strict=True)) == expected


@pytest.mark.usefixtures("at_desk")
def test_errors_about_sources_speak_as_the_command_line_expects(day: date, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConsignError) as told:
        take(tmp_path / "x.csv", day)
    assert told.value.exit_code == 3


class TestRealData:
    """Public data sets, where they are, in shards of the usual size."""

    @pytest.fixture(autouse=True)
    def _usual_shards(self, at_desk: Desk) -> None:
        at_desk.settings = at_desk.settings.model_copy(update={"shard_rows": 100_000})

    def test_lendingclub_gives_the_charged_off_loans_to_the_cent(self, at_desk: Desk, shared_data: Path) -> None:
        path = shared_data / "loans" / "lendingclub_2007_2010.csv.gz"
        report = take(path, date(2016, 12, 31), profile="lendingclub")
        assert (report.rows_read, report.accepted, report.refused) == (20_814, 3_134, 0)
        assert (report.balance_minor, report.currency) == (2_047_063_756, "USD")
        accounts = table(at_desk, Account)
        assert (accounts["dpd"] >= 120).all()
        assert accounts["debtor_id"].nunique() == 3_134
        assert identities(at_desk)["name"].str.startswith("Synthetic Debtor ").all()

    def test_taiwans_overdue_cards_come_in_by_months_past_due(self, at_desk: Desk, shared_data: Path) -> None:
        path = shared_data / "loans" / "taiwan_card_default_1_20000.csv.gz"
        strict = take(path, date(2005, 9, 30), profile="taiwan_card")
        assert (strict.state, strict.accepted + strict.refused) == ("refused", 4_764)
        assert strict.refusals == {"negative_balance": 263}
        report = take(path, date(2005, 9, 30), profile="taiwan_card", threshold="0.06")
        assert (report.accepted, report.currency) == (4_501, "TWD")
        accounts = table(at_desk, Account)
        assert accounts["bucket"].value_counts().to_dict() == {
            "M1": 2306, "M2": 1890, "M3": 202, "M4": 58, "M5": 13, "M6": 8, "M6+": 24,
        }  # fmt: skip
        assert (accounts["status"] == "paid").sum() == 926
