"""How long a keystroke of the token picker takes among 100,000 tokens. Reference: one plain search of their labels.

python benchmarks/picker.py
"""

import json
import time
from statistics import median

import pandas as pd

from tokenkit.widgets.token_picker import MAX_LISTED, SEARCH_COLUMNS, names_of, search

TOKENS = 100_000
TYPED = ("l", "la", "lab", "label-99", "owner_name-99999", "purpose-7 team-7", "mask-123", "nothing at all")


def main() -> None:
    """Measure and print."""
    texts = {c: [f"{c}-{k}" for k in range(TOKENS)] for c in SEARCH_COLUMNS}
    people = pd.DataFrame(texts, index=[f"tok1_{k}" for k in range(TOKENS)])
    names, took, plain = names_of(people), [], []
    for text in TYPED:
        began = time.perf_counter()
        search(people, names, text).head(MAX_LISTED)
        took.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
        people["label"].str.contains(text, regex=False)
        plain.append(1000 * (time.perf_counter() - began))
    value, reference = median(took), median(plain)
    made = {"name": "token_picker", "value": round(value, 1), "unit": "ms", "reference": round(reference, 1)}
    print(json.dumps(made | {"ratio": round(value / reference, 2), "goal": "value <= 100", "holds": value <= 100}))


if __name__ == "__main__":
    main()
