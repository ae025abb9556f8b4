"""What an error says, in 中文: a sentence that was filled in long ago is told from its template.

An error is raised with an English sentence; pages, the API and notes of jobs show it. The catalogues
locale/zh/errors-<package>.po hold every template (`no agency {1}`, see infra/setup/raised.py) with its 中文. Here a
sentence finds the template that it was made of: the one with most text of its own that fits. Blanks are carried over as
they are; where the 中文 marks a blank with a plus (`{2+}`) what fills it is told in 中文 too: a sentence, several of
them, or a word of the catalogue `errors-terms`. What fits nothing stays English, whole.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEEPEST: Final = 6
"""Sentences within sentences, beyond which English stays."""
COLON: Final = ": "
COLON_COSTS: Final = 4
LINE_COSTS: Final = 40
"""Letters of text that a colon in a blank outweighs, and a line's end in one that is not the last."""
JOINTS: Final = (
    ("\n  - ", "\n  - "),
    ("\n", "\n"),
    ("; ", "；"),
    (COLON, "："),
    (", ", "、"),
    (" or ", "或"),
    (" and ", "和"),
)
"""What stands between several sentences or words, in English and in 中文; what binds less comes first."""
SENTENCES: Final = 3
"""The first so many stand between whole sentences."""
LISTED: Final = frozenset({", ", " or ", " and "})
"""These stand in sentences too: only what is a list of known words is told as one."""
FEW: Final = 5
"""Letters: `{1} in {2}` has fewer; it counts only where what fills a blank that is told is known."""
_PIECE: Final = re.compile(r"\{\{|\}\}|\{(\d+)(\+?)\}|[^{}]+")
_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Blank:
    """A blank of a template, by its number; `is_told`: what fills it is told in 中文."""

    number: int
    is_told: bool = False


Part = str | Blank


def parts_of(template: str) -> tuple[Part, ...]:
    """Text and blanks in order, no two texts side by side. Raises ValueError for a brace that is neither."""
    told: list[Part] = []
    at = 0
    for piece in _PIECE.finditer(template):
        if piece.start() != at:
            break
        at = piece.end()
        part = Blank(int(piece[1]), bool(piece[2])) if piece[1] else {"{{": "{", "}}": "}"}.get(piece[0], piece[0])
        if isinstance(part, str) and told and isinstance(last := told[-1], str):
            told[-1] = last + part
        else:
            told.append(part)
    if at != len(template):
        raise ValueError(f"a brace alone at {at + 1} of {template!r}: a brace of the text is doubled")
    return tuple(told)


@dataclass(frozen=True)
class Template:
    """A sentence with blanks, and its 中文."""

    english: tuple[Part, ...]
    chinese: tuple[Part, ...]

    @cached_property
    def weight(self) -> int:
        """How much of it is text."""
        return sum(len(part) for part in self.english if isinstance(part, str))

    def rank(self, found: Mapping[int, str]) -> tuple[int, int]:
        """Of several that fit a sentence the highest is meant: that with most text, and then with fewest blanks.

        found: what would stand in its blanks. A colon there tells against it (`rule 3: no day` is not about a rule),
        and so does a line's end before its own text ends.
        """
        cost = COLON_COSTS * sum(value.count(COLON) for value in found.values())
        if not isinstance(self.english[-1], Blank) or "\n" in "".join(list(found.values())[:-1]):
            cost += LINE_COSTS * sum("\n" in value for value in found.values())
        return self.weight - cost, -len(self.english)

    @cached_property
    def is_weak(self) -> bool:
        """Whether it begins with a blank, and so little of it is text that any sentence may fit it by chance."""
        letters = sum(letter.isalpha() for part in self.english if isinstance(part, str) for letter in part)
        return isinstance(self.english[0], Blank) and letters < FEW

    @cached_property
    def words(self) -> frozenset[str]:
        """Words that stand whole in every sentence made of it: those that no blank touches."""
        found = set()
        for at, part in enumerate(self.english):
            if isinstance(part, str):
                for word in _WORD.finditer(part):
                    opens = word.start() > 0 or at == 0
                    ends = word.end() < len(part) or at == len(self.english) - 1
                    if opens and ends:
                        found.add(word[0])
        return frozenset(found)

    def filled(self, sentence: str) -> dict[int, str] | None:
        """What stands in its blanks, each as short as can be from the left; None where the sentence is not of it."""
        found: dict[int, str] = {}
        at, waiting = 0, 0
        last = len(self.english) - 1
        for place, part in enumerate(self.english):
            if isinstance(part, Blank):
                waiting = part.number
                continue
            if not waiting:
                start = at if sentence.startswith(part, at) else -1
            elif place == last:
                start = len(sentence) - len(part) if sentence.endswith(part) else -1
            else:
                start = sentence.find(part, at)
            if start < at:
                return None
            if waiting:
                found[waiting] = sentence[at:start]
                waiting = 0
            at = start + len(part)
        if waiting:
            found[waiting] = sentence[at:]
        return found if waiting or at == len(sentence) else None


