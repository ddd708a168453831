"""How much faster is training all runs at once than one after the other?

Measures within one process, in turn, several times:

- ``train`` on 9 learning rates x 12 seeds of an MLP 64-32-10 on the digits, with ``rules.adam``;
- the same steps as a plain loop: ``torch.nn.Sequential``, ``torch.optim.Adam``, one run after the
  other.  Only some of the 108 runs are made this way and their time is scaled up; every run does
  the same work, so nothing is gained or lost by that.

Both record the loss before every step, on minibatches drawn in the same way; evaluations between
the epochs are not counted.  Prints a Markdown table and writes it to results/train_batched.md.
"""

import argparse
import os
import platform
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from firstorder import rules
from firstorder.datasets import digits, minibatches
from firstorder.train import mlp, train

LRS = np.geomspace(1e-4, 1, 9)
SEEDS = range(12)
BATCH_SIZE = 32
BASELINES = {"default": {}, "fused": {"fused": True}}


def batched_seconds(data, dtype, epochs):
    """Return the seconds that all 108 runs take together."""
    history = train(
        mlp(32),
        data,
        rules.adam,
        lr=LRS,
        seeds=SEEDS,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        dtype=dtype,
    )
    return history.seconds


def loop_seconds(data, dtype, epochs, runs, options):
    """Return the seconds that 108 runs take one after the other, from the time of ``runs``."""
    dtype = getattr(torch, dtype)
    x, y = torch.from_numpy(data.x_train).to(dtype), torch.from_numpy(data.y_train)
    seconds = 0.0
    for seed in range(runs):
        network = torch.nn.Sequential(
            torch.nn.Linear(64, 32, dtype=dtype),
            torch.nn.Tanh(),
            torch.nn.Linear(32, 10, dtype=dtype),
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=float(LRS[seed % 9]), **options)
        batches = torch.from_numpy(minibatches(len(x), BATCH_SIZE, epochs=epochs, seed=seed))
        losses = []
        began = perf_counter()
        for rows in batches:
            loss = torch.nn.functional.cross_entropy(network(x[rows]), y[rows])
            losses.append(loss.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += perf_counter() - began
    return seconds * len(LRS) * len(SEEDS) / runs


def measure(repeats, epochs, runs):
    """Return {(dtype, threads): seconds (repeats, 1 + baselines)}, the batched ones first."""
    data = digits()
    threads = sorted({1, os.cpu_count()})
    seconds = {(dtype, n): [] for dtype in ("float64", "float32") for n in threads}
    for repeat in range(repeats + 1):
        for (dtype, n), rows in seconds.items():
            torch.set_num_threads(n)
            row = [batched_seconds(data, dtype, epochs)]
            row += [loop_seconds(data, dtype, epochs, runs, o) for o in BASELINES.values()]
            if repeat:  # the first round warms up
                rows.append(row)
    return {case: np.array(rows) for case, rows in seconds.items()}


def table(seconds, epochs, runs):
    """Return the Markdown table of the measurements."""
    total = len(LRS) * len(SEEDS)
    steps = epochs * (1280 // BATCH_SIZE)
    names = " | ".join(f"loop, {name} (s) | ratio" for name in BASELINES)
    lines = [
        f"{total} runs ({len(LRS)} learning rates x {len(SEEDS)} seeds) of {steps} steps, MLP "
        f"64-32-10 on the digits, batch size {BATCH_SIZE}, Adam.  The loops made {runs} of the "
        "runs and their times are scaled.  Median over repeats; of the ratio also the smallest "
        "and the largest.",
        "",
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores.",
        "",
        f"| dtype | threads | all at once (s) | {names} |",
        "| :-- | --: | --: |" + " --: | --: |" * len(BASELINES),
    ]
    for (dtype, threads), rows in seconds.items():
        cells = [dtype, str(threads), f"{np.median(rows[:, 0]):.2f}"]
        for loop in rows[:, 1:].T:
            ratio = loop / rows[:, 0]
            cells += [
                f"{np.median(loop):.1f}",
                f"{np.median(ratio):.1f} ({ratio.min():.1f} to {ratio.max():.1f})",
            ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--runs", type=int, default=6, help="runs that the loop makes")
    arguments = parser.parse_args()
    text = table(
        measure(arguments.repeats, arguments.epochs, arguments.runs),
        arguments.epochs,
        arguments.runs,
    )
    print(text)
    path = Path(__file__).parent / "results" / "train_batched.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
