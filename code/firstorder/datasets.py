"""Real data: where it comes from, checked, split and standardised, always in the same way.

``digits`` comes with scikit-learn, ``airfoil`` is downloaded once, ``sparse`` is generated.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstorder.hyperparameters import check_value, check_whole


class Dataset(NamedTuple):
    """Data split into a training and a validation part.

    ``task``              "regression" or "classification"
    ``x_train, x_val``    (n, d) float64, one row an example
    ``y_train, y_val``    (n,): float64 targets, or int64 classes 0, 1, ..., K - 1
    ``features``          the names of the d columns, with units where they have one
    ``target``            the name of ``y``, with its unit
    ``source, licence``   whom to cite, and the terms of use

    The validation part may be empty.
    """

    name: str
    task: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    features: tuple = ()
    target: str = ""
    source: str = ""
    licence: str = ""


def digits(raw=False):
    """Handwritten digits: 1280 training and 517 validation images of 8 x 8 pixels, ten classes.

    A pixel counts the dark points, 0 to 16, in a 4 x 4 block of the scanned image.  The split is
    fixed and keeps the share of each class.  1280 is a multiple of every batch size 2**k up to 256.
    The 13 writers are not told apart: both parts contain images of the same hands.

    Every pixel is standardised with the mean and the standard deviation of the training part; one
    that is constant there (four are) becomes 0 in both parts.  Rarely used pixels reach 36 standard
    deviations in the training part and 86 in the validation part.  ``raw=True`` keeps the counts.

    Source: Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, doi 10.24432/C50P49, CC BY 4.0: its test set, as bundled with scikit-learn.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(
        x.astype(np.float64), y.astype(np.int64), train_size=1280, stratify=y, random_state=0
    )
    if not raw:
        x_train, x_val = _standardise(x_train, x_val)
    return Dataset(
        name="digits",
        task="classification",
        x_train=x_train,
        y_train=y_train,
        x_val=x_val,
        y_val=y_val,
        features=tuple(f"pixel ({row}, {column})" for row in range(8) for column in range(8)),
        target="digit",
        source="Alpaydin & Kaynak (1998), UCI Machine Learning Repository, doi 10.24432/C50P49",
        licence="CC BY 4.0",
    )


AIRFOIL_FILE = "airfoil_self_noise.dat"
AIRFOIL_SHA1 = "76e5be1548fd8222e5074cf0faae75edff8cf93f"
AIRFOIL_URL = "http://d2l-data.s3-accelerate.amazonaws.com/" + AIRFOIL_FILE


def airfoil(raw=False, protocol="split"):
    """Airfoil self-noise: 1503 wind-tunnel measurements, five features, the sound level to predict.

    ``protocol="split"``  1200 training and 303 validation rows, drawn once with a fixed seed (the
                          file is ordered by experiment); features and target standardised with
                          the mean and the standard deviation of the training part
    ``protocol="d2l"``    as in *Dive into Deep Learning*: the first 1500 rows for training, none
                          for validation; standardised with the mean and the standard deviation of
                          all 1503 rows (there in float32, here in float64)
    ``raw=True``          the same rows in their own units

    Raises ``ValueError`` for another protocol, and what ``airfoil_path`` raises.

    Source: Brooks, Pope & Marcolini (1989), Airfoil Self-Noise, UCI Machine Learning Repository,
    doi 10.24432/C5VW2C, CC BY 4.0.
    """
    if protocol not in ("split", "d2l"):
        raise ValueError(f"protocol must be 'split' or 'd2l', got {protocol!r}")
    rows = np.loadtxt(airfoil_path(), delimiter="\t")
    if protocol == "d2l":
        train, val = rows[:1500], rows[:0]
        statistics_of = rows
    else:
        order = np.random.default_rng(0).permutation(len(rows))
        train, val = rows[order[:1200]], rows[order[1200:]]
        statistics_of = train
    if not raw:
        train, val = _standardise(train, val, statistics_of)
    return Dataset(
        name="airfoil",
        task="regression",
        x_train=train[:, :-1],
        y_train=train[:, -1],
        x_val=val[:, :-1],
        y_val=val[:, -1],
        features=(
            "frequency (Hz)",
            "angle of attack (degrees)",
            "chord length (m)",
            "free-stream velocity (m/s)",
            "suction-side displacement thickness (m)",
        ),
        target="scaled sound pressure level (dB)",
        source="Brooks, Pope & Marcolini (1989), UCI Machine Learning Repository, "
        "doi 10.24432/C5VW2C",
        licence="CC BY 4.0",
    )


