"""The book's figures: traces in, matplotlib Axes out.

Every optimizer has one colour, marker, line style and place, for the whole book, in ``LOOK``.
``style()`` sets matplotlib's parameters, once, in a chapter's import cell.  Every function draws
what it is given and computes no result; each takes

``ax``   the Axes to draw into; by default those of a new figure
``alt``  what the figure shows, in words, for readers who do not see it; ``alt_text`` gives it back
         and ``save`` writes it into the file

and returns the Axes.  Wrong input raises ``TypeError`` or ``ValueError`` before anything is drawn.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors, patheffects, ticker
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D

from firstorder.run import Trace

# --------------------------------------------------------------------------------------------------
# One look


class Look(NamedTuple):
    """How an optimizer looks."""

    colour: str
    marker: str
    dash: str | tuple  # line style, used where a line has no markers
    order: int  # of the chapters
    label: str

    @property
    def text(self):
        """The colour of text that names it: darker, since letters are thinner than lines."""
        return _dark(self.colour)


DASHED, DOTTED, DASHDOT = (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5))

# Rules that are drawn together are far apart in colour, for colour-blind eyes too, and in marker:
# tests/test_figures.py measures it.
LOOK = {
    "sgd": Look("#293239", "o", "-", 0, "SGD"),
    "momentum": Look("#2549bb", "s", "-", 1, "Momentum"),
    "nesterov": Look("#12888a", "^", DASHED, 2, "Nesterov"),
    "adagrad": Look("#d97108", "D", "-", 3, "AdaGrad"),
    "rmsprop": Look("#3ca183", "v", DASHED, 4, "RMSProp"),
    "adadelta": Look("#896ad1", "X", DASHDOT, 5, "Adadelta"),
    "adam": Look("#c91311", "*", "-", 6, "Adam"),
    "yogi": Look("#b8865b", "s", DASHED, 7, "Yogi"),
    "adamax": Look("#532966", "^", DASHDOT, 8, "AdaMax"),
    "nadam": Look("#2f90f5", "D", DASHED, 9, "Nadam"),
    "amsgrad": Look("#127160", "o", DASHDOT, 10, "AMSGrad"),
    "adamw": Look("#d848ae", "v", DOTTED, 11, "AdamW"),
}

# For lines that are no optimizer, or the same one several times: from dark to light.
SERIES = tuple(
    Look(colour, marker, dash, order, "")
    for order, (colour, marker, dash) in enumerate(
        [
            ("#151e57", "o", "-"),
            ("#3856d1", "s", DASHED),
            ("#109b89", "^", DASHDOT),
            ("#415515", "D", DOTTED),
            ("#bb7902", "v", "-"),
            ("#a61b86", "X", DASHED),
        ]
    )
)

# The lines of the series that look like a rule's, in colour or marker; measured by the same test.
_LIKE = {
    "sgd": {0},
    "momentum": {1},
    "nesterov": {1, 2, 5},
    "adagrad": {3, 4},
    "rmsprop": {2, 4},
    "adadelta": {1, 5},
    "adam": {3},
    "yogi": {1, 2, 4},
    "adamax": {0, 2},
    "nadam": {2, 3},
    "amsgrad": {0, 1, 5},
    "adamw": {2, 4},
}
_BY_LABEL = {look.label: name for name, look in LOOK.items()}

PAPER, INK, MUTED, GRID = "#fcfcfa", "#24292e", "#5b636b", "#e3e5e6"
SYMBOLS = {
    "lr": "η",
    "beta": "β",
    "rho": "ρ",
    "beta1": "β₁",
    "beta2": "β₂",
    "eps": "ε",
    "weight_decay": "λ",
    "psi": "ψ",
}
WIDTH, HEIGHT, DPI, TEXT = 5.2, 3.5, 150, 10.5  # inches, inches, pixels per inch, points


def style():
    """Set matplotlib's parameters to the book's, and those of the notebook's inline pictures.

    A figure is 5.2 inches wide, 780 pixels: its smallest text is still 9 pixels high where a
    telephone shows it 328 pixels wide.  The background is opaque, so a figure reads in dark mode.
    Pictures carry no date or version: the same data give the same bytes.
    """
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, HEIGHT),
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "figure.constrained_layout.use": True,
            "figure.constrained_layout.w_pad": 0.06,
            "figure.constrained_layout.h_pad": 0.06,
            "figure.facecolor": PAPER,
            "savefig.facecolor": PAPER,
            "axes.facecolor": PAPER,
            "font.family": "DejaVu Sans",
            "mathtext.fontset": "dejavusans",
            "font.size": TEXT,
            "axes.titlesize": TEXT,
            "axes.labelsize": TEXT,
            "xtick.labelsize": TEXT,
            "ytick.labelsize": TEXT,
            "legend.fontsize": TEXT,
            "figure.titlesize": TEXT,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.edgecolor": MUTED,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.8,
            "axes.axisbelow": True,
            "axes.grid": True,
            "grid.color": GRID,
            "grid.linewidth": 0.7,
            "lines.linewidth": 1.8,
            "lines.markersize": 5.5,
            "lines.solid_joinstyle": "round",
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "legend.handletextpad": 0.4,
            "legend.columnspacing": 1.0,
            "svg.hashsalt": "firstorder",
            "svg.fonttype": "path",
        }
    )
    _inline_pictures()


def _inline_pictures():
    """In a notebook: whole pictures, not cropped ones, without the version of matplotlib."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if get_ipython() is not None and "inline" in plt.get_backend():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("png", bbox_inches=None, metadata={"Software": None})


