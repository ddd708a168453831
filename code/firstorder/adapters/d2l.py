"""A rule in d2l's training loop, that of the chapter "Optimization Algorithms".

step, init_states = trainer(adam)
with quiet() as records:
    data_iter, feature_dim = d2l.get_data_ch11(batch_size=10)
    d2l.train_ch11(step, init_states(feature_dim), {"lr": 0.01}, data_iter, feature_dim)
loss = records[-1].Y[0][-1]
"""

import io
import warnings
from contextlib import contextmanager, redirect_stdout
from unittest.mock import patch

import torch

from firstorder.datasets import airfoil_path
from firstorder.hyperparameters import check
from firstorder.rules import initial_state


def trainer(rule):
    """Return ``(step, init_states)``: ``trainer_fn`` and ``states`` of ``d2l.train_ch11``.

    ``init_states(feature_dim)`` returns a list of two states, for d2l's weights (feature_dim, 1)
    and bias (1,).  ``step(params, states, hyperparams)`` moves every parameter in place, replaces
    its state in the list and zeroes its gradient; ``hyperparams`` maps names of the rule's
    hyper-parameters to numbers.

    ``step`` raises ``TypeError`` or ``ValueError``, before anything is changed, for a
    hyper-parameter that the rule does not have or that is out of range.
    """

    def init_states(feature_dim):
        return [initial_state(rule, torch.zeros(shape)) for shape in ((feature_dim, 1), (1,))]

    @torch.no_grad()
    def step(params, states, hyperparams):
        check(rule, hyperparams)
        for i, p in enumerate(params):
            # Copies, because a state may keep what it is given.
            x, states[i] = rule(p.clone(), p.grad.clone(), states[i], **hyperparams)
            p.copy_(x)
            p.grad.zero_()

    return step, init_states


class Record:
    """Stands in for ``d2l.Animator``: keeps the points, draws nothing.

    ``X`` and ``Y`` hold one list of numbers for each line, as the attributes of d2l's do.
    """

    def __init__(self, *args, **kwargs):
        self.X, self.Y = [], []

    def add(self, x, y):
        """Add one point to each line: ``x`` a number or one for each line, ``y`` likewise."""
        ys = list(y) if hasattr(y, "__len__") else [y]
        xs = list(x) if hasattr(x, "__len__") else [x] * len(ys)
        self.X = self.X or [[] for _ in ys]
        self.Y = self.Y or [[] for _ in ys]
        for line, (a, b) in enumerate(zip(xs, ys, strict=True)):
            if a is not None and b is not None:
                self.X[line].append(a)
                self.Y[line].append(b)


@contextmanager
def quiet():
    """Run ``d2l.train_ch11`` and its like without the live plot, the printed time and one warning.

    Inside, ``d2l.download("airfoil")``, and with it ``d2l.get_data_ch11``, takes the file from
    ``datasets.airfoil_path()``: nothing unchecked is stored or read, and nothing is written to
    ``../data``.  Other names are left to d2l.

    Yields a list, to which every plot that d2l would have drawn is appended as a ``Record``.
    Raises ``ImportError`` without d2l; ``d2l.download`` raises what ``airfoil_path`` raises.
    """
    from d2l import torch as d2l

    records = []
    theirs = d2l.download

    def animator(*args, **kwargs):
        records.append(Record())
        return records[-1]

    def download(name, *args, **kwargs):
        return str(airfoil_path()) if name == "airfoil" else theirs(name, *args, **kwargs)

    with (
        patch.object(d2l, "Animator", animator),
        patch.object(d2l, "download", download),
        redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")
        yield records
