"""A kind of network that is new to a profile surprises, however often its networks change; without a file nothing does.

People change networks most days. On the last day one token is used from a rented machine, too, another from one more
home network, and a third from a network that the file does not know.
"""

from pathlib import Path
from typing import Any

import mmdb
import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of, moment

from tokenkit import config, identity
from tokenkit.config import Workspace
from tokenkit.judge import judge
from tokenkit.judge.judgement import Judgement
from tokenkit.normal import network_classes, novelty
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.tokens.profiles import token_profiles

DAY, THIEF, TRAVELLER, UNKNOWN = 46, 0, 1, 2
KEY = "ab" * 32
HOSTILE = "<img src=x onerror=alert(1)> {{7*7}} \u202e'; drop"


def formed(folder: Path, with_file: bool, more: list[dict[str, Any]] | None = None, as_name: str = "") -> Workspace:
    """What was read of the people, with a file that knows their networks, or without."""
    place = raw_logs.workspace(folder / "w")
    place.key.write_text(KEY + "\n")
    if with_file:
        mmdb.write_places(place.root / "a.mmdb", as_name or "AMAZON-02")
        mmdb.set_in(place.root, "a.mmdb")
        place = Workspace(place.root, config.load_settings(place.root / config.FILE_NAME))
    lines = mmdb.people(DAY) + mmdb.calls_from(mmdb.RENTED, THIEF, DAY, 4)
    lines += mmdb.calls_from("20.1.252.9", TRAVELLER, DAY) + mmdb.calls_from("203.0.113.9", UNKNOWN, DAY)
    raw_logs.form(place, raw_logs.write(folder / "a.log", lines + (more or [])))
    return place


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return formed(tmp_path_factory.mktemp("without"), False)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return formed(tmp_path_factory.mktemp("known"), True, as_name=HOSTILE)


def hours(place: Workspace, labelled: LabelledPeriods | None = None) -> pd.DataFrame:
    groups = pd.Series("people", index=token_profiles(place)["profile_uid"].unique())
    return novelty.graded_hours(place, groups, day_of(0), day_of(DAY + 1), labelled)


def uid(person: int) -> str:
    return identity.token_uid(bytes.fromhex(KEY), "gateway:default", mmdb.key_of(person))


def bits(found: pd.DataFrame, person: int) -> float:
    at = found[(found["start"] == moment(DAY, 10)) & (found["profile_uid"] == uid(person))]
    return float(at["network"].item())


def test_a_rented_machine_surprises_where_another_home_does_not(without: Workspace, known: Workspace) -> None:
    before, after = hours(without), hours(known)
    assert bits(before, THIEF) < 2 and bits(before, TRAVELLER) < 2
    assert bits(after, THIEF) > 8
    assert bits(after, TRAVELLER) == bits(before, TRAVELLER)


def test_an_unknown_class_is_never_new(without: Workspace, known: Workspace) -> None:
    assert bits(hours(known), UNKNOWN) == bits(hours(without), UNKNOWN)


def test_no_hour_has_fewer_bits_than_without_the_file_and_only_of_networks(
    without: Workspace, known: Workspace
) -> None:
    before, after = hours(without), hours(known)
    others = [name for name in before if name != "network"]
    pd.testing.assert_frame_equal(before[others], after[others])
    assert (after["network"] >= before["network"]).all()


def test_without_a_file_scores_are_those_of_networks_alone(without: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    as_now = hours(without)

    def asked(*_: object) -> None:
        raise AssertionError("classes were asked for")

    for name in ("uses", "at_least_class"):
        monkeypatch.setattr(network_classes, name, asked)
    pd.testing.assert_frame_equal(hours(without), as_now)
    assert network_classes.read(without) is None


def test_private_addresses_and_services_alone_make_no_classes(tmp_path: Path) -> None:
    lines = [raw_logs.nginx(a, remote_addr=a) for a in ("10.1.2.3", "x.amazonaws.com", "203.0.113.1")]
    place = raw_logs.workspace(tmp_path / "w")
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines))
    assert network_classes.read(place) is None


def test_a_class_is_new_once(tmp_path: Path) -> None:
    early = mmdb.calls_from("198.51.100.9", THIEF, DAY - 3)
    place = formed(tmp_path, True, [*early, *mmdb.calls_from("10.0.0.1", TRAVELLER, DAY)])
    found = hours(place)
    assert bits(found, THIEF) < 5, "the class is known since three days"
    assert bits(found, TRAVELLER) > 8, "a private network is a class as any other"


def test_a_class_that_was_seen_in_misuse_only_stays_new(tmp_path: Path) -> None:
    place = formed(tmp_path, True, mmdb.calls_from("198.51.100.9", THIEF, DAY - 3))
    misuse = pd.DataFrame(
        {"profile_uid": [uid(THIEF)], "start": [pd.Timestamp(moment(DAY - 3))], "end": [pd.Timestamp(moment(DAY - 2))]}
    )
    assert bits(hours(place, LabelledPeriods(misuse=misuse)), THIEF) > 8


def test_others_bring_the_classes_that_they_used(known: Workspace, without: Workspace) -> None:
    groups = pd.Series("people", index=token_profiles(known)["profile_uid"].unique())
    assert "network_class" not in novelty.others(without, groups, day_of(0), day_of(DAY)).first_uses
    others = novelty.others(known, groups, day_of(0), day_of(DAY + 1))
    itself = {name: name for name in groups.index}
    found = novelty.graded_hours(known, groups, day_of(0), day_of(DAY + 1), None, others, itself)
    assert bits(found, THIEF) == pytest.approx(bits(hours(known), THIEF))


# ---- on the card ----
def judged(place: Workspace) -> Judgement:
    place.settings.detection.budget = 400.0
    return judge(place, raw_logs.periods(42, DAY + 1))


def of_thief(place: Workspace) -> list[dict[str, Any]]:
    found: list[Any] = [r for r in judged(place).incidents if r["profile_uid"] == uid(THIEF)]
    return [r for r in found if any(reason["feature"] == "network" for reason in r["reasons"])]


def test_the_reason_names_the_kind_of_network_and_who_runs_it(known: Workspace) -> None:
    (record,) = of_thief(known)
    reason = next(r for r in record["reasons"] if r["feature"] == "network")
    assert reason["title"] == "Used from a hosting provider, a kind of network it never used"
    assert reason["observed"].startswith("198.51.100.0/24 (AS16509 <img src=x onerror=alert(1)> {{7*7}}")
    assert reason["observed"].endswith("): 4 calls of 4") and reason["value"] == 4
    assert "\u202e" not in reason["sentence"]
    assert sum(r["bits"] for r in record["reasons"]) == pytest.approx(record["score_bits"])
    assert sum(r["share"] for r in record["reasons"]) == pytest.approx(1)


def test_without_a_file_no_kind_is_named(without: Workspace) -> None:
    texts = [reason["sentence"] for r in judged(without).incidents for reason in r["reasons"]]
    assert texts and not any("kind of network" in text or "(AS" in text for text in texts)
