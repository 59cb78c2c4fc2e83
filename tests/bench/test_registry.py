"""Every contender has one name, one group, and a budget that is his own."""

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench.detectors import adengine, registry
from tokenkit.bench.metrics.agreement import agreement
from tokenkit.bench.profiles import IN_VARIANTS, PROFILES
from tokenkit.errors import InputError


def test_every_contender_has_a_name_of_its_own_and_a_share_for_each_detector():
    every = registry.choose()
    assert len({one.name for one in every}) == len(every)
    for group, some in registry.catalogue().items():
        assert {one.group for one in some} == {group}
    for one in registry.choose(["tokenkit", "controls", "deviations", "time series"]):
        assert {detector.name for detector in one.make(0)} == set(one.shares)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_contenders_of_a_profile_exist(profile):
    names = {one.name for one in registry.choose(PROFILES[profile].contenders)}
    assert {"tokenkit", "random"} <= names and {one.name for one in registry.choose(IN_VARIANTS)} <= names


@pytest.mark.parametrize(
    ("name", "said"),
    [("IForrest", r"no contender 'IForrest'; did you mean IForest\?"), ("ECOD", "ECOD takes no part: ")],
)
def test_a_wrong_name_is_an_error_that_says_what_to_do(name, said):
    with pytest.raises(InputError, match=said):
        registry.choose([name])


def test_adengine_recommends_for_each_view_and_a_series(unattacked):
    table = adengine.advice(unattacked.evidence)
    assert table.index.tolist() == ["raw", "deviations", "deviations+novelty", "hourly series"]
    assert (table["reason"].str.len() > 0).all()
    (contender,) = registry.choose(["ADEngine, deviations"])
    (rows,) = contender.make(0)
    rows.fit(unattacked.evidence, *unattacked.evidence.periods.reference)
    assert type(rows.estimator.detector).__name__ == table.loc["deviations", "recommends"]


def test_agreement_is_one_with_itself_and_unknown_where_nobody_flagged():
    flagged = pd.DataFrame([("a", "p", 1)], columns=["detector", "profile_uid", "day"])
    table = agreement(flagged, ["a", "b", "c"], ["profile_uid", "day"])
    assert table.loc["a", "a"] == 1 and table.loc["a", "b"] == 0 and np.isnan(table.loc["b", "c"])
    assert agreement(flagged.iloc[:0], ["a"], ["profile_uid", "day"]).isna().all(axis=None)
