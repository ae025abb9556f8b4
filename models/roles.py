"""The roles that a person can have: what only some may do is asked for by role (docs/reference/roles.md)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["portfolio_manager", "compliance", "finance", "operations", "administrator"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
ABOUT: Final[Mapping[Role, tuple[str, str]]] = MappingProxyType(
    {
        "portfolio_manager": ("decides who gets which account", "决定哪个账户交给哪家机构"),
        "compliance": ("answers for what may leave and how agencies behave", "对可外发的内容和机构行为负责"),
        "finance": ("answers for the books: differences, closes, payments", "对账务负责：差异、结账、付款"),
        "operations": (
            "answers for the exchange with the agencies: whose keys count",
            "对与机构的交换负责：认可谁的密钥",
        ),
        "administrator": ("says who has which role, and who may take the keys out", "授予角色，批准密钥出库"),
    }
)
"""What each answers for, in English and in 中文."""

NAMES: Final[Mapping[Role, tuple[str, str]]] = MappingProxyType(
    {
        "portfolio_manager": ("portfolio manager", "资产组合经理"),
        "compliance": ("compliance", "合规"),
        "finance": ("finance", "财务"),
        "operations": ("operations", "运营"),
        "administrator": ("administrator", "管理员"),
    }
)
"""What each is called."""
