"""Figures: deterministic, in the page's colours, labelled in words, and calm about odd data."""

import re

import pytest
from report.facts_example import attention

from tokenkit.report import figures


@pytest.fixture
def timeline():
    return attention()["incidents"][0]["timeline"]


def test_a_timeline_is_two_drawings_that_tell_their_finding(timeline):
    svg = figures.timeline(timeline, "t", "invoice-export")
    assert re.findall(r'<svg class="(\w+)"', svg) == ["wide", "narrow"]
    assert svg.count('role="img"') == 2
    label = re.search(r'aria-label="([^"]+)"', svg)[1]
    assert "invoice-export" in label and "up to 720 MB" in label and "02:00 to 04:00" in label


def test_the_same_data_gives_the_same_bytes(timeline):
    assert figures.timeline(timeline, "t", "x") == figures.timeline(timeline, "t", "x")


def test_a_figure_brings_no_colour_font_style_or_id_of_its_own():
    for incident in attention()["incidents"]:
        svg = figures.timeline(incident["timeline"], "t", "x") + figures.score(incident, "s")
        assert not re.search(r"#[0-9a-fA-F]{6}|font-family|<style|<metadata|\sid=|url\(", svg)
        assert set(re.findall(r"var\(--([\w-]+)\)", svg)) <= {
            "ink",
            "ink-2",
            "accent",
            "line",
            "band",
            "wash",
            "rule",
            "card",
        }


def test_the_parts_of_a_score_stand_against_a_threshold_where_one_channel_made_them():
    several, one, _ = (str(figures.score(incident, "s")) for incident in attention()["incidents"])
    assert "threshold" not in several and 'aria-label="50.0 points, from 5 reasons."' in several
    assert one.count(">threshold 18.1<") == 2
    assert 'aria-label="24.6 points against a threshold of 18.1, from 2 reasons."' in one


def test_labels_with_dollars_and_markup_are_text(timeline):
    svg = figures.timeline(timeline | {"title": r"$\badcmd$ <b>", "unit": r"$\frac{"}, "t", '"><script>')
    assert "<script" not in svg and "<b>" not in svg
    assert r"$\frac{" in svg


def test_days_and_hours_are_labelled_by_what_they_are(timeline):
    assert "Incident, Wed 4 Mar, 02:00 to 04:00" in figures.timeline(timeline, "t", "x")
    days = attention()["incidents"][1]["timeline"]
    assert "Incident, 18 days from Sat 14 Feb" in figures.timeline(days, "t", "x")


def test_no_text_leaves_the_drawing():
    for incident in attention()["incidents"]:
        svg = figures.timeline(incident["timeline"], "t", "x")
        for drawing in svg.split("<svg")[1:]:
            width = float(re.search(r'viewBox="0 0 (\d+)', drawing)[1])
            for style, x, text in re.findall(r'<text style="([^"]*)" x="([\d.-]+)"[^>]*>([^<]*)', drawing):
                length = len(text) * 6.0
                anchor = re.search(r"text-anchor:(\w+)", style)
                begin = float(x) - {"start": 0, "middle": length / 2, "end": length}[anchor[1] if anchor else "start"]
                assert begin >= -6 and begin + length <= width + 8, text


@pytest.mark.parametrize(
    "points",
    [
        [],
        [["2026-03-01T00:00:00Z", 1]],
        [["not a time", 1], ["2026-03-01T01:00:00Z", 1], ["2026-03-01T02:00:00Z", float("nan")]],
    ],
)
def test_too_few_points_draw_nothing(timeline, points):
    assert figures.timeline(timeline | {"points": points, "band": []}, "t", "x") == ""


def test_zeros_gaps_and_a_missing_band_are_drawn(timeline):
    flat = [[when, 0] for when, _ in timeline["points"]]
    assert "<svg" in figures.timeline(timeline | {"points": flat, "band": [], "flagged": []}, "t", "x")
    holes = {"points": timeline["points"][:20] + timeline["points"][40:], "band": []}
    assert "<svg" in figures.timeline(timeline | holes, "t", "x")


def test_a_drifting_token_shows_where_it_is_and_where_it_was():
    row = attention()["watch"][0]
    svg = figures.small(row, "w")
    assert "53 GB" in svg and re.search(r'aria-label="[^"]*warehouse-load: now 53 GB, usually', svg)
    assert figures.small(row | {"series": [], "band": []}, "w") == ""
