"""Pictures of test errors. Every function draws on a Matplotlib Axes and returns it.

    import modelcollapse as mc
    ax = mc.plot.error_curves(samples, {"clean": clean, "5 generations": fake})
    ax.figure.savefig("curves.png")

    error_curves     errors over samples, generations, ...: lines, measured points, bands
    error_parts      one error split into bias and variance, or clean and collapse
    ridge_path       errors or criteria over the ridge, with picked ridges
    phase_diagram    what limits the scaling laws, over two exponents
    agreement        predicted against measured, point by point
    directions       what is lost of the signal by eigendirection
    error_by_group   errors of groups of rows: who is hurt
    modes_left       what a loop leaves of its modes, over generations
    rank_frequency   frequencies by rank, before a loop and after

Without `ax` a new figure is made outside pyplot, so that nothing stays open and no backend is chosen.
Colours are Okabe and Ito's, which the colour-blind tell apart; every curve also has its own line, measurements their
own marker.

>>> COLOURS[:2]
('#0072B2', '#E69F00')
"""

from modelcollapse._pictures.agreements import agreement
from modelcollapse._pictures.curves import error_curves, error_parts
from modelcollapse._pictures.directions import directions
from modelcollapse._pictures.groups import error_by_group
from modelcollapse._pictures.modes import modes_left, rank_frequency
from modelcollapse._pictures.phases import phase_diagram
from modelcollapse._pictures.ridge_paths import ridge_path
from modelcollapse._pictures.style import COLOURS

__all__ = [
    "COLOURS",
    "agreement",
    "directions",
    "error_by_group",
    "error_curves",
    "error_parts",
    "modes_left",
    "phase_diagram",
    "rank_frequency",
    "ridge_path",
]