def alt_text(figure):
    """Return the alternative text of a figure or of Axes; of several panels, joined in order."""
    axes = figure.axes if isinstance(figure, FigureBase) else [figure]
    return " ".join(ax._alt for ax in axes if hasattr(ax, "_alt"))


def save(figure, path):
    """Write a figure, or the figure of Axes, to a ``.png`` or ``.svg`` file with its text inside.

    The same figure gives the same bytes.  Raises ``ValueError`` for another kind of file and for a
    figure without alternative text.
    """
    path, text = Path(path), alt_text(figure)
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"path must end in .png or .svg, got {str(path)!r}")
    if not text:
        raise ValueError("figure must have an alternative text; give alt= when drawing it")
    without = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    figure.get_figure().savefig(path, metadata={"Description": text, **without})


# --------------------------------------------------------------------------------------------------
# Traces


def paths(
    surface,
    traces,
    *,
    runs=None,
    labels=None,
    every=None,
    levels=None,
    xlim=None,
    ylim=None,
    xlabel=None,
    ylabel=None,
    ax=None,
    alt=None,
):
    """Draw iterates on the contours of a surface, or on the graph of a function of one variable.

    ``surface``  ``name, x1, x2, f, minimisers``, as ``objective.grid(n)`` gives it; with one
                 variable ``x2`` is None
    ``traces``   a Trace, several, or a dict of label: Trace, in two coordinates (or one)
    ``runs``     of traces with a run axis: the indices to draw, by default all
    ``labels``   one a path; by default the optimizer, or the hyper-parameter that differs
    ``every``    a marker at every so many iterates; by default at each of up to 30, else spread
                 evenly along the path
    ``levels``   of the contours; by default 12, spaced by ratio where the surface is steep

    A ring marks the start, a cross every minimiser, a large marker where a path ends.
    """
    entries = _trace_lines(traces, runs, labels)
    one = surface.x2 is None
    for _, _, trace, _ in entries:
        if trace.x.shape[-1] != (1 if one else 2):
            raise ValueError(
                f"traces must have {1 if one else 2} coordinates on {surface.name}, "
                f"got {trace.x.shape[-1]}"
            )
    ax = _axes(ax, alt)
    if one:
        ax.plot(surface.x1, surface.f, color=MUTED, linewidth=1.2)
    else:
        _contours(ax, surface, levels)
    names = ("$x$", "$f(x)$") if one else ("$x_1$", "$x_2$")
    ax.set_xlabel(names[0] if xlabel is None else xlabel)
    ax.set_ylabel(names[1] if ylabel is None else ylabel)
    ax.set(xlim=xlim or (surface.x1.min(), surface.x1.max()))
    if not one:
        ax.set(ylim=ylim or (surface.x2.min(), surface.x2.max()))
    elif ylim:
        ax.set(ylim=ylim)
    ax.autoscale(False)

    far = 1e4 * np.ptp(surface.x1)  # a diverging path leaves the window; more is not drawn
    for look, label, trace, _ in entries:
        x1 = np.clip(trace.x[:, 0], -far, far)
        x2 = np.clip(trace.f if one else trace.x[:, 1], -far, far)
        spread = every or (1 if trace.steps <= 30 else 0.08)
        ax.plot(x1, x2, **_line(look, size=4.5), markevery=spread, label=label)
        ax.plot(x1[-1:], x2[-1:], **_point(look, 8.5))
        ax.plot(
            x1[0], x2[0], "o", markersize=9, markerfacecolor=PAPER, markeredgecolor=INK, zorder=4
        )
    for minimiser in [] if one or surface.minimisers is None else surface.minimisers:
        ax.plot(*minimiser, "+", **_CROSS, markersize=11)
    _whole_numbers(ax.xaxis)
    _legend(ax, _named(ax) * (len(entries) > 1))
    return ax


