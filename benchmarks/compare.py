"""Detectors side by side at one budget: makes the table and the figures of docs/compare.md.

    python benchmarks/compare.py [--seeds 0 1 2 3 4] [--tokens 100] [--days 60] [--contenders ...] [--docs docs]

With the default seeds and sizes docs/compare.md (between its markers) and docs/compare*.png are written; with others
only where --docs names a folder, which holds a compare.md with the markers. An organisation is simulated, compared and
forgotten before the next. The last line is the JSON of the headline: attacks caught by tokenkit, with the most that a
detector of PyOD (of rows or of series) caught beside it.
"""

import argparse
import json
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from tokenkit.bench import compare, metrics
from tokenkit.bench.page import figures

BEGIN, END = "<!-- made by benchmarks/compare.py: begin -->", "<!-- made by benchmarks/compare.py: end -->"
DOCS = Path(__file__).parents[1] / "docs"
DEFAULTS = {"seeds": [0, 1, 2, 3, 4], "tokens": 100, "days": 60}


def main() -> None:
    """Run, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=DEFAULTS["seeds"])
    parser.add_argument("--tokens", type=int, default=DEFAULTS["tokens"])
    parser.add_argument("--days", type=int, default=DEFAULTS["days"])
    parser.add_argument("--budget", type=float, default=5.0)
    parser.add_argument("--contenders", nargs="*", default=[])
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    begun, chosen, parts, advice = time.monotonic(), compare.choose(given.contenders), [], None
    for seed in given.seeds:
        cases = compare.organisations([seed], given.tokens, given.days)
        advice = compare.advice(cases[0]) if advice is None else advice
        parts.append(compare.run(cases, chosen, given.budget))
        print(json.dumps({"seed": seed, "minutes": round((time.monotonic() - begun) / 60, 1),
                          "caught": parts[-1].table()["caught"].to_dict()}), flush=True)  # fmt: skip
    assert advice is not None
    measured = compare.joined(parts)
    table = measured.table()
    print(table.round(3).to_string())
    full = not given.contenders and all(getattr(given, name) == value for name, value in DEFAULTS.items())
    if docs := given.docs or (DOCS if full else None):
        write(docs, measured, advice, command(given), (time.monotonic() - begun) / 60)
    kinds = [*compare.MATRICES, "hourly series"]
    pyod = table[table["sees"].isin(kinds) & (table["how"] != "rule")]
    best = int(pyod["caught"].max()) if len(pyod) else None
    ours = int(table["caught"].get(compare.PIPELINE, 0))
    headline = {
        "name": "attacks_caught_at_one_budget", "value": ours, "unit": f"of {int(table['attacks'].max())}",
        "reference": best, "ratio": round(ours / best, 3) if best else None,
        "goal": "ratio >= 1: no detector of PyOD catches more", "holds": best is None or ours >= best,
    }  # fmt: skip
    print(json.dumps(headline))


def command(given: argparse.Namespace) -> str:
    """What to type to get this table again."""
    said = "python benchmarks/compare.py"
    for name, value in DEFAULTS.items():
        if getattr(given, name) != value:
            values = getattr(given, name)
            said += f" --{name} " + (" ".join(map(str, values)) if isinstance(values, list) else str(values))
    return said + (f" --budget {given.budget:g}" if given.budget != 5.0 else "")


def write(docs: Path, measured: compare.Comparison, advice: pd.DataFrame, typed: str, minutes: float) -> None:
    """Replace what stands between the markers, and the figures."""
    table = measured.table()
    order = list(table.index)
    for name, ax in {
        "compare.png": figures.recall(table),
        "compare_cpu.png": figures.recall(table, x="cpu_s"),
        "compare_caught.png": figures.caught(measured.outcomes, order),
        "compare_agreement.png": figures.agreement(measured.agreement(figures.best_of(table))),
    }.items():
        (docs / name).write_bytes(figures.png(ax, dpi=90))
    runs = measured.runs
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pyod", "scikit-learn", "numpy"))
    sizes = runs.groupby("organisation")[["profiles", "days"]].first()
    text = [
        BEGIN, "",
        f"`{typed}`, {date.today().isoformat()}, Python {platform.python_version()}, {libraries}; {minutes:.0f} "
        f"minutes. {len(sizes)} organisations, {int(sizes['profiles'].sum())} profiles, {int(sizes['days'].sum())} "
        f"reported days, {int(table['attacks'].max())} attacks.", "",
        "| contender | caught | recall (95%) | incidents a day | of budget | precision | hours | CPU s | scored |",
        "|---|---|---|---|---|---|---|---|---|",
        *[row(name, r) for name, r in table.iterrows()], "",
        f"![{figures.alt(figures.recall(table))}](compare.png)", "",
        "What each catches, of each kind of attack:", "", markdown(metrics.misses(measured.outcomes, order)), "",
        "What ADEngine recommends (its own rules, no model asked):", "", markdown(advice), "",
        "Which attack each misses (with ranks), CPU seconds, and agreement: [compare_caught.png](compare_caught.png), "
        "[compare_cpu.png](compare_cpu.png), [compare_agreement.png](compare_agreement.png).", "",
        END,
    ]  # fmt: skip
    page = docs / "compare.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{page} lacks the markers {BEGIN} and {END}: put them where the table belongs"
    page.write_text(before + "\n".join(text) + after, encoding="utf-8")


def row(name: object, r: pd.Series) -> str:
    """One contender of the table."""
    precision = "-" if pd.isna(r["precision"]) else f"{r['precision']:.2f}"
    hours = "-" if pd.isna(r["hours"]) else f"{r['hours']:.0f}"
    cells = [name, f"{r['caught']:.0f} of {r['attacks']:.0f}", f"{r['recall']:.2f} [{r['low']:.2f}, {r['high']:.2f}]",
             f"{r['a_day']:.1f}", f"{r['of_budget']:.2f}", precision, hours, f"{r['cpu_s']:.3g}", r["how"]]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def markdown(frame: pd.DataFrame) -> str:
    """A frame as a table of Markdown, its index first."""
    lines = ["| | " + " | ".join(map(str, frame.columns)) + " |", "|" + "---|" * (frame.shape[1] + 1)]
    lines += ["| " + " | ".join([str(name), *map(str, cells)]) + " |"
              for name, *cells in frame.itertuples(name=None)]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
