"""Draw the landing page's picture, ``_static/landing.png``: five optimizers, one start, one valley.

    python tools/landing_picture.py

The runs are real ones of the package; ``SETTINGS`` is all there is to them.  Drawing it again gives
the same bytes.  The caption on the landing page states the same settings.
"""

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors, patheffects
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from firstorder import adagrad, adam, figures, momentum, objectives, rmsprop, run, sgd

PATH = Path(__file__).parent.parent / "_static" / "landing.png"
WINDOW = ((-5.95, 1.95), (-2.5, 1.8))
STEPS = 30
SETTINGS = {
    sgd: {"lr": 0.45},
    momentum: {"lr": 0.15, "beta": 0.8},
    adagrad: {"lr": 0.5},
    rmsprop: {"lr": 0.3},
    adam: {"lr": 0.4},
}
NAMES_AT = {  # where each name stands, beside a stretch that only this path takes
    "sgd": (-4.98, 1.5),
    "momentum": (-2.48, -1.2),
    "adagrad": (-1.3, -0.36),
    "rmsprop": (-0.55, -0.78),
    "adam": (-1.12, 1.02),
}
ALT = (
    "Contour lines of a long valley with the paths of five optimizers, 30 steps each, from one "
    "start at the lower left. SGD zigzags steeply across the valley while it creeps along it. "
    "Momentum swings across in long waves. AdaGrad takes the straight way and slows down far from "
    "the minimum. RMSProp takes the same way and arrives. Adam flies past the minimum in a wide "
    "arc and turns back."
)
LAND = colors.LinearSegmentedColormap.from_list(
    "land", ["#fefdf8", "#eef2ea", "#d8e4e2", "#c3d5dc"]
)


def draw():
    """Return the figure: 1200 by 600 pixels, names large enough to read 328 pixels wide."""
    valley = objectives.valley
    traces = [run(rule, valley, valley.start, STEPS, **at) for rule, at in SETTINGS.items()]
    surface = valley.grid(300, window=WINDOW)
    levels = surface.f.max() * np.linspace(0, 1, 17) ** 2

    figure = plt.figure(figsize=(8, 4), dpi=150, layout="none")
    ax = figure.add_axes([0, 0, 1, 1])
    ax.contourf(surface.x1, surface.x2, surface.f, levels=levels, cmap=LAND)
    figures.paths(surface, traces, every=1, levels=levels[1:], ax=ax, alt=ALT)
    ax.get_legend().remove()
    ax.set_axis_off()
    ax.plot([-0.6, -0.6], [-0.62, -0.06], color=figures.LOOK["rmsprop"].colour, linewidth=1)
    for line in ax.get_lines():
        line.set(linewidth=1.3 * line.get_linewidth(), markersize=1.35 * line.get_markersize())
    for name, at in NAMES_AT.items():
        look = figures.LOOK[name]
        text = ax.text(*at, look.label, color=look.text, fontsize=17, ha="center", va="center")
        text.set_path_effects([patheffects.withStroke(linewidth=4, foreground=figures.PAPER)])
    return figure


def write(path):
    """Write the picture with a palette of 255 colours, a third of the size."""
    figures.style()
    file = io.BytesIO()
    draw().savefig(file, format="png")
    picture = Image.open(file).convert("RGB")
    picture = picture.quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    about = PngInfo()
    about.add_itxt("Description", ALT)
    picture.save(path, optimize=True, pnginfo=about)


if __name__ == "__main__":
    write(PATH)
    print(f"{PATH.name}: {PATH.stat().st_size // 1000} kB")
