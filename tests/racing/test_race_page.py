"""The page of a race that trained nothing: what it says, and that it asks for nothing."""

import re
import xml.etree.ElementTree as ET
from html import unescape

from genlab.comparison.report.race_chart import Point, chart
from genlab.comparison.report.race_page import make_race_page
from genlab.racing.directory_of_race import RaceDirectory
from genlab.racing.standing import out_reasons
from racing.fake import FACTS, FakeRunner, race, record


def quality(name, amount, seed):
    return (1 + "abcde".index(name)) * (1 + 10 / amount) + seed / 100


def page_of(tmp_path, asked, runner):
    place = RaceDirectory.create(tmp_path, "r", asked, ["genlab", "race"])
    _, journal = race(place.path, asked, runner)
    return make_race_page(place), journal


def test_it_says_the_verdict_every_reason_and_what_to_type(tmp_path):
    asked = record("abcde", "40000images")
    page, journal = page_of(tmp_path, asked, FakeRunner(quality))
    shown = unescape(re.sub(r"<[^>]+>", " ", page))
    for sentence in journal.last("verdict")["sentences"]:
        assert sentence in shown
    for name, reason in out_reasons(journal).items():
        assert name in shown
        assert reason in shown
    assert re.search(r"genlab train run=\S*/r/a-s0 .*trainer\.max_images=\d+", shown)
    assert "vae" in shown.split("What was not tried")[2]  # after the link and the heading
    assert "<script" not in page


def test_what_a_user_typed_cannot_become_markup(tmp_path):
    words = ("data=<script>alert(1)</script>",)
    runner = FakeRunner(quality, facts=FACTS | {"note": "<img src=x>"})
    page, _ = page_of(tmp_path, record("abc", "40000images", words), runner)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_finalists_that_are_not_told_apart_get_the_command_that_would(tmp_path):
    def noisy(name, amount, seed):
        return 10 + (seed * 7 + ord(name)) % 5

    page, journal = page_of(tmp_path, record("ab", "40000images"), FakeRunner(noisy))
    assert not journal.last("verdict")["told"]
    assert re.search(r"genlab race resume \S*r seeds=6", page)


def test_the_chart_is_a_picture_of_the_numbers():
    points = [Point("a", 0, 1, 4.0, 10), Point("a", 0, 4, 1.0, 40), Point("a", 1, 4, 2.0, 40)]
    drawn = chart(points, "fd<", "lower", {"a": "#123456"})
    tree = ET.fromstring(drawn.partition("<p class")[0])
    circles = [x for x in tree.iter() if x.tag.endswith("circle")]
    at = [(float(x.get("cx")), float(x.get("cy"))) for x in circles]
    assert at[0][0] < at[1][0] == at[2][0]
    assert at[0][1] < at[2][1] < at[1][1]  # a lower value stands lower
    assert abs((at[0][1] + at[1][1]) / 2 - at[2][1]) < 0.1  # 2 is halfway from 1 to 4
    assert [x.get("fill") for x in circles] == ["#123456", "#123456", "none"]
    assert tree.get("aria-label") == "fd<"


def test_values_below_nothing_are_drawn_on_a_plain_scale():
    points = [Point("a", 0, 1, -4.0, 10), Point("a", 0, 4, 4.0, 40), Point("b", 0, 4, 0.0, 40)]
    tree = ET.fromstring(
        chart(points, "x", "lower", {"a": "#1", "b": "#2"}).partition("<p class")[0]
    )
    heights = [float(x.get("cy")) for x in tree.iter() if x.tag.endswith("circle")]
    assert abs((heights[0] + heights[1]) / 2 - heights[2]) < 0.1
    assert chart([], "x", "lower", {}) == "<p>Nothing was measured.</p>"
