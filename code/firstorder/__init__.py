"""First Order: one definition of each optimizer behind deep learning.

    import firstorder as fo

    trace = fo.run(fo.adam, fo.objectives.rosenbrock, [-1.2, 1.0], 1000, lr=0.1)

The rules, ``RULES``, ``initial_state``, ``run`` and ``Trace`` are here; everything else is in its
module.  ``firstorder.run`` is the function: reach its module by ``from firstorder.run import``.
"""

from firstorder import objectives, rules
from firstorder.rules import (
    RULES,
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    amsgrad,
    initial_state,
    momentum,
    nadam,
    nadam_constant,
    nesterov,
    rmsprop,
    sgd,
    yogi,
)
from firstorder.run import Trace, run

__all__ = [
    "RULES",
    "Trace",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "initial_state",
    "momentum",
    "nadam",
    "nadam_constant",
    "nesterov",
    "objectives",
    "rmsprop",
    "rules",
    "run",
    "sgd",
    "yogi",
]
