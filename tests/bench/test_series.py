"""A night of a time series knows nothing of later days, and a twin has its token's past."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench.detectors import registry
from tokenkit.bench.detectors.series import hourly_calls


@pytest.fixture(scope="module")
def busiest(unattacked):
    rows = np.argsort(-np.nansum(unattacked.evidence.days.values["requests"], axis=1))[:2]
    return unattacked.evidence.of_profiles(np.sort(rows))


def test_the_calls_of_a_day_are_those_of_its_hours(unattacked):
    calls = hourly_calls(unattacked.evidence)
    per_day = calls.reshape(len(calls), -1, 24).sum(axis=2)
    np.testing.assert_array_equal(per_day, np.nan_to_num(unattacked.evidence.days.values["requests"]))


@pytest.mark.parametrize("name", ["SpectralResidual", "MatrixProfile", "TimeSeriesOD"])
def test_a_night_knows_nothing_of_the_days_after_it(busiest, name):
    (contender,) = registry.choose([name])
    (series,) = contender.make(0)
    periods = busiest.periods
    series.fit(busiest, *periods.reference)
    first, end = periods.calibration[0], periods.calibration[1]
    rows = series.score(busiest, first, end)
    cut = pd.Timestamp(sorted(rows["start"].unique())[4])
    hours = busiest.hours.assign(
        requests=busiest.hours["requests"].where(busiest.hours["start"] < cut + pd.Timedelta("1D"), 7_000)
    )
    again = series.score(replace(busiest, hours=hours), first, end)
    before, after = (r[r["start"] <= cut].reset_index(drop=True) for r in (rows, again))
    assert len(before) > 4 and not rows.equals(again)
    pd.testing.assert_frame_equal(before, after)


def test_a_twin_is_judged_by_its_tokens_past_without_learning_it_again(busiest):
    (contender,) = registry.choose(["SpectralResidual"])
    (series,) = contender.make(0)
    series.fit(busiest, *busiest.periods.reference)
    learned = len(series.pasts)
    names = {uid: f"twin of {uid}" for uid in busiest.days.profiles}
    twins = replace(
        busiest, days=replace(busiest.days, profiles=np.array(list(names.values()), dtype=object)),
        hours=busiest.hours.assign(profile_uid=busiest.hours["profile_uid"].map(names)),
    )  # fmt: skip
    days = (busiest.periods.start, busiest.periods.end)
    own, others = series.score(busiest, *days), series.score(twins, *days)
    assert len(own) and own["raw_bits"].equals(others["raw_bits"]) and len(series.pasts) == learned
