"""First Order: one definition of each optimizer behind deep learning."""

from firstorder import hyperparameters, rules
from firstorder.rules import *  # noqa: F403
