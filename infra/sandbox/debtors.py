"""Synthetic portfolios as a lender's raw file would look: seeded, whole columns at a time, no real debtor in them.

How to tell that nobody here is real:
- the last digits of a resident ID before its check character are 996 to 999, which are kept for people over a hundred,
  and the birth dates are of people between 20 and 65: the date, the division and the check character are all valid,
  the number cannot have been given out;
- mobile numbers begin with 154, which no carrier holds; other people's telephones too;
- e-mail addresses are at example.com, example.net and example.org (RFC 2606).

What the numbers assume (assumptions of ours, chosen to look like an overdue consumer book; no lender's figures):
- products: half credit cards, then cash loans, instalments and some car loans;
- balances: log-normal by product, medians 12,000 / 4,500 / 2,600 / 62,000 CNY. That balances of unsecured consumer
  debt are close to log-normal, with a few large ones carrying most of the money, is the usual finding;
- the balance is principal, interest that grows with days past due at 18% a year on the principal, and late fees;
- days past due: `BUCKET_SHARES`, young and very old accounts many, those between fewer (they roll or cure);
- score bands A (best) to E follow days past due with noise; region is the debtor's own division for nine in ten.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import UsageError
from models.intake.fields import ACCOUNT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

Language = Literal["en", "zh"]

PRODUCTS: Final = ("credit_card", "cash_loan", "instalment", "auto_loan")
_PRODUCT_SHARES: Final = (0.5, 0.25, 0.19, 0.06)
_MEDIAN_PRINCIPAL: Final = np.array([1_200_000, 450_000, 260_000, 6_200_000], dtype=np.float64)  # minor units
_SPREAD: Final = np.array([1.0, 0.8, 0.7, 0.6])
BUCKET_SHARES: Final = {
    (1, 30): 0.20, (31, 60): 0.13, (61, 90): 0.11, (91, 120): 0.09, (121, 150): 0.08, (151, 180): 0.08,
    (181, 720): 0.23, (721, 1_800): 0.08,
}  # fmt: skip
_LATE_INTEREST_PER_DAY: Final = 0.18 / 365
SEVERAL_ACCOUNTS: Final = (0.92, 0.06, 0.02)
"""Shares of debtors with one, two and three accounts."""

DIVISIONS: Final = (
    ("110101", "北京市东城区"), ("110105", "北京市朝阳区"), ("110108", "北京市海淀区"), ("120101", "天津市和平区"),
    ("120103", "天津市河西区"), ("130102", "石家庄市长安区"), ("130602", "保定市竞秀区"), ("140105", "太原市小店区"),
    ("150102", "呼和浩特市新城区"), ("210102", "沈阳市和平区"), ("210202", "大连市中山区"), ("220102", "长春市南关区"),
    ("230102", "哈尔滨市道里区"), ("310101", "上海市黄浦区"), ("310104", "上海市徐汇区"), ("310115", "上海市浦东新区"),
    ("320102", "南京市玄武区"), ("320106", "南京市鼓楼区"), ("320213", "无锡市梁溪区"), ("320505", "苏州市虎丘区"),
    ("330102", "杭州市上城区"), ("330106", "杭州市西湖区"), ("330203", "宁波市海曙区"), ("330304", "温州市瓯海区"),
    ("340104", "合肥市蜀山区"), ("350102", "福州市鼓楼区"), ("350203", "厦门市思明区"), ("360102", "南昌市东湖区"),
    ("370102", "济南市历下区"), ("370202", "青岛市市南区"), ("370602", "烟台市芝罘区"), ("410102", "郑州市中原区"),
    ("410105", "郑州市金水区"), ("410303", "洛阳市西工区"), ("420102", "武汉市江岸区"), ("420106", "武汉市武昌区"),
    ("430102", "长沙市芙蓉区"), ("430104", "长沙市岳麓区"), ("440103", "广州市荔湾区"), ("440106", "广州市天河区"),
    ("440304", "深圳市福田区"), ("440305", "深圳市南山区"), ("440604", "佛山市禅城区"), ("441900", "东莞市"),
    ("450103", "南宁市青秀区"), ("460105", "海口市秀英区"), ("500103", "重庆市渝中区"), ("500112", "重庆市渝北区"),
    ("510104", "成都市锦江区"), ("510107", "成都市武侯区"), ("510703", "绵阳市涪城区"), ("520102", "贵阳市南明区"),
    ("530102", "昆明市五华区"), ("540102", "拉萨市城关区"), ("610102", "西安市新城区"), ("610113", "西安市雁塔区"),
    ("620102", "兰州市城关区"), ("630102", "西宁市城东区"), ("640104", "银川市兴庆区"), ("650102", "乌鲁木齐市天山区"),
)  # fmt: skip
"""Codes of GB/T 2260 and the names that go with them: some districts of every province."""

BIRTHPLACES: Final = tuple(
    """
    110101 110102 110105 110106 110107 110108 110109 120101 120102 120103 120104 120105 120106 140121 140122
    140123 150121 150122 150221 150222 152201 152221 152222 152223 152224 210224 210321 210421 210726 210727
    210921 210922 211021 222401 222402 222424 222426 230722 232721 310101 310104 310105 310106 310107 310109
    310110 330122 330127 340121 340421 340621 350121 360121 422822 422823 422825 422826 429021 430121 430321
    433122 433123 433124 433125 433126 433127 433130 510121 510321 510421 510422 513221 513222 513224 513226
    513227 520203 522323 522324 522622 522623 522624 522625 522626 522627 530124 532322 532323 532324 532325
    532326 532327 532328 532329 540121 540122 540123 540124 540127 542521 542522 542523 542524 610323 610324
    610326 610327 610328 610329 610330 610331 620121 620122 620123 622921 622922 622923 622924 622925 622926
    632221 632222 632223 632224 632322 632323 632521 632522 632523 640121 640122 640221 650121 652323 652324
    652325 652327 652328 652722 652723 652801
    """.split()  # noqa: SIM905 - as quoted words they would fill a page
)
"""Codes of GB/T 2260 that have never changed, where debtors were first registered: a resident ID begins with one."""

_SURNAMES: Final = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_GIVEN: Final = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国文斌宇浩凯鑫婷雪梅琳慧颖佳欣怡雨晨子轩梓涵一"
    "诺思远志鹏海燕春红波辉宁凤亮成龙飞鹏莉萍琴云健俊峰帆晓东旭阳丹璐瑶倩楠博瑞泽天佑安康"
)
_FIRST_NAMES: Final = (
    "Alice", "Ben", "Carla", "Daniel", "Emma", "Farid", "Grace", "Henry", "Irene", "Jack", "Karen", "Leo", "Maria",
    "Noah", "Olga", "Peter", "Qi", "Rosa", "Samuel", "Tina", "Uma", "Victor", "Wendy", "Xavier", "Yvonne", "Zach",
)  # fmt: skip
_LAST_NAMES: Final = (
    "Abbott", "Baker", "Chan", "Dawson", "Ellis", "Foster", "Grant", "Hughes", "Ivanov", "Jensen", "Keller", "Lam",
    "Morris", "Nolan", "Osborne", "Price", "Quinn", "Reyes", "Silva", "Tan", "Ueda", "Vargas", "Walsh", "Young",
)  # fmt: skip
_ENGLISH_SHARE: Final = 0.05
_TWO_GIVEN_SHARE: Final = 0.7
_AT_HOME_SHARE: Final = 0.9
_ROADS: Final = (
    "人民路",
    "解放路",
    "中山路",
    "建设路",
    "文化路",
    "新华路",
    "和平路",
    "长江路",
    "黄河路",
    "学院路",
    "滨河路",
    "朝阳街",
)
_TRADES: Final = (
    "科技",
    "贸易",
    "物流",
    "餐饮管理",
    "建筑工程",
    "网络技术",
    "服装",
    "机械制造",
    "汽车服务",
    "教育咨询",
)
_FIRMS: Final = ("启明", "恒信", "远航", "金桥", "华晟", "瑞丰", "东方", "宏达", "天成", "博雅", "汇通", "永安")
_HOSTS: Final = ("example.com", "example.net", "example.org")

_CHECK_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECK_LETTERS: Final = np.frombuffer(b"10X98765432", dtype=np.uint8)
_ZERO: Final = ord("0")
_YOUNGEST: Final = 20
_OLDEST: Final = 65
_AGES_DAYS: Final = (_OLDEST - _YOUNGEST) * 365
_CENTENARIANS: Final = 4  # 996, 997, 998, 999
_PEOPLE: Final = len(BIRTHPLACES) * _AGES_DAYS * _CENTENARIANS
_TEXT: Final = pa.large_string()


def portfolio(seed: int, rows: int, lender: str, as_of: date, *, language: Language = "en") -> pd.DataFrame:
    """A raw portfolio: `rows` accounts, every column text as in a file, header canonical English or 中文.

    The same arguments give the same frame. Accounts of one debtor share the identity. Lenders do not share debtors
    on purpose; two portfolios of one lender with different seeds have different account numbers.
    Raises UsageError if more people are asked for than can be told apart.
    """
    draw = np.random.default_rng([seed, zlib.crc32(lender.encode())])
    debtor_of = _debtors(draw, rows)
    people = int(debtor_of[-1]) + 1 if rows else 0
    if people > _PEOPLE:
        raise UsageError(
            f"the sandbox can tell {_PEOPLE} people apart, {people} were asked for", fix="ask for fewer rows"
        )
    persons = _persons(draw, people, as_of)
    shuffled = draw.permutation(rows)
    debtor_of = debtor_of[shuffled]
    identity = {name: texts.take(debtor_of) for name, texts in persons.items() if name != "division"}
    facts = _facts(draw, rows, as_of, persons["division"].take(debtor_of))
    refs = _account_refs(draw, rows, seed, lender, facts.pop("_product_code"))
    columns = {"account_ref": refs, **identity, **facts}
    frame = pd.DataFrame({name: pd.array(columns[name], dtype="str") for name in ACCOUNT_FIELDS})
    return frame if language == "en" else frame.rename(columns=_chinese())


def snapshot(frame: pd.DataFrame, later: date, paid: Mapping[str, int] | None = None) -> pd.DataFrame:
    """The same accounts at a later day: what was paid is taken off, everybody else is that much longer past due.

    paid: account number → minor units paid since. A payment settles fees, then interest, then principal; one that
    covers the balance leaves 0 owed and 0 days past due. Interest does not accrue here: a test can add it up by hand.
    """
    back = {theirs: ours for ours, theirs in _chinese().items()}
    ours = frame.rename(columns=back)
    left = pd.Series(paid or {}, dtype="int64").reindex(ours["account_ref"]).fillna(0).to_numpy(dtype="int64")
    touched = left > 0
    changed: dict[str, pd.Series] = {}
    balance = np.zeros(len(ours), dtype="int64")
    for name in ("fees", "interest", "principal"):
        part = _minor(ours[name])
        taken = np.minimum(left, part)
        left = left - taken
        balance += part - taken
        changed[name] = _column(_amount(part - taken))
    changed["balance"] = _column(_amount(balance))
    due = pd.to_datetime(ours["due_on"])
    days = np.maximum((pd.Timestamp(later) - due).dt.days.fillna(0).to_numpy(dtype="int64"), 0)
    settled = balance == 0
    changed["dpd"] = _column(pa.array(np.where(settled, 0, days)).cast(_TEXT))
    changed["due_on"] = ours["due_on"].mask(pd.Series(settled, index=ours.index))
    changed["last_paid_on"] = ours["last_paid_on"].mask(pd.Series(touched, index=ours.index), later.isoformat())
    newer = ours.assign(**{name: column.to_numpy() for name, column in changed.items()}).astype("str")
    return newer if "account_ref" in frame.columns else newer.rename(columns=_chinese())


def write(frame: pd.DataFrame, path: Path, encoding: str = "") -> Path:
    """The frame as a file of the kind that its name says: `.csv`, `.csv.gz`, `.xlsx` or `.parquet`.

    encoding: of a CSV; default UTF-8, and GB18030 where the header is Chinese, as such lenders send it.
    """
    chosen = encoding or ("utf-8" if "account_ref" in frame.columns else "gb18030")
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".xlsx":
        _write_xlsx(frame, path)
    elif path.name.endswith((".csv", ".csv.gz")):
        frame.to_csv(path, index=False, encoding=chosen, lineterminator="\r\n")
    else:
        raise UsageError(
            f"{path.name} is no kind of file the sandbox writes", fix="name it .csv, .csv.gz, .xlsx or .parquet"
        )
    return path


def _write_xlsx(frame: pd.DataFrame, path: Path) -> None:
    import xlsxwriter

    plain = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), plain) as book:
        sheet = book.add_worksheet("accounts")
        sheet.write_row(0, 0, list(frame.columns))
        for row, cells in enumerate(frame.fillna("").itertuples(index=False), start=1):
            sheet.write_row(row, 0, cells)


def _chinese() -> dict[str, str]:
    return {name: field.header_zh for name, field in ACCOUNT_FIELDS.items()}


def _debtors(draw: np.random.Generator, rows: int) -> np.ndarray:
    """The debtor of each account, 0 to the number of debtors, ascending."""
    accounts = draw.choice([1, 2, 3], size=rows, p=SEVERAL_ACCOUNTS) if rows else np.zeros(0, dtype=np.int64)
    return np.repeat(np.arange(rows), accounts)[:rows]


def _persons(draw: np.random.Generator, people: int, as_of: date) -> dict[str, pa.Array]:
    """Everything that says who a debtor is, one entry per debtor, and the division they live in."""
    number = _spread(draw, people, _PEOPLE)
    birthplace, rest = np.divmod(number, _AGES_DAYS * _CENTENARIANS)
    division = draw.integers(len(DIVISIONS), size=people)
    age_days, sequence = np.divmod(rest, _CENTENARIANS)
    phone, alternative, contact_phone = (_phones(draw, people) for _ in range(3))
    places = pa.array([name for _, name in DIVISIONS], type=_TEXT)
    cities = pa.array([name[: name.index("市")] for _, name in DIVISIONS], type=_TEXT)
    email = _joined(
        _of(draw, people, [n.lower() for n in _FIRST_NAMES]),
        ".",
        _of(draw, people, [n.lower() for n in _LAST_NAMES]),
        _whole(draw.integers(1, 9_999, people)),
        "@",
        _of(draw, people, _HOSTS),
    )
    address = _joined(
        places.take(division),
        _of(draw, people, _ROADS),
        _whole(draw.integers(1, 999, people)),
        "号",
        _whole(draw.integers(1, 30, people)),
        "栋",
        _whole(draw.integers(101, 3_000, people)),
        "室",
    )
    employer = _joined(cities.take(division), _of(draw, people, _FIRMS), _of(draw, people, _TRADES), "有限公司")
    return {
        "name": _names(draw, people),
        "id_number": _resident_ids(birthplace, age_days, sequence, as_of),
        "phone": phone,
        "phone_alt": _some(draw, alternative, 0.6),
        "email": _some(draw, email, 0.55),
        "address": address,
        "employer": _some(draw, employer, 0.7),
        "contact_name": _some(draw, _names(draw, people), 0.8),
        "contact_phone": _some(draw, contact_phone, 0.8),
        "division": pa.array([code for code, _ in DIVISIONS], type=_TEXT).take(division),
    }


def _facts(draw: np.random.Generator, rows: int, as_of: date, division: pa.Array) -> dict[str, pa.Array]:
    product = draw.choice(len(PRODUCTS), size=rows, p=_PRODUCT_SHARES)
    bands = np.array(list(BUCKET_SHARES))
    band = draw.choice(len(bands), size=rows, p=np.array(list(BUCKET_SHARES.values())))
    dpd = draw.integers(bands[band, 0], bands[band, 1] + 1)
    principal = np.exp(np.log(_MEDIAN_PRINCIPAL[product]) + _SPREAD[product] * draw.standard_normal(rows))
    principal_minor = np.clip(principal, 5_000, 200_000_000).astype("int64")
    interest_minor = (principal_minor * (dpd * _LATE_INTEREST_PER_DAY)).astype("int64")
    fees_minor = 2_000 * (dpd // 30) + draw.integers(0, 2, rows) * 5_000
    original_minor = (principal_minor * draw.uniform(1.0, 2.5, rows)).astype("int64") // 100_000 * 100_000 + 100_000
    today = np.datetime64(as_of, "D")
    due = today - dpd
    opened = due - draw.integers(60, 1_500, rows)
    paid = due - draw.integers(1, 60, rows)
    band_of_score = np.clip(np.digitize(dpd, [31, 91, 181, 721]) + draw.integers(-1, 2, rows), 0, 4)
    elsewhere = _of(draw, rows, [code for code, _ in DIVISIONS])
    return {
        "product": pa.array(PRODUCTS, type=_TEXT).take(product),
        "currency": pa.array(["CNY"], type=_TEXT).take(np.zeros(rows, dtype="int64")),
        "original": _amount(original_minor),
        "principal": _amount(principal_minor),
        "interest": _amount(interest_minor),
        "fees": _amount(fees_minor),
        "balance": _amount(principal_minor + interest_minor + fees_minor),
        "dpd": _whole(dpd),
        "opened_on": _days(opened),
        "due_on": _days(due),
        "last_paid_on": _some(draw, _days(paid), 0.85),
        "region": pc.if_else(pa.array(draw.random(rows) < _AT_HOME_SHARE), division, elsewhere),
        "score_band": pa.array(list("ABCDE"), type=_TEXT).take(band_of_score),
        "_product_code": product,
    }


def _account_refs(draw: np.random.Generator, rows: int, seed: int, lender: str, product: np.ndarray) -> pa.Array:
    """Eighteen digits, some with leading zeros: exactly what a spreadsheet ruins."""
    issuer = zlib.crc32(lender.encode()) % 10_000
    number = _spread(draw, rows, 10**9)
    prefix = f"{issuer:04d}{seed % 1_000:03d}"
    return _digits([(int(prefix[0:4]), 4), (int(prefix[4:7]), 3), (product + 1, 2), (number, 9)], rows)


def _resident_ids(birthplace: np.ndarray, age_days: np.ndarray, sequence: np.ndarray, as_of: date) -> pa.Array:
    """Eighteen characters: division, birth date, 996 to 999, and the check character of ISO 7064 MOD 11-2."""
    latest = np.datetime64(as_of.replace(year=as_of.year - _YOUNGEST, day=1), "D")
    born = latest - age_days
    months = born.astype("datetime64[M]").astype("int64")
    year, month = months // 12 + 1970, months % 12 + 1
    day = (born - born.astype("datetime64[M]")).astype("int64") + 1
    codes = np.array([int(code) for code in BIRTHPLACES])[birthplace]
    letters = np.empty((len(birthplace), 18), dtype=np.uint8)
    letters[:, :17] = _digit_letters(
        [(codes, 6), (year, 4), (month, 2), (day, 2), (996 + sequence, 3)], len(birthplace)
    )
    letters[:, 17] = _CHECK_LETTERS[((letters[:, :17].astype(np.int64) - _ZERO) @ _CHECK_WEIGHTS) % 11]
    return _fixed(letters)


def _names(draw: np.random.Generator, people: int) -> pa.Array:
    two_given = pa.array(draw.random(people) < _TWO_GIVEN_SHARE)
    second = pc.if_else(two_given, _of(draw, people, _GIVEN), pa.scalar("", _TEXT))
    chinese = _joined(_of(draw, people, _SURNAMES), _of(draw, people, _GIVEN), second)
    english = _joined(_of(draw, people, _FIRST_NAMES), " ", _of(draw, people, _LAST_NAMES))
    return pc.if_else(pa.array(draw.random(people) < _ENGLISH_SHARE), english, chinese)


def _phones(draw: np.random.Generator, people: int) -> pa.Array:
    return _digits([(154, 3), (_spread(draw, people, 10**8), 8)], people)


def _spread(draw: np.random.Generator, count: int, among: int) -> np.ndarray:
    """`count` different whole numbers below `among`, spread over all of them: i ↦ a·i + b, a coprime to `among`."""
    step = int(draw.integers(among // 3, among // 2)) | 1
    while np.gcd(step, among) != 1:
        step += 2
    return (np.arange(count, dtype=np.int64) * step + int(draw.integers(among))) % among


def _of(draw: np.random.Generator, count: int, words: str | tuple[str, ...] | list[str]) -> pa.Array:
    return pa.array(list(words), type=_TEXT).take(draw.integers(len(words), size=count))


def _some(draw: np.random.Generator, texts: pa.Array, share: float) -> pa.Array:
    return pc.if_else(pa.array(draw.random(len(texts)) < share), texts, pa.scalar(None, _TEXT))


def _joined(*parts: pa.Array | str) -> pa.Array:
    columns = [pa.scalar(part, _TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*columns, pa.scalar("", _TEXT))


def _whole(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(_TEXT)


def _days(days: np.ndarray) -> pa.Array:
    return pa.array(days.astype("datetime64[D]")).cast(_TEXT)


def _amount(minor: np.ndarray) -> pa.Array:
    """Minor units as text with two decimals."""
    return _joined(_whole(minor // 100), ".", _digits([(minor % 100, 2)], len(minor)))


def _minor(texts: pd.Series) -> np.ndarray:
    """The text with two decimals that `_amount` wrote, as minor units."""
    return texts.str.replace(".", "").astype("int64").to_numpy()


def _column(texts: pa.Array) -> pd.Series:
    return pd.Series(pd.array(texts, dtype="str"))


def _digits(parts: list[tuple[np.ndarray | int, int]], rows: int) -> pa.Array:
    return _fixed(_digit_letters(parts, rows))


def _digit_letters(parts: list[tuple[np.ndarray | int, int]], rows: int) -> np.ndarray:
    """(rows, total width) ASCII codes of numbers written one after the other, each padded with zeros to its width."""
    letters = np.empty((rows, sum(width for _, width in parts)), dtype=np.uint8)
    start = 0
    for numbers, width in parts:
        rest = np.broadcast_to(np.asarray(numbers, dtype=np.int64), (rows,))
        for place in range(start + width - 1, start - 1, -1):
            rest, digit = np.divmod(rest, 10)
            letters[:, place] = digit + _ZERO
        start += width
    return letters


def _fixed(letters: np.ndarray) -> pa.Array:
    rows, width = letters.shape
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int64) if rows else np.zeros(1, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters)))
