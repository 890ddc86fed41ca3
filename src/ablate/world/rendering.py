"""Scenes to pixels: antialiased signed-distance masks, thousands of scenes a second."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.world.scenes import SHAPES, Scenes
from ablate.world.streams import uniforms

IMAGE_SIZE_PX = 32
_QUADRANT_PX = IMAGE_SIZE_PX // 2
_RADIUS_PX = np.array([5.0, 6.8])
_MAX_SHIFT_PX = 1.0
_STRIPE_PERIOD_PX = 4.0
_STRIPE_BRIGHTNESS = 0.35
_RGB = np.array(
    [
        [0.90, 0.12, 0.12],
        [0.10, 0.70, 0.15],
        [0.15, 0.25, 0.95],
        [0.95, 0.90, 0.15],
        [0.60, 0.15, 0.80],
        [0.15, 0.85, 0.90],
        [1.00, 0.55, 0.05],
        [1.00, 1.00, 1.00],
    ]
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Style:
    """How scenes are drawn.

    Attributes:
        textured: Objects show their texture and the background is noisy; otherwise all is plain.
        n_bars: Random grey bars drawn over the scene.
        bar_half_width_px: Half the width of the thinnest and the thickest bar.
    """

    textured: bool
    n_bars: int
    bar_half_width_px: tuple[float, float]


STYLES = {
    "filled": Style(textured=False, n_bars=0, bar_half_width_px=(0.0, 0.0)),
    "textured": Style(textured=True, n_bars=0, bar_half_width_px=(0.0, 0.0)),
    "barred": Style(textured=False, n_bars=6, bar_half_width_px=(0.6, 1.1)),
}


def _box(x: Floats, y: Floats, half_width: Floats, half_height: Floats) -> Floats:
    distance: Floats = np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)
    return distance


def _triangle(x: Floats, y: Floats, r: Floats) -> Floats:
    slope = np.hypot(0.95, 1.8)
    distance: Floats = np.maximum(y - 0.8 * r, (1.8 * np.abs(x) - 0.95 * (y + r)) / slope)
    return distance


def _star(x: Floats, y: Floats, r: Floats) -> Floats:
    """Distance to the line from an outer to an inner corner, folded into a tenth of the circle."""
    tenth = np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + tenth) % (2 * tenth) - tenth)
    along, across = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    inner_along, inner_across = 0.45 * np.cos(tenth), 0.45 * np.sin(tenth)
    length = np.hypot(1 - inner_along, inner_across)
    distance: Floats = (along - 1.05 * r) * inner_across + across * (1 - inner_along)
    distance /= length
    return distance


# Signed distance in px (negative inside) at (x right, y down) from the centre, for a radius r.
_DISTANCE: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "circle": lambda x, y, r: np.hypot(x, y) - 0.95 * r,
    "square": lambda x, y, r: _box(x, y, 0.85 * r, 0.85 * r),
    "triangle": _triangle,
    "cross": lambda x, y, r: np.minimum(
        _box(x, y, 0.98 * r, 0.3 * r), _box(x, y, 0.3 * r, 0.98 * r)
    ),
    "ring": lambda x, y, r: np.abs(np.hypot(x, y) - 0.76 * r) - 0.22 * r,
    "star": _star,
    "diamond": lambda x, y, r: (np.abs(x) + np.abs(y) - 1.08 * r) / np.sqrt(2),
    "crescent": lambda x, y, r: np.maximum(np.hypot(x, y) - r, 0.8 * r - np.hypot(x - 0.5 * r, y)),
}


def _masks(shape: NDArray[np.int64], x: Floats, y: Floats, radius: Floats) -> Floats:
    """Return the coverage of every pixel `[objects, 16, 16]` in 0..1."""
    distance = np.empty(x.shape)
    for index, name in enumerate(SHAPES):
        chosen = shape == index
        distance[chosen] = _DISTANCE[name](x[chosen], y[chosen], radius[chosen])
    return np.clip(0.5 - distance, 0.0, 1.0)


def _draw_objects(canvas: Floats, scenes: Scenes, textured: bool) -> None:
    """Paint every object into its quadrant of `canvas` `[n, 4, 16, 16, 3]`, in place."""
    scene, quadrant = np.nonzero(scenes.present)
    jitter = scenes.jitter[scene, quadrant]
    centre = (_QUADRANT_PX - 1) / 2 + (2 * jitter[:, :2] - 1) * _MAX_SHIFT_PX
    pixel = np.arange(_QUADRANT_PX, dtype=np.float64)
    x, y = np.broadcast_arrays(
        pixel[None, None, :] - centre[:, 0, None, None],
        pixel[None, :, None] - centre[:, 1, None, None],
    )
    radius = _RADIUS_PX[scenes.size[scene, quadrant]][:, None, None]
    mask = _masks(scenes.shape[scene, quadrant], x, y, radius)[..., None]
    colour = _RGB[scenes.colour[scene, quadrant]] * (0.8 + 0.2 * jitter[:, 2:])
    paint = np.broadcast_to(colour[:, None, None, :], (*x.shape, 3))
    if textured:
        wave = np.sin(2 * np.pi * (x + y) / _STRIPE_PERIOD_PX)[..., None] > 0
        striped = scenes.texture[scene, quadrant][:, None, None, None] == 1
        paint = np.where(striped & wave, _STRIPE_BRIGHTNESS * paint, paint)
    canvas[scene, quadrant] += mask * (paint - canvas[scene, quadrant])


def _draw_bars(image: Floats, scenes: Scenes, style: Style) -> None:
    """Paint straight grey bars over `image` `[n, 32, 32, 3]`, in place."""
    values = uniforms(f"{scenes.stream}/bars", scenes.indices, 5 * style.n_bars)
    pixel = np.arange(IMAGE_SIZE_PX, dtype=np.float64)
    thinnest, thickest = style.bar_half_width_px
    for bar in np.split(values, style.n_bars, axis=1):
        angle, x, y, width, level = (column[:, None, None] for column in bar.T)
        distance = np.abs(
            (pixel[None, None, :] - x * IMAGE_SIZE_PX) * np.cos(np.pi * angle)
            + (pixel[None, :, None] - y * IMAGE_SIZE_PX) * np.sin(np.pi * angle)
        ) - (thinnest + (thickest - thinnest) * width)
        mask = np.clip(0.5 - distance, 0.0, 1.0)[..., None]
        image += mask * ((0.3 + 0.4 * level)[..., None] - image)


def render(scenes: Scenes, style_name: str) -> NDArray[np.uint8]:
    """Draw scenes in a style.

    Args:
        scenes: What to draw.
        style_name: A key of `STYLES`.

    Returns:
        `[n, 32, 32, 3]` RGB.
    """
    style = STYLES[style_name]
    n, side = len(scenes), _QUADRANT_PX
    background = np.broadcast_to(
        (0.05 + 0.3 * scenes.background)[:, None, None, None], (n, IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1)
    )
    if style.textured:
        noise = uniforms(f"{scenes.stream}/noise", scenes.indices, IMAGE_SIZE_PX**2)
        background = background + 0.15 * (noise.reshape(background.shape) - 0.3)
    image = np.repeat(background, 3, axis=-1)
    canvas = image.reshape(n, 2, side, 2, side, 3).transpose(0, 1, 3, 2, 4, 5)
    canvas = np.ascontiguousarray(canvas).reshape(n, 4, side, side, 3)
    _draw_objects(canvas, scenes, style.textured)
    image = canvas.reshape(n, 2, 2, side, side, 3).transpose(0, 1, 3, 2, 4, 5)
    image = np.ascontiguousarray(image).reshape(n, IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3)
    if style.n_bars:
        _draw_bars(image, scenes, style)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
