"""What leaves and what stays, for any policy and any frame."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import release as r
from models.errors import RefusedByPolicy
from models.kinds import PLACEMENT_FIELDS
from models.release import FieldNotReleased, NotReleased, Policy, PolicyInvalid, Release, load, minimise

AMOUNTS = [name for name, field in PLACEMENT_FIELDS.items() if field.type == "amount"]
NUMBERS = [name for name, field in PLACEMENT_FIELDS.items() if field.type == "integer"]
FACTS = [
    name
    for name in PLACEMENT_FIELDS
    if name not in {*r.IDENTITY, *r.DATES, *AMOUNTS, *NUMBERS, *r.PSEUDONYMS, "region", "currency"}
]


def policy_of(fields: dict[str, Any], more: str = "", head: str = "") -> Policy:
    """A policy with one entry for phone collection."""
    lines = "\n".join(f"{name} = {toml(how)}" for name, how in fields.items())
    return Policy.parse(f"""
        name = "test"
        version = "1"
        jurisdiction = "CN"
        {head}
        [purposes.collection]
        basis = "contract"
        verified = "text"
        erase_after_days = 30
        [[release]]
        purpose = "collection"
        stages = ["phone"]
        channels = ["phone"]
        {more}
        [release.fields]
        {lines}
    """)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {json.dumps(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def released(fields: dict[str, Any], more: str = "") -> Release:
    return policy_of(fields, more).release("collection", "phone", ["phone"])


def accounts(rows: int = 1, **columns: Any) -> pd.DataFrame:
    """Accounts with every column a placement may have."""
    frame: dict[str, Any] = {}
    for name, field in PLACEMENT_FIELDS.items():
        if field.type == "amount":
            frame[field.column] = pd.array([123_456] * rows, dtype="Int64")
        elif field.type == "integer":
            frame[name] = 61
        elif name in r.DATES:
            frame[name] = pd.Timestamp("2026-03-09")
        else:
            frame[name] = pd.array([f"value of {name}"] * rows, dtype="str")
    frame["currency"] = pd.array(["CNY"] * rows, dtype="str")
    return pd.DataFrame(frame, index=range(rows)).assign(**columns)


def left(value: Any, field: str, how: dict[str, Any], **columns: Any) -> Any:
    """The field's only value after its treatment; missing is None."""
    column = PLACEMENT_FIELDS[field].column
    frame = accounts().assign(**{column: pd.Series([value]), **columns})
    out = minimise(frame, released({field: how}))
    got = out[next(f.column for f in released({field: how}).fields if f.name == field)].iloc[0]
    return None if pd.isna(got) else got


# --- treatments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "first", "last", "shown"),
    [
        ("13812341234", 3, 4, "138****1234"),
        ("310115199001011234", 6, 4, "310115****1234"),
        ("310115199001011234", 0, 4, "****1234"),
        ("310115199001011234", 0, 0, "****"),
        ("12345", 3, 4, "****"),
        ("", 3, 4, "****"),
        (None, 3, 4, None),
    ],
)
def test_a_mask_keeps_the_ends_and_hides_short_values_entirely(
    value: str | None, first: int, last: int, shown: str | None
) -> None:
    assert left(value, "id_number", {"how": "mask", "first": first, "last": last}) == shown


@pytest.mark.parametrize(("name", "shown"), [("张三丰", "张**"), ("张三", "张**"), ("张", "**"), ("𠮷田", "𠮷**")])
def test_a_masked_name_does_not_tell_its_length(name: str, shown: str) -> None:
    assert left(name, "name", {"how": "mask", "first": 1}) == shown


@pytest.mark.parametrize(
    ("minor", "currency", "band"),
    [
        (99_999, "CNY", "under 1000"),
        (100_000, "CNY", "1000 to under 5000"),
        (500_000, "CNY", "5000 and over"),
        (-1, "CNY", "under 1000"),
        (4_999, "JPY", "1000 to under 5000"),
        (999_999, "KWD", "under 1000"),
        (None, "CNY", None),
        (100_000, None, None),
    ],
)
def test_a_band_is_in_units_of_the_accounts_own_currency(minor: int | None, currency: str | None, band: str) -> None:
    how = {"how": "band", "edges": [1000, 5000]}
    value = pd.NA if minor is None else minor
    assert left(value, "balance", how, currency=pd.Series([currency], dtype="str")) == band


