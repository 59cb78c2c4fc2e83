"""Weights: how much each sign says of misuse, learned from injected attacks; a score is what they add up to.

Reads  weights.json, which ``tokenkit bench train`` writes. Writes a file of that form.
The score is monotone and additive (docs/method/channels.md): more of a sign never lowers it, its parts are its reasons.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.channels.signs import FEWER
from tokenkit.config import Workspace
from tokenkit.errors import InputError

FILE_NAME = "weights.json"  # in a workspace: its own
SHIPPED = Path(__file__).with_name("weights.json")
HINGES = (0.0, 2.0, 4.0, 7.0, 11.0)  # bits from which on a sign says more (or less) than before
MOST_BITS = 12.0  # of a hinge: what is beyond says nothing more


@dataclass(frozen=True)
class Weights:
    """The weight of each sign beyond each hinge, in bits of evidence a bit of surprise.

    ``by_sign`` has one weight a hinge (0 or more) for each sign, ``trained`` says on what and how they were learned.
    A sign without weights has those that tokenkit comes with, or, where there are none, such as of another package's
    feature, the mean of all (of ``fewer_`` signs: of all such). ``leak`` is the direction in which
    features move together where data leaks for weeks (``drift``): a weight of each, below 0 where a rise speaks
    against it.
    """

    by_sign: Mapping[str, tuple[float, ...]]
    trained: Mapping[str, Any] = field(default_factory=dict)
    leak: Mapping[str, float] = field(default_factory=dict)

    def matrix(self, signs: list[str]) -> np.ndarray:
        """The weights of some signs (sign x hinge)."""
        return np.array([self._of(sign) for sign in signs])

    def _of(self, sign: str) -> np.ndarray:
        known = self.by_sign.get(sign) or shipped().by_sign.get(sign)
        if known:
            return np.array(known)
        is_fewer = sign.startswith(FEWER)
        alike = [row for name, row in self.by_sign.items() if name.startswith(FEWER) == is_fewer]
        return np.mean(alike, axis=0) if alike else np.zeros(len(HINGES))

    def parts(self, signs: pd.DataFrame) -> pd.DataFrame:
        """What each sign adds to the score of its row, in bits of evidence.

        Parameters
        ----------
        signs : bits of surprise, one column a sign (``signs.of_days``)

        Notes
        -----
        sum over hinges h of w_h min(max(x - h, 0), 12), x the bits of the sign.

        Examples
        --------
        >>> weights = Weights({"network": (0.5, 0.0, 1.0, 0.0, 0.0)})
        >>> weights.parts(pd.DataFrame({"network": [0.0, 3.0, 6.0, 60.0]}))["network"].tolist()
        [0.0, 1.5, 5.0, 18.0]
        """
        names = list(signs)
        return pd.DataFrame((hinged(signs) * self.matrix(names)).sum(axis=2), columns=names, index=signs.index)


def hinged(signs: pd.DataFrame) -> np.ndarray:
    """Bits of each sign beyond each hinge (row x sign x hinge)."""
    values = signs.to_numpy(dtype=float)[:, :, None]
    return np.minimum(np.maximum(values - np.array(HINGES), 0.0), MOST_BITS)


@cache
def shipped() -> Weights:
    """The weights that tokenkit comes with.

    Examples
    --------
    >>> shipped().trained["command"].startswith("tokenkit bench train")
    True
    """
    return read(SHIPPED)


def of_workspace(workspace: Workspace) -> Weights:
    """The weights of a workspace: its own (``tokenkit tune learn``), or those that tokenkit comes with.

    Raises
    ------
    InputError
        Its file cannot be read.
    """
    path = workspace.root / FILE_NAME
    return read(path) if path.exists() else shipped()


def read(path: Path) -> Weights:
    """Weights from a file.

    Raises
    ------
    InputError
        There is no such file, or it holds no weights; says what is wrong.
    """
    remedy = "Make one: tokenkit tune learn, or take it back: tokenkit tune forget"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no weights can be read: {error}. {remedy}") from error
    of_signs = stored.get("weights") if isinstance(stored, dict) and stored.get("hinges") == list(HINGES) else None
    if not of_signs or not isinstance(of_signs, dict):
        raise InputError(f"{path}: expected weights for the hinges {list(HINGES)}. {remedy}")
    by_sign = {}
    for sign, given in of_signs.items():
        row = given if isinstance(given, list) else []
        if len(row) != len(HINGES) or not all(isinstance(w, int | float) and 0 <= w < 100 for w in row):
            raise InputError(
                f"{path}: weights of {sign} are {given}, expected {len(HINGES)} numbers, 0 or more. {remedy}"
            )
        by_sign[sign] = tuple(float(w) for w in row)
    leak = stored["leak"] if "leak" in stored else shipped().leak  # a file of an earlier version has none
    if not isinstance(leak, dict) or not all(isinstance(w, int | float) and abs(w) < 100 for w in leak.values()):
        raise InputError(f"{path}: leak is {leak}, expected a number for each feature. {remedy}")
    about = {name: value for name, value in stored.items() if name not in ("hinges", "weights", "leak")}
    return Weights(by_sign, about, leak)


def write(weights: Weights, path: Path) -> None:
    """Write weights as a file that people can read: one line a sign, the heaviest first."""
    heaviest = sorted(weights.by_sign, key=lambda sign: (-sum(weights.by_sign[sign]), sign))
    lines = [f"  {json.dumps(sign)}: {json.dumps(list(weights.by_sign[sign]))}" for sign in heaviest]
    head = "".join(f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)},\n" for k, v in weights.trained.items())
    body = ",\n".join(lines)
    leak = json.dumps(dict(sorted(weights.leak.items(), key=lambda item: -abs(item[1]))))
    text = f'{{\n{head} "hinges": {json.dumps(list(HINGES))},\n "weights": {{\n{body}\n }},\n "leak": {leak}\n}}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
