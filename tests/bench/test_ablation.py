"""Without a family: exactly its signs are gone, of days and of hours, and everything else is as it was."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import raw_logs

from tokenkit.bench.detectors import ablation
from tokenkit.channels import signs
from tokenkit.channels.foreign import ForeignObjects
from tokenkit.channels.signs import Scale
from tokenkit.fingerprint import judged_features
from tokenkit.normal import familiarity

# the signs of each family that are no amounts
NEW = {
    "network": {"network_moved", "network_beside", "unfamiliar_networks"},
    "client": {"client", "unfamiliar_clients"},
    "endpoint": {"operation", "unfamiliar_operations"},
    "objects": {"unfamiliar_objects"},
    "rhythm": {"hour_of_week"},
}
DAYS = 62


@pytest.fixture(scope="module")
def evidence():
    """Four profiles, for which every sign of every day has some bits; every other day all calls come from elsewhere."""
    plain = raw_logs.evidence_of(raw_logs.steady(profiles=4, days=DAYS), raw_logs.periods(42, DAYS))
    rows, columns = np.nonzero(plain.days.active)
    cells = {"profile_uid": plain.days.profiles[rows], "start": plain.days.days.as_unit("us")[columns]}
    hours = pd.DataFrame(cells).assign(
        requests=3.0, network=2.0, client=3.0, operation=4.0, hour_of_week=5.0, moved=columns % 2.0, new_networks=1.0
    )
    counts = {name: 6.0 for name in familiarity.nothing().columns[2:]}
    shape = plain.days.active.shape
    every = {name: np.full(shape, 7.0) for name in judged_features()}
    off = {name: np.where(np.arange(shape[1]) % 4 < 2, z, -z) for name, z in every.items()}  # above, and below
    made = replace(plain, bits=plain.bits | every, z=plain.z | off, hours=hours,
                   unfamiliarity=pd.DataFrame(cells).assign(**counts))  # fmt: skip
    # a silence that is one: five days after pauses of none
    values = {name: matrix.copy() for name, matrix in made.days.values.items()}
    for matrix in values.values():
        matrix[0, 50:55] = np.nan
    return replace(made, days=replace(made.days, values=values))


def its_signs(family):
    amounts = {name for name, its in judged_features().items() if its.family == family}
    return amounts | {f"fewer_{name}" for name in amounts} | NEW.get(family, set())


def of_days(evidence):
    return signs.of_days(evidence, Scale({}), raw_logs.day_of(42), raw_logs.day_of(DAYS))


@pytest.mark.parametrize("family", ablation.families())
def test_without_a_family_exactly_its_signs_are_gone(evidence, family):
    gone = its_signs(family)
    rows, columns, before = of_days(evidence)
    left_rows, left_columns, left = of_days(ablation.without(evidence, family))
    assert (before.max() > 0).all(), "else nothing is tested"
    assert left_rows.tolist() == rows.tolist() and left_columns.tolist() == columns.tolist()
    assert set(left.columns[(left == 0).all()]) == gone
    kept = [name for name in before if name not in gone]
    pd.testing.assert_frame_equal(left[kept], before[kept])


@pytest.mark.parametrize("family", ablation.families())
def test_without_a_family_exactly_its_signs_of_an_hour_are_gone(evidence, family):
    days = raw_logs.day_of(42), raw_logs.day_of(DAYS)
    _, before = signs.of_hours(evidence, Scale({}), *days)
    _, left = signs.of_hours(ablation.without(evidence, family), Scale({}), *days)
    gone = NEW.get(family, set()) & set(before)
    assert (before.max() > 0).all() and set(left.columns[(left == 0).all()]) == gone
    kept = [name for name in before if name not in gone]
    pd.testing.assert_frame_equal(left[kept], before[kept])


def test_every_sign_belongs_to_one_family_but_the_silence_that_active_days_show(evidence):
    of_family = [its_signs(family) for family in ablation.families()]
    assert sorted(name for some in of_family for name in some) == sorted(set(signs.names()) - {"silence"})


@pytest.mark.parametrize("family", ablation.families())
def test_what_only_others_touched_is_of_the_family_of_objects(evidence, family):
    reference = (raw_logs.day_of(0), raw_logs.day_of(42))
    detector = ablation.Without(ForeignObjects(), family).fit(evidence, *reference)
    scores = detector.score(evidence, raw_logs.day_of(42), raw_logs.day_of(DAYS))
    assert bool((scores["raw_bits"] > 0).any()) is (family != "objects")


def test_what_is_left_out_stays_in_the_evidence_it_was_taken_from(evidence):
    before = of_days(evidence)[2].copy()
    ablation.without(evidence, "network")
    pd.testing.assert_frame_equal(of_days(evidence)[2], before)
