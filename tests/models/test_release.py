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

from models import packaged
from models import release as r
from models.errors import RefusedByPolicy
from models.kinds import PLACEMENT_FIELDS
from models.policy_difference import differences
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
        ("310115199001011234", 6, 4, "310115****1234"),
        ("310115199001011234", 0, 4, "****1234"),
        ("310115199001011234", 0, 0, "****"),
        ("078051120", 0, 4, "****1120"),
        ("078051120", 3, 3, "****"),
        ("12345", 3, 4, "****"),
        ("", 3, 4, "****"),
        (None, 3, 4, None),
    ],
)
def test_a_mask_keeps_the_ends_and_hides_short_values_entirely(
    value: str | None, first: int, last: int, shown: str | None
) -> None:
    assert left(value, "id_number", {"how": "mask", "first": first, "last": last}) == shown


@pytest.mark.parametrize(("phone", "shown"), [("13812341234", "138****1234"), ("5551234", "****")])
def test_a_masked_phone_shows_two_thirds_at_most(phone: str, shown: str) -> None:
    assert left(phone, "phone", {"how": "mask", "first": 3, "last": 4}) == shown


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


def test_a_frame_whose_columns_have_levels_or_other_names_is_refused_whole() -> None:
    frame = accounts()
    for columns in (
        pd.MultiIndex.from_product([["accounts"], frame.columns]),
        pd.MultiIndex.from_arrays([frame.columns, [""] * frame.shape[1]]),
        [name.upper() for name in frame.columns],
        [f"{name} " for name in frame.columns],
    ):
        with pytest.raises(r.ColumnsMissing, match="account"):
            minimise(frame.set_axis(columns, axis="columns"), released({"name": "release"}))


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


ALIASES = (
    "Name", "NAME", "NAME ", " name", "name.1", "name_", "n\u0430me", "\uff4e\uff41\uff4d\uff45", "name\u200b",
    "id-number", "ID_NUMBER", "id number", "phone2", "手机号", "姓名", "balance", "identity", "original", "card_number",
    "account_ref", ("name", ""), ("accounts", "name"), 0, None,
)  # fmt: skip
"""Names that look, sound or are spelt like a column's, and are not it."""


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
    aliases = draw(st.lists(st.sampled_from(ALIASES), max_size=6))  # some of them twice
    secrets = {place: [f"SECRET {alias!r}"] * rows for place, alias in enumerate(aliases)}
    others = pd.DataFrame(secrets, index=frame.index)
    frame = pd.concat([frame, others.set_axis(pd.Index(aliases, dtype="object"), axis="columns")], axis="columns")
    frame = frame.iloc[:, np.random.default_rng(draw(st.integers(0, 999))).permutation(frame.shape[1])]
    index = draw(st.sampled_from(["numbers", "name", "several"]))
    if index == "numbers":
        return frame.set_index(np.arange(rows) * 3 + 5)
    secret = [f"SECRET {row}" for row in range(rows)]
    return frame.set_index(
        pd.Index(secret, name="SECRET") if index == "name" else pd.MultiIndex.from_arrays([secret, secret])
    )


@given(policies(), frames())
def test_nothing_withheld_leaves_under_any_name(release: Release, frame: pd.DataFrame) -> None:
    out = minimise(frame, release)
    assert list(out) == [field.column for field in release.fields]
    assert out.index.equals(frame.index if frame.index.dtype.kind == "i" else pd.RangeIndex(len(frame)))
    assert "SECRET" not in out.to_csv()
    assert out.attrs == {}
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
    {"id_number": {"how": "mask", "first": 7, "last": 4}},
    {"id_number": {"how": "mask", "first": 6, "last": 5}},
    {"id_number": {"how": "mask", "last": 12}},
    {"contact_name": {"how": "mask"}},
    {"contact_name": "release"},
    {"contact_phone": {"how": "mask", "first": 3, "last": 4}},
]


