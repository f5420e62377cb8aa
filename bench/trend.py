"""A straight line through samples, by least squares, with the interval that holds its slope with 95 %."""

import math
from typing import NamedTuple

Z = 1.959964  # of the normal distribution, 97.5 %
SAMPLES_LEAST = 10
EFFECTIVE_LEAST = 4
CORRELATION_MOST = 0.99


class Trend(NamedTuple):
    """`slope` is per unit of x, as are the ends of its interval."""

    slope: float
    low: float
    high: float
    intercept: float


def student(freedom):
    """The 97.5 % quantile of Student's t (Cornish-Fisher, Abramowitz and Stegun 26.7.5; from 2 degrees on within 4 %)."""
    return (Z + (Z**3 + Z) / (4 * freedom) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)
            + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * freedom**3))


def fit(points):
    """`points`: pairs of x and y in the order of x, at equal distances.

    Neighbouring samples of memory resemble each other: it moves in steps. So they count as fewer than they are, by their
    correlation with the next one, n (1 - r) / (1 + r) (Santer et al. 2000); otherwise the interval would be too narrow."""
    count = len(points)
    if count < SAMPLES_LEAST:
        raise ValueError(f"{count} samples are too few for a line")
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    square_x = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / square_x
    intercept = mean_y - slope * mean_x
    rest = [y - intercept - slope * x for x, y in points]
    square = sum(value**2 for value in rest)
    correlation = sum(a * b for a, b in zip(rest, rest[1:])) / square if square > 0 else 0.0
    correlation = min(max(correlation, 0.0), CORRELATION_MOST)
    effective = max(count * (1 - correlation) / (1 + correlation), EFFECTIVE_LEAST)
    half = student(effective - 2) * math.sqrt(square / (effective - 2) / square_x)
    return Trend(slope, slope - half, slope + half, intercept)
