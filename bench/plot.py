"""Charts as SVG, without a plotting library: bars for medians with the range of the rounds as a line on each, and memory
over time."""

import math
from xml.sax.saxutils import escape

COLOURS = {"direct": "#7f8c8d", "haproxy": "#2e86c1", "twemproxy": "#8e44ad", "relay": "#117a65", "mux": "#52be80",
           "fairlead": "#d35400", "baseline": "#b7950b"}
BAR, GAP, LEFT, TOP, WIDTH = 16, 14, 170, 56, 900


def nice_step(largest):
    """A round distance for two to five grid lines."""
    power = 10 ** math.floor(math.log10(largest / 5))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step * 5 >= largest)


def number(value):
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def bar_chart(title, unit, groups):
    """SVG text. `groups`: [(label, [(target, median, low, high)])]."""
    largest = max((high for _, bars in groups for _, _, _, high in bars), default=1) or 1
    scale = (WIDTH - LEFT - 90) / largest
    parts, y = [], TOP
    for label, bars in groups:
        middle = y + len(bars) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>')
        for target, median, low, high in bars:
            centre = y + BAR / 2
            parts.append(f'<rect x="{LEFT}" y="{y + 1}" width="{median * scale:.1f}" height="{BAR - 2}" '
                         f'fill="{COLOURS.get(target, "#555")}"><title>{escape(target)}: {number(median)}</title></rect>')
            parts.append(f'<path d="M{LEFT + low * scale:.1f} {centre}H{LEFT + high * scale:.1f}" stroke="#000"/>')
            parts.append(f'<text x="{LEFT + high * scale + 5:.1f}" y="{centre + 4}" class="value">{number(median)}</text>')
            y += BAR
        y += GAP
    step, grid, at = nice_step(largest), [], 0.0
    while at <= largest:
        x = LEFT + at * scale
        grid.append(f'<path d="M{x:.1f} {TOP - 4}V{y - GAP}" stroke="#ddd"/>')
        at += step
    legend, x = [], LEFT
    for target in dict.fromkeys(target for _, bars in groups for target, *_ in bars):
        legend.append(f'<rect x="{x}" y="32" width="12" height="12" fill="{COLOURS.get(target, "#555")}"/>'
                      f'<text x="{x + 17}" y="42">{escape(target)}</text>')
        x += 40 + 7 * len(target)  # all of them, with a baseline and the floor, fit into one line
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="12">'
            '<style>.value{font-size:10px;fill:#444}</style><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="{LEFT}" y="20" font-size="15">{escape(title)} ({escape(unit)})</text>'
            + "".join(grid + legend + parts) + "</svg>\n")


def throughput_chart(results):
    """Throughput as a multiple of the direct connection's in the same round."""
    groups = []
    for name, by_target in results.items():
        bars = []
        for target, rounds in by_target.items():
            found = sorted(ours["rps"] / direct["rps"] for ours, direct in zip(rounds, by_target["direct"]))
            bars.append((target, found[len(found) // 2], found[0], found[-1]))
        groups.append((name, bars))
    return bar_chart("Throughput", "direct connection of the same round = 1", groups)


def cpu_chart(results, key, title):
    """Microseconds of CPU per request; large values have a scale of their own and are left out."""
    groups = []
    for name, by_target in results.items():
        bars = []
        for target, rounds in by_target.items():
            values = sorted(figures[key] for figures in rounds)
            if values[-1] > 0:
                bars.append((target, values[len(values) // 2], values[0], values[-1]))
        if bars and max(high for *_, high in bars) < 40:
            groups.append((name, bars))
    return bar_chart(title, "microseconds per request", groups)


def trend_chart(title, points, trend, warm_up):
    """SVG text of KiB over minutes, with the fitted line behind the warm-up, which is shaded. The axis does not begin at
    zero, or growth would not be seen, but it spans a mebibyte at least, or noise would look like growth."""
    height, bottom, right = 340, 44, 24
    lowest, highest = min(kib for _, kib in points), max(kib for _, kib in points)
    span = max(1024.0, (highest - lowest) * 1.2)
    floor = max(0.0, (lowest + highest - span) / 2)
    end = max(minute for minute, _ in points) or 1

    def x(minute):
        return LEFT + minute / end * (WIDTH - LEFT - right)

    def y(kib):
        return height - bottom - (kib - floor) / span * (height - bottom - TOP)

    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{x(warm_up) - LEFT:.1f}" height="{height - bottom - TOP}" fill="#f2f2f2"/>',
             f'<text x="{LEFT + 5}" y="{TOP + 14}" class="value">warm-up</text>']
    step = nice_step(span)
    at = math.ceil(floor / step) * step
    while at <= floor + span:
        parts += [f'<path d="M{LEFT} {y(at):.1f}H{WIDTH - right}" stroke="#ddd"/>',
                  f'<text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{at:,.0f} KiB</text>']
        at += step
    step, at = nice_step(end), 0.0
    while at <= end:
        parts.append(f'<text x="{x(at):.1f}" y="{height - 20}" text-anchor="middle">{at:g} min</text>')
        at += step
    line = " ".join(f"{x(minute):.1f},{y(kib):.1f}" for minute, kib in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS["fairlead"]}" stroke-width="1.5"/>')
    ends = [(minute, trend.intercept + trend.slope * minute) for minute in (warm_up, end)]
    parts.append(f'<path d="M{x(ends[0][0]):.1f} {y(ends[0][1]):.1f}L{x(ends[1][0]):.1f} {y(ends[1][1]):.1f}" stroke="#000" '
                 'stroke-dasharray="5 4"/>')
    told = f"{trend.slope:.1f} KiB/min (95 %: {trend.low:.1f} to {trend.high:.1f})"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
            '<style>.value{font-size:10px;fill:#444}</style><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text><text x="{LEFT}" y="42">{escape(told)}</text>'
            + "".join(parts) + "</svg>\n")
