"""Columns of a table as numbers, and the sentence about those that are none.

>>> numeric([[1, 2], [3, float("nan")]], ["age", "income"])  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: column 'income' misses 1 of 2 values; fill it where the model is fitted: make_pipeline(...
"""

import numpy as np


def names_of(X):
    """Column names of a data frame, or None."""
    columns = getattr(X, "columns", None)
    return None if columns is None else [str(name) for name in columns]


def numeric(X, names=None):
    """X as floats (N, d); ValueError with the column, what is wrong with it and the pipeline that handles it."""
    names = names_of(X) or names
    table = np.asarray(X, dtype=object) if names_of(X) else np.asarray(X)
    if table.ndim != 2:
        raise ValueError(f"X has shape {table.shape}; give a table of rows and columns")
    names = names or list(range(table.shape[1]))
    if len(names) != table.shape[1]:
        raise ValueError(f"{len(names)} names for {table.shape[1]} columns; name every column")
    return np.column_stack([_column(table[:, j], names[j]) for j in range(table.shape[1])])


def _column(cells, name):
    try:
        numbers = np.array([np.nan if _gap(cell) else cell for cell in cells.tolist()], dtype=float)
    except (TypeError, ValueError):
        text = next(cell for cell in cells.tolist() if not _gap(cell) and not _number(cell))
        what, encoder = f"holds text, such as {str(text)!r}", "OneHotEncoder(handle_unknown='ignore')"
        raise ValueError(refusal(name, what, "encode", encoder, "numbers")) from None
    gaps = int(np.sum(~np.isfinite(numbers)))
    if gaps:
        what = f"misses {gaps} of {len(numbers)} values"
        raise ValueError(refusal(name, what, "fill", "SimpleImputer()", "a column without gaps"))
    return numbers


def refusal(name, what, verb, transformer, instead):
    """One sentence about a column that is no column of numbers."""
    return (
        f"column {name!r} {what}; {verb} it where the model is fitted: make_pipeline(make_column_transformer("
        f"({transformer}, [{name!r}]), remainder='passthrough'), StandardScaler(), "
        f"CollapseAwareRidge(weights='auto')), or give {instead}"
    )


def _gap(cell):
    return cell is None or cell == "" or type(cell).__name__ in ("NAType", "NaTType") or cell != cell


def _number(cell):
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True
