"""Routes of teachers who vote: integrals over what their scores share."""

import numpy as np
from formula_route import route
from formula_routes_classes import half_line, normal
from mpmath import mpf
from scipy import special


def answers(way, teachers, r):
    """E y m and E y² of labels y by several teachers' signs, m the mean of their scores."""
    K, r = float(teachers), float(r)
    own, bend = np.sqrt(1 - r), np.sqrt(r / (1 - r))

    def chance(c):
        return special.ndtr(c * bend)

    def mean(c):
        P = chance(c)
        return 2 * (3 * P**2 - 2 * P**3) - 1 if way == "majority" else 2 * P - 1

    def pivot(c):  # E y e_k: how often the label is that of teacher k
        P = chance(c)
        share = 2 * P * (1 - P) if way == "majority" else 1 / K
        return share * 2 * normal(c * bend)

    product = half_line(lambda c: np.sqrt(r) * c * mean(c) + own * pivot(c))
    square = half_line(lambda c: 1 / K + (1 - 1 / K) * mean(c) ** 2) if way == "shares" else mpf(1)
    return product, square


def answer_ratio(way, teachers, r):
    product, square = answers(way, teachers, r)
    return square * (1 / teachers + (1 - 1 / teachers) * r) / product**2 - 1


VOTES = {"teachers": (1.0, 9.0), "teacher_overlap": (0.1, 0.9)}


@route("vote_share_noise_ratio", ranges=VOTES)
def _(teachers, teacher_overlap):
    return answer_ratio("shares", teachers, teacher_overlap)


@route("majority_noise_ratio", ranges={"teacher_overlap": (0.1, 0.9)})
def _(teacher_overlap):
    return answer_ratio("majority", mpf(3), teacher_overlap)


@route("random_teacher_noise_ratio", ranges=VOTES)
def _(teachers, teacher_overlap):
    return answer_ratio("random", teachers, teacher_overlap)
