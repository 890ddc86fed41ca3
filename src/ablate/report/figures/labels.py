"""Names beside points, where they cover neither a point nor another name."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

# Where a name may be, seen from its point: offset in points, and which of its sides is at the point.
_PLACES = (
    ((5, 0), "left", "center"),
    ((0, 5), "center", "bottom"),
    ((0, -5), "center", "top"),
    ((-5, 0), "right", "center"),
    ((4, 4), "left", "bottom"),
    ((4, -4), "left", "top"),
    ((-4, 4), "right", "bottom"),
    ((-4, -4), "right", "top"),
)
_POINT_RADIUS_PX = 4


def place_labels(
    figure: Figure,
    axes: Axes,
    labels: Sequence[tuple[tuple[float, float], str]],
    obstacles: Sequence[tuple[float, float]],
    colour: str,
) -> None:
    """Write each name at the first place beside its point that is free; leave out those that have none.

    Args:
        figure: The figure; its layout is settled here.
        axes: Axes within it.
        labels: Points and their names, the most important first.
        obstacles: Points that no name may cover.
        colour: Of the names.
    """
    figure.draw_without_rendering()
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer, frame, radius = canvas.get_renderer(), axes.get_window_extent(), _POINT_RADIUS_PX
    taken = [
        Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)
        for x, y in axes.transData.transform(list(obstacles))
    ]
    for point, name in labels:
        for offset, horizontal, vertical in _PLACES:
            text = axes.annotate(
                name,
                point,
                xytext=offset,
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=6.5,
                color=colour,
                zorder=5,
            )
            # The layout goes on without it: a name lies within the axes.
            text.set_in_layout(False)
            box = text.get_window_extent(renderer)
            is_inside = (
                frame.x0 <= box.x0
                and box.x1 <= frame.x1
                and frame.y0 <= box.y0
                and box.y1 <= frame.y1
            )
            if is_inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
