"""Percentiles of measured values."""


def percentile(values, percent):
    """The nearest rank: the smallest value that at least `percent` of 100 values do not exceed."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]
