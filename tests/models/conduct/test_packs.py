"""Rule packs: every rule there with its clause, and a pack that cannot be used names the key."""

from __future__ import annotations

import re
from datetime import date

import pytest

from models.conduct import packs
from models.conduct.judging import not_judged
from models.conduct.packs import COUNTED, Pack, PackInvalid, load, shipped

SMALL = """\
name = "mine"
version = "1"
jurisdiction = "CN"
zone = "Asia/Shanghai"
about = "a"
about_zh = "一"

[complaints]
answer_days = 10
clause = "c"
verified = "text"

[[rule]]
id = "R-1"
clause = "c"
text = "t"
text_zh = "文"
counter = "connected_per_debtor_day"
number = 3
unit = "calls"
severity = "normal"
verified = "text"
"""
SPECIFIED = {
    "cn": "PIPL-6/19 PIPL-21 PIPL-28/29 PIPL-47 PIPL-51 PIPL-55/56 PIPL-57 CC-1032..1034 GBT45251-hours GBT45251-calls "
    "GBT45251-third GBT45251-eval CBA2026-hours CBA2026-dials CBA2026-third CBA2026-list CFC2024-records IL-53 JRT0171",
    "us": "REGF-14b-7 REGF-14b-after FDCPA-1692c REGF-34 REGF-100 GLBA-314",
    "uk": "CONC-7.9 CONC-7.13 CONC-7.3.11 DebtRespite-60",
    "eu": "GDPR-4(5) GDPR-5(1)(c) GDPR-33 EDPB-01/2025",
}


@pytest.mark.parametrize("name", sorted(SPECIFIED))
def test_every_shipped_pack_holds_the_rules_that_placing_must_keep(name: str) -> None:
    pack = load(name)
    assert set(SPECIFIED[name].split()) <= {rule.id for rule in pack.rules}
    assert pack.name == name
    assert len(pack.sha256) == 64
    for rule in pack.rules:
        assert rule.clause
        assert re.search(r"[一-鿿]", rule.text_zh)
        assert rule.counsel == ("" if rule.verified == "text" else "confirm with counsel")


def test_all_packs_are_shipped_and_no_other() -> None:
    assert shipped() == ("cn", "eu", "uk", "us")
    with pytest.raises(PackInvalid):
        load("fr")


def test_every_counter_is_explained() -> None:
    assert set(COUNTED) == {*packs.OF_CONTACTS, *packs.OF_RECORDS, "diligence", "none"}


def test_a_rule_that_nothing_counts_says_what_it_needs_or_what_keeps_it() -> None:
    told = {one.rule_id: one.why for name in shipped() for one in not_judged([load(name)])}
    assert told["GBT45251-third"] == "needs recordings"
    assert told["REGF-34"] == "needs notices"
    assert all(told.values())


def test_a_rule_holds_from_its_first_to_its_last_day() -> None:
    text = SMALL.replace('verified = "text"\n', 'verified = "text"\neffective_from = 2026-02-01\n').replace(
        "effective_from = 2026-02-01\n", "", 1
    )
    pack = Pack.parse(
        text + 'effective_until = 2026-03-31\n\n[[rule]]\nid = "R-1"\nclause = "c2"\ntext = "t"\ntext_zh = "文"\n'
        'counter = "connected_per_debtor_day"\nnumber = 2\nunit = "calls"\nseverity = "normal"\nverified = "text"\n'
        "effective_from = 2026-04-01\n"
    )
    found = pack.rule("R-1", date(2026, 3, 31)), pack.rule("R-1", date(2026, 4, 1))
    assert [rule.number if rule else None for rule in found] == [3, 2]
    assert [rule.in_force(date(2026, 1, 31)) for rule in pack.rules] == [False, False]
    assert pack.rule("none") is None


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('name = "mine"', 'name = "Mine!"', "name must be"),
        ("number = 3", "", "number is missing"),
        ("number = 3", 'number = "3"', "number is of the wrong type"),
        ("number = 3", "number = -1", "number is below 0"),
        ('unit = "calls"', "", "unit is missing"),
        ('severity = "normal"', 'severity = "bad"', "severity is 'bad'"),
        ('verified = "text"\n\n[[rule]]', 'verified = "sure"\n\n[[rule]]', "complaints: verified"),
        ('counter = "connected_per_debtor_day"', 'counter = "smiles"', "counter is 'smiles'"),
        ('counter = "connected_per_debtor_day"', 'counter = "hours"', "hours_from and hours_to are missing"),
        ('counter = "connected_per_debtor_day"', "", "says in needs or kept_by"),
        ('clause = "c"\ntext', 'clause = " "\ntext', "clause is empty"),
        ('text_zh = "文"', 'text_zh = "文"\ncolour = "red"', "unknown colour"),
        ('text_zh = "文"', 'text_zh = "文"\nchannels = ["pigeon"]', "channels holds something else"),
        ('text_zh = "文"', 'text_zh = "文"\nholds = ["holiday"]', "holds holds something else"),
        ('text_zh = "文"', 'text_zh = "文"\neffective_from = "soon"', "effective_from is of the wrong type"),
        (
            'text_zh = "文"', 'text_zh = "文"\neffective_from = 2026-02-01\neffective_until = 2026-01-01',
            "effective_until lies before",
        ),
        ("answer_days = 10", "answer_days = 0", "answer_days is below 1"),
        ('id = "R-1"', 'id = "R 1"', "id is no code"),
        ("[[rule]]", "[rule]", "rule is of the wrong type"),
        ('version = "1"', "version = ", "not TOML"),
    ],
)  # fmt: skip
def test_a_pack_that_cannot_be_used_names_the_key(before: str, after: str, said: str) -> None:
    assert before in SMALL
    with pytest.raises(PackInvalid) as found:
        Pack.parse(SMALL.replace(before, after, 1))
    assert said in str(found.value)
    assert found.value.exit_code == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (SMALL[SMALL.index("[[rule]]") :], "two of this id are in force on one day"),
        ('[[gate]]\nid = "g1"\nmeasure = "breaches_upheld"\nlimit = 1\nrules = ["R-9"]\ntext = "t"\ntext_zh = "文"\n',
         "rules names R-9"),
        ('[[gate]]\nid = "g1"\nmeasure = "breaches_upheld"\nlimit = -1\ntext = "t"\ntext_zh = "文"\n',
         "limit is no number"),
        ('[[diligence]]\nkind = "k1"\nclause = "c"\ntext = "t"\ntext_zh = "文"\nverified = "text"\nbefore = "x"\n',
         "before names x"),
        ('[[diligence]]\nkind = "k1"\nclause = "c"\ntext = "t"\ntext_zh = "文"\nverified = "text"\n' * 2,
         "an id is there twice"),
    ],
)  # fmt: skip
def test_a_pack_that_contradicts_itself_is_refused(more: str, said: str) -> None:
    with pytest.raises(PackInvalid) as found:
        Pack.parse(SMALL + "\n" + more)
    assert said in str(found.value)
