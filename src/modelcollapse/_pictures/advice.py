"""What a mix of real and synthetic rows costs, beside its parts."""

import numpy as np

from modelcollapse._pictures.style import COLOURS, on_axes

__all__ = ["advice"]


def advice(found, ax=None):
    """Errors of an Advice on real rows that were left out, with standard errors; returns the Axes."""
    ax = on_axes(ax, size=(6.4, 3.2))
    report = found.report
    rates = report.get("error_rate")
    errors = report["error"] if rates is None else 100 * rates
    spread = report["standard_error"] if rates is None else 100 * report["error_rate_error"]
    places = np.arange(len(errors))
    weights = ", ".join(f"{mark}: {answer.value:.2g}" for mark, answer in found.weights.items())
    names = [*map(str, report["candidate"][:-1]), f"chosen\n({weights})"]
    ax.barh(places, errors, xerr=spread, color=[COLOURS[5], COLOURS[1], COLOURS[2]], height=0.6, capsize=3)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    what = "error on real rows" if rates is None else "wrong class, % of real rows"
    ax.set_xlabel(f"{what}, each left out (± standard error)")
    worth = f"one synthetic row is worth {found.worth.value:.2g} real ones"
    said = worth if any(found.keep.values()) else "drop the synthetic rows"
    ax.set_title(f"{found.rows[found.real]} real rows; {said}", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
