"""A detector that knows what it must not know is refused, with the reason; an honest one is let in."""

import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from contenders import Calls, contender

from tokenkit.bench.detectors import leaks, registry
from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.detectors.rows import Rows
from tokenkit.channels.panel import detector
from tokenkit.errors import DetectorError


def test_an_honest_detector_is_let_in(unattacked):
    for one in [registry.choose(["tokenkit"])[0], contender(Calls()), registry.choose(["random"])[0]]:
        leaks.refuse(unattacked, one)


@pytest.fixture(scope="module")
def few(unattacked):
    """The two busiest profiles of the organisation: enough to score one alone and in company."""
    busiest = np.argsort(-np.nansum(unattacked.evidence.days.values["requests"], axis=1))[:2]
    return replace(unattacked, evidence=unattacked.evidence.of_profiles(np.sort(busiest)))


@pytest.mark.slow
@pytest.mark.parametrize("group", ["channels", "deviations+novelty", "controls"])
def test_every_contender_of_rows_is_honest(unattacked, group):
    for one in registry.choose([group]):
        leaks.refuse(unattacked, one)


@pytest.mark.slow
@pytest.mark.parametrize("one", registry.choose(["time series"]), ids=lambda one: one.name)
def test_every_contender_of_series_is_honest(few, one):
    leaks.refuse(few, one)


@pytest.mark.parametrize("name", registry.NOT_COMPARED)
def test_whom_the_registry_leaves_out_would_be_refused(unattacked, name):
    one = Contender(name, lambda seed: [Rows(name, detector(name, seed))], {name: 1.0}, learns="reference")
    with pytest.raises(DetectorError, match="another score in another batch"):
        leaks.refuse(unattacked, one)


def test_a_detector_that_knows_names_is_refused(unattacked):
    thieves = set(unattacked.evidence.days.profiles[:5])

    class Told(Calls):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] + 40.0 * rows["profile_uid"].isin(thieves))

    with pytest.raises(DetectorError, match="change with what the profiles are called"):
        leaks.refuse(unattacked, contender(Told()))


def test_a_detector_that_takes_a_name_it_never_heard_for_a_thief_is_refused(unattacked):
    class Guest(Calls):  # the twins of a trial have such names
        def fit(self, evidence, start, end):
            self.known = set(evidence.days.profiles)
            return super().fit(evidence, start, end)

        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] + 40.0 * ~rows["profile_uid"].isin(self.known))

    with pytest.raises(DetectorError, match="change with what the profiles are called"):
        leaks.refuse(unattacked, contender(Guest()))


def test_a_score_that_is_no_number_is_said_to_be_none(unattacked):
    class Silent(Calls):
        def score(self, evidence, start, end):
            return super().score(evidence, start, end).assign(raw_bits=np.nan)

    with pytest.raises(DetectorError, match="scores are no finite number"):
        leaks.refuse(unattacked, contender(Silent()))


def test_a_detector_that_reads_the_files_of_the_bench_is_refused(unattacked):
    label = unattacked.workspace.root / "truth.json"
    label.write_text("{}")

    class Reads(Calls):
        def fit(self, evidence, start, end):
            label.read_text()
            return self

    try:
        with pytest.raises(DetectorError, match=r"opened .*truth\.json"):
            leaks.refuse(unattacked, contender(Reads()))
    finally:
        label.unlink()


def test_a_detector_that_reads_them_when_it_scores_for_the_second_time_is_refused(unattacked):
    label = unattacked.workspace.root / "truth.json"
    label.write_text("{}")

    class Waits(Calls):
        scored = 0

        def score(self, evidence, start, end):
            self.scored += 1
            if self.scored == 2:
                label.read_text()
            return super().score(evidence, start, end)

    try:
        with pytest.raises(DetectorError, match=r"opened .*truth\.json"):
            leaks.refuse(unattacked, contender(Waits()))
    finally:
        label.unlink()


def test_a_detector_may_import_a_module_that_lies_beside_the_workspace(unattacked, monkeypatch):
    folder = unattacked.workspace.root.parent / "beside"
    folder.mkdir(exist_ok=True)
    (folder / "beside_of_a_test.py").write_text("HELD = 3.0\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # whatever the environment says: what it compiles it stores

    class Imports(Calls):
        def fit(self, evidence, start, end):
            assert import_module("beside_of_a_test").HELD == 3.0
            return super().fit(evidence, start, end)

    leaks.refuse(unattacked, contender(Imports()))


def test_a_detector_fitted_on_what_it_is_to_judge_is_refused(unattacked):
    class Peeks(Calls):
        def fit(self, evidence, start, end):
            self.middle = float(np.nanmean(evidence.days.values["requests"]))
            return self

        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] - self.middle)

    with pytest.raises(DetectorError, match=r"happened after .* fitted on rows that it is to judge"):
        leaks.refuse(unattacked, contender(Peeks()))


def test_a_detector_that_goes_on_learning_while_it_scores_is_refused(unattacked):
    class Learns(Calls):
        seen = 0

        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            rows = rows.assign(raw_bits=rows["raw_bits"] - self.seen)
            self.seen += 1
            return rows

    with pytest.raises(DetectorError, match="another score"):
        leaks.refuse(unattacked, contender(Learns()))


def test_a_detector_whose_score_follows_the_batch_is_refused(unattacked):
    class Ranks(Calls):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"].rank(pct=True))

    with pytest.raises(DetectorError, match="another score in another batch"):
        leaks.refuse(unattacked, contender(Ranks()))


def test_a_detector_that_uses_days_that_are_still_to_come_is_refused(unattacked):
    class Centred(Calls):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] - rows.groupby("profile_uid")["raw_bits"].transform("mean"))

    with pytest.raises(DetectorError, match="days after it are not there yet"):
        leaks.refuse(unattacked, contender(Centred()))
