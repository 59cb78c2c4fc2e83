"""Weights: a score is what its signs add up to, and a file of weights is read as it was written or refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenkit.channels import drift, signs, weights
from tokenkit.channels.weights import HINGES, Weights
from tokenkit.errors import InputError
from tokenkit.fingerprint import judged_features

WEIGHT = st.floats(0, 5)
ROW = st.tuples(*[WEIGHT] * len(HINGES))


@given(
    st.fixed_dictionaries(dict.fromkeys("abc", ROW)), st.lists(st.floats(0, 40), min_size=3, max_size=3),
    st.integers(0, 2), st.floats(0, 20),
)  # fmt: skip
@settings(deadline=None)
def test_more_of_a_sign_never_lowers_the_score_and_changes_no_other_part(
    by_sign: dict[str, tuple[float, ...]], bits: list[float], which: int, more: float
) -> None:
    some = Weights(by_sign)
    before = some.parts(pd.DataFrame([dict(zip("abc", bits, strict=True))])).iloc[0]
    bits[which] += more
    after = some.parts(pd.DataFrame([dict(zip("abc", bits, strict=True))])).iloc[0]
    name = "abc"[which]
    assert after[name] >= before[name] - 1e-9 and after.drop(name).equals(before.drop(name))


def test_a_sign_without_weights_has_the_mean_of_all() -> None:
    some = Weights({"a": (1.0, 0.0, 0.0, 0.0, 0.0), "b": (0.0, 1.0, 0.0, 0.0, 0.0)})
    found = some.parts(pd.DataFrame({"acme_breadth": [3.0]}))["acme_breadth"].iloc[0]
    assert found == 0.5 * 3.0 + 0.5 * 1.0


def test_what_is_written_is_read_and_reads_well(tmp_path: Path) -> None:
    some = Weights(
        {"light": (0.1, 0.0, 0.0, 0.0, 0.0), "heavy": (0.0, 0.5, 0.25, 0.0, 1.0)},
        {"command": "tokenkit bench train"},
        {"objects": 0.25, "requests": -0.5},
    )
    weights.write(some, tmp_path / "w.json")
    assert weights.read(tmp_path / "w.json") == some
    lines = (tmp_path / "w.json").read_text().splitlines()
    assert [line.split('"')[1] for line in lines if line.startswith("  ")] == ["heavy", "light"]


def test_weights_of_an_earlier_version_have_the_direction_of_a_leak_that_tokenkit_comes_with(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text(json.dumps({"hinges": list(HINGES), "weights": {"a": [1, 0, 0, 0, 0]}}))
    assert weights.read(path).leak == weights.shipped().leak
    assert set(weights.shipped().leak) <= {*judged_features(), drift.NEW_TO_IT}
    path.write_text(json.dumps({"hinges": list(HINGES), "weights": {"a": [1, 0, 0, 0, 0]}, "leak": {"rows": "x"}}))
    with pytest.raises(InputError, match="leak is"):
        weights.read(path)


def test_a_sign_that_weights_of_an_earlier_version_lack_has_those_that_tokenkit_comes_with() -> None:
    own = Weights({"requests": (1.0, 1.0, 1.0, 1.0, 1.0), "fewer_of_mine": (0.0, 0.5, 0.0, 0.0, 0.0)})
    assert own.matrix(["objects", "fewer_objects"]).tolist() == [
        list(weights.shipped().by_sign[name]) for name in ("objects", "fewer_objects")
    ]
    assert own.matrix(["of_a_package", "fewer_of_a_package"]).tolist() == [[1.0] * 5, [0.0, 0.5, 0.0, 0.0, 0.0]]


def test_the_shipped_weights_know_every_sign_and_say_how_they_were_learned() -> None:
    shipped = weights.shipped()
    assert set(shipped.by_sign) == set(signs.names())
    assert {"command", "organisations", "days"} <= set(shipped.trained)
    assert not {0, 1, 2, 3, 4} & set(shipped.trained["organisations"]["seeds"]), "the bench judges those"
    amounts = [row for sign, row in shipped.by_sign.items() if not sign.startswith("fewer_")]
    last = np.array(amounts)[:, 2:].sum(axis=1)
    assert (last > 0.1).all(), "whatever hardly ever happens by chance says something"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no weights can be read"),
        ("[]", "expected weights for the hinges"),
        (json.dumps({"hinges": [0], "weights": {"a": [1]}}), "expected weights for the hinges"),
        (json.dumps({"hinges": list(HINGES), "weights": {}}), "expected weights for the hinges"),
        (json.dumps({"hinges": list(HINGES), "weights": {"a": [1, 0]}}), "weights of a are"),
        (json.dumps({"hinges": list(HINGES), "weights": {"a": [1, 0, 0, 0, -1]}}), "weights of a are"),
        (json.dumps({"hinges": list(HINGES), "weights": {"a": [1, 0, 0, 0, "x"]}}), "weights of a are"),
    ],
)
def test_a_file_that_holds_no_weights_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(InputError, match=rf"w\.json: .*{said}"):
        weights.read(tmp_path / "w.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no weights can be read"):
        weights.read(tmp_path / "none.json")
