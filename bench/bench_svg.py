# SPDX-License-Identifier: Apache-2.0
"""A small plot as SVG text: panels of lines, both axes logarithmic."""

import math

COLOURS = {
    "plain": "#555555", "mat-out": "#0b6e2e", "mat-in": "#35a853",
    "mat-in-8": "#8fd19e", "mat-out-x": "#1a4f9c", "mat-in-x": "#6b9be8",
    "set-field": "#e08a00", "vxlan-push": "#c62828", "vxlan-pop": "#ef8f8f",
    "ct-nat": "#7b1fa2",
}
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 470, 400, 62, 54, 96, 50
DECADES = 6                     # 1 to 1M on the x axis.
Y_TICKS = (50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000)
LABEL_GAP = 12                  # Least distance of two labels, in pixels.


def plot(title, panels, x_name, y_name):
    """'panels': [(name, {line: [(x, y), ...]})].  Returns the file's text."""
    values = [y for _, lines in panels for line in lines.values()
              for _, y in line]
    low, high = min(values) * 0.85, max(values) * 1.15
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'font-family="sans-serif" font-size="11">'
           % (WIDTH * len(panels), HEIGHT),
           '<rect width="100%" height="100%" fill="white"/>',
           text(12, 20, title, "start", 'font-size="14"')]
    for i, (name, lines) in enumerate(panels):
        out.append('<g transform="translate(%d,0)">' % (WIDTH * i))
        out += axes(name, low, high, x_name, y_name)
        out += curves(lines, low, high)
        out.append("</g>")
    return "\n".join(out + ["</svg>"]) + "\n"


def x_of(n):
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(n) / DECADES


def y_of(value, low, high):
    part = math.log(value / low) / math.log(high / low)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part


def text(x, y, words, anchor, more=""):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return '<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>' % (
        x, y, anchor, more, words)


def line(x1, y1, x2, y2, colour):
    return ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>'
            % (x1, y1, x2, y2, colour))


def axes(name, low, high, x_name, y_name):
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    middle = (TOP + bottom) / 2
    out = [text((LEFT + right) / 2, TOP - 10, name, "middle",
                'font-weight="bold"')]
    for power, label in enumerate(("1", "10", "100", "1k", "10k", "100k",
                                   "1M")):
        x = x_of(10 ** power)
        out += [line(x, TOP, x, bottom, "#eeeeee"),
                text(x, bottom + 16, label, "middle")]
    for tick in Y_TICKS:
        if low <= tick <= high:
            y = y_of(tick, low, high)
            out += [line(LEFT, y, right, y, "#dddddd"),
                    text(LEFT - 6, y + 4, str(tick), "end")]
    out += [line(LEFT, bottom, right, bottom, "black"),
            line(LEFT, TOP, LEFT, bottom, "black"),
            text((LEFT + right) / 2, bottom + 36, x_name, "middle"),
            text(16, middle, y_name, "middle",
                 'transform="rotate(-90 16 %.1f)"' % middle)]
    return out


def curves(lines, low, high):
    out, labels = [], []
    for name, points in lines.items():
        colour = COLOURS.get(name, "black")
        if len(points) == 1:            # Does not depend on the size.
            points = [points[0], (10 ** DECADES, points[0][1])]
        spots = [(x_of(x), y_of(y, low, high)) for x, y in points]
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" '
                   'points="%s"/>' % (colour, " ".join(
                       "%.1f,%.1f" % spot for spot in spots)))
        out += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>'
                % (x, y, colour) for x, y in spots]
        labels.append([spots[-1][1], spots[-1][0], name, colour])
    return out + place_labels(labels)


def place_labels(labels):
    """Names at the lines' ends, pushed apart where they would overlap."""
    out, last = [], {}
    for y, x, name, colour in sorted(labels):
        y = max(y, last.get(x, 0) + LABEL_GAP)
        last[x] = y
        out.append(text(x + 7, y + 4, name, "start", 'fill="%s"' % colour))
    return out
