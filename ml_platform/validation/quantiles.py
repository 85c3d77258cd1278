"""Quantiles of the normal and of Student's t distribution, without a library that is slow to import."""

import math
from statistics import NormalDist

NORMAL = NormalDist()


def t_quantile(level: float, freedom: int) -> float:
    """Give a quantile of Student's t distribution.

    Parameters
    ----------
    level : float
        Between 0 and 1.
    freedom : int
        Degrees of freedom, from 1; from 3 on the error is below 0.7 % at the levels that intervals are read at, from
        10 on below 0.03 %.

    Notes
    -----
    Source: M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 1964, equation 26.7.5, p. 949. With 1 and 2
    degrees of freedom the distribution has the closed forms of equations 26.7.3 and 26.7.4, p. 948, inverted here.
    """
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) / math.sqrt(2 * level * (1 - level))
    z = NORMAL.inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
