"""Every sentence that an error can be raised with is found in the source, however it is put together."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from infra.setup.raised import sentences

if TYPE_CHECKING:
    from pathlib import Path

BASE = """
class ConsignError(Exception):
    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)

class UsageError(ConsignError):
    pass

class Stated(UsageError):
    def __init__(self, message: str, *, fix: str = "ask the lender") -> None:
        super().__init__(message, fix=fix)

class Moved(UsageError):
    def __init__(self, what: str, here: str) -> None:
        super().__init__(f"{what} is {here}", fix="wait")
"""


def read(root: Path, source: str, **others: str) -> tuple[set[str], list[str]]:
    """The templates and the unread places of a tree with that module, without those of the errors themselves."""
    for name, text in {"models/errors": BASE, "infra/here": source, **others}.items():
        file = root / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), "utf-8")
    found, unread = sentences(root)
    own = {"{1} is {2}", "wait", "ask the lender"}
    return {one.template for one in found} - own, [place for place in unread if not place.startswith("models/errors")]


CASES = {
    'raise UsageError("no agency")': {"no agency"},
    'raise UsageError("no agency", fix="`consign agency list`")': {"no agency", "`consign agency list`"},
    'raise UsageError(f"no agency {name!r} of {count:,}")': {"no agency {1} of {2}"},
    'raise UsageError(f"{lender}/{agency}{more} has none")': {"{1}/{2} has none"},
    'raise UsageError("no " "agency")': {"no agency"},
    'raise UsageError("a brace { of the text")': {"a brace {{ of the text"},
    'raise UsageError("no " + ("agency" if one else "lender") + " here")': {"no agency here", "no lender here"},
    """raise UsageError(f"no {'agency' if one else 'lender'} {name}")""": {"no agency {1}", "no lender {1}"},
    'raise UsageError("nothing" if one else f"no {name}")': {"nothing", "no {1}"},
    'said = "no agency"; raise UsageError(said)': {"no agency"},
    "raise UsageError(SAID)": {"said by all"},
    "raise UsageError(WORDS[code])": {"first", "second {{"},
    'raise UsageError(WORDS.get(code, "third"))': {"first", "second {{", "third"},
    "raise UsageError(worded(name))": {"of {1}", "of nobody"},
    'def refuse(why): raise UsageError(why)\n    refuse(f"no account {name}")': {"no account {1}"},
    "for what in faults(name): raise UsageError(what)": {"too long", "too short"},
    'raise UsageError("; ".join(faults(name)) or "none")': {"too long", "too short", "none"},
    'wrong = []; wrong.append("late by a day"); raise UsageError(f"{name}: {wrong[0]}")': {"late by a day"},
    'what, fix = ("late", "hurry") if one else ("early", "stay"); raise UsageError(what, fix=fix)': {
        "late", "early", "hurry", "stay",
    },
    'raise Stated("it is not stated")': {"it is not stated"},
    'raise Moved("the plan of today", "sent")': {"the plan of today"},
    'visit.problem(UsageError("not raised here"))': {"not raised here"},
}  # fmt: skip


@pytest.mark.parametrize("source", CASES)
def test_a_sentence_is_found_however_it_is_put_together(tmp_path: Path, source: str) -> None:
    module = f"""
from models.errors import Moved, Stated, UsageError

SAID = "said by all"
WORDS = {{"a": "first", "b": "second {{"}}

def worded(name):
    return f"of {{name}}" if name else "of nobody"

def faults(name):
    if len(name) > 3:
        yield "too long"
    yield "too short"

def act(name, one, code, count, lender, agency, more, visit):
    {source}
"""
    assert read(tmp_path, module) == (CASES[source], [])


def test_a_sentence_of_another_module_is_found_where_it_stands(tmp_path: Path) -> None:
    others = {"models/told": 'SAID = "told elsewhere"\n\ndef worded(day):\n    return f"no day {day}"\n'}
    source = "from models import told\nfrom models.told import SAID\nfrom models.errors import UsageError\n\n"
    read(tmp_path, source + "def act(day):\n    raise UsageError(SAID, fix=told.worded(day))\n", **others)
    found, _ = sentences(tmp_path)
    assert {(one.template, one.package, one.where) for one in found} >= {
        ("told elsewhere", "models", "models/told.py:1"),
        ("no day {1}", "models", "models/told.py:4"),
    }


def test_what_nobody_can_read_is_named_with_its_place(tmp_path: Path) -> None:
    source = "from models.errors import UsageError\n\ndef act(answer):\n    raise UsageError(answer.text)\n"
    assert read(tmp_path, source) == (set(), ["infra/here.py:4: answer.text"])


def test_another_error_s_own_sentence_is_passed_on(tmp_path: Path) -> None:
    source = """
from models.errors import UsageError

def act():
    try:
        go()
    except OSError as error:
        raise UsageError(str(error), fix=error.fix) from None
"""
    assert read(tmp_path, source) == (set(), [])


def test_what_is_no_error_is_not_read(tmp_path: Path) -> None:
    source = 'class Seen(Exception):\n    pass\n\ndef act():\n    raise Seen("a fault of ours")\n'
    assert read(tmp_path, source) == (set(), [])
