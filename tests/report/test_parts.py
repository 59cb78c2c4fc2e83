"""Every section, in every state, with anything unknown, and with values that want to be more than text."""

import copy
import re
from html.parser import HTMLParser
from typing import get_args, get_origin, get_type_hints

import pytest
from report.facts_example import STATES, attention, not_enough_history, quiet

from tokenkit.report import findings, parts
from tokenkit.report.parts import card, front, render
from tokenkit.schema.facts import Facts

SECTIONS = (
    *("verdict", "brief", "next_steps", "incidents", "risk", "watch", "rules", "active", "rare", "owners"),
    *("answered", "coverage_and_health", "blind", "by_owner", "words", "footer"),
)
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\"><svg onload=alert(3)> ' onmouseover=alert(4) x='",
    '=HYPERLINK("http://example.invalid","x")',
    r"$\badcmd$ $x",
    "{{ 7 * 7 }} {% raw %}",
    "\u202egnp.exe \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "\x00\x1b[31m\ud800 \ufffe\u2028",
    "a" * 5000,
    "&lt;b&gt; &amp; <b>bold</b>",
]
# what has a form of its own; everything else is text from somewhere
FORMED = re.compile(r"^(\d{4}-\d\d-\d\dT|(inc|tok|run|own)1_)")
CHOICES = (
    "state",
    "window",
    "unit",
    "mark",
    "risk_level",
    "level",
    "verb",
    "status",
    "maturity",
    "timezone",
    "rule",
    "kind",
)


def page(facts) -> str:
    return "".join(getattr(parts, name)(facts).html for name in SECTIONS)


def with_text(value, text, key=""):
    """The same facts with every free text replaced."""
    if isinstance(value, dict):
        return {k: with_text(v, text, k) for k, v in value.items()}
    if isinstance(value, list):
        return [with_text(v, text, key) for v in value]
    return text if isinstance(value, str) and key not in CHOICES and not FORMED.match(value) else value


