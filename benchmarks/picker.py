"""How long a keystroke of the token picker takes among 100,000 tokens. Reference: one plain search of their labels.

python benchmarks/picker.py
"""

import json
import time
from pathlib import Path
from statistics import median

import pandas as pd

from tokenkit import config, explore
from tokenkit.frames import Opened
from tokenkit.widgets.pick import MOST, SEARCHED, TokenPicker

TOKENS = 100_000
TYPED = ("l", "la", "lab", "label-99", "owner_name-99999", "purpose-7 team-7", "mask-123", "nothing at all")


def main() -> None:
    """Measure and print."""
    names = {c: [f"{c}-{k}" for k in range(TOKENS)] for c in SEARCHED}
    people = pd.DataFrame(names, index=[f"tok1_{k}" for k in range(TOKENS)])
    view = explore.View(Opened(Path("none"), config.Settings()))
    view.__dict__["people"] = people
    picker, took, plain = TokenPicker(view), [], []
    for text in TYPED:
        began = time.perf_counter()
        picker.search(text).head(MOST)
        took.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
        people["label"].str.contains(text, regex=False)
        plain.append(1000 * (time.perf_counter() - began))
    value, reference = median(took), median(plain)
    made = {"name": "token_picker", "value": round(value, 1), "unit": "ms", "reference": round(reference, 1)}
    print(json.dumps(made | {"ratio": round(value / reference, 2), "goal": "value <= 100", "holds": value <= 100}))


if __name__ == "__main__":
    main()
