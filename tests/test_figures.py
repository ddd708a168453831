"""The figures: one look that everybody can tell apart, the data as given, text that can be read."""

import importlib.util
import itertools
from collections import namedtuple
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colors
from matplotlib.axes import Axes
from PIL import Image

import firstorder as fo
from firstorder import figures, objectives
from firstorder.figures import LOOK, PAPER, SERIES
from firstorder.train import History

mpl.use("Agg")
PHONE = 328  # pixels wide, as a telephone of 360 shows a figure


@pytest.fixture(autouse=True)
def clean_matplotlib():
    with mpl.rc_context():
        yield
    plt.close("all")


# --------------------------------------------------------------------------------------------------
# Samples


def traces(steps=20):
    valley = objectives.valley
    settings = {fo.sgd: 0.4, fo.momentum: 0.05, fo.adagrad: 0.4, fo.rmsprop: 0.2, fo.adam: 0.3}
    return [fo.run(rule, valley, valley.start, steps, lr=lr) for rule, lr in settings.items()]


def history(rule="adam", best=-2.0, seeds=5, diverged=2):
    """Nine learning rates of which the last diverges for ``diverged`` seeds."""
    rng = np.random.default_rng(len(rule))
    lr = 10.0 ** np.arange(-4, 0.5, 0.5)
    distance = abs(np.log10(lr) - best)[None, :, None]
    epochs = np.arange(11)[:, None, None]
    loss = 0.1 + 0.3 * distance + 2 * np.exp(-epochs) + 0.02 * rng.random((11, 9, seeds))
    diverged_at = np.full((9, seeds), -1)
    loss[4:, -1, :diverged], diverged_at[-1, :diverged] = np.nan, 30
    return History(
        loss=np.repeat(loss, 10, axis=0)[:101],
        train_loss=loss,
        val_loss=1.1 * loss,
        val_accuracy=1 - loss / 5,
        diverged_at=diverged_at,
        parameters=np.zeros((9, seeds, 3)),
        lr=lr,
        seeds=np.arange(seeds),
        seconds=1.0,
        rule=rule,
        hyper={"lr": lr},
    )


def draw_map(**more):
    x, y = np.linspace(0, 4, 40), np.linspace(0, 0.95, 30)
    values = x + y[:, None]
    arguments = {"xlabel": "ηλ", "ylabel": "β", "label": "radius", **more}
    return figures.stability(x, y, values, **arguments)


def draw_curves(**more):
    x = np.arange(1.0, 41)
    lines = {"sgd": 0.9**x, "momentum": 0.91**x, "nesterov": 0.89**x}
    arguments = {"xlabel": "step", "ylabel": "distance", "yscale": "log", **more}
    return figures.curves(x, lines, **arguments)


SAMPLES = {
    "paths": lambda **more: figures.paths(objectives.valley.grid(60), traces(), **more),
    "paths of 1 variable": lambda **more: figures.paths(
        objectives.parabola(1.0).grid(60),
        fo.run(fo.sgd, objectives.parabola(1.0), [1.0], 9, lr=np.array([0.2, 1.5])),
        **more,
    ),
    "losses of traces": lambda **more: figures.losses(traces(), **more),
    "losses of histories": lambda **more: figures.losses(
        [history("sgd", -1.0), history("adam")], quantity="val_loss", lr=0.01, **more
    ),
    "sensitivity": lambda **more: figures.sensitivity(
        [history("sgd", -1.0), history("momentum"), history("rmsprop"), history("adam")], **more
    ),
    "states": lambda **more: figures.states(traces()[-1], ["g", "m", "v"], 1, **more),
    "stability": lambda **more: draw_map(
        limit=3.0, boundaries={"theory": ([1, 3], [0, 0.9])}, **more
    ),
    "curves": draw_curves,
    "predicted curves": lambda **more: draw_curves(
        predicted={"sgd": 0.9 ** np.arange(1.0, 41)},
        vertical={"t = 10": 10},
        horizontal={"half": 0.5},
        **more,
    ),
    "dots": lambda **more: figures.dots(
        {name: np.arange(5) + k for k, name in enumerate(LOOK)},
        xlabel="loss",
        reference={"floor": 1},
        **more,
    ),
    "bars": lambda **more: figures.bars(
        {"adam": 7.27, "adamax": 1.009}, xlabel="largest step / η", **more
    ),
}
each_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


