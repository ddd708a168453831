"""A rule on data: ``train`` returns a ``History``.

Every learning rate and every seed is trained at once: the parameters of all runs are one tensor
(n_lr, n_seeds, P), whose last axis is the parameter vector of one run.  The loss that is
differentiated is the sum over the runs; each run's gradient is then its own, because no run's loss
depends on another run's parameters.
"""

import inspect
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from firstorder.datasets import Dataset, minibatches
from firstorder.hyperparameters import check_names, check_value, check_whole, label, names
from firstorder.rules import initial_state

# --------------------------------------------------------------------------------------------------
# Models


@dataclass(frozen=True)
class Model:
    """Layers x -> activation(x W + b), the last without activation.

    ``task``       "regression", "classification", or None: that of the data
    ``hidden``     the widths of the hidden layers; none makes the model linear
    ``activation`` "tanh" or "relu"

    The loss of a regression is *half* the mean squared error: its gradient for a linear model is
    the mean of (prediction - y) x.  The factor two is a trap.  A loss without the half, such as
    torch's ``MSELoss``, has twice the gradient: SGD then takes the same steps at half the learning
    rate.
    The loss of a classification is the mean cross-entropy of the softmax, in nats.
    """

    name: str
    task: str | None = None
    hidden: tuple = ()
    activation: str = "tanh"

    def widths(self, data):
        """Return the widths of all layers: features, hidden layers, outputs (1, or the classes)."""
        outputs = 1 if data.task == "regression" else int(data.y_train.max()) + 1
        return (data.x_train.shape[1], *self.hidden, outputs)

    def start(self, data, seed):
        """Return the initial parameters (P,) of ``seed``: W row by row, then b, layer by layer.

        Weights are normal with mean 0 and variance gain / (inputs of the layer), where gain is 2
        in front of a relu (He et al. 2015) and else 1 (LeCun et al. 1998); those of a linear model
        have standard deviation 0.01.  Biases are 0.
        """
        rng = np.random.default_rng([seed, 1])  # not the stream of the minibatches
        widths = self.widths(data)
        parts = []
        for layer, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            before_relu = self.activation == "relu" and layer < len(widths) - 1
            deviation = np.sqrt((2 if before_relu else 1) / inputs) if self.hidden else 0.01
            parts += [deviation * rng.standard_normal(inputs * outputs), np.zeros(outputs)]
        return np.concatenate(parts)

    def outputs(self, w, x, widths):
        """Return the outputs (n_lr, n_seeds, n, K) for inputs ``x`` (n_seeds, n, d).

        ``w`` (n_lr, n_seeds, P) are the parameters, in the order of ``start``.
        """
        shapes = [shape for i, o in pairwise(widths) for shape in ((i, o), (1, o))]
        parts = w.split([rows * columns for rows, columns in shapes], dim=-1)
        parts = [part.unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True)]
        (weight, bias), *layers = zip(parts[::2], parts[1::2], strict=True)
        activation = torch.relu if self.activation == "relu" else torch.tanh
        # the runs of one seed see the same rows: no copy of x for every learning rate
        x = torch.einsum("snd,lsdh->lsnh", x, weight) + bias
        for weight, bias in layers:
            x = activation(x) @ weight + bias
        return x

    def loss(self, outputs, y):
        """Return the mean loss (n_lr, n_seeds) of the outputs at the targets ``y`` (n_seeds, n)."""
        if y.is_floating_point():
            return 0.5 * (outputs.squeeze(-1) - y).square().mean(-1)
        chosen = outputs.gather(-1, y.expand(outputs.shape[:-1]).unsqueeze(-1)).squeeze(-1)
        return (outputs.logsumexp(-1) - chosen).mean(-1)


linear_regression = Model("linear regression", task="regression")
softmax_regression = Model("softmax regression", task="classification")


def mlp(hidden=(32,), activation="tanh"):
    """Return a multilayer perceptron; ``hidden`` is one width or the widths of the hidden layers.

    Raises ``TypeError`` or ``ValueError`` unless the widths are whole numbers of at least 1 and
    ``activation`` is "tanh" or "relu".
    """
    widths = (hidden,) if isinstance(hidden, (int, np.integer)) else tuple(hidden)
    widths = tuple(check_whole("hidden", width, 1) for width in widths)
    if not widths:
        raise ValueError(f"hidden must have at least one width, got {hidden!r}")
    if activation not in ("tanh", "relu"):
        raise ValueError(f"activation must be 'tanh' or 'relu', got {activation!r}")
    return Model(f"MLP {'-'.join(map(str, widths))}", hidden=widths, activation=activation)


# --------------------------------------------------------------------------------------------------
# History


