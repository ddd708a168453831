"""The book's figures: traces in, matplotlib Axes out.

Every optimizer has one colour, marker, line style and place, for the whole book, in ``LOOK``.
``style()`` sets matplotlib's parameters, once, in a chapter's import cell.  Every function draws what
it is given and computes no result; each takes

``ax``   the Axes to draw into; by default those of a new figure
``alt``  what the figure shows, in words, for readers who do not see it; ``alt_text`` gives it back
         and ``save`` writes it into the file

and returns the Axes.  Wrong input raises ``TypeError`` or ``ValueError`` before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors

from firstorder.run import Trace

if TYPE_CHECKING:  # loads torch
    from firstorder.train import History

# --------------------------------------------------------------------------------------------------
# One look


class Look(NamedTuple):
    """How an optimizer looks: ``colour``, ``marker``, line ``dash``, ``order`` and ``label``."""

    colour: str
    marker: str
    dash: str | tuple
    order: int
    label: str


DASHED, DOTTED, DASHDOT = (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5))

LOOK = {
    "sgd": Look("#2f3437", "o", "-", 0, "SGD"),
    "momentum": Look("#0072b2", "s", "-", 1, "Momentum"),
    "nesterov": Look("#00a0a0", "^", DASHED, 2, "Nesterov"),
    "adagrad": Look("#b07d00", "D", "-", 3, "AdaGrad"),
    "rmsprop": Look("#1b8a4b", "v", DASHED, 4, "RMSProp"),
    "adadelta": Look("#7a4fb5", "P", DASHDOT, 5, "Adadelta"),
    "adam": Look("#d1341f", "o", "-", 6, "Adam"),
    "yogi": Look("#b07d00", "s", DASHED, 7, "Yogi"),
    "adamax": Look("#0072b2", "^", DASHDOT, 8, "AdaMax"),
    "nadam": Look("#c2489b", "D", DASHED, 9, "Nadam"),
    "amsgrad": Look("#2f3437", "X", DASHDOT, 10, "AMSGrad"),
    "adamw": Look("#1b8a4b", "v", DOTTED, 11, "AdamW"),
}

# For lines that are no optimizer, or the same one several times: from dark to light.
SERIES = tuple(
    Look(colour, marker, dash, order, "")
    for order, (colour, marker, dash) in enumerate(
        [
            ("#2d2a5e", "o", "-"),
            ("#2c5f9e", "s", DASHED),
            ("#1f8a8c", "^", DASHDOT),
            ("#5f9138", "D", DOTTED),
            ("#c0711a", "v", "-"),
            ("#c2397a", "P", DASHED),
        ]
    )
)

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
            "legend.frameon": False,
            "legend.handlelength": 2.4,
            "legend.columnspacing": 1.4,
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
    axes = figure.axes if hasattr(figure, "axes") and isinstance(figure.axes, list) else [figure]
    return " ".join(text for ax in axes if (text := getattr(ax, "_alt", None)))


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
    figure = getattr(figure, "figure", None) or figure
    figure.savefig(path, metadata={"Description": text, **without})


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
    xlabel="$x_1$",
    ylabel="$x_2$",
    ax=None,
    alt=None,
):
    """Draw iterates on the contours of a surface, or on the graph of a function of one variable.

    ``surface``  ``name, x1, x2, f, minimisers``, as ``objective.grid(n)`` gives it; with one variable
                 ``x2`` is None
    ``traces``   a Trace, several, or a dict of label: Trace, in two coordinates (or one)
    ``runs``     of traces with a run axis: the indices to draw, by default all
    ``labels``   one a path; by default the optimizer, or the hyper-parameter that differs
    ``every``    a marker at every so many iterates; by default at each of up to 30, else spread evenly
                 along the path
    ``levels``   of the contours; by default 12, spaced by ratio where the surface is steep

    A ring marks the start, a cross every minimiser, a large marker where a path ends.
    """
    entries = _entries(traces, runs, labels)
    one = surface.x2 is None
    for entry in entries:
        if entry.trace.x.shape[-1] != (1 if one else 2):
            raise ValueError(
                f"traces must have {1 if one else 2} coordinates on {surface.name}, "
                f"got {entry.trace.x.shape[-1]}"
            )
    ax = _axes(ax, alt)
    if one:
        ax.plot(surface.x1, surface.f, color=MUTED, linewidth=1.2)
    else:
        _contours(ax, surface, levels)
    ax.set(xlim=xlim or (surface.x1.min(), surface.x1.max()), xlabel=xlabel, ylabel=ylabel)
    if not one:
        ax.set(ylim=ylim or (surface.x2.min(), surface.x2.max()))
    elif ylim:
        ax.set(ylim=ylim)
    ax.autoscale(False)

    far = 1e4 * np.ptp(surface.x1)
    for look, label, trace in entries:
        x1 = np.clip(trace.x[:, 0], -far, far)  # a diverging path leaves the window: enough is drawn
        x2 = np.clip(trace.f if one else trace.x[:, 1], -far, far)
        spread = every or (1 if trace.steps <= 30 else 0.06)
        ax.plot(x1, x2, **_line(look), markevery=spread, markersize=4, label=label)
        ax.plot(x1[-1:], x2[-1:], **_point(look), markersize=8)
    for start in np.unique([(e.trace.x[0, 0], e.trace.f[0] if one else e.trace.x[0, 1]) for e in entries], axis=0):
        ax.plot(*start, "o", markersize=9, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    for minimiser in [] if one or surface.minimisers is None else surface.minimisers:
        ax.plot(*minimiser, "+", markersize=11, color=INK, markeredgewidth=1.6, zorder=5)
    _legend(ax, len(entries) > 1)
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
    ``lr``        of Histories with several learning rates: the one to draw, or one for each History;
                  by default a line for each
    ``runs``      of traces with a run axis: the indices to draw, by default all
    ``band``      quantiles over seeds between which a History is shaded; its line is the median

    Lines are labelled at their ends.
    """
    if all(isinstance(item, Trace) for item in _items(data)):
        entries = _entries(data, runs, labels)
        x, default = "Step", "Loss" if not minimum else "Loss above its minimum"
        lines = [(e.look, e.label, e.trace.f[:, None], ()) for e in entries]
    else:
        x, default = ("Step" if quantity == "loss" else "Epoch"), _QUANTITIES[_quantity(quantity)]
        lines = [
            (look, label, getattr(history, quantity)[:, k], band)
            for look, label, history, k in _history_entries(data, lr, labels)
        ]
    ax = _axes(ax, alt)
    for look, label, values, quantiles in lines:
        values = values - minimum
        steps = np.arange(len(values))
        ax.plot(steps, _quantile(values, 0.5), **_line(look, marker=False), label=label)
        if quantiles and values.shape[-1] > 1:
            low, high = (_quantile(values, q) for q in quantiles)
            ax.fill_between(steps, low, high, color=look.colour, alpha=0.16, linewidth=0)
    if log and quantity != "val_accuracy":
        ax.set_yscale("log")
    ax.set(xlabel=xlabel or x, ylabel=ylabel or default)
    ax.margins(x=0)
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

    A ring marks the best median; a cross, at the upper edge, a learning rate at which a run diverged.
    """
    entries = _history_entries(histories, None, labels, together=True)
    default = _QUANTITIES[_quantity(quantity)]
    ax = _axes(ax, alt)
    for n, (look, label, history, _) in enumerate(entries):
        values = getattr(history, quantity)[-1]
        median = _quantile(values, 0.5)
        lr, order = np.asarray(history.lr), np.argsort(history.lr)
        ax.plot(lr[order], median[order], **_line(look), label=label)
        if values.shape[-1] > 1:
            low, high = (_quantile(values, q)[order] for q in band)
            ax.fill_between(lr[order], low, high, color=look.colour, alpha=0.16, linewidth=0)
        if np.isfinite(median).any():
            k = np.nanargmax(median) if quantity == "val_accuracy" else np.nanargmin(median)
            ax.plot(lr[k], median[k], "o", markersize=12, color="none", markeredgecolor=look.colour)
        diverged = lr[(np.asarray(history.diverged_at) >= 0).any(-1)]
        ax.plot(
            diverged,
            np.full(len(diverged), 0.985 - 0.05 * n),
            "x",
            color=look.colour,
            markeredgewidth=1.8,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )
    ax.set_xscale("log")
    if log and quantity != "val_accuracy":
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel or f"{default}, last epoch")
    if ylim:
        ax.set_ylim(ylim)
    _legend(ax, len(entries) > 1)
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
    for look, (label, value) in zip(_cycle(len(lines)), lines.items(), strict=True):
        steps = np.arange(single.steps + 1 - len(value), single.steps + 1)
        ax.plot(steps, value, **_line(look, marker=False), label=label)
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0)
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
    ``limit``       the level drawn as a heavy line, such as a spectral radius of 1
    ``boundaries``  a dict of label: (x, y), curves predicted by theory, drawn dashed
    """
    x, y, values = (np.asarray(a, dtype=float) for a in (x, y, values))
    if values.shape != (len(y), len(x)):
        raise ValueError(f"values must have shape {(len(y), len(x))}, got {values.shape}")
    ax = _axes(ax, alt)
    ax.grid(False)
    ax.patch.set(hatch="////", edgecolor="#b9bfc4")
    shown = np.ma.masked_invalid(values)
    filled = ax.contourf(x, y, shown, levels=levels, cmap=_MAP, extend="both" if levels is not None else "neither")
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)
    if limit is not None:
        ax.contour(x, y, shown, levels=[limit], colors=INK, linewidths=2.0)
    for look, (name, curve) in zip(_cycle(len(boundaries or {})), (boundaries or {}).items(), strict=True):
        ax.plot(*curve, color=INK, linestyle=(DASHED, DOTTED, DASHDOT)[look.order % 3], label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    _legend(ax, bool(boundaries))
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
        look, dots = looks[label], predicted is not None
        kind = {**_point(look), "linestyle": "none"} if dots else _line(look, marker=len(x) <= 30)
        known = "_" if label in pairs else ""
        ax.plot(x, y, **kind, label=known + _label(label))
    ax.set(xscale=xscale, yscale=yscale, xlabel=xlabel, ylabel=ylabel)
    for label, at in (vertical or {}).items():
        ax.axvline(at, color=MUTED, linewidth=1.0, linestyle=DOTTED)
        ax.annotate(label, (at, 1), (3, -2), xycoords=ax.get_xaxis_transform(), **_NOTE, va="top")
    for label, at in (horizontal or {}).items():
        ax.axhline(at, color=MUTED, linewidth=1.0, linestyle=DOTTED)
        ax.annotate(label, (0, at), (3, 2), xycoords=ax.get_yaxis_transform(), **_NOTE, va="bottom")
    _label_ends(ax)
    return ax


def dots(values, *, xlabel, reference=None, log=False, ax=None, alt=None):
    """Draw every value of each category as a dot, and their median as a bar across the row.

    ``values``     a dict of label: values; a label that is the name of a rule gets its look
    ``reference``  a dict of label: position, thin reference lines
    """
    values = {k: np.atleast_1d(np.asarray(v, dtype=float)) for k, v in _mapping("values", values).items()}
    for label, v in values.items():
        if v.ndim != 1 or not v.size:
            raise ValueError(f"values[{label!r}] must be one-dimensional and not empty, got {v.shape}")
    ax = _axes(ax, alt, rows=len(values))
    for row, (look, v) in enumerate(zip(_looks(values), values.values(), strict=True)):
        ax.plot(v, np.full(v.shape, row), linestyle="none", **_point(look), alpha=0.6, markersize=6)
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


class _Entry(NamedTuple):
    look: Look
    label: str
    trace: Trace


_QUANTITIES = {
    "loss": "Minibatch loss",
    "train_loss": "Training loss",
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
}


def _quantity(name):
    if name not in _QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(_QUANTITIES)}, got {name!r}")
    return name


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