class Wording:
    """All templates of the catalogues, found by their rarest word."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        """catalogue: template in English -> in 中文."""
        self._whole: dict[str, str] = {}
        self._by_word: dict[str, list[Template]] = defaultdict(list)
        self._wordless: list[Template] = []
        templates = [Template(parts_of(english), parts_of(chinese)) for english, chinese in catalogue.items()]
        often = Counter(word for one in templates for word in one.words)
        for one in templates:
            match one.english, one.chinese:
                case (str(english),), (str(chinese),):
                    self._whole[english] = chinese
                case _:
                    rarest = min(one.words, key=lambda word: (often[word], word), default=None)
                    (self._wordless if rarest is None else self._by_word[rarest]).append(one)

    def told(self, sentence: str) -> str:
        """The sentence in 中文, or as it is where nothing fits."""
        return self._told(sentence, DEEPEST) or sentence

    def _told(self, sentence: str, deepest: int, joints: tuple[tuple[str, str], ...] = JOINTS) -> str | None:
        """In 中文; None where nothing of it is known. joints: those that may still part it."""
        if sentence in self._whole:
            return self._whole[sentence]
        if not deepest:
            return None
        for template, found in sorted(self._fitting(sentence), key=lambda one: one[0].rank(one[1]), reverse=True):
            if several := self._several(sentence, template, found.values(), deepest - 1):
                return several
            if about := self._about(sentence, template.weight, deepest - 1):
                return about
            if (made := self._made(template, found, deepest - 1)) is not None:
                return made
        return self._parted(sentence, deepest - 1, joints)

    def _made(self, template: Template, found: Mapping[int, str], deepest: int) -> str | None:
        """The template's 中文 with its blanks filled; None where it is weak and nothing in them is known either."""
        known = {
            part.number: self._told(found[part.number], deepest)
            for part in template.chinese
            if isinstance(part, Blank) and part.is_told
        }
        if template.is_weak and not any(known.values()):
            return None
        return "".join(
            part if isinstance(part, str) else known.get(part.number) or found[part.number] for part in template.chinese
        )

    def _fitting(self, sentence: str) -> Iterator[tuple[Template, dict[int, str]]]:
        near = (self._by_word.get(word, ()) for word in set(_WORD.findall(sentence)))
        for template in chain(*near, self._wordless):
            found = template.filled(sentence)
            if found is not None and template.rank(found)[0] > 0:
                yield template, found

    def _several(self, sentence: str, template: Template, values: Iterable[str], deepest: int) -> str | None:
        """In 中文 where it is rather several sentences, and a blank of the template has swallowed all but the first."""
        for joint, told in JOINTS[:SENTENCES]:
            if any(joint in value for value in values):
                parts = sentence.split(joint)
                if template.filled(parts[0]) is None:
                    continue
                weights = [self._weight(part) for part in parts]
                found = [self._told(part, deepest) for part in parts] if sum(weights) > template.weight else []
                if all(weights) and found and all(found):
                    return told.join(filter(None, found))
        return None

    def _about(self, sentence: str, least: int, deepest: int) -> str | None:
        """In 中文 where what stands behind its first colon is a sentence with more text than `least`."""
        about, _, rest = sentence.partition(COLON)
        if self._weight(rest) <= least or not (known := self._told(rest, deepest)):
            return None
        return f"{self._told(about, deepest) or about}：{known}"

    def _weight(self, sentence: str) -> int:
        """How much of it is the text of what it fits best."""
        if sentence in self._whole:
            return len(sentence)
        return max((template.weight for template, _ in self._fitting(sentence)), default=0)

    def _parted(self, sentence: str, deepest: int, joints: tuple[tuple[str, str], ...]) -> str | None:
        """Several sentences or words in one: a list where each is known, sentences where any is."""
        if about := self._about(sentence, len(sentence) // 2, deepest):
            return about
        for at, (joint, told) in enumerate(joints):
            if joint not in sentence:
                continue
            if joint == COLON:  # what the rest is about, a file or a field, is often no sentence
                about, rest = sentence.split(joint, maxsplit=1)
                if known := self._told(rest, deepest, joints[at:]):
                    return f"{self._told(about, deepest, joints[at + 1 :]) or about}{told}{known}"
                continue
            parts = sentence.split(joint)
            found = [self._told(part, deepest, joints[at + 1 :]) for part in parts]
            if all(found) or (any(found) and joint not in LISTED):
                return told.join(one or part for one, part in zip(found, parts, strict=True))
        return None