class Best(NamedTuple):
    """The best learning rate of a sweep."""

    lr: float
    index: int  # in History.lr
    value: float  # median over the seeds of the final metric
    interior: bool  # strictly inside the grid; if not, the grid must be extended


@dataclass(frozen=True)
class History:
    """What a training left behind.

    ``loss``           (steps + 1, n_lr, n_seeds): loss on the minibatch about to be used, before
                       each step; the last row is that of the minibatch that would come next
    ``train_loss, val_loss, val_accuracy``  (epochs + 1, n_lr, n_seeds): on the whole parts, before
                       the first epoch and after each; accuracy, a share, is None for a regression,
                       and both validation metrics are None where the data have no validation part
    ``diverged_at``    (n_lr, n_seeds): -1, or the first k at which ``loss[k]`` or the parameters
                       after k steps are not finite
    ``parameters``     (n_lr, n_seeds, P): after the last step, in the order of ``Model.start``
    ``lr``             (n_lr,): the learning rates, of a schedule those of the first step
    ``seeds``          (n_seeds,)
    ``seconds``        wall-clock time of the steps of all runs together, without the evaluations
    ``rule, model, data, hyper``  what was trained, for labels
    """

    loss: np.ndarray
    train_loss: np.ndarray
    val_loss: np.ndarray | None
    val_accuracy: np.ndarray | None
    diverged_at: np.ndarray
    parameters: np.ndarray
    lr: np.ndarray
    seeds: np.ndarray
    seconds: float
    rule: str = ""
    model: str = ""
    data: str = ""
    hyper: dict = field(default_factory=dict)

    @property
    def steps(self):
        """Number of steps taken."""
        return len(self.loss) - 1

    @property
    def epochs(self):
        """Number of epochs trained."""
        return len(self.train_loss) - 1

    def quantiles(self, q=(0.25, 0.5, 0.75), of="train_loss"):
        """Return quantiles over the seeds of a metric, (len(q), rows of the metric, n_lr).

        A value that is not finite counts as infinite, so the quantile is infinite where too many
        seeds have diverged, and else not disturbed by them.
        """
        return np.stack([_quantile(self._metric(of), share) for share in q])

    def median(self, of="train_loss"):
        """Return the median over the seeds of a metric, (rows of the metric, n_lr)."""
        return _quantile(self._metric(of), 0.5)

    def final(self, of="train_loss"):
        """Return a metric at the end of training, (n_lr, n_seeds)."""
        return self._metric(of)[-1]

    def best(self, of="train_loss"):
        """Return the learning rate with the best median over the seeds at the end, as ``Best``.

        Best is the lowest loss, or the highest accuracy; between equals, the smaller learning rate.
        """
        value = _quantile(self.final(of), 0.5)
        order = np.argsort(self.lr, kind="stable")
        ranked = -value[order] if of == "val_accuracy" else value[order]
        index = order[np.argmin(ranked)]
        lr = self.lr[index]
        interior = self.lr.min() < lr < self.lr.max()
        return Best(float(lr), int(index), float(value[index]), bool(interior))

    def steps_to(self, target, of="train_loss"):
        """Return the first step at which a metric reaches ``target``, (n_lr, n_seeds).

        A loss reaches it from above, an accuracy from below; infinity where it never does.
        ``loss`` is looked at before every step (and is as noisy as a minibatch), the others once an
        epoch.
        """
        metric = self._metric(of)
        reached = metric >= target if of == "val_accuracy" else metric <= target
        stride = self.steps // (len(metric) - 1)
        return np.where(reached.any(0), stride * reached.argmax(0), np.inf)

    def _metric(self, name):
        allowed = ("loss", "train_loss", "val_loss", "val_accuracy")
        if name not in allowed:
            raise ValueError(f"of must be one of {', '.join(allowed)}, got {name!r}")
        if (metric := getattr(self, name)) is None:
            raise ValueError(f"of must be a metric that was measured, got {name!r}")
        return metric