@pytest.mark.parametrize("fields", BOLD)
def test_whole_ids_and_third_parties_need_a_stated_legal_basis(fields: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid, match=f"releases {next(iter(fields))} without a legal basis"):
        released(fields)
    for blank in ('legal_basis = ""', 'legal_basis = "   "', 'about = "the court asked for it"'):
        with pytest.raises(PolicyInvalid, match="without a legal basis"):
            released(fields, blank)
    assert released(fields, BASIS).legal_basis == "art. 124"


def test_a_number_leaves_masked_without_a_basis_where_the_birth_date_stays_hidden() -> None:
    how = {"how": "mask", "first": 6, "last": 4}
    assert released({"id_number": how}).legal_basis == ""
    assert left("11010519491231002X", "id_number", how) == "110105****002X"


@given(st.text(st.sampled_from("0123456789X"), max_size=20), st.integers(0, 30), st.integers(0, 30))
def test_five_places_of_an_id_number_stay_hidden_whatever_a_mask_says(number: str, first: int, last: int) -> None:
    release = released({"id_number": {"how": "mask", "first": first, "last": last}}, BASIS)
    shown = minimise(accounts(id_number=pd.Series([number], dtype="str")), release)["id_number"].iloc[0]
    assert shown == "****" or len(number) - len(shown.replace("*", "")) >= 5


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
        ({"balance": {"how": "band", "edges": [500, 500]}}, "", "edges must be whole"),
        ({"balance": {"how": "band", "edges": [500, 599]}}, "", "rising by 100 at least"),
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
    changed = differences(before, after)
    assert changed[["stage", "channel", "field"]].to_numpy().tolist() == [["phone", "phone", "dpd"]]
    assert differences(before, before).empty


WEAKER = [
    ("name", {"how": "mask"}, {"how": "mask", "first": 1}),
    ("name", {"how": "mask", "first": 1}, "release"),
    ("phone", {"how": "mask", "first": 3, "last": 2}, {"how": "mask", "first": 3, "last": 4}),
    ("balance", {"how": "band", "edges": [1000]}, {"how": "band", "edges": [1000, 5000]}),
    ("dpd", {"how": "band", "edges": [30]}, "release"),
    ("opened_on", "year", "month"),
    ("opened_on", "month", "release"),
    ("region", {"how": "coarsen", "to": "province"}, {"how": "coarsen", "to": "city"}),
    ("region", {"how": "coarsen", "to": "city"}, "release"),
]


@pytest.mark.parametrize(("field", "tight", "loose"), WEAKER)
def test_a_difference_says_which_treatment_shows_more(field: str, tight: Any, loose: Any) -> None:
    def change(before: Any, after: Any) -> list[str]:
        fields = {"currency": "release"}
        one, other = (policy_of(fields if how is None else {**fields, field: how}) for how in (before, after))
        return list(differences(one, other)["change"])

    assert change(tight, loose) == ["shows more"]
    assert change(loose, tight) == ["shows less"]
    assert change(None, tight) == ["leaves newly"]
    assert change(loose, None) == ["leaves no more"]
    assert change(loose, loose) == []


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("phone", {"how": "mask", "first": 3}, {"how": "mask", "last": 4}),
        ("balance", {"how": "band", "edges": [1000]}, {"how": "band", "edges": [2000]}),
        ("balance", {"how": "band", "edges": [1000]}, {"how": "band", "edges": [1000], "labels": ["low", "high"]}),
    ],
)
def test_what_cannot_be_ordered_is_told_as_otherwise(field: str, before: Any, after: Any) -> None:
    assert list(differences(policy_of({field: before}), policy_of({field: after}))["change"]) == ["otherwise"]


def test_a_difference_tells_a_longer_keeping_and_another_basis() -> None:
    after = policy_of({"dpd": "release"}, 'erase_after_days = 90\nlegal_basis = "art. 124"')
    changed = differences(policy_of({"dpd": "release"}), after)
    assert changed[["field", "before", "after", "change"]].to_numpy().tolist() == [
        ["(legal_basis)", "-", "art. 124", "otherwise"], ["(erase_after_days)", "30", "90", "kept longer"],
    ]  # fmt: skip


