"""Finance's worklist without scripts: tabs, filters, the drawer, what is done there and by whom."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("tab", ["open", "proposed", "to_approve", "matched", "written_off", "settled"])
def test_every_tab_is_a_page(browse: Any, tab: str) -> None:
    answer = browse("finance").get(f"/breaks?tab={tab}")
    assert answer.status_code == 200, answer.text
