"""Every code of finance has words in both languages."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from console.web import terms
from infra.store.worklist import LINE_STATES, TIED, WRITTEN_OFF
from models.closing import FINDINGS
from models.lives import PAYMENT_RUN, RESOLUTION
from models.reconcile.breaks import ABOUT
from models.reconcile.outcome import REASONS
from models.reconcile.resolutions import KINDS
from models.reconcile.sides import CHECKS


@pytest.mark.parametrize(
    ("told", "codes"),
    [
        (terms.CODES, ABOUT), (terms.MEANS, ABOUT), (terms.CHECKED, CHECKS), (terms.WHY, REASONS),
        (terms.LINES, LINE_STATES), (terms.STATES, [*RESOLUTION, *PAYMENT_RUN]), (terms.ACTS, KINDS),
        (terms.ENDED, [*TIED, WRITTEN_OFF]), (terms.FOUND, FINDINGS),
    ],
)  # fmt: skip
def test_every_code_has_words_in_both_languages(told: Mapping[str, tuple[object, ...]], codes: list[str]) -> None:
    assert set(codes) <= set(told)
    for words in told.values():
        assert all(words)
        assert len(set(words)) == len(words) or words[0] == "VAT"
