"""How fast is one Adam step?  Torch's own three forms against the rule: compiled, eager, NumPy.

    python benchmarks/fused_kernel.py [parameters, default 10000000] [--rounds 9] [--threads 2]

All candidates start from the same float32 parameters, take the same gradient and are timed in turn,
one step of each a round, so that whatever else the machine does falls on all of them alike.  At the
end their parameters are compared.  Prints a Markdown table of times relative to
``torch.optim.Adam(fused=True)``: the quotient of the shortest times, and the median over rounds of
the quotient within a round.
"""

import argparse
import platform
import time
from statistics import median

import numpy as np
import torch

from firstorder.adapters.torch import Optimizer
from firstorder.rules import adam, initial_state

LR = 0.001
BASE = "torch.optim.Adam(fused=True)"


def candidates(x, g):
    """Return name -> (step, parameters): a function that takes one step, and what it moves."""

    def tensor(make):
        p = torch.nn.Parameter(torch.from_numpy(x.copy()))
        p.grad = torch.from_numpy(g)
        return make([p]).step, p.detach().numpy()

    numpy_x, state = x.copy(), initial_state(adam, x)

    def numpy_step():
        nonlocal state
        numpy_x[:], state = adam(numpy_x, g, state, lr=LR)

    return {
        BASE: tensor(lambda p: torch.optim.Adam(p, LR, fused=True)),
        "torch.optim.Adam(foreach=True)": tensor(lambda p: torch.optim.Adam(p, LR, foreach=True)),
        "torch.optim.Adam(foreach=False)": tensor(lambda p: torch.optim.Adam(p, LR, foreach=False)),
        "Optimizer(adam, compile=True)": tensor(lambda p: Optimizer(p, adam, compile=True, lr=LR)),
        "Optimizer(adam)": tensor(lambda p: Optimizer(p, adam, lr=LR)),
        "adam on NumPy arrays": (numpy_step, numpy_x),
    }


def measure(steps, rounds):
    """Return name -> seconds of each round, after two steps to warm up."""
    for step in steps.values():
        step()
        step()
    seconds = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parameters", type=int, nargs="?", default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, arguments.parameters), dtype=np.float32)
    contenders = candidates(x, g)
    seconds = measure({name: step for name, (step, _) in contenders.items()}, arguments.rounds)
    for name, (_, moved) in contenders.items():
        np.testing.assert_allclose(moved, contenders[BASE][1], rtol=0, atol=1e-5, err_msg=name)

    print(
        f"{arguments.parameters:,} float32 parameters in one array, {arguments.rounds} rounds; "
        f"one step of {BASE}: {min(seconds[BASE]) * 1000:.0f} ms.\n\n"
        f"torch {torch.__version__}, {arguments.threads} thread(s), {platform.machine()}.\n"
    )
    print("| one Adam step | shortest, relative | median, relative |")
    print("| :-- | --: | --: |")
    for name, times in seconds.items():
        shortest = min(times) / min(seconds[BASE])
        middle = median(a / b for a, b in zip(times, seconds[BASE], strict=True))
        print(f"| `{name}` | {shortest:.2f} | {middle:.2f} |")


if __name__ == "__main__":
    main()