def test_a_banded_amount_leaves_as_a_string_under_its_plain_name_and_has_no_control_sum() -> None:
    release = released({"balance": {"how": "band", "edges": [1000], "labels": ["small", "large"]}})
    out = minimise(accounts(), release)
    assert list(out) == ["account", "debtor", "balance"]
    assert out["balance"].tolist() == ["large"]
    assert [field.type for field in release.fields if field.name == "balance"] == ["string"]
    assert release.control is None
    assert "currency" in release.sources


@pytest.mark.parametrize(("how", "shown"), [("month", "2026-03"), ("year", "2026")])
def test_a_date_may_leave_as_month_or_year(how: str, shown: str) -> None:
    assert left(pd.Timestamp("2026-03-09"), "opened_on", {"how": how}) == shown
    assert left(pd.NaT, "opened_on", {"how": how}) is None


@pytest.mark.parametrize(
    ("value", "to", "shown"),
    [
        ("310115", "city", "310100"),
        ("310115", "province", "310000"),
        ("CA", "city", "CA"),
        ("Pudong New Area, 1 Century Avenue", "city", None),
        ("3101155", "city", None),
        (None, "city", None),
    ],
)
def test_a_region_is_coarsened_and_what_is_no_region_stays(value: str | None, to: str, shown: str | None) -> None:
    assert left(value, "region", {"how": "coarsen", "to": to}) == shown


def test_a_number_may_leave_as_a_band() -> None:
    assert left(61, "dpd", {"how": "band", "edges": [30, 60, 90]}) == "60 to under 90"


# --- what leaves ------------------------------------------------------------------------------------------------------


def test_a_released_date_is_a_date_and_a_month_is_a_string() -> None:
    release = released({"opened_on": "month", "due_on": "release"})
    assert {field.name: field.type for field in release.fields} == {
        "account": "string", "debtor": "string", "opened_on": "string", "due_on": "date",
    }  # fmt: skip


def test_only_the_identity_that_leaves_is_opened() -> None:
    release = released({"phone": "release", "name": {"how": "mask", "first": 1}, "address": "drop", "dpd": "release"})
    assert release.needs_identity == ("name", "phone")


def test_asking_for_a_withheld_field_is_refused_by_name_without_values() -> None:
    frame = accounts(name=pd.Series(["张三丰"]))
    with pytest.raises(FieldNotReleased, match="withholds id_number, name for collection") as refused:
        minimise(frame, released({"dpd": "release"}), wanted=["dpd", "name", "id_number"])
    assert refused.value.exit_code == 6
    assert "张三丰" not in str(refused.value)


def test_a_layout_may_want_less_but_always_gets_the_pseudonyms() -> None:
    release = released({"dpd": "release", "name": "release"})
    assert list(minimise(accounts(), release, wanted=["name"])) == ["account", "debtor", "name"]


@pytest.mark.parametrize("twice", [True, False])
def test_a_source_column_that_is_absent_or_there_twice_is_refused(twice: bool) -> None:
    frame = accounts()
    frame = pd.concat([frame, frame[["phone"]]], axis=1) if twice else frame.drop(columns="phone")
    with pytest.raises(r.ColumnsMissing, match="phone"):
        minimise(frame, released({"phone": "release"}))


def test_what_is_disclosed_is_told_field_by_field() -> None:
    told = released({"phone": "release", "id_number": {"how": "mask", "last": 4}}).disclosed
    assert [(each.field, each.treatment, each.value_class) for each in told] == [
        ("account", "pseudonym", "pseudonym"),
        ("debtor", "pseudonym", "pseudonym"),
        ("id_number", "mask", "identifier"),
        ("phone", "release", "contact"),
    ]


def test_every_field_that_stays_has_a_rule_that_holds_it_back() -> None:
    release = released({"phone": "release", "address": {"how": "drop", "because": "by phone"}})
    assert set(release.held_back) == set(PLACEMENT_FIELDS) - {"account", "debtor", "phone"}
    assert release.held_back["address"] == "by phone"
    assert release.held_back["name"] == "not named in release 1"


