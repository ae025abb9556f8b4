"""Evidence to read: one page in English and 中文, or the register's rows as CSV. What proves it is the JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from infra.evidence.files import rows_of
from infra.templates import environment
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = {
    "field": ("what", "字段"),
    "treatment": ("how it left", "处理方式"),
    "value_class": ("class", "类别"),
    "kind": ("in a", "文件种类"),
    "delivered_at": ("when", "送达时间"),
    "purpose": ("what for", "目的"),
    "basis": ("legal basis", "法律依据"),
    "policy": ("policy", "规则"),
    "policy_version": ("version", "版本"),
    "gone_by": ("gone by", "删除期限"),
    "erasure": ("erasure", "删除状态"),
    "certificate": ("certificate", "删除证明"),
}


def csv(rows: pd.DataFrame) -> str:
    """The register's rows; no cell is a formula."""
    return defused(pd.DataFrame(rows_of(rows), columns=list(rows.columns))).to_csv(index=False)


def html(rows: pd.DataFrame, about: Mapping[str, Any]) -> str:
    """The register's rows as one page that needs nothing else, agency by agency.

    about: what stands at the top: lender, as_of, made_at, made_by, and sha256 and key where it is the page of evidence.
    """
    by_agency = {str(agency): rows_of(part) for agency, part in rows.groupby("agency", sort=True)}
    page = environment("infra.evidence").get_template("disclosures.html.j2")
    return page.render(about=about, by_agency=by_agency, columns=COLUMNS)