def named_lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if line.get_label()[0] != "_"}


# --------------------------------------------------------------------------------------------------
# One look

# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# rules that the book draws into one figure
TOGETHER = [
    ("sgd", "momentum", "nesterov"),
    ("adagrad", "rmsprop", "adadelta", "adam"),
    ("adam", "yogi", "adamax", "nadam", "amsgrad", "adamw"),
    ("sgd", "momentum", "adagrad", "rmsprop", "adam"),
]


def linear(colour):
    c = np.array(colors.to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson (2020); a just noticeable difference is about 0.02."""
    lms = np.cbrt(
        rgb
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    return lms @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def difference(a, b, vision):
    seen = [oklab(np.clip(np.array(VISION[vision]) @ linear(c), 0, 1)) for c in (a, b)]
    return np.linalg.norm(seen[0] - seen[1])


def contrast(a, b):
    """The contrast ratio of WCAG 2."""
    low, high = sorted(0.05 + linear(c) @ [0.2126, 0.7152, 0.0722] for c in (a, b))
    return high / low


def test_the_measures_of_colour():
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#767676", "white") == pytest.approx(4.54, abs=0.01)
    assert oklab(linear("red")) == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)
    assert (
        difference("#cc0000", "#5a7a00", "normal")
        > 0.2
        > difference("#cc0000", "#5a7a00", "protanopia")
    )


def test_every_rule_has_its_look_in_chapter_order():
    assert list(LOOK) == [rule.__name__ for rule in fo.RULES]
    assert [look.order for look in LOOK.values()] == list(range(12))
    assert len({look.label for look in LOOK.values()}) == 12
    assert len({look.colour for look in LOOK.values()}) == 12
    assert len({(look.marker, str(look.dash)) for look in LOOK.values()}) == 12


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("names", TOGETHER, ids="-".join)
def test_rules_drawn_together_can_be_told_apart(names, vision):
    for a, b in itertools.combinations(names, 2):
        assert difference(LOOK[a].colour, LOOK[b].colour, vision) >= 0.1, (a, b)
        assert LOOK[a].marker != LOOK[b].marker, (a, b)


@pytest.mark.parametrize("vision", VISION)
def test_no_two_rules_look_alike(vision):
    for a, b in itertools.combinations(LOOK.values(), 2):
        assert difference(a.colour, b.colour, vision) >= 0.04, (a, b)


@pytest.mark.parametrize("vision", VISION)
def test_lines_of_the_series_can_be_told_apart(vision):
    for a, b in itertools.combinations(SERIES, 2):
        assert difference(a.colour, b.colour, vision) >= 0.08, (a, b)
        assert a.marker != b.marker
        assert a.dash != b.dash or b.order - a.order == 4


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", LOOK)
def test_other_lines_differ_from_the_rule_beside_them(name, vision):
    own, *others = figures._looks([name, "another", "a third"])
    assert own is LOOK[name]
    for other in others:
        assert difference(own.colour, other.colour, vision) >= 0.08
        assert own.marker != other.marker


def test_a_rule_keeps_its_look_beside_lines_that_are_none():
    assert figures._looks(["target", "SGD", "adam"])[1:] == [LOOK["sgd"], LOOK["adam"]]
    assert figures._looks(["adam", "adam", "nadam"])[::2] == [LOOK["adam"], LOOK["nadam"]]
    assert figures._looks(["adam", "adam", "nadam"])[1] in SERIES
    assert figures._looks(["adam", "adam"]) == list(SERIES[:2])


@pytest.mark.parametrize("look", [*LOOK.values(), *SERIES], ids=lambda look: look.colour)
def test_colours_stand_out_from_the_background(look):
    assert contrast(look.colour, PAPER) >= 3
    assert contrast(look.text, PAPER) >= 4.5


def test_dark_lines_stand_out_on_every_colour_of_the_map():
    for share in np.linspace(0, 1, 11):
        assert contrast(figures.INK, figures._MAP(share)[:3]) >= 3


# --------------------------------------------------------------------------------------------------
# Every function


@each_sample
def test_makes_one_figure_and_keeps_its_alternative_text(sample):
    ax = sample(alt="Two lines cross.")
    assert isinstance(ax, Axes)
    assert plt.get_fignums() == [ax.figure.number]
    assert figures.alt_text(ax) == figures.alt_text(ax.figure) == "Two lines cross."


@each_sample
def test_draws_into_the_axes_it_is_given(sample):
    figure, axes = plt.subplots(2)
    assert sample(ax=axes[1], alt="b") is axes[1]
    axes[0]._alt = "a"
    assert plt.get_fignums() == [figure.number]
    assert not axes[0].has_data()
    assert figures.alt_text(figure) == "a b"


@each_sample
def test_leaves_the_parameters_of_matplotlib_alone(sample):
    before = dict(mpl.rcParams)
    sample()
    assert dict(mpl.rcParams) == before


@each_sample
def test_has_labels_on_both_axes(sample):
    ax = sample()
    rows = ax.get_yticklabels() if not ax.get_ylabel() else []  # categories name themselves
    assert ax.get_xlabel()
    assert ax.get_ylabel() or all(label.get_text() for label in rows)


@each_sample
def test_text_can_be_read_on_a_telephone_and_lies_inside_the_picture(sample):
    figures.style()
    figure = sample().figure
    assert figure.get_figwidth() == 5.2
    figure.canvas.draw()
    texts = [t for t in figure.findobj(mpl.text.Text) if t.get_visible() and t.get_text()]
    assert len(texts) > 4
    for text in texts:
        assert text.get_fontsize() / 72 * PHONE / figure.get_figwidth() >= 9, text
    inside = figure.bbox_inches
    drawn = figure.get_tightbbox()
    assert drawn.x0 >= -0.01
    assert drawn.x1 <= inside.x1 + 0.01
    assert drawn.y0 >= -0.01
    assert drawn.y1 <= inside.y1 + 0.01


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@each_sample
def test_the_same_figure_gives_the_same_bytes(sample, suffix, tmp_path):
    figures.style()
    for name in "ab":
        figures.save(sample(alt="Äpfel & <lines>"), tmp_path / f"{name}{suffix}")
    a, b = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert a == b
    assert b"Matplotlib" not in a
    if suffix == ".png":
        picture = Image.open(tmp_path / "a.png")
        assert picture.info["Description"] == "Äpfel & <lines>"
        assert picture.width == 780
        assert picture.convert("RGBA").getextrema()[3] == (255, 255)  # opaque
        assert len(a) < 100_000
    else:
        assert "Äpfel &amp; &lt;lines&gt;" in a.decode()


def test_saving_needs_a_text_and_a_known_kind_of_file(tmp_path):
    with pytest.raises(ValueError, match="alternative text"):
        figures.save(draw_curves(), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"\.png or \.svg.*a\.pdf"):
        figures.save(draw_curves(alt="a"), tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------------------------
# The data as given


def test_paths_are_the_iterates_in_the_look_of_their_rule():
    given = traces(40)
    lines = named_lines(figures.paths(objectives.valley.grid(40), given))
    assert list(lines) == ["SGD", "Momentum", "AdaGrad", "RMSProp", "Adam"]
    for trace, line in zip(given, lines.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), trace.x)
        assert line.get_color() == LOOK[trace.rule].colour
        assert line.get_marker() == LOOK[trace.rule].marker


def test_paths_of_one_variable_lie_on_the_graph():
    ax = SAMPLES["paths of 1 variable"]()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$f(x)$")
    graph, *_ = ax.get_lines()
    np.testing.assert_allclose(graph.get_ydata(), graph.get_xdata() ** 2 / 2)
    line = named_lines(ax)["η = 1.5"]
    np.testing.assert_allclose(line.get_xdata(), (-0.5) ** np.arange(10.0))
    np.testing.assert_allclose(line.get_ydata(), line.get_xdata() ** 2 / 2)


def test_start_minimisers_and_window_are_marked():
    himmelblau = objectives.himmelblau
    trace = fo.run(fo.adam, himmelblau, himmelblau.start, 10, lr=0.1)
    ax = figures.paths(himmelblau.grid(40), trace, xlim=(-4, 4))
    crosses = [line.get_xydata()[0] for line in ax.get_lines() if line.get_marker() == "+"]
    np.testing.assert_array_equal(crosses, himmelblau.minimisers)
    rings = [line for line in ax.get_lines() if line.get_markerfacecolor() == PAPER]
    np.testing.assert_array_equal(rings[0].get_xydata()[0], himmelblau.start)
    assert ax.get_xlim() == (-4, 4)
    assert ax.get_ylim() == (-5, 5)


def test_labels_say_what_differs_between_runs():
    valley, lr = objectives.valley, np.array([0.01, 0.1])
    swept = fo.run(fo.momentum, valley, valley.start, 5, lr=lr, beta=0.5)
    surface = valley.grid(20)
    assert list(named_lines(figures.paths(surface, swept))) == ["η = 0.01", "η = 0.1"]
    assert list(named_lines(figures.losses(swept, runs=[1], labels=["fast"]))) == ["fast"]
    single = [fo.run(fo.momentum, valley, valley.start, 5, lr=0.1, beta=b) for b in (0.5, 0.9)]
    assert list(named_lines(figures.losses(single))) == ["β = 0.5", "β = 0.9"]
    mixed = [*single, fo.run(fo.sgd, valley, valley.start, 5, lr=0.1)]
    assert list(named_lines(figures.losses(mixed))) == [
        "Momentum, β = 0.5",
        "Momentum, β = 0.9",
        "SGD",
    ]
    assert list(named_lines(figures.losses({"a": single[0], "b": single[1]}))) == ["a", "b"]


def test_one_run_of_several_is_that_run():
    valley = objectives.valley
    swept = fo.run(fo.adam, valley, valley.start, 30, lr=np.array([0.1, 0.3]), beta1=0.8)
    alone = fo.run(fo.adam, valley, valley.start, 30, lr=0.3, beta1=0.8)
    line = named_lines(figures.paths(valley.grid(20), swept))["η = 0.3"]
    np.testing.assert_allclose(line.get_xydata(), alone.x)
    ax = figures.states(swept, ["m", "t"], 1, run=1, also={"corrected": alone.state.m[1:, 1]})
    lines = named_lines(ax)
    np.testing.assert_allclose(lines["$m$"].get_ydata(), alone.state.m[:, 1])
    np.testing.assert_array_equal(lines["$t$"].get_ydata(), np.arange(31))
    np.testing.assert_array_equal(lines["corrected"].get_xdata(), np.arange(1, 31))


@pytest.mark.filterwarnings("error")
def test_a_diverging_path_leaves_the_window_without_a_warning():
    figures.style()
    valley = objectives.valley
    trace = fo.run(fo.sgd, valley, valley.start, 3000, lr=np.array([0.1, 0.6]))
    assert trace.diverged_at[1] > 0
    ax = figures.paths(valley.grid(40), trace)
    figures.losses(trace).figure.canvas.draw()
    ax.figure.canvas.draw()
    assert ax.get_xlim() == valley.window[0]


def test_losses_are_the_medians_and_quantiles_of_the_history():
    given = history("adam", seeds=7)
    ax = figures.losses(given, quantity="val_loss", lr=0.1, band=(0.1, 0.9), minimum=0.05)
    line, band = ax.get_lines()[0], ax.collections[0].get_paths()[0].vertices
    low, median, high = given.quantiles((0.1, 0.5, 0.9), "val_loss")[..., 6] - 0.05
    np.testing.assert_allclose(line.get_ydata(), median)
    assert {*np.round(low, 9), *np.round(high, 9)} == {*np.round(band[:, 1], 9)}
    assert ax.get_xlabel() == "Epoch"
    assert ax.get_yscale() == "log"
    accuracy = figures.losses(given, quantity="val_accuracy", lr=0.1)
    assert accuracy.get_yscale() == "linear"


def test_losses_of_one_history_are_a_line_for_each_learning_rate():
    lines = named_lines(figures.losses(history(diverged=0), quantity="train_loss"))
    assert list(lines)[:3] == ["η = 0.0001", "η = 0.000316228", "η = 0.001"]
    assert len(lines) == 9


@pytest.mark.parametrize("quantity", ["val_loss", "val_accuracy"])
def test_sensitivity_marks_the_best_and_the_diverged(quantity):
    given = history("rmsprop", best=-2.5)
    lines = figures.sensitivity(given, quantity=quantity).get_lines()
    np.testing.assert_allclose(lines[0].get_xdata(), given.lr)
    np.testing.assert_allclose(lines[0].get_ydata(), given.median(quantity)[-1])
    best = given.best(quantity)
    assert lines[1].get_xydata()[0] == pytest.approx([best.lr, best.value])
    assert best.lr == pytest.approx(10**-2.5)
    assert lines[2].get_marker() == "x"
    np.testing.assert_allclose(lines[2].get_xdata(), [1.0])


def test_a_learning_rate_at_which_most_seeds_diverged_has_no_median():
    lines = figures.sensitivity(history(seeds=5, diverged=3)).get_lines()
    assert np.isfinite(lines[0].get_ydata()).tolist() == [True] * 8 + [False]


def test_predictions_are_lines_and_measurements_markers():
    ax = draw_curves(predicted={"sgd": 0.9 ** np.arange(1.0, 41), "bound": ([1, 40], [1, 1])})
    predicted, bound, measured, *_ = ax.get_lines()
    assert predicted.get_linestyle() == "-"
    assert predicted.get_marker() == "None"
    assert measured.get_linestyle() == "None"
    assert measured.get_marker() == LOOK["sgd"].marker
    assert predicted.get_color() == measured.get_color()
    assert bound.get_linestyle() == "--"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["predicted", "measured"]


def test_names_of_reference_lines_stay_inside_the_axes():
    figures.style()
    for yscale in ("linear", "log"):
        ax = draw_curves(yscale=yscale, horizontal={"top": 0.91, "low": 0.1}, vertical={"t": 30})
        ax.figure.canvas.draw()
        for note in [note for note in ax.texts if note.get_text() in ("top", "low", "t")]:
            box = note.get_window_extent()
            assert ax.bbox.y0 <= box.y0
            assert box.y1 <= ax.bbox.y1


def test_names_at_the_ends_do_not_overlap():
    figures.style()
    x = np.arange(50.0)
    ax = figures.curves(
        x, {f"line {k}": 1 + k * 1e-3 * x for k in range(6)}, xlabel="x", ylabel="y"
    )
    ax.figure.canvas.draw()
    names = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert len(names) == 6
    for below, above in itertools.pairwise(names):
        assert below.y0 + 10.5 / 72 * 150 <= above.y0 + 0.5


def test_more_than_six_lines_get_a_legend():
    x = np.arange(5.0)
    ax = figures.curves(x, {f"line {k}": k * x for k in range(7)}, xlabel="x", ylabel="y")
    assert not ax.texts
    assert len(ax.get_legend().get_texts()) == 7


def test_dots_and_bars_show_the_values():
    ax = figures.dots({"adam": [1.0, 5.0, 2.0], "sgd": [4.0]}, xlabel="loss")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Adam", "SGD"]
    points, median, *_ = ax.get_lines()
    np.testing.assert_array_equal(points.get_xydata(), [[1, 0], [5, 0], [2, 0]])
    assert set(median.get_xdata()) == {2.0}
    ax = figures.bars({"adam": 7.2702, "other": 1.0}, xlabel="step", digits=4)
    assert [bar.get_width() for bar in ax.patches] == [7.2702, 1.0]
    assert [t.get_text() for t in ax.texts] == ["7.27", "1"]


def test_a_map_ends_at_its_limit():
    for levels in (None, [0, 1, 2, 4]):
        filled, heavy = draw_map(limit=2.9, levels=levels).collections
        assert filled.levels[0] <= 0
        assert filled.levels[-1] == heavy.levels[0] == 2.9


# --------------------------------------------------------------------------------------------------
# Errors, before anything is drawn

Fake = namedtuple("Fake", "x f")
BARE = {"xlabel": "", "ylabel": ""}
MAP = {**BARE, "label": ""}
BOTH = "all Traces or all Histories"
VALLEY = objectives.valley.grid(9)
WRONG = {
    "no trace": (lambda: figures.losses([]), ValueError, "nothing to draw"),
    "not a trace": (lambda: figures.losses([Fake(1, 2)]), TypeError, f"{BOTH}, got Fake"),
    "trace and history": (
        lambda: figures.losses([traces()[0], history()]),
        TypeError,
        f"{BOTH}, got Trace",
    ),
    "path of a history": (
        lambda: figures.paths(VALLEY, history()),
        TypeError,
        "of type Trace, got History",
    ),
    "coordinates": (
        lambda: figures.paths(objectives.parabola(1.0).grid(9), traces()),
        ValueError,
        "1 coordinates on parabola.*got 2",
    ),
    "labels": (
        lambda: figures.losses(traces(), labels=["a"]),
        ValueError,
        "labels must be 5, one a line, got 1",
    ),
    "quantity": (
        lambda: figures.losses(history(), quantity="f"),
        ValueError,
        "train_loss.*got 'f'",
    ),
    "quantity of sensitivity": (
        lambda: figures.sensitivity(history(), quantity="f"),
        ValueError,
        "train_loss.*got 'f'",
    ),
    "lr": (lambda: figures.losses(history(), lr=0.02), ValueError, "lr must be one of .*got 0.02"),
    "lrs": (lambda: figures.losses(history(), lr=[0.1, 1]), ValueError, "one a History, got 2"),
    "run": (lambda: figures.paths(VALLEY, swept(), runs=[2]), ValueError, "below 2, got 2"),
    "run of states": (lambda: figures.states(swept(), "m"), ValueError, "below 2, got None"),
    "field": (lambda: figures.states(traces()[0], "m"), ValueError, "among x, g, got 'm'"),
    "coordinate": (lambda: figures.states(traces()[0], "x", 2), ValueError, "below 2, got 2"),
    "also": (
        lambda: figures.states(traces()[0], "x", also={"y": [1.0]}),
        ValueError,
        r"also\['y'\] must have 20 or 21 values, got shape \(1,\)",
    ),
    "map": (
        lambda: figures.stability([1, 2], [1, 2, 3], np.ones((2, 3)), **MAP),
        ValueError,
        r"shape \(3, 2\), got \(2, 3\)",
    ),
    "empty map": (
        lambda: figures.stability([1, 2], [1], [[np.nan, np.inf]], **MAP),
        ValueError,
        "finite entry",
    ),
    "line": (
        lambda: figures.curves([1, 2], {"y": [1, 2, 3]}, **BARE),
        ValueError,
        r"'y' must have one value for each x \(2,\), got \(3,\)",
    ),
    "no lines": (lambda: figures.curves([1], {}, **BARE), ValueError, "lines must be a dict"),
    "dots": (lambda: figures.dots({"a": []}, xlabel=""), ValueError, r"'a'.*got \(0,\)"),
    "bars": (lambda: figures.bars([1, 2], xlabel=""), ValueError, "values must be a dict"),
    "alt": (lambda: draw_curves(alt=" "), ValueError, "alt must be a text"),
}


def swept():
    valley = objectives.valley
    return fo.run(fo.adam, valley, valley.start, 4, lr=np.array([0.1, 0.2]))


@pytest.mark.parametrize(("call", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_an_error_before_anything_is_drawn(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
    assert plt.get_fignums() == []


# --------------------------------------------------------------------------------------------------
# The landing page's picture

ROOT = Path(__file__).parent.parent


def test_the_landing_picture_is_reproducible_and_light(tmp_path):
    spec = importlib.util.spec_from_file_location("landing", ROOT / "tools/landing_picture.py")
    landing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(landing)
    for name in "ab":
        landing.write(tmp_path / f"{name}.png")
    a, b = ((tmp_path / f"{name}.png").read_bytes() for name in "ab")
    assert a == b
    stored = Image.open(ROOT / "_static/landing.png")
    assert stored.size == Image.open(tmp_path / "a.png").size == (1200, 600)
    assert stored.info["Description"] == landing.ALT
    assert (ROOT / "_static/landing.png").stat().st_size < 150_000