class Markup(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.open, self.unclosed = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("br", "wbr", "img", "path", "rect", "circle", "meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("state", STATES)
def test_every_section_is_well_formed_in_every_state(state):
    facts = STATES[state]()
    for name in SECTIONS:
        part = getattr(parts, name)(facts)
        read = Markup(part.html)
        assert read.unclosed == [] and read.open == [], name
        assert bool(part) == bool(part.html)
        assert "None" not in read.text and "nan" not in read.text.split(), name


def test_ids_on_a_page_differ_and_links_on_it_lead_somewhere():
    for make in STATES.values():
        html = page(make())
        ids = re.findall(r'\sid="([^"]+)"', html)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_the_verdict_says_what_happened_whose_turn_it_is_and_how_many_were_calm():
    text = str(parts.verdict(attention()))
    assert "invoice-export was used by someone else. Two other tokens left their usual behaviour." in text
    assert "Lock invoice-export now; limit returns-app; ask the owner of crm-sync. The other 185 tokens" in text


def test_a_quiet_day_says_so_and_shows_no_incident():
    facts = quiet()
    assert str(parts.verdict(facts)).startswith("Nothing to report")
    assert not parts.incidents(facts)
    assert "No incidents opened" in str(parts.verdict(facts)) or "no incidents opened" in str(parts.verdict(facts))


def test_without_history_the_absence_of_incidents_is_not_called_calm():
    facts = not_enough_history()
    text = str(parts.verdict(facts))
    assert "Only 1 hour of logs" in text and "means nothing yet" in text
    assert "behaved like themselves" not in page(facts)
    assert "stratus-red-team_2f" in str(parts.rare(facts))
    assert "AKIA...6HQ2" in str(parts.active(facts))
    assert not parts.watch(facts) and not parts.risk(facts)


def test_what_is_set_aside_is_counted_in_pieces_as_on_the_command_line():
    assert "<summary>Set aside <span>1 of 24 pieces</span>" in parts.coverage_and_health(attention()).html


def test_no_part_is_larger_than_its_whole():
    for make in STATES.values():
        for part, whole in re.findall(r"<dd>([\d,]+) <small>of ([\d,]+)</small>", parts.brief(make()).html):
            assert int(part.replace(",", "")) <= int(whole.replace(",", ""))


def test_only_commands_that_exist_are_shown():
    shown = {c for make in STATES.values() for c in re.findall(r"tokenkit ([a-z]\w+)", page(make()))}
    assert shown <= {"run", "tokens", "report", "doctor", "init", "schema", "config", "sources", "ingest"}


def test_words_that_accuse_or_hide_are_not_used():
    for make in STATES.values():
        text = Markup(page(make())).text.lower()
        assert not re.search(r"\b(anomal|outlier|alert\b|z-score)", text)


def test_shares_of_a_card_add_up_to_one_hundred():
    for article in parts.incidents(attention()).html.split("<article")[1:]:
        assert sum(int(p) for p in re.findall(r"<b>(\d+)%</b>", article)) == 100


def test_a_sum_over_channels_is_not_set_against_the_threshold_of_one():
    several, one, _ = (card.card(n, i, True)["score"] for n, i in enumerate(attention()["incidents"]))
    assert several == "50.0 points in all, from two ways of looking. The strongest reached its own threshold, 19.2."
    assert one == "24.6 points against a threshold of 18.1."


def test_a_card_sets_what_a_token_may_do_beside_what_it_did() -> None:
    facts = attention()
    text = re.sub(r"\s+", " ", str(parts.incidents(facts)))
    assert (
        "s3:GetObject, s3:ListBucket, sqs:SendMessage no call of the 4 weeks before has a word of: sqs:SendMessage"
        in text
    )
    assert "What it usually calls GetObject (812 calls) ListObjectsV2 (28 calls) in the 4 weeks before" in text
    assert "and 2 other kinds of call in the 4 weeks before" in text
    facts["incidents"][0]["unused_scopes"] = ["<script>alert(1)</script>"]
    assert "<script>" not in parts.incidents(facts).html


def test_a_card_leads_to_the_other_incidents_of_its_token_and_to_no_others():
    facts = attention()
    one, two, three = facts["incidents"]
    two["profile_uid"] = one["profile_uid"]
    facts["answered"] = [{**three, "incident_uid": "inc1_0123456789abcdef"}]
    first, second, third = parts.incidents(facts).html.split("<article")[1:]
    assert f'href="#{two["incident_uid"]}"' in first and f'href="#{one["incident_uid"]}"' in second
    assert third.count("Of the same token") == 1 and 'href="#inc1_0123456789abcdef"' in third
    assert f'href="#{three["incident_uid"]}"' not in first + second


def test_a_card_names_the_ids_that_earlier_reports_gave_it_and_links_to_them_lead_to_it():
    facts = attention()
    one, two, _ = facts["incidents"]
    one["aliases"], two["aliases"] = ["inc1_0123456789abcdef"], ["inc1_0123456789abcdef", "inc1_fedcba9876543210"]
    first, second, _ = parts.incidents(facts).html.split("<article")[1:]
    assert 'id="inc1_0123456789abcdef">(earlier inc1_0123456789abcdef)' in first
    assert 'id="inc1_0123456789abcdef"' not in second and 'id="inc1_fedcba9876543210"' in second


def test_confirmed_misuse_that_is_not_raised_any_more_stays_on_the_page():
    facts = quiet()
    facts["not_raised"] = [
        {"incident_uid": "inc1_a", "profile_uid": "tok1_a", "label": "ci-<b>", "mask": "AKIA...", "who": "ana",
         "made_time": "2026-03-03T09:12:00Z", "reason": "key was in a repository", "start": "2026-03-01T00:00:00Z",
         "end": "2026-03-02T00:00:00Z"}
    ]  # fmt: skip
    text = parts.answered(facts).html
    assert "Confirmed as misuse by ana on" in text and "key was in a repository" in text and "<b>" not in text
    assert 'href="#answered"' in page(facts)


def test_the_riskiest_are_written_out_and_the_others_folded():
    facts = attention()
    html = parts.incidents(facts, top=1).html
    assert html.count("<article") == 1
    assert "2 more <span>of lower risk" in html and 'id="inc1_a90c55e1774b20d8"' in html


def test_times_are_in_utc_and_in_the_owners_zone_where_it_is_known():
    text = str(parts.incidents(attention()))
    assert "02:00 UTC / 03:00 in Berlin" in re.sub(r"\s+", " ", text)
    assert "21:00 in Prague" in text


def unknown(kind, value, path=()):
    """The paths of all values that may be None or, marked by True, missing, by the type of the facts."""
    options = [k for k in get_args(kind) if k is not type(None)] if type(None) in get_args(kind) else [kind]
    if value is None or len(options) > 1:
        return
    if get_origin(options[0]) is list:
        for n, element in enumerate(value[:1]):
            yield from unknown(get_args(options[0])[0], element, (*path, n))
    for key, of in get_type_hints(options[0]).items() if hasattr(options[0], "__total__") else ():
        if key in value:
            if key in options[0].__optional_keys__:
                yield (*path, key), True
            if type(None) in get_args(of):
                yield (*path, key), False
            yield from unknown(of, value[key], (*path, key))


def without(facts, path, missing):
    facts = copy.deepcopy(facts)
    place = facts
    for step in path[:-1]:
        place = place[step]
    if missing:
        del place[path[-1]]
    else:
        place[path[-1]] = None
    return facts


def with_everything():
    """Facts in which every list has an element, and every key that may be missing is there."""
    facts = attention()
    first = facts["incidents"][0]
    first["action"] |= {"proposed": "lock", "why_not": "no handle", "note": "n", "undo": "u", "applied": "lock"}
    answer = {"verdict": "false_positive", "who": "ana", "made_time": "2026-03-01T09:00:00Z", "reason": "a load test",
              "until": None, "uid": "lab1_0", "closes": True, "expired": False}  # fmt: skip
    facts["answered"] = [facts["incidents"][1] | {"answer": answer}]
    facts["accepted"] = [
        {"incident_uid": "inc1_0", "profile_uid": "tok1_0", "label": "backup", "mask": "k...", "owner": "Marta Lind",
         "team": "Billing", "who": "ana", "made_time": "2026-03-01T09:00:00Z", "reason": "a migration",
         "start": "2026-02-20T00:00:00Z", "end": "2026-02-21T00:00:00Z", "version": 2, "calls": 12,
         "last_seen": "2026-03-01T00:00:00Z", "score_bits": 3.2}
    ]  # fmt: skip
    return facts


@pytest.mark.parametrize("make", [with_everything, not_enough_history])
def test_anything_that_is_not_known_is_left_out(make, monkeypatch):
    for figure in ("timeline", "small", "score"):  # they take the time, and have tests of their own
        monkeypatch.setattr(f"tokenkit.report.figures.{figure}", lambda *_, **__: render.Markup(""))
    facts = make()
    facts["incidents"] = facts["incidents"][:1]
    paths = list(unknown(Facts, facts))
    assert len(paths) > (50 if make is with_everything else 15)
    for path, missing in paths:
        changed = without(facts, path, missing)
        read = Markup(page(changed))
        findings(changed)
        assert read.unclosed == [] and not re.search(r"\bNone\b", read.text), path


def test_values_that_want_to_be_markup_stay_text():
    usual = Markup("".join(page(make()) for make in STATES.values()))
    for text in HOSTILE:
        for make in (attention, not_enough_history):
            read = Markup(page(with_text(make(), text)))
            assert read.unclosed == [] and read.open == []
            assert read.tags <= usual.tags and read.attributes <= usual.attributes, text
            shown = text[:20] if text.startswith("a") else text
            if text.isprintable():
                assert shown in read.text


def test_marks_that_turn_the_direction_of_text_do_not_reach_the_page():
    html = page(with_text(attention(), "abc\u202egnp.exe\x00\x1b"))
    assert "\u202e" not in html and "\x00" not in html and "\x1b" not in html
    assert "<bdi>abcgnp.exe</bdi>" in html


def test_a_very_long_value_loses_its_middle_and_the_page_stays_small():
    html = page(with_text(attention(), "x" * 5000))
    assert "x" * 1000 not in html and "…" in html
    assert len(html) < 150_000


def test_a_part_shows_itself_in_a_notebook_and_the_first_brings_the_stylesheet(monkeypatch):
    monkeypatch.setattr(render.Part, "_styled_by", None)
    first, second = parts.verdict(quiet()), parts.brief(quiet())
    assert first._repr_html_().startswith("<style>")
    assert not second._repr_html_().startswith("<style>")
    assert first._repr_html_().startswith("<style>"), "shown again, it brings it again"
    data, metadata = first._repr_mimebundle_()
    assert data["text/plain"].startswith("Nothing to report")
    assert (
        metadata["tokenkit"]["part"] == "verdict"
        and metadata["tokenkit"]["issue"] == "Norrland Parcels, Mon 2 Mar 2026"
    )
    assert data["text/html"].endswith(first.html)


def test_an_empty_part_is_false_and_has_no_html():
    part = parts.incidents(quiet())
    data, _ = part._repr_mimebundle_()
    assert not part and part._repr_html_() is None and set(data) == {"text/plain"}


def test_every_rule_of_the_stylesheet_stands_under_its_own_class():
    css = re.sub(r"/\*.*?\*/|@page\s*\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "", render.style(), flags=re.S)
    css = re.sub(r"<style>|</style>", "", css)
    groups = re.findall(r"(?:^|[{}])\s*([^@{}]+)\{", css)
    while any("(" in g for g in groups):  # what stands in brackets is no selector of its own
        groups = [re.sub(r"\([^()]*\)", "", g) for g in groups]
    selectors = [s.strip() for g in groups for s in g.split(",")]
    assert len(selectors) > 150
    own = re.compile(r"^(\[data-jp-theme-light=\"\w+\"\] )?\.tk\b|^body\.tk\b|^html:has")
    assert [s for s in selectors if not own.match(s)] == []


def test_the_same_facts_make_the_same_bytes():
    assert page(attention()) == page(attention())


def test_incidents_that_are_quiet_have_a_heading_of_their_own():
    facts = attention()
    facts["incidents"][-1] |= {"state": "quiet"}
    html = parts.incidents(facts).html
    active, calm = html.split('<h3 class="group">One from before, quiet in these days</h3>')
    assert active.count("<article") == 2 and calm.count("<article") == 1
    assert "The two incidents" in active


def test_an_incident_that_ended_days_ago_says_so_and_is_not_counted_as_open():
    facts = attention()
    facts["incidents"][1] |= {"ended": "2026-02-28T00:00:00Z"}
    assert "ended on Fri 27 Feb" in str(parts.incidents(facts))
    assert "2 open" in str(parts.brief(facts)) and "1 ended or quiet" in str(parts.brief(facts))


def test_a_key_that_has_to_be_locked_stands_before_a_question_that_happens_to_go_on():
    facts = attention()
    facts["incidents"][0] |= {"ended": "2026-02-28T00:00:00Z"}
    order = [i["action"]["verb"] for i in front.by_urgency(facts["incidents"])]
    assert order == ["restrict", "lock", "notify"], "of two that have to be stopped, the one that goes on"
    facts["incidents"][2] |= {"state": "quiet"}
    assert [i["action"]["verb"] for i in front.by_urgency(facts["incidents"])] == ["lock", "notify", "restrict"]
    facts["incidents"][0]["sure"]["level"] = "low"
    assert front.by_urgency(facts["incidents"])[0]["action"]["verb"] == "notify", "chance does not lock a key first"


def test_what_was_done_is_not_asked_for_again():
    facts = attention()
    assert "Lock " in str(parts.verdict(facts)) and "invoice-export" in str(parts.verdict(facts))
    facts["incidents"][0]["action"] |= {"applied": "lock", "title": "Locked: replace it, or undo"}
    assert "Lock " not in str(parts.verdict(facts)) and "Locked: replace it, or undo" in str(parts.brief(facts))


def test_each_token_is_asked_for_once_and_a_locked_one_not_again():
    facts = attention()
    one, _, three = facts["incidents"]
    facts["incidents"].append(three | {"incident_uid": "inc1_0", "profile_uid": one["profile_uid"],
                                       "token": one["token"]})  # fmt: skip
    text = str(parts.verdict(facts))
    assert "Two other tokens left" in text and "Lock invoice-export now; limit returns-app; ask the owner" in text
    facts["incidents"][-1]["action"] = one["action"] | {"applied": "lock", "title": "Locked: replace it, or undo"}
    assert "Lock invoice-export now" in str(parts.verdict(facts)), "what was done about one is not taken for the other"
    one["action"] = facts["incidents"][-1]["action"]  # as respond.add_actions has it, where the lock holds for both
    assert "invoice-export" not in re.search(r"behaviour[.](.*)The other", str(parts.verdict(facts)), re.S)[1]


def test_what_is_new_lists_nothing_that_is_everyday():
    html = parts.incidents(attention()).html
    assert '<span class="mark unseen">' in html and "FREQUENT" not in html.split("What is new")[1].split("</table>")[0]


def test_tokens_unused_for_long_are_a_part_of_those_that_are_idle():
    assert "3 new and 10 idle, 5 of them for more than 30 days" in str(parts.brief(attention()))


def test_what_was_answered_and_goes_on_is_listed_with_who_said_so_and_why():
    facts = quiet()
    answer = {"who": "ana", "made_time": "2026-03-01T09:00:00Z", "reason": "load test", "until": "2026-04-01",
              "verdict": "suppressed", "uid": "sup1_0", "closes": True, "expired": False}  # fmt: skip
    facts["answered"] = [attention()["incidents"][0] | {"answer": answer}]
    text = str(parts.answered(facts))
    assert "Suppressed until Wed 1 Apr by ana on Sun 1 Mar: load test." in text
    assert "One token goes on with what was answered" in str(parts.verdict(facts))
    assert "one incident, in a section of its own" in str(parts.verdict(facts))
    assert 'href="#answered"' in parts.brief(facts).html


def test_what_nobody_has_answered_is_the_headline_and_confirmed_misuse_is_named_below():
    facts = attention()
    answer = {"verdict": "true_positive", "who": "ana", "made_time": "2026-03-04T09:00:00Z", "reason": "in a gist",
              "until": None, "uid": "lab1_0", "closes": False, "expired": False}  # fmt: skip
    facts["incidents"][0]["answer"] = answer
    name = facts["incidents"][0]["token"]["label"]
    text = str(parts.verdict(facts))
    assert text.split("\n")[1].startswith("returns-app ") and f"Confirmed misuse: {name}." in text
    assert "Limit returns-app; lock invoice-export now; ask" in text, "the headline's own action first"
    for incident in facts["incidents"]:
        incident["answer"] = answer
    assert f"{name} was misused, as confirmed on Wed 4 Mar." in str(parts.verdict(facts))
    assert "Confirmed by ana on Wed 4 Mar: in a gist." in str(parts.incidents(facts))