def _quantile(values, share):
    """Return the quantile over the last axis, linear between neighbours; not finite is infinite."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis=-1)
    position = share * (ordered.shape[-1] - 1)
    low, high = ordered[..., int(position)], ordered[..., int(np.ceil(position))]
    with np.errstate(invalid="ignore"):
        between = low + (position % 1) * (high - low)
    return np.where(np.isinf(high), high, between)


# --------------------------------------------------------------------------------------------------
# Training


def train(
    model,
    data,
    rule,
    *,
    epochs,
    batch_size,
    seeds,
    progress=False,
    on_nonfinite="record",
    device="cpu",
    dtype="float64",
    **hyper,
):
    """Train ``model`` on ``data`` with ``rule``, all learning rates and seeds at once.

    ``model``       ``linear_regression``, ``softmax_regression`` or ``mlp(hidden)``
    ``data``        a ``Dataset``
    ``rule``        a rule, a ``functools.partial`` of one, or a function with the same signature;
                    it must be element-wise
    ``batch_size``  1 to n; an epoch is n // batch_size steps (see ``datasets.minibatches``)
    ``seeds``       a number of seeds, 0, 1, ..., or the seeds themselves.  A seed fixes the initial
                    weights and the order of the minibatches, the same for every learning rate and
                    every rule: differences between these are not differences of luck
    ``progress``    show a bar, on a terminal only
    ``on_nonfinite``  "record" keeps non-finite values and says when they began; "raise" raises
                    ``FloatingPointError`` naming step, learning rate and seed
    ``device``      where torch computes
    ``dtype``       "float64" or "float32"
    ``hyper``       the rule's hyper-parameters: numbers, arrays of length n_lr (one value for each
                    learning rate), or functions of the step t = 1, 2, ... that return one of these

    Raises, before anything runs, ``TypeError`` or ``ValueError`` naming the argument, its value and
    what is allowed.  Leaves torch's and NumPy's global random state alone.
    """
    _check_model(model, data)
    _check_data(data)
    if not callable(rule):
        raise TypeError(f"rule must be a rule or a function with its signature, got {rule!r}")
    epochs, seeds = check_whole("epochs", epochs, 1), _seeds(seeds)
    n, batch_size = len(data.x_train), check_whole("batch_size", batch_size, 1)
    # one epoch more than is trained: the last row of the loss is that of the batch that comes next
    batches = [minibatches(n, batch_size, epochs=epochs + 1, seed=seed) for seed in seeds]
    epoch = n // batch_size
    steps = epochs * epoch
    if on_nonfinite not in ("record", "raise"):
        raise ValueError(f"on_nonfinite must be 'record' or 'raise', got {on_nonfinite!r}")
    if dtype not in ("float64", "float32"):
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    tensor = _tensor_maker(getattr(torch, dtype), device)
    lr, at = _hyper(rule, hyper, steps, tensor)

    widths = model.widths(data)
    parts = x_train, y_train, _, _ = [tensor(part) for part in data[2:6]]
    batches = tensor(np.stack(batches, axis=1))  # (more than steps, n_seeds, batch_size)
    start = tensor(np.stack([model.start(data, seed) for seed in seeds]))
    w = start.repeat(len(lr), 1, 1)  # (n_lr, n_seeds, P)
    state = initial_state(rule, w)

    losses, bad, metrics, seconds = [], [], [], 0.0
    for k, rows in enumerate(_bar(batches[: steps + 1], progress)):  # k steps have been taken
        if k % epoch == 0:
            metrics.append(_evaluate(model, w, widths, *parts))
        began = perf_counter()
        w = w.detach().requires_grad_()
        loss = model.loss(model.outputs(w, x_train[rows], widths), y_train[rows])
        losses.append(loss.detach())
        bad.append(~(loss.isfinite() & _finite(w)))
        if on_nonfinite == "raise" and bad[k].any():
            i, j = bad[k].nonzero()[0].tolist()
            raise FloatingPointError(
                f"not finite at step {k} with learning rate {lr[i]:g} and seed {seeds[j]}"
            )
        if k < steps:
            (g,) = torch.autograd.grad(loss.sum(), w)
            with torch.no_grad():
                w, state = rule(w, g, state, **at(k + 1))
        seconds += perf_counter() - began

    bad = torch.stack(bad).cpu().numpy()
    train_loss, val_loss, val_accuracy = map(_stack, zip(*metrics, strict=True))
    return History(
        loss=_stack(losses),
        train_loss=train_loss,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        diverged_at=np.where(bad.any(0), bad.argmax(0), -1),
        parameters=w.detach().cpu().numpy(),
        lr=lr,
        seeds=np.array(seeds),
        seconds=seconds,
        rule=label(rule),
        model=model.name,
        data=data.name,
        hyper=dict(hyper),
    )


@torch.no_grad()
def _finite(w):
    """Return whether all parameters of a run are finite, (n_lr, n_seeds)."""
    if w.sum(-1).isfinite().all():  # the usual case, seven times cheaper
        return torch.ones(w.shape[:-1], dtype=torch.bool, device=w.device)
    return w.isfinite().all(-1)


@torch.no_grad()
def _evaluate(model, w, widths, x_train, y_train, x_val, y_val):
    """Return training and validation loss and accuracy, each (n_lr, n_seeds) or None."""

    def outputs(x):
        # one learning rate after the other: the outputs for all rows and all runs would be large
        return [model.outputs(u[None], x.expand(w.shape[1], -1, -1), widths) for u in w]

    train_loss = torch.cat([model.loss(o, y_train) for o in outputs(x_train)])
    if not len(x_val):
        return train_loss, None, None
    val_outputs = outputs(x_val)
    val_loss = torch.cat([model.loss(o, y_val) for o in val_outputs])
    if y_val.is_floating_point():
        return train_loss, val_loss, None
    right = [(o.argmax(-1) == y_val).double().mean(-1) for o in val_outputs]
    return train_loss, val_loss, torch.cat(right)


def _stack(values):
    return None if values[0] is None else torch.stack(values).cpu().numpy().astype(np.float64)


def _bar(batches, progress):
    if not progress:
        return batches
    from tqdm import tqdm

    return tqdm(batches, unit="step", disable=None)  # None: shown on a terminal only


def _tensor_maker(dtype, device):
    """Return a function from NumPy arrays to tensors on ``device``, floating ones as ``dtype``."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device must be one that torch has here, got {device!r}") from error

    def tensor(array):
        kind = dtype if np.issubdtype(array.dtype, np.floating) else torch.int64
        return torch.as_tensor(np.array(array), dtype=kind, device=device)  # a copy of its own

    return tensor