def test_a_difference_says_which_limits_of_risk_are_stricter() -> None:
    strict, loose = (
        policy_of({"dpd": "release"}, f"risk = {{ k = {k}, unique_share = {share} }}") for k, share in ((5, 0), (2, 1))
    )
    mixed = policy_of({"dpd": "release"}, "risk = { k = 9, unique_share = 0.5 }")
    for before, after, change in (
        (strict, loose, "shows more"),
        (loose, strict, "shows less"),
        (strict, mixed, "otherwise"),
    ):
        (row,) = differences(before, after).to_dict("records")
        assert (row["field"], row["change"]) == ("(risk)", change)
    assert "k 5" in differences(strict, loose)["before"].iloc[0]


# --- agencies ---------------------------------------------------------------------------------------------------------


def several(*entries: str, name: str = "test", head: str = "") -> Policy:
    """A policy of several entries for phone collection: each the lines above its `dpd` band's label."""
    told = "".join(
        f"""
        [[release]]
        purpose = "collection"
        stages = ["phone"]
        channels = ["phone"]
        {entry}
        """
        for entry in entries
    )
    return Policy.parse(f"""
        name = "{name}"
        version = "1"
        jurisdiction = "CN"
        {head}
        [purposes.collection]
        basis = "contract of {name}"
        verified = "text"
        erase_after_days = 30
        {told}
    """)


DPD = 'fields = { dpd = "release" }'
BUCKET = 'fields = { bucket = "release" }'
FOR_ACME = 'agencies = ["acme"]\n'


@pytest.mark.parametrize("order", [(DPD, FOR_ACME + BUCKET), (FOR_ACME + BUCKET, DPD)])
def test_what_names_the_agency_counts_before_what_is_for_every_agency(order: tuple[str, ...]) -> None:
    policy = several(*order)
    assert list(policy.release("collection", "phone", ["phone"], "acme").treatments) == ["bucket"]
    assert list(policy.release("collection", "phone", ["phone"], "quay").treatments) == ["dpd"]
    assert list(policy.release("collection", "phone", ["phone"]).treatments) == ["dpd"]
    assert policy.release("collection", "phone", ["phone"], "acme").agencies == ("acme",)


def test_an_agency_that_no_entry_is_for_is_told_nothing() -> None:
    policy = several(FOR_ACME + DPD)
    with pytest.raises(NotReleased, match="releases nothing to quay for collection"):
        policy.release("collection", "phone", ["phone"], "quay")


def test_a_policy_for_some_agencies_is_for_no_other() -> None:
    policy = several(DPD, head=FOR_ACME)
    assert policy.release("collection", "phone", ["phone"], "acme").treatments
    with pytest.raises(NotReleased):
        policy.release("collection", "phone", ["phone"], "quay")
    with pytest.raises(PolicyInvalid, match="is for quay, and the policy is not"):
        several('agencies = ["quay"]\n' + DPD, head=FOR_ACME)


def test_a_policy_stands_over_another_for_its_agencies_alone() -> None:
    base = several(DPD, FOR_ACME + 'fields = { product = "release" }')
    over = several(BUCKET, name="acme-only", head=FOR_ACME + 'over = "test"')
    whole = base.under([over])
    told = whole.release("collection", "phone", ["phone"], "acme")
    assert (told.policy, told.version, told.sha256, told.basis) == (
        "acme-only",
        "1",
        over.sha256,
        "contract of acme-only",
    )
    assert list(told.treatments) == ["bucket"]
    other = whole.release("collection", "phone", ["phone"], "quay")
    assert (other.policy, other.version, other.sha256) == ("test", "1", base.sha256)
    assert (whole.name, whole.version) == ("test", "1+acme-only@1")
    assert whole.sha256 not in {base.sha256, over.sha256}, "a plan names what it was made under"
    assert base.under([]) == base


