"""Robust: medians of matrices with missing values."""

import numpy as np


def row_median(values: np.ndarray) -> np.ndarray:
    """The median of each row, without its NaN; NaN of a row that holds nothing else.

    Examples
    --------
    >>> row_median(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])).tolist()
    [2.0, nan]
    """
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)  # NaN last
    n = (~np.isnan(ordered)).sum(axis=1)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, np.maximum(n - 1, 0) // 2], ordered[rows, np.minimum(n // 2, ordered.shape[1] - 1)]
    return np.where(n > 0, (low + high) / 2, np.nan)


def column_median(values: np.ndarray) -> np.ndarray:
    """The median of each column, without its NaN."""
    return row_median(values.T)