@st.composite
def policies(draw: st.DrawFn) -> Release:
    """Any release that one entry can make, third parties and whole numbers too (with a basis)."""
    fields: dict[str, Any] = {}
    for name in PLACEMENT_FIELDS:
        choices: list[Any] = [None, "release", "drop"]
        if name in r.PSEUDONYMS:
            continue
        if name in r.IDENTITY:
            shown = st.integers(0, 12)
            choices.append({"how": "mask", "first": draw(shown), "last": draw(shown)})
        elif name in r.DATES:
            choices += ["month", "year"]
        elif name in AMOUNTS:
            choices.append({"how": "band", "edges": [1000, 5000]})
        elif name in NUMBERS:
            choices.append({"how": "band", "edges": [30, 60]})
        elif name == "region":
            choices.append({"how": "coarsen", "to": "city"})
        how = draw(st.sampled_from(choices))
        if how is not None:
            fields[name] = how
    if any(fields.get(name) == "release" for name in AMOUNTS):
        fields["currency"] = "release"
    return released(fields, 'legal_basis = "a court order"')


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Accounts whose every text is unlike any other, with missing ones, and columns under names nobody knows."""
    rows = draw(st.integers(0, 4))
    frame = accounts(rows)
    for name in (*r.IDENTITY, *FACTS):
        lengths = draw(st.lists(st.integers(0, 24), min_size=rows, max_size=rows))
        gone = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
        letters = f"<{name}>" + "".join(chr(0x4E00 + at) for at in range(40))
        values = [
            None if no else f"{row}{letters}"[: length + 1]
            for row, (length, no) in enumerate(zip(lengths, gone, strict=True))
        ]
        frame[name] = pd.Series(values, index=frame.index, dtype=draw(st.sampled_from(["str", "object"])))
    for alias in ("Name", "NAME ", "id-number", "phone2", "手机号", "balance", "identity"):
        frame[alias] = [f"SECRET {alias}"] * rows
    return frame[draw(st.permutations(list(frame)))].set_index(np.arange(rows) * 3 + 5)


@given(policies(), frames())
def test_nothing_withheld_leaves_under_any_name(release: Release, frame: pd.DataFrame) -> None:
    out = minimise(frame, release)
    assert list(out) == [field.column for field in release.fields]
    assert out.index.equals(frame.index)
    assert {field.name for field in release.fields} == {*release.treatments, *r.PSEUDONYMS}
    cells = {str(cell) for column in out for cell in out[column] if not pd.isna(cell)}
    assert not any("SECRET" in cell for cell in cells)
    for name in (*r.IDENTITY, *FACTS):
        if name not in release.treatments:
            withheld = {str(cell) for cell in frame[name] if not pd.isna(cell) and f"<{name}" in str(cell)}
            assert not withheld & cells
        elif release.treatments[name].how == "release":
            assert [c for c in out[name] if not pd.isna(c)] == [c for c in frame[name] if not pd.isna(c)]


@given(policies(), frames())
def test_a_masked_value_never_leaves_whole(release: Release, frame: pd.DataFrame) -> None:
    out = minimise(frame, release)
    for name, how in release.treatments.items():
        if how.how != "mask":
            continue
        for before, after in zip(frame[name], out[name], strict=True):
            assert pd.isna(before) == pd.isna(after)
            if not pd.isna(before) and before:
                shown = re.sub(r"\*+", "", after)
                assert len(shown) * 3 <= len(before) * 2
                assert after != before


@given(policies())
def test_the_same_release_treats_an_account_alone_as_among_others(release: Release) -> None:
    many = accounts(3, name=["张三丰", None, "李四"], phone=["13812341234", "1", None])
    whole = minimise(many, release)
    for row in range(3):
        alone = minimise(many.iloc[[row]], release)
        pd.testing.assert_frame_equal(alone, whole.iloc[[row]])


# --- which entry speaks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "stage", "channels"),
    [
        ("marketing", "phone", ["phone"]),
        ("collection", "field", ["phone"]),
        ("collection", "phone", ["sms"]),
        ("collection", "phone", []),
    ],
)
def test_what_no_entry_covers_is_refused_whole(purpose: str, stage: str, channels: list[str]) -> None:
    with pytest.raises(NotReleased, match="releases nothing for") as refused:
        policy_of({"dpd": "release"}).release(purpose, stage, channels)
    assert isinstance(refused.value, RefusedByPolicy)


def test_the_first_entry_that_covers_the_mandate_counts() -> None:
    policy = load("cn-default")
    by_phone = policy.release("collection", "phone", ["sms", "phone", "letter"])
    assert by_phone.entry == 2
    assert by_phone.channels == ("phone",)
    assert policy.release("collection", "reminder", ["sms"]).entry == 1


def test_an_entry_may_keep_data_longer_than_its_purpose() -> None:
    policy = load("cn-default")
    assert policy.release("collection", "phone", ["phone"]).erase_after_days == 30
    assert policy.release("collection", "legal", ["legal"]).erase_after_days == 90


# --- what a policy may not say ----------------------------------------------------------------------------------------

BASIS = 'legal_basis = "art. 124"'
BOLD = [
    {"id_number": "release"},
    {"contact_name": "release"},
    {"contact_phone": {"how": "mask", "first": 3, "last": 4}},
]


@pytest.mark.parametrize("fields", BOLD)
def test_whole_ids_and_third_parties_need_a_stated_legal_basis(fields: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid, match=f"releases {next(iter(fields))} without a legal basis"):
        released(fields)
    assert released(fields, BASIS).legal_basis == "art. 124"


@pytest.mark.parametrize(
    ("fields", "more", "message"),
    [
        ({"salary": "release"}, "", "a placement has no such field"),
        ({"account": "release"}, "", "pseudonyms always leave"),
        ({"name": "hash"}, "", "how must be one of release, mask, drop"),
        ({"name": "month"}, "", "how must be one of release, mask, drop"),
        ({"product": {"how": "mask", "first": 1}}, "", "how must be one of release, drop"),
        ({"name": {"how": "mask", "frist": 1}}, "", "unknown 'frist'"),
        ({"name": {"how": "mask", "first": -1}}, "", "first is negative"),
        ({"name": {"how": "mask", "first": True}}, "", "first is of the wrong type"),
        ({"balance": {"how": "band", "edges": []}}, "", "edges must be whole units of the currency"),
        ({"balance": {"how": "band", "edges": [5, 5]}}, "", "edges must be whole"),
        ({"balance": {"how": "band", "edges": [0.5]}}, "", "edges must be whole"),
        ({"balance": {"how": "band", "edges": ["much"]}}, "", "an edge is not a number"),
        ({"balance": {"how": "band", "edges": [5], "labels": ["one"]}}, "", "need 2 different labels"),
        ({"dpd": {"how": "band", "edges": [30, 31]}}, "", "rising by 2 at least"),
        ({"region": {"how": "coarsen", "to": "street"}}, "", "to must be one of city, province"),
        ({"balance": "release"}, "", "releases balance without currency"),
        ({"dpd": "release"}, 'legal_bases = "x"', "unknown 'legal_bases'"),
        ({"dpd": "release"}, 'verified = "surely"', "verified must be one of"),
    ],
)
def test_a_policy_that_cannot_be_enforced_does_not_load(fields: dict[str, Any], more: str, message: str) -> None:
    with pytest.raises(PolicyInvalid, match=re.escape(message)):
        released(fields, more)


def test_an_entry_that_could_never_count_is_an_error() -> None:
    text = """
        name = "test"
        version = "1"
        jurisdiction = "CN"
        [purposes.collection]
        basis = "contract"
        verified = "text"
        erase_after_days = 30
        [[release]]
        purpose = "collection"
        stages = ["phone", "field"]
        channels = ["phone", "field"]
        fields = { dpd = "release", name = "release" }
        [[release]]
        purpose = "collection"
        stages = ["phone"]
        channels = ["phone"]
        fields = { dpd = "release" }
    """
    with pytest.raises(PolicyInvalid, match="release 2 never counts"):
        Policy.parse(text)


@pytest.mark.parametrize("line", ['colour = "red"', "version = 2"])
def test_an_unknown_word_at_the_top_is_an_error(line: str) -> None:
    with pytest.raises(PolicyInvalid):
        policy_of({"dpd": "release"}, head=line)


@pytest.mark.parametrize("name", r.shipped())
def test_every_shipped_policy_is_one(name: str) -> None:
    policy = load(name)
    assert policy.name == name
    assert re.fullmatch("[0-9a-f]{64}", policy.sha256)


@pytest.mark.parametrize("name", r.shipped())
def test_no_shipped_policy_lets_third_parties_out(name: str) -> None:
    for entry in load(name).entries:
        for field in r.THIRD_PARTY:
            assert field not in entry.treatments or entry.treatments[field].how == "drop"


def test_the_minimal_policy_needs_no_identity() -> None:
    for stage in r.STAGES:
        assert load("minimal").release("collection", stage, r.CHANNELS).needs_identity == ()


def test_a_whole_id_leaves_before_a_court_alone() -> None:
    for name in r.shipped():
        for entry in load(name).entries:
            if entry.treatments.get("id_number", r.Treatment("drop")).how == "release":
                assert entry.stages == ("legal",)
                assert entry.legal_basis


def test_a_difference_sees_edges_and_nothing_else() -> None:
    before = policy_of({"dpd": {"how": "band", "edges": [30]}, "name": "release"})
    after = policy_of({"dpd": {"how": "band", "edges": [60]}, "name": "release"})
    changed = r.differences(before, after)
    assert changed[["stage", "channel", "field"]].to_numpy().tolist() == [["phone", "phone", "dpd"]]
    assert r.differences(before, before).empty
