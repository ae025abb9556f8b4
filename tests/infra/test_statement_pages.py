"""The statement as a page: Chinese is really on it, it is the same whenever it is written, and nothing is markup."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from infra.printing import FONTS
from infra.statements import Heading, write_page
from infra.store.statements import Account, Totals
from models.errors import ConfigurationError

TOTALS = Totals(
    lines=3, late_lines=1, gross_minor=10_050, commission_minor=1_005, vat_minor=60, net_minor=8_985,
    adjusted_commission_minor=25, adjusted_vat_minor=2, retained_minor=0, paid_minor=500, opening_minor=-100,
    closing_minor=492,
)  # fmt: skip
ACCOUNT = Account(
    by_rate=pd.DataFrame({
        "type": ["recovery", "reversal"], "rate": [Decimal("0.185000"), None], "lines": [2, 1],
        "gross_minor": [20_050, -10_000], "commission_minor": [3_000, -1_995], "vat_minor": [200, -140],
    }),
    adjustments=pd.DataFrame({
        "kind": ["volume", "reverse_charge"], "adjustments": [2, 1], "commission_minor": [25, 0], "vat_minor": [2, 0],
        "own_vat_minor": [0, 7],
    }),
    late=pd.DataFrame({
        "month": ["2026-03"], "lines": [1], "gross_minor": [100], "commission_minor": [10], "vat_minor": [1],
    }),
    payments=pd.DataFrame({
        "day": [date(2026, 4, 20)], "reference": ["CSG-P-00000001-00000001"], "amount_minor": [500],
    }),
)  # fmt: skip
needs_poppler = pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext (Debian: poppler-utils)")
needs_font = pytest.mark.skipif(not any(map(Path.is_file, map(Path, FONTS))), reason="no font with Chinese")


def heading(agency: str) -> Heading:
    return Heading("Harbour 海湾消费金融", agency, "2026-04", "CNY", 7, date(2026, 5, 2), "acme.north.2026-04.CNY.csv")


def text_of(path: Path) -> str:
    return subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True, text=True).stdout


@needs_poppler
@needs_font
@pytest.mark.parametrize(
    ("code", "said"),
    [("zh", ["对账单", "期初余额", "-1.00", "期末余额", "4.92", "月度累计回款档位", "第 1 页", "2026年4月20日"]),
     ("en", ["Statement of account", "海湾消费金融", "volume of the month", "18.5%", "Page 1 of 1", "reverse charge"])],
)  # fmt: skip
def test_every_letter_is_on_the_page_in_either_language(tmp_path: Path, code: str, said: list[str]) -> None:
    path = tmp_path / "s.pdf"
    write_page(path, heading("恒信 <b>资产</b> & Co"), TOTALS, ACCOUNT, code, "ab" * 32, None)
    text = text_of(path)
    wanted = [*said, "恒信 <b>资产</b> & Co", "ab" * 16, "CSG-P-00000001-00000001"]
    assert [word for word in wanted if word not in text] == []
    fonts = subprocess.run(["pdffonts", path], capture_output=True, check=True, text=True).stdout
    used = [line for line in fonts.splitlines()[2:] if "Helvetica" not in line]
    assert used
    assert all(" yes yes yes " in line for line in used)  # embedded, as a subset, searchable


def test_the_same_statement_has_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "one.pdf", tmp_path / "two.pdf"]
    for path in paths:
        write_page(path, heading("North"), TOTALS, ACCOUNT, "zh", "ab" * 32, None)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@needs_poppler
def test_many_rows_go_over_pages_that_say_how_many_there_are(tmp_path: Path) -> None:
    many = pd.concat([ACCOUNT.payments] * 150, ignore_index=True)
    path = tmp_path / "s.pdf"
    account = Account(ACCOUNT.by_rate, ACCOUNT.adjustments, ACCOUNT.late, many)
    write_page(path, heading("North"), TOTALS, account, "en", "ab" * 32, None)
    assert "Page 1 of 5" in text_of(path)
    assert "Page 5 of 5" in text_of(path)


def test_a_font_without_chinese_is_refused_by_name(tmp_path: Path) -> None:
    font = tmp_path / "mine.ttf"
    font.write_bytes(b"no font at all")
    with pytest.raises(ConfigurationError, match=r"mine\.ttf cannot be put into a PDF"):
        write_page(tmp_path / "s.pdf", heading("North"), TOTALS, ACCOUNT, "zh", "ab" * 32, font)
    assert not (tmp_path / "s.pdf").exists()
