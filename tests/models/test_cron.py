"""Cron told in words, and the next times that it means."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cron import CronInvalid, in_words, next_runs

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("cron", "english", "chinese"),
    [
        ("*/15 * * * *", "every 15 minutes", "每 15 分钟"),
        ("* * * * *", "every minute", "每分钟"),
        ("17 * * * *", "every hour at :17", "每小时第 17 分"),
        ("0 6 * * *", "every day at 06:00", "每天 06:00"),
        ("30 6,18 * * *", "every day at 06:30 and 18:30", "每天 06:30、18:30"),
        ("0 7 2 * *", "the 2nd of every month at 07:00", "每月 2 日 07:00"),
        ("0 7 1,11,21 * *", "the 1st, 11th and 21st of every month at 07:00", "每月 1 日、11 日、21 日 07:00"),
        ("0 9 * * 1-5", "every weekday at 09:00", "每个工作日 09:00"),
        ("0 9 * * 1,3", "every Monday and Wednesday at 09:00", "每周一、三 09:00"),
        ("0 9 31 12 *", "the 31st of December at 09:00", "每年 12 月 31 日 09:00"),
        ("*/15 * * * 1-5", "every 15 minutes, every weekday", "每个工作日每 15 分钟"),
        ("0 */2 * * *", "0 */2 * * *", "0 */2 * * *"),
    ],
)
def test_cron_is_told_in_words(cron: str, english: str, chinese: str) -> None:
    assert in_words(cron) == (english, chinese)


def test_the_next_times_come_after_now_and_in_the_zone() -> None:
    found = next_runs("0 6 * * *", NOW, 2)
    assert found == [datetime(2026, 11, 23, 6, tzinfo=ZONE), datetime(2026, 11, 24, 6, tzinfo=ZONE)]
    assert all(one.tzinfo is ZONE for one in found)


@pytest.mark.parametrize("cron", ["", "0 6 * *", "61 * * * *", "x y z a b"])
def test_what_is_no_cron_is_refused(cron: str) -> None:
    with pytest.raises(CronInvalid):
        next_runs(cron, NOW)


def test_words_need_five_fields() -> None:
    with pytest.raises(CronInvalid):
        in_words("0 6 * *")


@given(st.integers(0, 59), st.integers(0, 23), st.integers(1, 28))
def test_what_is_told_as_a_time_of_the_day_is_when_it_runs(minute: int, hour: int, day: int) -> None:
    cron = f"{minute} {hour} {day} * *"
    runs = next_runs(cron, NOW, 3)
    assert all(f"{run:%H:%M}" in in_words(cron)[0] and run.day == day for run in runs)
    assert all(earlier < later for earlier, later in pairwise([NOW, *runs]))


def test_every_flow_that_runs_by_itself_can_say_when() -> None:
    from flows.catalogue import entries

    scheduled = [entry.schedule for entry in entries() if entry.schedule is not None]
    assert scheduled
    for one in scheduled:
        english, chinese = in_words(one.cron)
        assert english != one.cron
        assert chinese != one.cron
