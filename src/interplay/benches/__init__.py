"""The page of benchmarks, as versioned values: what is measured, on which data, beside which published figures.

A row's `settings` are the authors' published ones, or were selected on the validation part (`column` says which);
none was selected on test.
"""

from interplay.benches import hindsight, lasting, pages, rankers, recommenders, steering, timing
from interplay.benches.values import BENCHES, Bench, Entry

__all__ = [
    "BENCHES",
    "Bench",
    "Entry",
    "hindsight",
    "lasting",
    "pages",
    "rankers",
    "recommenders",
    "steering",
    "timing",
]