def airfoil_path():
    """Return the path of ``airfoil_self_noise.dat``, downloading it the first time.

    Looks in the folder named by the environment variable ``FIRSTORDER_DATA``, then in the user's
    cache, then downloads from where *Dive into Deep Learning* does.  A file with a wrong SHA-1 is
    never stored and never returned.

    Raises ``ValueError`` if the file in ``FIRSTORDER_DATA`` has a wrong SHA-1, and
    ``FileNotFoundError``, saying what to do, if the file can be had nowhere.
    """
    import pooch

    folder = os.environ.get("FIRSTORDER_DATA")
    if folder and (path := Path(folder) / AIRFOIL_FILE).is_file():
        found = pooch.file_hash(str(path), alg="sha1")
        if found != AIRFOIL_SHA1:
            raise ValueError(f"{path} must have the SHA-1 {AIRFOIL_SHA1}, got {found}")
        return path
    pooch.get_logger().setLevel("WARNING")  # a notebook stores no download message
    try:
        path = pooch.retrieve(
            AIRFOIL_URL,
            known_hash=f"sha1:{AIRFOIL_SHA1}",
            fname=AIRFOIL_FILE,
            path=pooch.os_cache("firstorder"),
        )
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"{AIRFOIL_FILE} is not here and could not be downloaded ({error}). Download it from "
            f"{AIRFOIL_URL} on a machine that can, put it into a folder, and set the environment "
            f"variable FIRSTORDER_DATA to that folder. Its SHA-1 must be {AIRFOIL_SHA1}."
        ) from error
    return Path(path)


def sparse(n=4000, d=2000, *, exponent=1.0, scale=2.0, seed=0):
    """A generated logistic problem whose features are rare, as words in a text are.

    Feature j = 1, ..., d is 1 with probability j**-exponent / 2 and else 0, independently: with the
    defaults a row has about four ones, and the rarest features occur about once in 4000 rows.  The
    weights are normal with standard deviation ``scale``; the class is 1 with probability
    1 / (1 + exp(-w x)) and else 0.  The first four fifths of the ``n`` rows are for training.
    The features are returned as they are: standardising would end their sparsity.

    Raises ``TypeError`` or ``ValueError`` unless ``n >= 5``, ``d >= 1`` and ``seed >= 0`` are whole
    numbers and ``exponent`` and ``scale`` are finite and at least 0.
    """
    n, d, seed = check_whole("n", n, 5), check_whole("d", d, 1), check_whole("seed", seed, 0)
    for name, value in (("exponent", exponent), ("scale", scale)):
        if check_value(name, value).ndim or value < 0:
            raise ValueError(f"{name} must be one number of at least 0, got {value!r}")
    rng = np.random.default_rng(seed)
    x = (rng.random((n, d)) < np.arange(1, d + 1) ** -float(exponent) / 2).astype(np.float64)
    w = scale * rng.standard_normal(d)
    y = (rng.random(n) < 1 / (1 + np.exp(-x @ w))).astype(np.int64)
    train = 4 * n // 5
    return Dataset(
        name="sparse",
        task="classification",
        x_train=x[:train],
        y_train=y[:train],
        x_val=x[train:],
        y_val=y[train:],
        features=tuple(f"feature {j}" for j in range(1, d + 1)),
        target="class",
        source=f"generated: sparse({n}, {d}, exponent={exponent}, scale={scale}, seed={seed})",
        licence="none needed",
    )


def minibatches(n, batch_size, *, epochs, seed):
    """Return the rows of every minibatch, (epochs * (n // batch_size), batch_size) integers.

    Each epoch goes through the n rows in a new random order, without replacement.  All batches have
    the same size, so that their gradients are equally noisy and runs can share a tensor: the last
    ``n % batch_size`` rows of an epoch's order sit that epoch out, other rows in every epoch.  The
    order depends on ``seed`` alone; the first epochs do not change when ``epochs`` grows.

    Raises ``TypeError`` or ``ValueError`` unless all are whole numbers with
    ``1 <= batch_size <= n``, ``epochs >= 1`` and ``seed >= 0``.
    """
    n, batch_size = check_whole("n", n, 1), check_whole("batch_size", batch_size, 1)
    epochs, seed = check_whole("epochs", epochs, 1), check_whole("seed", seed, 0)
    if batch_size > n:
        raise ValueError(f"batch_size must be at most the number of rows, {n}, got {batch_size}")
    rng = np.random.default_rng(seed)
    used = n - n % batch_size
    order = np.concatenate([rng.permutation(n)[:used] for _ in range(epochs)])
    return order.reshape(-1, batch_size)


def _standardise(train, val, statistics_of=None):
    """Shift and scale columns by their mean and standard deviation; a constant one becomes 0."""
    reference = train if statistics_of is None else statistics_of
    deviation = np.where(np.ptp(reference, axis=0) > 0, reference.std(axis=0), np.inf)
    return tuple((part - reference.mean(axis=0)) / deviation for part in (train, val))
