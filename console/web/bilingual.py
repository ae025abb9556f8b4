"""Sentences and names that tables of `models` have in both languages: English to 中文, for console.web.wording."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from console.web.terms import CHECKED, ENDED, MEANS, WHY
from models import chart, retention
from models.certification import FAULTS, STEPS
from models.checking import CODES
from models.conduct import packs
from models.explaining import EXPLAINED, NOTES
from models.permissions import ACTIONS
from models.roles import ABOUT, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@cache
def pairs() -> Mapping[str, str]:
    """Every such sentence, a brace of the text doubled, as the catalogues write it."""
    return {_template(english): _template(chinese) for english, chinese in _pairs() if english and chinese}


def _pairs() -> Iterator[tuple[str, str]]:
    fixes = {**CODES, **NOTES}
    for code, one in EXPLAINED.items():
        yield fixes.get(code, ""), one.fix_zh
        yield one.meaning, one.meaning_zh
    for step in STEPS.values():
        yield step.about, step.about_zh
        yield step.fix, step.fix_zh
    yield from FAULTS.values()
    for table in (MEANS, CHECKED, WHY, ENDED, NAMES, ABOUT):
        yield from table.values()
    yield from (action.words for action in ACTIONS.values())
    for name in chart.shipped():
        for account in chart.load(name).accounts:
            yield account.name, account.zh
    for pack in map(packs.load, packs.shipped()):
        yield pack.about, pack.about_zh
        yield from ((rule.text, rule.text_zh) for rule in pack.rules)
        yield from ((gate.text, gate.text_zh) for gate in pack.gates)
        yield from ((need.text, need.text_zh) for need in pack.needs)
    for schedule in map(retention.load, retention.shipped()):
        yield schedule.about, schedule.about_zh
        for kept in schedule.rules.values():
            yield kept.text, kept.text_zh


def _template(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
