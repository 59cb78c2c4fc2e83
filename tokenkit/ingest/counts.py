"""Counts: how many records of a run's files were read, stored and not stored."""

from collections import Counter
from dataclasses import dataclass, field

from tokenkit.sources.fields.sameness import remarks

COUNTED = ("read", "stored", "duplicates", "quarantined", "ignored", "repeated", "differing")  # records
REASONS_SHOWN = 5


@dataclass
class Counts:
    """How many records of a run's files were read, stored and not stored.

    Of the stored, ``repeated`` are equal to an earlier record of their file, and calls of their own. Of the duplicates,
    ``differing`` have the id of another event and another content. ``reasons``: why pieces were quarantined. ``notes``:
    what their mappings got wrong. ``unfinished``: files whose last line is not finished, and is read when it is.
    """

    files: int = 0
    files_known: int = 0
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    ignored: int = 0
    repeated: int = 0
    differing: int = 0
    unfinished: int = 0
    ignored_files: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the counts as one line of text: a sum that adds up."""
        return (
            f"{self.read:,} records read = {self.stored:,} stored + {self.duplicates:,} duplicates"
            f" + {self.quarantined:,} quarantined + {self.ignored:,} ignored"
        )

    def remarks(self) -> list[str]:
        """Return why pieces were set aside, and what to know about records that only look alike or only have one id.

        Examples
        --------
        >>> from tokenkit.sources import clocks
        >>> Counts(reasons=Counter({clocks.FUTURE: 2})).remarks()
        ['2 set aside: its time lies in the future, a clock may be wrong']
        """
        in_order = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        lines = [f"{n:,} set aside: {reason}" for reason, n in in_order[:REASONS_SHOWN]]
        if others := sum(n for _, n in in_order[REASONS_SHOWN:]):
            lines.append(f"{others:,} set aside for other reasons (see the page)")
        if self.unfinished:
            lines.append(
                f"the last line of {self.unfinished:,} file{'s' * (self.unfinished > 1)} is not finished: it is read "
                "when it is, or when nobody wrote to the file for a day"
            )
        return lines + remarks(self.repeated, self.differing)

    def by_name(self) -> dict[str, int]:
        """Return the counts of records by their names, for other programs."""
        return {name: getattr(self, name) for name in COUNTED}
