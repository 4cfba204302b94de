"""The confusion matrix: how often each true class was given each predicted class."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from hilum.errors import number_of
from hilum.report.page.chart import WIDTH, Drawing, box, picture, short, text
from hilum.report.page.markup import element, joined

SIDE = 300.0
"""Longest side of the matrix in the picture."""
TOP = 30.0
LONGEST = 15
"""Letters of a class name beside the matrix."""
DARK_FROM = 0.75
"""Share of the true class above which a cell's numbers are written in the colour of the paper."""
FAINTEST = 0.04
CROWDED = 6
"""With more classes than this, the cells have counts only and the columns slanted names."""


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Drawing:
    """Rows are true classes, columns predicted ones; the darker, the larger the share of the true class."""
    crowded = len(classes) > CROWDED
    left = 30 + 7.4 * max(len(short(name, LONGEST)) for name in classes)
    side = min(SIDE, WIDTH - left - 10) / len(classes)
    marks = []
    for row, line in enumerate(counts):
        total = sum(line)
        middle = TOP + (row + 0.5) * side
        marks.append(text((left - 8, middle + 4), short(classes[row], LONGEST), "name", anchor="end"))
        for column, count in enumerate(line):
            share = count / total if total else 0.0
            corner = (left + column * side, TOP + row * side)
            title = f"{classes[row]}, called {classes[column]}: {number_of(count, 'case')}, {share:.1%} of {total}"
            marks.append(_cell(corner, side, numbers=(count, share), title=title, crowded=crowded))
    bottom = TOP + side * len(classes)
    marks += [_below(name, (left + (index + 0.5) * side, bottom), crowded) for index, name in enumerate(classes)]
    marks.append(text((4, 15), "truth", "title"))
    height = bottom + (96 if crowded else 48)
    marks.append(text((left + side * len(classes) / 2, height - 8), "predicted", "title", anchor="middle"))
    right = sum(counts[index][index] for index in range(len(classes)))
    total = sum(map(sum, counts))
    svg = picture(f"Confusion matrix: {right} of {total} cases on the diagonal", joined(marks), (WIDTH, height))
    caption = f"{right} of {total} cases are on the diagonal, where truth and prediction agree."
    caption += "" if crowded else " Percentages are of the true class."
    return Drawing("confusion_matrix", "Confusion matrix", svg, caption)


def _cell(corner: tuple[float, float], side: float, *, numbers: tuple[int, float], title: str, crowded: bool) -> Markup:
    count, share = numbers
    middle = corner[0] + side / 2, corner[1] + side / 2
    kind = "on-cell" if share > DARK_FROM else "in-cell"
    shade = box(corner, (side - 2, side - 2), "cell", fill_opacity=f"{max(share, FAINTEST):.3f}", rx=3)
    up = 0 if crowded else -3
    words = [text((middle[0] - 1, middle[1] + 4 + up), str(count), f"{kind} strong", anchor="middle")]
    if not crowded:
        words.append(text((middle[0] - 1, middle[1] + 17), f"{share:.0%}", kind, anchor="middle"))
    return element("g", element("title", title), shade, *words)


def _below(name: str, place: tuple[float, float], crowded: bool) -> Markup:
    """The name of a column, slanted where there is no room for it."""
    x, y = place
    if not crowded:
        return text((x - 1, y + 18), short(name, LONGEST), "name", anchor="middle")
    turn = f"rotate(-45 {x:.1f} {y + 12:.1f})"
    words = short(name, LONGEST)
    return element("text", words, x=f"{x:.1f}", y=f"{y + 12:.1f}", class_="name", text_anchor="end", transform=turn)
