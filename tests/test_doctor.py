"""Doctor: what it says of the weights of a workspace; its other checks are tested at the command line."""

import json

import pytest

from tokenkit import config, doctor
from tokenkit.channels import weights
from tokenkit.channels.weights import HINGES, Weights


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("TOKENKIT_WORKSPACE", raising=False)
    monkeypatch.setattr(doctor, "PACKAGES", ())  # to import them takes long
    monkeypatch.chdir(tmp_path)
    return config.init(tmp_path)


def of_weights():
    (one,) = [check for check in doctor.check() if check.name == "weights"]
    return one


def put(place, stored):
    (place.root / weights.FILE_NAME).write_text(stored if isinstance(stored, str) else json.dumps(stored))


def file_of(by_sign):
    return {"hinges": list(HINGES), "weights": by_sign}


def test_without_weights_of_its_own_a_workspace_has_those_of_tokenkit(place):
    assert (of_weights().ok, of_weights().found) == (True, "as tokenkit has them")


def test_weights_of_its_own_are_named_with_who_learned_them_and_when(place):
    trained = {"set_by": "ana", "set_on": "2026-03-04", "set_why": "a new team"}
    weights.write(Weights(weights.shipped().by_sign, trained), place.root / weights.FILE_NAME)
    assert (of_weights().ok, of_weights().found) == (True, "your own, by ana on 2026-03-04")


@pytest.mark.parametrize(("trained", "said"), [({"set_by": "ana"}, "your own, by ana"), ({}, "your own")])
def test_weights_that_do_not_say_who_or_when_are_a_workspaces_own_all_the_same(place, trained, said):
    put(place, file_of({"network": [0.0] * 5}) | trained)
    assert (of_weights().ok, of_weights().found) == (True, said)


DAMAGED = {
    "cut": '{"hinges": [0.0, 2.0',
    "no json": "weights",
    "a list": [1, 2, 3],
    "nothing": {},
    "no weights": file_of({}),
    "other hinges": {"hinges": [0.0, 1.0], "weights": {"network": [0.1, 0.2]}},
    "too few": file_of({"network": [0.1, 0.2]}),
    "negative": file_of({"network": [0.1, 0.2, 0.3, 0.4, -0.5]}),
    "no numbers": file_of({"network": ["a", "b", "c", "d", "e"]}),
    "not a number": file_of({"network": [0.1, 0.2, 0.3, 0.4, float("nan")]}),
    "text": file_of({"network": "12345"}),
    "one number": file_of({"network": 5}),
    "null": file_of({"network": None}),
    "weights in a list": file_of([0.1, 0.2, 0.3, 0.4, 0.5]),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_weights_are_said_to_be_damaged_and_what_to_do(place, damage):
    put(place, DAMAGED[damage])
    found = of_weights()
    assert not found.ok and str(place.root / weights.FILE_NAME) in found.found and "\n" not in found.found
    assert found.do == "Take your own back: tokenkit tune forget"


def test_weights_of_a_sign_that_is_not_here_are_kept_and_change_no_other(place):
    """A package that brings a feature may be gone: its weights wait for it."""
    shipped = weights.shipped().by_sign
    put(place, file_of(dict(shipped) | {"gone_feature": [1.0, 2.0, 3.0, 4.0, 5.0]}))
    assert of_weights().ok
    own = weights.of_workspace(place)
    assert own.by_sign["gone_feature"] == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert (own.matrix(list(shipped)) == weights.shipped().matrix(list(shipped))).all()