def losses(
    data,
    *,
    quantity="loss",
    minimum=0.0,
    lr=None,
    runs=None,
    labels=None,
    band=(0.25, 0.75),
    log=True,
    xlabel=None,
    ylabel=None,
    ax=None,
    alt=None,
):
    """Draw the loss against the step, or a quantity measured after each epoch against the epoch.

    ``data``      a Trace or History, several, or a dict of label: Trace or History
    ``quantity``  of Histories: "loss" (a value each step), "train_loss", "val_loss" or
                  "val_accuracy" (a value each epoch)
    ``minimum``   subtracted from the loss, for a distance to the minimum
    ``lr``        of Histories with several learning rates: the one to draw, or one for each
                  History; by default a line for each
    ``runs``      of traces with a run axis: the indices to draw, by default all
    ``band``      quantiles over seeds between which a History is shaded; its line is the median

    Lines are labelled at their ends.  That of a trace stops where the loss has grown a millionfold.
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(_QUANTITIES)}, got {quantity!r}")
    drawn = []  # look, label, line, band
    if all(isinstance(item, Trace) for item in _items(data)):
        xlabel, ylabel = (
            xlabel or "Step",
            ylabel or ("Loss above its minimum" if minimum else "Loss"),
        )
        for look, label, trace, _ in _trace_lines(data, runs, labels):
            f = np.where(trace.f < 1e6 * abs(trace.f[0]) + 1, trace.f, np.nan)
            drawn.append((look, label, f - minimum, None))
    else:
        xlabel = xlabel or ("Step" if quantity == "loss" else "Epoch")
        ylabel = ylabel or _QUANTITIES[quantity]
        for look, label, history, k in _history_lines(data, lr, labels):
            low, median, high = (
                history.quantiles((band[0], 0.5, band[1]), quantity)[..., k] - minimum
            )
            drawn.append((look, label, median, (low, high)))
    ax = _axes(ax, alt)
    for look, label, line, shade in drawn:
        steps = np.arange(len(line))
        ax.plot(steps, line, **_line(look, marker=False), label=label)
        if shade is not None:
            ax.fill_between(steps, *shade, **_shade(look))
    if log and quantity != "val_accuracy":
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0)
    _whole_numbers(ax.xaxis)
    _label_ends(ax)
    return ax


def sensitivity(
    histories,
    *,
    quantity="val_loss",
    labels=None,
    band=(0.25, 0.75),
    log=True,
    ylim=None,
    xlabel="Learning rate η",
    ylabel=None,
    ax=None,
    alt=None,
):
    """Draw a quantity after the last epoch against the learning rate.

    ``histories``  a History, several, or a dict of label: History
    ``quantity``   "loss", "train_loss", "val_loss" or "val_accuracy"
    ``band``       quantiles over seeds between which is shaded; the line is the median

    A ring marks the best median; a cross, at the upper edge, a learning rate at which a run
    diverged.
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(_QUANTITIES)}, got {quantity!r}")
    drawn = [
        (look, label, history, history.quantiles((band[0], 0.5, band[1]), quantity)[:, -1])
        for look, label, history, _ in _history_lines(histories, None, labels, sweep=True)
    ]
    ax = _axes(ax, alt)
    for row, (look, label, history, (low, median, high)) in enumerate(drawn):
        order, best = np.argsort(history.lr), history.best(quantity)
        lr = history.lr[order]
        ax.plot(lr, median[order], **_line(look), label=label)
        ax.fill_between(lr, low[order], high[order], **_shade(look))
        ring = {"color": "none", "markeredgecolor": look.colour, "markeredgewidth": 1.4}
        ax.plot(best.lr, best.value, "o", **ring, markersize=12)
        diverged = history.lr[(history.diverged_at >= 0).any(axis=-1)]
        ax.plot(
            diverged,
            np.full(len(diverged), 0.97 - 0.055 * row),
            "x",
            color=look.colour,
            markeredgewidth=1.8,
            transform=ax.get_xaxis_transform(),
        )
    ax.set_xscale("log")
    if log and quantity != "val_accuracy":
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel or f"{_QUANTITIES[quantity]}, last epoch")
    if ylim:
        ax.set_ylim(ylim)
    crosses = any((history.diverged_at >= 0).any() for _, _, history, _ in drawn)
    _legend(ax, _named(ax) * (len(drawn) > 1) + [Line2D([], [], **_CROSS_KEY)] * crosses)
    _few_decades(ax)
    return ax