def _names(data, labels, count):
    given = list(data) if isinstance(data, Mapping) and labels is None else labels
    if given is not None and len(given) != count:
        raise ValueError(f"labels must be {count}, one a line, got {len(given)}: {list(given)}")
    return given


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
        return a[:, run] if a.ndim == trace.x.ndim else a

    return replace(
        trace, x=trace.x[:, run], f=trace.f[:, run], g=trace.g[:, run],
        state=type(trace.state)(*map(pick, trace.state)), diverged_at=trace.diverged_at[run],
    )


def _entries(traces, runs, labels):
    """Look, label and single-run trace of everything to draw."""
    singles, differing = [], []
    for trace in _items(traces):
        if not isinstance(trace, Trace):
            raise TypeError(f"traces must be of type Trace, got {type(trace).__name__}")
        if trace.x.ndim == 2:
            singles.append(trace)
            differing.append("")
            continue
        for r in range(trace.x.shape[1]) if runs is None else runs:
            singles.append(_one_run(trace, r))
            differing.append(_differing(trace, r))
    given = _names(traces, labels, len(singles))
    names = [t.rule for t in singles]
    looks = _looks(names)
    defaults = [d or _label(n) for n, d in zip(names, differing, strict=True)]
    return [_Entry(*e) for e in zip(looks, given or defaults, singles, strict=True)]


