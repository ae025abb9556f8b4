"""What the codes that stand on a page are called in 中文; in English a code is a word already.

For the filter `term`: `{{ row.kind|term("file") }}`, `{{ row.channels|term("channel") }}`. A code that no table has (a
lender's own product, a policy's own purpose) is told as it is.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _table(**told: str) -> Mapping[str, str]:
    return MappingProxyType(told)


FILE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "placement": "委案",
        "update": "余额更新",
        "recall": "收回",
        "receipt": "回执",
        "statement": "结算单",
        "invoice_answer": "账单答复",
        "plan_answer": "分期答复",
        "erasure_request": "删除要求",
        "correction": "更正",
        "certification": "认证任务",
        "key_announcement": "密钥公告",
        "acknowledgement": "委案确认",
        "activity": "催收记录",
        "return": "退案",
        "remittance": "回款明细",
        "invoice": "佣金账单",
        "erasure_certificate": "删除证明",
        "correction_confirmation": "更正确认",
        "complaint": "投诉",
        "plan": "分期方案",
        "hold_request": "暂停催收申请",
        "recall_objection": "收回异议",
        "refusal": "拒收说明",
        "fingerprint": "指纹核对",
    }
)
"""Kinds of file (models.kinds)."""
CHANNEL: Final = _table(
    phone="电话", sms="短信", field="外访", online="线上", letter="信函", legal="法律途径", any="任意"
)
STAGE: Final = _table(reminder="提醒", phone="电催", field="外访", legal="法催", any="任意", new="新案")
REMITS: Final = _table(gross="全额汇缴", net="净额汇缴")
PURPOSE: Final = _table(collection="催收")
"""Those of the policies that come with Consign; a lender's own are told as written."""
VERIFIED: Final = _table(text="已核原文", secondary="二手资料", unverified="未核实")
JURISDICTION: Final = _table(CN="中国", US="美国", EU="欧盟", UK="英国", any="任意")
CLASS: Final = _table(
    pseudonym="假名",
    identifier="标识号",
    identity="身份",
    contact="联系方式",
    third_party="第三人",
    financial="财务",
    fact="事实",
)
"""Kinds of value."""
LEVEL: Final = _table(exchange="交换", work="作业", money="资金")
"""Of a certification."""
STEP: Final = _table(waiting="未开始", open="待办", done="完成", failed="未通过", passed="通过", given_up="已放弃")
"""How a certification and its steps stand."""
EVIDENCE: Final = _table(
    licence="营业执照",
    whitelist="公示名单",
    evaluation="年度评估",
    contract="合同",
    pre_expiry_evaluation="到期前评估",
    training="培训",
    insurance="保险",
)
"""Of due diligence."""
EVENT: Final = _table(
    line_accepted="回款入账",
    commission="佣金",
    commission_adjustment="佣金调整",
    reverse_charge="代扣代缴增值税",
    net_retention="净额留存",
    receipt="银行入账",
    cash="收款核销",
    agency_paid="支付机构",
    refund_paid="退款",
    clawback_receivable="应收佣金追回",
    write_off="差额核销",
    exchange="外币兑换",
)
"""Of the books (docs/reference/ledger.md)."""
RULE: Final = _table(
    reversal="冲正",
    batch="汇款流水号",
    exact="完全一致",
    near="容差内",
    pool="汇总池",
    subset="子集和",
    direct="直接还款",
    by_hand="人工",
)
"""By which a match was made (models.reconcile.outcome)."""
OWNER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "portfolio manager": "资产组合经理",
        "finance": "财务",
        "compliance": "合规",
        "operations": "运营",
        "consign": "系统",
    }
)
"""Who owns an exception until a person takes it."""
DROP: Final = _table(kind="方式", host="主机", port="端口", username="用户名", root="根目录", host_keys="主机密钥")
"""What says how an agency is reached."""
GROUPS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "file": FILE, "channel": CHANNEL, "stage": STAGE, "remits": REMITS, "purpose": PURPOSE, "verified": VERIFIED,
        "jurisdiction": JURISDICTION, "class": CLASS, "level": LEVEL, "evidence": EVIDENCE, "event": EVENT,
        "rule": RULE, "owner": OWNER, "drop": DROP, "step": STEP,
    }
)  # fmt: skip


def term(language: str, codes: str | Iterable[str] | None, group: str) -> str:
    """The codes as a page has them, several with commas between; a dash for none.

    codes: one, several with commas between, or a list. group: a name of GROUPS.
    """
    known = GROUPS[group]
    every = (codes.split(",") if isinstance(codes, str) else list(codes)) if codes else []
    told = [one.strip() for one in every]
    if language == "en":
        return ", ".join(one.replace("_", " ") for one in told) or "–"
    return "、".join(known.get(one, one) for one in told) or "–"