def states(
    trace,
    fields,
    coordinate=0,
    *,
    run=None,
    also=None,
    log=False,
    xlabel="Step",
    ylabel="Value",
    ax=None,
    alt=None,
):
    """Draw what an optimizer remembers, one coordinate of it, against the step.

    ``fields``  names of state fields ("m", "v", ...), "x", or "g", the gradients used
    ``run``     of a trace with a run axis: the index to draw
    ``also``    a dict of label: values to draw beside them, one a step or one more
    """
    fields = [fields] if isinstance(fields, str) else list(fields)
    single = _one_run(trace, run)
    if not 0 <= coordinate < single.x.shape[-1]:
        raise ValueError(
            f"coordinate must be at least 0 and below {single.x.shape[-1]}, got {coordinate}"
        )
    known = {"x": single.x, "g": single.g, **single.state._asdict()}
    lines = {}
    for name in fields:
        if name not in known:
            raise ValueError(f"fields must be among {', '.join(known)}, got {name!r}")
        value = np.asarray(known[name])
        lines[f"${name}$"] = value[:, coordinate] if value.ndim > 1 else value
    for label, value in (also or {}).items():
        lines[label] = np.asarray(value, dtype=float)
        if lines[label].shape not in ((single.steps,), (single.steps + 1,)):
            raise ValueError(
                f"also[{label!r}] must have {single.steps} or {single.steps + 1} values, "
                f"got shape {lines[label].shape}"
            )
    ax = _axes(ax, alt)
    for look, (label, value) in zip(_series(len(lines)), lines.items(), strict=True):
        steps = np.arange(single.steps + 1 - len(value), single.steps + 1)
        ax.plot(steps, value, **_line(look, marker=False), label=label)
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0)
    _whole_numbers(ax.xaxis)
    _label_ends(ax)
    return ax


# --------------------------------------------------------------------------------------------------
# Numbers


