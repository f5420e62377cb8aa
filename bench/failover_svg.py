"""Draws what the clients saw around a failover: one lane for each way, answers per 100 ms, those that were lost in red.

The picture has its own background and follows the reader's light or dark scheme.
"""

from xml.sax.saxutils import escape

BEGIN, END, BIN = -2.0, 16.0, 0.1  # seconds around the fault
WIDTH, LEFT, RIGHT = 860, 24, 24
TOP, LANE, GAP, BOTTOM = 74, 64, 46, 72

STYLE = """
  .surface { fill: #fcfcfb } .title { fill: #0b0b0b } .text { fill: #52514e } .axis { stroke: #c3c2b7 }
  .grid { stroke: #e1e0d9 } .kept { fill: #2a78d6 } .lost { fill: #d03b3b } .error { stroke: #8a4b00 } .mark { stroke: #0b0b0b }
  @media (prefers-color-scheme: dark) {
    .surface { fill: #1a1a19 } .title { fill: #ffffff } .text { fill: #c3c2b7 } .axis { stroke: #52514e }
    .grid { stroke: #2c2c2a } .kept { fill: #3987e5 } .lost { fill: #e66767 } .error { stroke: #fab219 } .mark { stroke: #ffffff }
  }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif } .title { font-weight: 600 }
  .head { font-size: 15px }
"""


def _x(seconds):
    return LEFT + (seconds - BEGIN) / (END - BEGIN) * (WIDTH - LEFT - RIGHT)


def _counts(times):
    """How many fall into each bin."""
    counts = [0] * round((END - BEGIN) / BIN)
    for when in times:
        if BEGIN <= when < END:
            counts[min(int((when - BEGIN) / BIN), len(counts) - 1)] += 1
    return counts


def _bars(counts, below, highest, base, style):
    """One path for all bars of a kind, standing on those `below`."""
    parts = []
    width = _x(BIN) - _x(0) - 0.8
    for number, (count, under) in enumerate(zip(counts, below)):
        if count:
            height, foot = count / highest * LANE, base - under / highest * LANE
            parts.append(f"M{_x(BEGIN + number * BIN):.1f} {foot:.1f}v-{height:.1f}h{width:.1f}v{height:.1f}z")
    return f'<path class="{style}" d="{"".join(parts)}"/>'


def _ticks(times, base):
    """A tick below the lane for each error, drawn once where several fall together."""
    places = sorted({round(_x(when), 1) for when in times if BEGIN <= when < END})
    return '<path class="error" d="' + "".join(f"M{x} {base + 3}v7" for x in places) + '"/>'


def _lane(name, seen, top, highest):
    timeline = seen["timeline"]
    answers, lost = _counts(timeline["answers"]), _counts(timeline["lost"])
    kept = [every - gone for every, gone in zip(answers, lost)]
    base = top + LANE
    told = (f"no answer for {seen['outage']:.2f} s, {seen['errors']} errors, {seen['disconnects']} disconnects, "
            f"{seen['lost']} of {seen['acknowledged']} acknowledged writes lost")
    return [f'<text class="title" x="{LEFT}" y="{top - 10}">{escape(name)}</text>',
            f'<text class="text" x="{WIDTH - RIGHT}" y="{top - 10}" text-anchor="end">{escape(told)}</text>',
            _bars(kept, [0] * len(kept), highest, base, "kept"), _bars(lost, kept, highest, base, "lost"),
            f'<path class="axis" d="M{LEFT} {base + 0.5}H{WIDTH - RIGHT}"/>', _ticks(timeline["errors"], base),
            f'<path class="mark" stroke-dasharray="3 3" d="M{_x(0):.1f} {top - 4}V{base + 12}"/>']


def _legend(y):
    x, parts = LEFT, []
    for style, words, length in (("kept", "acknowledged", 110), ("lost", "acknowledged, then lost", 170)):
        parts += [f'<rect class="{style}" x="{x}" y="{y - 9}" width="10" height="10"/>',
                  f'<text class="text" x="{x + 16}" y="{y}">{words}</text>']
        x += length
    return parts + [f'<path class="error" d="M{x + 4} {y - 9}v9"/>', f'<text class="text" x="{x + 12}" y="{y}">error</text>']


def draw(event, lanes, writers):
    """`lanes`: pairs of a name and what failover_demo.py measured. Returns the SVG."""
    height = TOP + len(lanes) * (LANE + GAP) - GAP + BOTTOM
    highest = max(max(_counts(seen["timeline"]["answers"])) for _, seen in lanes)
    foot = height - BOTTOM + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
             f'aria-label="{escape(event)}: answers per {BIN * 1000:.0f} ms">', f"<style>{STYLE}</style>",
             f'<rect class="surface" width="{WIDTH}" height="{height}" rx="6"/>',
             f'<text class="title head" x="{LEFT}" y="26">{escape(event)}</text>',
             f'<text class="text" x="{WIDTH - RIGHT}" y="26" text-anchor="end">answers to {writers} writers per '
             f'{BIN * 1000:.0f} ms</text>']
    for second in range(int(BEGIN), int(END) + 1, 2):
        x = _x(second)
        parts += [f'<path class="grid" d="M{x:.1f} {TOP}V{foot - 14}"/>',
                  f'<text class="text" x="{x:.1f}" y="{foot + 4}" text-anchor="middle">{second} s</text>']
    for number, (name, seen) in enumerate(lanes):
        parts += _lane(name, seen, TOP + number * (LANE + GAP), highest)
    return "\n".join([*parts, *_legend(height - 14), "</svg>"]) + "\n"