def test_a_policy_over_another_without_limits_of_risk_has_those_of_the_other() -> None:
    base = several(DPD, head="risk = { k = 5 }")
    silent = several(BUCKET, name="acme-only", head=FOR_ACME + 'over = "test"')
    assert base.under([silent]).release("collection", "phone", ["phone"], "acme").risk.k == 5
    own = several("risk = { k = 3 }\n" + BUCKET, name="acme-only", head=FOR_ACME + 'over = "test"')
    assert base.under([own]).release("collection", "phone", ["phone"], "acme").risk.k == 3


def test_where_the_policy_over_it_says_nothing_the_general_one_counts() -> None:
    over = several(BUCKET.replace("bucket", "product"), name="acme-only", head=FOR_ACME + 'over = "cn-default"')
    whole = load("cn-default").under([over])
    assert whole.release("collection", "field", ["field"], "acme").policy == "cn-default"
    assert whole.release("collection", "phone", ["phone"], "acme").policy == "acme-only"


def test_two_policies_over_one_are_not_for_the_same_agency() -> None:
    one = several(DPD, name="one", head=FOR_ACME + 'over = "test"')
    two = several(DPD, name="two", head='agencies = ["quay", "acme"]\nover = "test"')
    with pytest.raises(PolicyInvalid, match="one and two both stand over test for acme"):
        several(DPD).under([two, one])
    with pytest.raises(PolicyInvalid, match="does not stand over cn-default"):
        load("cn-default").under([one])


def test_a_difference_is_told_agency_by_agency() -> None:
    base = several(DPD)
    over = several(BUCKET, name="acme-only", head=FOR_ACME + 'over = "test"')
    changed = differences(base, base.under([over]))
    assert set(changed["agency"]) == {"acme"}
    assert set(zip(changed["field"], changed["change"], strict=True)) == {
        ("dpd", "leaves no more"), ("bucket", "leaves newly"), ("(basis)", "otherwise"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "head", "message"),
    [
        ("agencies = []\n" + DPD, "", "names nobody"),
        ('agencies = ["Acme Ltd"]\n' + DPD, "", "must name agencies by their codes"),
        ('agencies = ["acme", "acme"]\n' + DPD, "", "each once"),
        ('agencies = "acme"\n' + DPD, "", "agencies is of the wrong type"),
        (DPD, 'over = "cn-default"', "stands over another one for some agencies"),
        (DPD, FOR_ACME + 'over = "test"', "stands over another one for some agencies"),
    ],
)
def test_agencies_that_are_named_wrongly_do_not_load(entry: str, head: str, message: str) -> None:
    with pytest.raises(PolicyInvalid, match=re.escape(message)):
        several(entry, head=head)


def test_an_entry_for_an_agency_that_could_never_count_is_an_error() -> None:
    assert several(DPD, FOR_ACME + DPD, 'agencies = ["quay"]\n' + DPD).entries
    with pytest.raises(PolicyInvalid, match="release 3 never counts"):
        several(DPD, 'agencies = ["acme", "quay"]\n' + DPD, FOR_ACME + BUCKET)


@pytest.mark.parametrize(
    ("key", "value"), [("name", "Ours"), ("name", "../up"), ("version", "1 or 2"), ("version", "a@b")]
)
def test_names_and_versions_are_plain_words(key: str, value: str) -> None:
    shipped = packaged.text("models", "policies", "minimal")
    text = re.sub(rf'(?m)^{key} = ".*"$', f'{key} = "{value}"', shipped)
    with pytest.raises(PolicyInvalid, match=f"{key} '{value}' is not of the form"):
        Policy.parse(text)


def test_a_policy_that_releases_nothing_at_all_does_not_load() -> None:
    with pytest.raises(PolicyInvalid):
        several()