def stability(
    x,
    y,
    values,
    *,
    xlabel,
    ylabel,
    label,
    levels=None,
    limit=None,
    boundaries=None,
    ax=None,
    alt=None,
):
    """Draw a map of ``values`` over a plane of two parameters.

    ``x, y``        (n,) and (m,), increasing
    ``values``      (m, n); where they are not finite the map is hatched
    ``label``       of the colour scale
    ``levels``      of the contours; by default matplotlib's choice
    ``limit``       the level of the heavy line above which the map is hatched, such as a spectral
                    radius of 1
    ``boundaries``  a dict of label: (x, y), curves predicted by theory, drawn dashed
    """
    x, y, values = (np.asarray(a, dtype=float) for a in (x, y, values))
    if values.shape != (len(y), len(x)) or not values.size:
        raise ValueError(f"values must have shape {(len(y), len(x))}, got {values.shape}")
    if not np.isfinite(values).any():
        raise ValueError("values must have a finite entry, got none")
    ax = _axes(ax, alt)
    ax.grid(False)
    ax.patch.set(hatch="///", facecolor=PAPER, edgecolor=_OUTSIDE)
    shown = np.ma.masked_invalid(values)
    if limit is not None:
        if levels is None:
            levels = ticker.MaxNLocator(9).tick_values(shown.min(), limit)
        levels = [*(level for level in levels if level < limit), limit]
    filled = ax.contourf(x, y, shown, levels=levels, cmap=_MAP)
    if limit is not None:
        ax.contour(x, y, shown, levels=[limit], colors=INK, linewidths=2.0)
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02, aspect=30)
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    for k, (name, curve) in enumerate((boundaries or {}).items()):
        ax.plot(*curve, color=INK, linestyle=(DASHED, DOTTED, DASHDOT)[k % 3], label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    _legend(ax, _named(ax))
    return ax


def curves(
    x,
    lines,
    *,
    xlabel,
    ylabel,
    predicted=None,
    xscale="linear",
    yscale="linear",
    vertical=None,
    horizontal=None,
    ax=None,
    alt=None,
):
    """Draw lines; with ``predicted``, draw predictions as lines and what was measured as markers.

    ``x``           (n,)
    ``lines``       a dict of label: (n,) values; a label that is the name of a rule gets its look
    ``predicted``   a dict of label: (n,) values, or an (x, y) pair; under the label of a measured
                    line it takes its colour
    ``xscale, yscale``  "linear", "log" or "symlog"
    ``vertical, horizontal``  a dict of label: position, thin reference lines
    """
    x = np.asarray(x, dtype=float)
    lines = {k: np.asarray(v, dtype=float) for k, v in _mapping("lines", lines).items()}
    pairs = {}
    for label, value in (predicted or {}).items():
        pair = value if isinstance(value, tuple) else (x, value)
        pairs[label] = tuple(np.asarray(a, dtype=float) for a in pair)
    for name, (a, b) in {**{k: (x, v) for k, v in lines.items()}, **pairs}.items():
        if a.ndim != 1 or a.shape != b.shape:
            raise ValueError(f"{name!r} must have one value for each x {a.shape}, got {b.shape}")
    names = list(dict.fromkeys([*lines, *pairs]))
    looks = dict(zip(names, _looks(names), strict=True))

    ax = _axes(ax, alt)
    for label, (a, b) in pairs.items():
        dash = "-" if label in lines else DASHED
        ax.plot(a, b, color=looks[label].colour, linestyle=dash, linewidth=1.5, label=_label(label))
    for label, y in lines.items():
        name = (
            f"_{label}" if label in pairs else _label(label)
        )  # matplotlib lists no label with a _
        if predicted:
            ax.plot(x, y, **_measured(looks[label], len(x)), label=name)
        else:
            ax.plot(x, y, **_line(looks[label], marker=len(x) <= 30), label=name)
    ax.set(xscale=xscale, yscale=yscale, xlabel=xlabel, ylabel=ylabel)
    _references(ax, vertical or {}, horizontal or {})
    _label_ends(ax, key=_KEY * any(label in pairs for label in lines))
    return ax


def dots(values, *, xlabel, reference=None, log=False, ax=None, alt=None):
    """Draw every value of each category as a dot, and their median as a bar across the row.

    ``values``     a dict of label: values; a label that is the name of a rule gets its look
    ``reference``  a dict of label: position, thin reference lines
    """
    values = {
        k: np.atleast_1d(np.asarray(v, dtype=float)) for k, v in _mapping("values", values).items()
    }
    for label, v in values.items():
        if v.ndim != 1 or not v.size:
            raise ValueError(
                f"values[{label!r}] must be one-dimensional and not empty, got {v.shape}"
            )
    ax = _axes(ax, alt, rows=len(values))
    for row, (look, v) in enumerate(zip(_looks(values), values.values(), strict=True)):
        ax.plot(v, np.full(v.shape, row), linestyle="none", **_point(look, 7), alpha=0.7)
        ax.plot([np.median(v)] * 2, [row - 0.3, row + 0.3], color=look.colour, linewidth=2.4)
    _rows(ax, values, xlabel, reference, log)
    return ax


def bars(values, *, xlabel, reference=None, log=False, digits=3, ax=None, alt=None):
    """Draw one bar for each category, with its value at the end, to ``digits`` significant digits.

    ``values``     a dict of label: value; a label that is the name of a rule gets its look
    ``reference``  a dict of label: position, thin reference lines
    """
    values = {k: float(v) for k, v in _mapping("values", values).items()}
    ax = _axes(ax, alt, rows=len(values))
    for row, (look, v) in enumerate(zip(_looks(values), values.values(), strict=True)):
        ax.barh(row, v, height=0.62, color=look.colour)
        ax.annotate(f"{v:.{digits}g}", (v, row), (4, 0), **_NOTE, va="center")
    _rows(ax, values, xlabel, reference, log)
    ax.margins(x=0.14)
    return ax


# --------------------------------------------------------------------------------------------------
# What is drawn: a look, a label and one run or one learning rate


_QUANTITIES = {
    "loss": "Minibatch loss",
    "train_loss": "Training loss",
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
}


class _Line(NamedTuple):
    """A line to draw: a run of a Trace, or a learning rate of a History (None: all of them)."""

    look: Look
    label: str
    source: Any
    index: Any = None


def _items(data):
    """One thing, several or a dict of them, as a list that is not empty."""
    if isinstance(data, Mapping):
        items = list(data.values())
    elif isinstance(data, (list, tuple)):
        items = list(data)
    else:
        items = [data]
    if not items:
        raise ValueError("there is nothing to draw: traces and histories must not be empty")
    return items


def _mapping(name, value):
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{name} must be a dict of label: values that is not empty, got {value!r}")
    return value


def _one_run(trace, run):
    """The trace of one run, without a run axis."""
    if not isinstance(trace, Trace):
        raise TypeError(f"trace must be a Trace, got {type(trace).__name__}")
    if trace.x.ndim == 2:
        return trace
    count = trace.x.shape[1]
    if run is None or not 0 <= run < count:
        raise ValueError(f"run must be at least 0 and below {count}, got {run}")

    def pick(a):
        return a[:, run] if np.ndim(a) == trace.x.ndim else a

    return replace(
        trace,
        x=trace.x[:, run],
        f=trace.f[:, run],
        g=trace.g[:, run],
        state=type(trace.state)(*map(pick, trace.state)),
        diverged_at=trace.diverged_at[run],
        hyper=_hyper_at(trace.hyper, run),
    )


def _hyper_at(hyper, index):
    """Every hyper-parameter with one value for each run, at one run."""
    return {k: np.asarray(v)[index] if np.ndim(v) == 1 else v for k, v in hyper.items()}


def _trace_lines(traces, runs, labels):
    """A ``_Line`` for each run of each trace."""
    singles = []
    for trace in _items(traces):
        if not isinstance(trace, Trace):
            raise TypeError(f"traces must be of type Trace, got {type(trace).__name__}")
        many = trace.x.ndim == 3
        chosen = range(trace.x.shape[1]) if many and runs is None else runs
        singles += [_one_run(trace, r) for r in chosen] if many else [trace]
    names = [trace.rule for trace in singles]
    labels = _labels(traces, labels, names, [trace.hyper for trace in singles])
    return [_Line(*line) for line in zip(_looks(names), labels, singles, strict=True)]


def _history_lines(histories, lr, labels, sweep=False):
    """A ``_Line`` for each learning rate of each history, or only for each history."""
    items = _items(histories)
    for item in items:
        if not hasattr(item, "quantiles"):
            raise TypeError(f"data must be all Traces or all Histories, got {type(item).__name__}")
    wanted = lr if np.ndim(lr) == 1 else [lr] * len(items)
    if len(wanted) != len(items):
        raise ValueError(f"lr must be a number or {len(items)}, one a History, got {len(wanted)}")
    lines = []
    for history, rate in zip(items, wanted, strict=True):
        close = np.full(len(history.lr), True) if rate is None else np.isclose(history.lr, rate)
        if not close.any():
            allowed = ", ".join(f"{r:g}" for r in history.lr)
            raise ValueError(f"lr must be one of {allowed}, got {rate:g}")
        lines += [(history, None)] if sweep else [(history, k) for k in np.flatnonzero(close)]
    names = [history.rule for history, _ in lines]
    hypers = [
        {k: v for k, v in history.hyper.items() if np.ndim(v) == 0}
        if k is None
        else {**_hyper_at(history.hyper, k), "lr": history.lr[k]}
        for history, k in lines
    ]
    labels = _labels(histories, labels, names, hypers)
    return [
        _Line(*line) for line in zip(_looks(names), labels, *zip(*lines, strict=True), strict=True)
    ]


def _labels(data, labels, names, hypers):
    """Labels as given, or the names of the rules, with what differs where a rule comes twice."""
    if labels is None and isinstance(data, Mapping) and len(data) == len(names):
        labels = list(data)
    if labels is not None:
        if len(labels) != len(names):
            raise ValueError(f"labels must be {len(names)}, one a line, got {len(labels)}")
        return list(labels)
    if len(set(names)) == len(names):
        return [_label(name) for name in names]
    differing = [
        key
        for key in dict.fromkeys(key for hyper in hypers for key in hyper)
        if len({hyper.get(key) for hyper in hypers}) > 1
    ]
    result = []
    for k, (name, hyper) in enumerate(zip(names, hypers, strict=True)):
        rule = [_label(name)] if len(set(names)) > 1 else []
        numbers = [
            f"{SYMBOLS.get(key, key)} = {hyper[key]:g}"
            for key in differing
            if isinstance(hyper.get(key), (int, float))
        ]
        result.append(", ".join(rule + numbers) or f"run {k}")
    return result


def _label(name):
    return LOOK[name].label if name in LOOK else str(name)


def _looks(names):
    """A rule's own look for the first line with its name or label, the series for the others.

    Where all lines are of one rule, all are of the series.
    """
    rules = [_BY_LABEL.get(name, name) for name in names]
    if len(set(rules)) == 1 < len(rules):
        return _series(len(rules))
    own = [name in LOOK and name not in rules[:k] for k, name in enumerate(rules)]
    beside = {name for name, is_own in zip(rules, own, strict=True) if is_own}
    others = iter(_series(len(rules) - sum(own), beside))
    return [LOOK[name] if is_own else next(others) for name, is_own in zip(rules, own, strict=True)]


def _series(count, beside=()):
    """Looks of the series, those first that differ well from the looks of the rules beside them."""
    unlike = set().union(*(_LIKE[name] for name in beside))
    order = sorted(range(len(SERIES)), key=lambda k: k in unlike)
    return [SERIES[order[k % len(order)]] for k in range(count)]


# --------------------------------------------------------------------------------------------------
# Drawing

# light enough for dark lines on all of it
_MAP = colors.LinearSegmentedColormap.from_list(
    "firstorder", ["#fbf6e3", "#dbe7d6", "#b3d3cf", "#86b9c6", "#6a9fbd"]
)
_OUTSIDE = "#c9a294"
_LEVELS = colors.LinearSegmentedColormap.from_list("levels", ["#98a3ad", "#d5dade"])
_HALO = [patheffects.withStroke(linewidth=2.5, foreground=PAPER)]
_NOTE = {
    "textcoords": "offset points",
    "color": INK,
    "annotation_clip": False,
    "path_effects": _HALO,
}
_CROSS = {"color": INK, "markeredgewidth": 1.8, "zorder": 5, "path_effects": _HALO}
_CROSS_KEY = {
    "color": MUTED,
    "marker": "x",
    "markeredgewidth": 1.8,
    "linestyle": "none",
    "label": "diverged",
}


def _axes(ax, alt, rows=None):
    if alt is not None and (not isinstance(alt, str) or not alt.strip()):
        raise ValueError(f"alt must be a text that is not empty, got {alt!r}")
    if ax is None:
        size = None if rows is None else (plt.rcParams["figure.figsize"][0], 0.75 + 0.32 * rows)
        _, ax = plt.subplots(figsize=size)
    if alt is not None:
        ax._alt = alt
    return ax


_OPTICAL = {"*": 1.6, "X": 1.15, "D": 0.85}  # sizes at which markers look equally large


def _line(look, marker=True, size=5.5):
    """A solid line with markers, or a line in its own dashes without."""
    if not marker:
        return {"color": look.colour, "linestyle": look.dash}
    return {**_point(look, size), "linestyle": "-", "zorder": 2.5}


def _point(look, size):
    return {
        "color": look.colour,
        "marker": look.marker,
        "markersize": size * _OPTICAL.get(look.marker, 1),
        "markeredgecolor": PAPER,
        "markeredgewidth": 0.4,
        "zorder": 4,
    }


def _measured(look, count):
    """Open markers, of many points only some."""
    return {
        **_point(look, 5.5),
        "linestyle": "none",
        "markerfacecolor": PAPER,
        "markeredgecolor": look.colour,
        "markeredgewidth": 1.3,
        "markevery": -(-count // 40),
    }


_KEY = [
    Line2D([], [], color=MUTED, linewidth=1.5, label="predicted"),
    Line2D([], [], **_measured(Look(MUTED, "o", "-", 0, ""), 1), label="measured"),
]


def _shade(look):
    return {"color": look.colour, "alpha": 0.16, "linewidth": 0}


def _contours(ax, surface, levels):
    f = np.asarray(surface.f)
    if levels is None:
        rise = f - f.min()
        if surface.minimisers is None or len(surface.minimisers) == 0:
            levels = np.linspace(f.min(), f.max(), 14)
        elif rise.max() < 10 * np.median(rise):  # evenly spaced on a quadratic
            levels = f.min() + rise.max() * np.linspace(0, 1, 13)[1:] ** 2
        else:
            levels = f.min() + np.geomspace(np.quantile(rise, 0.01), rise.max(), 12)
    ax.grid(False)
    ranks = colors.BoundaryNorm([*levels, np.inf], 256) if len(levels) > 1 else None
    ax.contour(surface.x1, surface.x2, f, levels=levels, cmap=_LEVELS, norm=ranks, linewidths=0.9)


def _whole_numbers(axis):
    """Ticks at 0, 10, 20, not at 0, 2.5, 5, on an axis that is linear."""
    if axis.get_scale() == "linear":
        axis.set_major_locator(ticker.MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))


def _few_decades(ax):
    """Ticks at 1, 2, 5, 10, ... on a vertical axis of less than three decades, as plain numbers."""
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log" and high < 1000 * low and low > 1e-4 and high < 1e5:
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
        ax.yaxis.set_minor_locator(ticker.NullLocator())


def _references(ax, vertical, horizontal):
    """Thin lines with their labels inside the axes: above them, or below near the upper edge."""
    low, high = ax.transAxes.transform([(0, 0), (1, 1)])[:, 1]
    for label, at in vertical.items():
        ax.axvline(at, color=MUTED, linewidth=1.0, linestyle=DOTTED)
        ax.annotate(label, (at, 1), (3, -2), xycoords=ax.get_xaxis_transform(), **_NOTE, va="top")
    for label, at in horizontal.items():
        ax.axhline(at, color=MUTED, linewidth=1.0, linestyle=DOTTED)
        ax.get_ylim()  # settles the limits
        place = ax.get_yaxis_transform()
        below = place.transform((0, at))[1] > low + 0.88 * (high - low)
        where = {"xytext": (3, -2), "va": "top"} if below else {"xytext": (3, 2), "va": "bottom"}
        ax.annotate(label, (0, at), xycoords=place, **_NOTE, **where)


def _rows(ax, values, xlabel, reference, log):
    """Categories down the left, the first at the top."""
    if log:
        ax.set_xscale("log")
    ax.set(xlabel=xlabel, ylim=(len(values) - 0.4, -0.6))
    ax.set_yticks(range(len(values)), [_label(name) for name in values])
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    for label, at in (reference or {}).items():
        ax.axvline(at, color=INK, linewidth=1.0, linestyle=DOTTED)
        ax.annotate(label, (at, 1), (0, 3), xycoords=ax.get_xaxis_transform(), **_NOTE, ha="center")


def _named(ax):
    """The lines that have a label."""
    return [line for line in ax.get_lines() if not line.get_label().startswith("_")]


def _legend(ax, handles):
    """A legend above the axes, where it covers nothing, in as few rows as the figure is wide."""
    for rows in range(1, len(handles) + 1):
        legend = ax.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=-(-len(handles) // rows),
            borderaxespad=0.2,
            borderpad=0.1,
        )
        if legend.get_window_extent().width < 0.88 * ax.get_figure().bbox.width:
            return


def _label_ends(ax, key=()):
    """Name each line at its right end, moved apart if close; more than six get a legend."""
    lines = _named(ax)
    if len(lines) > 6:
        _legend(ax, [*lines, *key])
    else:
        _legend(ax, key)
    if 1 < len(lines) <= 6:
        ax.get_figure().draw_without_rendering()  # settles limits and layout: ends have places
        height = ax.bbox.height * 72 / ax.get_figure().dpi  # points
        ends = []  # height in points, point, line
        for line in lines:
            points = line.get_xydata()
            places = ax.transAxes.inverted().transform(ax.transData.transform(points))
            inside = np.flatnonzero(np.isfinite(places).all(axis=1))
            if len(inside):
                ends.append((places[inside[-1], 1] * height, points[inside[-1]], line))
        ends.sort(key=lambda end: end[0])
        heights = _apart([end[0] for end in ends], 1.22 * TEXT, height)
        for at, (own, point, line) in zip(heights, ends, strict=True):
            note = {**_NOTE, "color": _dark(line.get_color())}
            ax.annotate(line.get_label(), point, (6, at - own), **note, va="center")
    _few_decades(ax)


def _apart(places, gap, height):
    """Increasing places, moved to be a gap apart and, if they fit, between 0 and height."""
    places = np.array(places)
    for _ in range(200):
        short = np.clip(gap - np.diff(places), 0, None) / 2
        places[:-1] -= short
        places[1:] += short
        if (len(places) - 1) * gap < height:
            places = np.clip(places, 0, height)
    return places


def _dark(colour):
    """The colour of text that names a line of this colour."""
    mixed = 0.65 * np.array(colors.to_rgb(colour)) + 0.35 * np.array(colors.to_rgb(INK))
    return colors.to_hex(mixed)


__all__ = [
    "LOOK",
    "SERIES",
    "Look",
    "alt_text",
    "bars",
    "curves",
    "dots",
    "losses",
    "paths",
    "save",
    "sensitivity",
    "stability",
    "states",
    "style",
]
