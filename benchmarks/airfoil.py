"""How much faster than d2l does the book run d2l's own experiment?

Measures within one process, in turn, several times, on the airfoil data with batches of 10:

- ``d2l.train_ch11`` with d2l's hand-written Adam, and with ``adapters.d2l.trainer(adam)``;
- the batched ``train`` on the same model, 1, 10, 100 and 1000 seeds at once, in both precisions.

Both clocks stop while the loss is evaluated; d2l does that 15 times in two epochs, which the last
column adds.  Prints a Markdown table and writes it to results/airfoil.md.
"""

import argparse
import os
import platform
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from firstorder import adam
from firstorder.adapters.d2l import quiet, trainer
from firstorder.datasets import airfoil
from firstorder.train import linear_regression, train

EPOCHS, BATCH_SIZE, LR = 2, 10, 0.01
BASE = "d2l.train_ch11, d2l's Adam"


def hand_written(params, states, hyperparams):
    """Adam in the form that d2l's harness asks for: in place, with the step in ``hyperparams``."""
    beta1, beta2, eps = 0.9, 0.999, 1e-6
    t = hyperparams["t"]
    for p, (v, s) in zip(params, states, strict=True):
        with torch.no_grad():
            v[:] = beta1 * v + (1 - beta1) * p.grad
            s[:] = beta2 * s + (1 - beta2) * torch.square(p.grad)
            p[:] -= (
                hyperparams["lr"] * (v / (1 - beta1**t)) / (torch.sqrt(s / (1 - beta2**t)) + eps)
            )
        p.grad.data.zero_()
    hyperparams["t"] = t + 1


def d2l_seconds(step, states, hyperparams):
    """Return the seconds of one run: of its training, and of the whole call."""
    from d2l import torch as d2l

    with quiet():
        data_iter, d = d2l.get_data_ch11(BATCH_SIZE)
        began = perf_counter()
        clock, _ = d2l.train_ch11(step, states, hyperparams, data_iter, d, EPOCHS)
        whole = perf_counter() - began
    return clock[-1], whole


def our_seconds(data, seeds, dtype):
    """Return the seconds of one run of ``seeds`` together: of its training, and of the call."""
    began = perf_counter()
    history = train(
        linear_regression,
        data,
        adam,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        seeds=seeds,
        dtype=dtype,
        lr=LR,
    )
    return history.seconds / seeds, (perf_counter() - began) / seeds


def candidates(data):
    """Return name -> function that runs it once and returns (training, whole) seconds a run."""
    shapes = (5, 1), (1,)
    step, init_states = trainer(adam)
    found = {
        BASE: lambda: d2l_seconds(
            hand_written,
            [(torch.zeros(shape), torch.zeros(shape)) for shape in shapes],
            {"lr": LR, "t": 1},
        ),
        "d2l.train_ch11, trainer(adam)": lambda: d2l_seconds(step, init_states(5), {"lr": LR}),
    }
    for dtype in ("float64", "float32"):
        for seeds in (1, 10, 100, 1000):
            found[f"train, {seeds} seeds, {dtype}"] = lambda n=seeds, kind=dtype: our_seconds(
                data, n, kind
            )
    return found


def measure(repeats):
    """Return {name: seconds (repeats, 2)}: training and whole, of one run."""
    contenders = candidates(airfoil(protocol="d2l"))
    seconds = {name: [] for name in contenders}
    for repeat in range(repeats + 1):
        for name, run in contenders.items():
            torch.manual_seed(repeat)
            row = run()
            if repeat:  # the first round warms up
                seconds[name].append(row)
    return {name: np.array(rows) for name, rows in seconds.items()}


def table(seconds, threads):
    """Return the Markdown table of the measurements."""
    lines = [
        f"One run: {EPOCHS} epochs of 150 steps, Adam, airfoil data, batches of {BATCH_SIZE}.  "
        "Medians over repeats; of the ratio also the smallest and the largest.",
        "",
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{threads} thread(s).",
        "",
        "| program | ms an epoch, training | runs in the time of one of d2l's "
        "| the same with evaluations |",
        "| :-- | --: | --: | --: |",
    ]
    for name, rows in seconds.items():
        training, whole = (seconds[BASE] / rows).T
        low, middle, high = np.quantile(training, [0, 0.5, 1])
        lines.append(
            f"| `{name}` | {1000 * np.median(rows[:, 0]) / EPOCHS:.3g} "
            f"| {middle:.3g} ({low:.3g} to {high:.3g}) | {np.median(whole):.3g} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    text = table(measure(arguments.repeats), arguments.threads)
    print(text)
    path = Path(__file__).parent / "results" / "airfoil.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
