"""How benchmark.py makes figures out of the reports of several rounds."""

import statistics


def median(reports, key):
    """The median over rounds of one figure."""
    return statistics.median(report[key] for report in reports)


def ratios(these, those, key):
    """How many times as large these are as those, round by round: a list, sorted."""
    return sorted(one[key] / other[key] for one, other in zip(these, those))


def times(these, those, key):
    """The median of the ratios, with their range, as text."""
    found = ratios(these, those, key)
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"