def _differing(trace, run):
    """ "η = 0.1": the hyper-parameters that differ between the runs, at one of them."""
    parts = [
        f"{SYMBOLS.get(name, name)} = {np.asarray(value)[run]:g}"
        for name, value in trace.hyper.items()
        if np.ndim(value) == 1
    ]
    return ", ".join(parts) or f"run {run}"


def _history_entries(data, lr, labels, together=False):
    """Look, label, History and index of the learning rate of every line."""
    items = _items(data)
    for item in items:
        if not hasattr(item, "val_loss"):
            raise TypeError(f"data must be all Traces or all Histories, got {type(item).__name__}")
    wanted = lr if isinstance(lr, (list, tuple, np.ndarray)) else [lr] * len(items)
    if len(wanted) != len(items):
        raise ValueError(f"lr must be a number or {len(items)}, one a History, got {len(wanted)}")
    lines = []
    for history, rate in zip(items, wanted, strict=True):
        rates = np.asarray(history.lr)
        if together:
            lines.append((history, None))
        elif rate is None:
            lines += [(history, k) for k in range(len(rates))]
        elif np.isclose(rates, rate).any():
            lines.append((history, int(np.argmin(abs(rates - rate)))))
        else:
            raise ValueError(f"lr must be one of {', '.join(f'{r:g}' for r in rates)}, got {rate:g}")
    given = _names(data, labels, len(lines))
    names = [history.rule for history, _ in lines]
    several = len(set(names)) < len(names)
    default = [
        f"η = {history.lr[k]:g}" if several and k is not None else _label(history.rule)
        for history, k in lines
    ]
    return [
        (look, label, history, k)
        for look, label, (history, k) in zip(_looks(names), given or default, lines, strict=True)
    ]


