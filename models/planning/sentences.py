"""What a plan says of itself, in 中文: its preview is kept as English sentences, and each is one of these patterns.

A sentence that fits no pattern is told as it is. tests/models/planning holds every sentence that a preview makes
against them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from models.planning.exclusions import WORDS

PATTERNS: Final = (
    # why an agency gets what it gets
    ("cap binds: {count} moved to {agencies}", "上限生效：{count} 户转至{agencies}"),
    ("overflow from {agency}: {count}", "承接{agency}溢出：{count} 户"),
    ("{count} stay where the debtor's other accounts are", "{count} 户随债务人其他账户留在原机构"),
    ("share {share}", "分案比例 {share}"),
    ("best net-back in {segment} and {count} more segments", "在 {segment} 及另 {count} 个客群净回收最佳"),
    ("best net-back in {segment}", "在 {segment} 净回收最佳"),
    ("{count} by its floor as a challenger", "按挑战者下限分得 {count} 户"),
    ("{count} moved so that bounds hold", "为满足约束移入 {count} 户"),
    ("{what} binds: one more account would bring {amount}", "{what}生效：多一户可多回收 {amount}"),
    ("{what} binds: one more {each} of balance would bring {amount}", "{what}生效：余额每多 {each} 可多回收 {amount}"),
    # warnings
    (
        (
            "the draw came out uneven: {uneven} of {compared} comparisons differ by 0.1 or more, and chance alone "
            "makes {chance}; it is not drawn again"
        ),
        "抽签结果不均衡：{compared} 项比较中有 {uneven} 项相差 0.1 以上，纯属偶然约为 {chance} 项；不会重抽",
    ),
    (
        "the optimum was not found in time: these are the last plan's shares, repaired",
        "未能在时限内求得最优：以下为上次方案的比例，经修正",
    ),
    (
        "nothing has been scored yet: agencies are told apart by what they cost alone",
        "尚未评分：仅按成本区分机构",
    ),
    (
        (
            "{what} given up: {agency} is {amount} {of} short of its least of {bound}, at a price of {price} for each "
            "account's worth"
        ),
        "放弃“{what}”约束：{agency}距下限 {bound} 尚缺 {amount}（{of}），每户代价 {price}",
    ),
    (
        (
            "{what} given up: {agency} is {amount} {of} above its most of {bound}, at a price of {price} for each "
            "account's worth"
        ),
        "放弃“{what}”约束：{agency}超出上限 {bound} 达 {amount}（{of}），每户代价 {price}",
    ),
    ("{agency} reaches {share} of its capacity", "{agency}将用到其承接能力的 {share}"),
    ("{agency} gets {share} where {asked} was asked", "{agency}分得 {share}，要求为 {asked}"),
    ("{count} accounts are held back: {reasons}", "{count} 户被排除：{reasons}"),
    ("{agency} takes no part: {why}", "{agency}不参与：{why}"),
    ("confirm with counsel: {basis}", "请与法务确认：{basis}"),
    # why an agency takes no part
    ("it is prospect", "尚未准入"),
    ("it is certified", "已认证，尚未启用"),
    ("it is suspended", "已暂停"),
    ("it is closed", "已关闭"),
    ("no contract with the lender in force", "与该出借人没有生效的合同"),
    ("stopped by {gates} (`consign conduct gates`)", "因准入闸暂停：{gates}"),
    ("its mandate has no {channels}", "其委托权限不含渠道：{channels}"),
    ("its mandate does not cover stage {stage}", "其委托权限不含{stage}阶段"),
    ("policy {policy} releases nothing to its mandate", "策略 {policy} 对其权限不释放任何字段"),
    ("unknown", "不存在"),
    # why an account goes where it goes
    ("held back: {why}", "已排除：{why}"),
    ("the debtor's other accounts are with {agency}", "债务人的其他账户已在{agency}"),
    (
        "drawn for {agency}, which was full; passed on by share to {taker}",
        "抽签分给{agency}，但其已满，按比例转至{taker}",
    ),
    ("{agency} is where the plan as a whole brings most of such accounts", "此类账户分给{agency}使方案整体回收最多"),
    ("drawn for {agency} at random, by its floor as a challenger", "按挑战者下限随机抽给{agency}"),
    ("moved to {agency} so that the plan's bounds hold to the account", "为使约束逐户成立而移至{agency}"),
    ("had the debtor before and did not recover", "曾受托该债务人而未果"),
    ("brings less", "预期回收较少"),
    ("its {what} binds: others gain more there", "其{what}已生效：其他账户在此收益更多"),
    (
        "another bound of the plan, or the debtor's other accounts, stand against it",
        "受方案其他约束或债务人其他账户所限",
    ),
    ("drawn for {agency} by its share of the segment", "按其在该分组的比例抽签分给{agency}"),
    # why a plan no longer holds
    ("it was good until {at} UTC", "有效期至 {at} UTC"),
    ("{count} accounts changed", "{count} 户数据已变化"),
    ("{count} accounts were put on hold", "{count} 户被暂停催收"),
    ("{count} accounts were placed by another plan", "{count} 户已由其他方案委出"),
    ("{count} accounts are in another plan that is submitted or approved", "{count} 户在另一份待审批或已批准的方案中"),
    ("{agency} can take no accounts now", "{agency}目前不能承接账户"),
    ("{agency} is stopped by {gates}", "{agency}因准入闸暂停：{gates}"),
    ("{agency} no longer has room for its part", "{agency}已没有足够的承接能力"),
    ("release policy {policy} is not what it was", "数据释放策略 {policy} 已变更"),
    # why an account is held back
    ("on hold: {reason}", "暂停催收：{reason}"),
)
"""English with its blanks, and 中文. The first that fits counts."""
CHINESE_REASONS: Final = {
    "erased": "已删除",
    "closed": "已关闭",
    "paid": "已还清",
    "hold": "暂停催收",
    "placed": "已在机构",
    "in_plan": "在另一份方案中",
    "nothing_owed": "无欠款",
    "other_currency": "币种不同",
    "below_minimum": "低于最低余额",
    "no_agency_left": "没有机构可承接",
    "incumbent_unavailable": "债务人其他账户所在机构不能承接",
    "no_capacity": "可承接的机构均已满",
}
"""For the words of models.planning.exclusions."""
CHINESE_BOUNDS: Final = {
    "change against the last plan": "较上次方案的变化",
    "concentration in a region": "地区集中度",
    "share of the accounts": "账户占比",
    "share of the balance": "余额占比",
    "challenger's floor": "挑战者下限",
    "room for accounts": "账户承接能力",
    "room for balance": "余额承接能力",
    "minimum volume": "最低数量",
    "cap": "上限",
}
"""For the words of models.planning.bounds."""
CHINESE_STAGES: Final = {"reminder": "提醒", "phone": "电催", "field": "外访", "legal": "法催"}
"""For the stages of models.release."""
CHINESE_HOLDS: Final = {
    "complaint": "投诉",
    "dispute": "争议",
    "deceased": "死亡",
    "insolvent": "破产",
    "vulnerable": "弱势",
    "breathing_space": "喘息期",
    "payment_plan": "分期履约中",
    "litigation": "诉讼",
    "fraud": "欺诈",
    "restriction": "限制处理",
    "other": "其他",
}
"""For the reasons of a hold."""
JOINED: Final = re.compile(r"; (?=\S)")
BLANK_WORDS: Final = {"what": CHINESE_BOUNDS, "stage": CHINESE_STAGES, "reason": CHINESE_HOLDS}
"""By the name of a blank, the words that fill it."""
BLANK: Final = re.compile(r"\{(\w+)\}")
COUNTED: Final = re.compile(r"(.+?) \(([\d,]+)\)(?:, |$)")


def translated(sentence: str, language: str) -> str:
    """The sentence in the language of that code, `en` or `zh`; several joined by semicolons one by one."""
    if language == "en":
        return sentence
    return "；".join(_chinese(part) for part in JOINED.split(sentence))


def is_known(sentence: str) -> bool:
    """Whether there is 中文 for all of it."""
    return all(_chinese(part) != part for part in JOINED.split(sentence))


def _chinese(sentence: str) -> str:
    for code, words in WORDS.items():
        if sentence == words:
            return CHINESE_REASONS.get(code, sentence)
    for pattern, chinese in _compiled():
        if (found := pattern.fullmatch(sentence)) is not None:
            blanks = {name: _blank(name, value) for name, value in found.groupdict().items()}
            return chinese.format(**blanks)
    return sentence


def _blank(name: str, value: str) -> str:
    """What stands in a blank: a sentence of its own, or counted reasons, are translated too."""
    if name in BLANK_WORDS:
        return BLANK_WORDS[name].get(value, value)
    if name == "why":
        return _chinese(value)
    if name == "reasons":
        return "、".join(f"{_chinese(reason)}（{count}）" for reason, count in COUNTED.findall(value)) or value
    return value


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(BLANK.sub(lambda blank: f"(?P<{blank[1]}>.+?)", _escaped(english)), re.DOTALL), chinese)
        for english, chinese in PATTERNS
    )


def _escaped(english: str) -> str:
    """The pattern's own signs for the matcher, its blanks left alone."""
    return "".join(part if BLANK.fullmatch(part) else re.escape(part) for part in re.split(r"(\{\w+\})", english))