def _hyper(rule, hyper, steps, tensor):
    """Return the learning rates (n_lr,) and a function of t: what the rule takes at step t."""
    check_names(rule, hyper)
    series = {}  # name: its checked value at every step
    for name, value in hyper.items():
        if callable(value):
            series[name] = [check_value(name, value(t)) for t in range(1, steps + 1)]
        else:
            series[name] = [check_value(name, value)] * steps
    lengths = set()
    for name, values in series.items():
        for shape in {value.shape for value in values}:
            if len(shape) > 1 or 0 in shape:
                raise ValueError(f"{name} must be a number or one-dimensional, got shape {shape}")
            lengths |= {(name, *shape)} if shape else set()
    if len({length for _, length in lengths}) > 1:
        given = ", ".join(f"{name} {length}" for name, length in sorted(lengths))
        raise ValueError(f"hyper-parameters with several values must agree in length, got {given}")
    n_lr = min((length for _, length in lengths), default=1)

    def at(t):
        now = {name: values[t - 1] for name, values in series.items()}
        return {name: tensor(v)[:, None, None] if v.ndim else float(v) for name, v in now.items()}

    default = inspect.signature(rule).parameters["lr"].default if "lr" in names(rule) else np.nan
    lr = series["lr"][0] if "lr" in series else default
    return np.array(np.broadcast_to(lr, n_lr), dtype=float), at


def _check_model(model, data):
    if not isinstance(model, Model):
        raise TypeError(
            f"model must be linear_regression, softmax_regression or mlp(hidden), got {model!r}"
        )
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a Dataset, got {type(data).__name__}")
    if data.task not in ("regression", "classification"):
        raise ValueError(f"data.task must be 'regression' or 'classification', got {data.task!r}")
    if model.task not in (None, data.task):
        raise ValueError(f"model must suit a {data.task}, the task of the data, got {model.name}")


def _check_data(data):
    numbers = {np.floating: "floats", np.integer: "whole numbers"}
    kind = np.floating if data.task == "regression" else np.integer
    for part in ("train", "val"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        for name, array, wanted in ((f"x_{part}", x, np.floating), (f"y_{part}", y, kind)):
            got = array.dtype if isinstance(array, np.ndarray) else type(array)
            if not np.issubdtype(got, wanted):
                raise TypeError(f"data.{name} must be an array of {numbers[wanted]}, got {got}")
            if not np.isfinite(array).all():
                raise ValueError(f"data.{name} must be finite, got {array[~np.isfinite(array)][0]}")
        if x.ndim != 2 or x.shape[1] != data.x_train.shape[1] or x.shape[1] == 0:
            raise ValueError(f"data.x_{part} must have shape (n, d) with d >= 1, got {x.shape}")
        if y.shape != (len(x),):
            raise ValueError(f"data.y_{part} must have shape ({len(x)},), got {y.shape}")
        if part == "train" and len(x) == 0:
            raise ValueError(f"data.x_train must have at least one row, got shape {x.shape}")
        if data.task == "classification" and len(y):
            highest = data.y_train.max()
            if y.min() < 0 or y.max() > highest:
                raise ValueError(
                    f"data.y_{part} must hold classes from 0 to {highest}, the last in y_train, "
                    f"got {y.min()} to {y.max()}"
                )


def _seeds(seeds):
    if np.ndim(seeds) == 0:
        return list(range(check_whole("seeds", seeds, 1)))
    if len(seeds) == 0:
        raise ValueError("seeds must be a number of seeds or at least one seed, got none")
    return [check_whole("seeds", seed) for seed in seeds]