def _label(name):
    return LOOK[name].label if name in LOOK else str(name)


def _looks(names):
    """Each rule's own look where all names are different rules, else the series."""
    names = list(names)
    if all(name in LOOK for name in names) and len(set(names)) == len(names):
        return [LOOK[name] for name in names]
    return _cycle(len(names))


def _cycle(count):
    return [SERIES[k % len(SERIES)] for k in range(count)]


def _quantile(values, q):
    """Quantile over seeds, the last axis; a diverged seed counts as infinitely bad."""
    values = np.where(np.isfinite(values), values, np.inf)
    with np.errstate(invalid="ignore"):
        result = np.quantile(values, q, axis=-1)
    return np.where(np.isfinite(result), result, np.nan)


# --------------------------------------------------------------------------------------------------
# Drawing

_MAP = colors.LinearSegmentedColormap.from_list(
    "firstorder", ["#f7f4e6", "#c9dcd2", "#86b8c0", "#4a86ab", "#2c5286", "#22264f"]
)
_NOTE = {"textcoords": "offset points", "color": INK, "annotation_clip": False}


def _axes(ax, alt, rows=None):
    if alt is not None and (not isinstance(alt, str) or not alt.strip()):
        raise ValueError(f"alt must be a text that is not empty, got {alt!r}")
    if ax is None:
        size = None if rows is None else (plt.rcParams["figure.figsize"][0], 0.75 + 0.32 * rows)
        _, ax = plt.subplots(figsize=size)
    if alt is not None:
        ax._alt = alt
    return ax


def _line(look, marker=True):
    kind = {"color": look.colour, "linestyle": look.dash}
    if marker:
        kind |= {"marker": look.marker, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
    return kind


def _point(look):
    return {
        "color": look.colour,
        "marker": look.marker,
        "markeredgecolor": PAPER,
        "markeredgewidth": 0.8,
        "zorder": 4,
    }


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
    ax.contour(surface.x1, surface.x2, f, levels=levels, colors="#b4bcc3", linewidths=0.8)


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


def _legend(ax, wanted):
    """A legend above the axes, where it covers nothing."""
    handles, labels = ax.get_legend_handles_labels()
    if not wanted or not handles:
        return
    longest = max(map(len, labels))
    ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=max(1, min(len(labels), 46 // (longest + 6))),
        borderaxespad=0.2,
    )


def _label_ends(ax):
    """Name each line at its right end, moved apart where ends are close; a legend for more than six."""
    lines = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    if not 1 < len(lines) <= 6:
        _legend(ax, len(lines) > 1)
        return
    ends = []
    for line in lines:
        xy = line.get_xydata()
        xy = xy[np.isfinite(ax.transData.transform(xy)).all(1)]
        if len(xy):
            ends.append((ax.transAxes.inverted().transform(ax.transData.transform(xy[-1]))[1], xy[-1], line))
    ends.sort(key=lambda end: end[0])
    height = 72 * ax.get_position().height * ax.figure.get_figheight()  # points
    at = [end[0] * height for end in ends]
    for _ in range(100):
        for k in range(len(at) - 1):
            short = 1.25 * TEXT - (at[k + 1] - at[k])
            if short > 0:
                at[k], at[k + 1] = at[k] - short / 2, at[k + 1] + short / 2
    for y, (own, xy, line) in zip(at, ends, strict=True):
        ax.annotate(
            line.get_label(),
            xy,
            (6, y - own * height),
            textcoords="offset points",
            va="center",
            color=line.get_color(),
            annotation_clip=False,
        )


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
