"""``adapters.d2l``: the real ``d2l.train_ch11`` with our rules."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from firstorder import datasets
from firstorder.adapters import d2l as adapter
from firstorder.adapters.d2l import quiet, trainer
from firstorder.datasets import airfoil
from firstorder.rules import RULES, adam, initial_state, momentum, sgd, yogi

FEATURES, BATCH, EPOCHS = 5, 10, 2


def synthetic():
    """1500 seeded rows of 5 standard normal features, a linear target and noise."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((1500, FEATURES)).astype(np.float32)
    y = x @ np.array([0.5, -1.0, 2.0, 0.0, 0.3], np.float32) + 0.2
    return x, (y + 0.1 * rng.standard_normal(1500)).astype(np.float32)


def batches(x, y):
    """A data_iter for train_ch11: the same batches, in the same order, every epoch."""
    return list(
        zip(torch.from_numpy(x).split(BATCH), torch.from_numpy(y).split(BATCH), strict=True)
    )


def train_ch11(step, states, hyperparams, data_iter):
    from d2l import torch as d2l

    torch.manual_seed(11)
    with quiet() as records:
        _, losses = d2l.train_ch11(step, states, hyperparams, data_iter, FEATURES, EPOCHS)
    assert [record.Y[0] for record in records] == [losses]
    return losses


def by_hand(rule, hyperparams, x, y):
    """The same training in NumPy, with the gradient of half the mean square written out.

    Returns the losses that d2l reports, each over all rows, every 200 rows.
    """
    torch.manual_seed(11)
    w = torch.normal(mean=0.0, std=0.01, size=(FEATURES, 1)).numpy()
    b = np.zeros(1, np.float32)
    states = [initial_state(rule, w), initial_state(rule, b)]
    losses, seen = [], 0
    for _ in range(EPOCHS):
        for i in range(0, len(x), BATCH):
            rows, targets = x[i : i + BATCH], y[i : i + BATCH, None]
            error = rows @ w + b - targets
            w, states[0] = rule(w, rows.T @ error / len(rows), states[0], **hyperparams)
            b, states[1] = rule(b, error.mean(0), states[1], **hyperparams)
            seen += len(rows)
            if seen % 200 == 0:
                losses.append(float(((x @ w + b - y[:, None]) ** 2).mean() / 2))
    return losses


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_train_ch11_equals_training_by_hand(rule):
    x, y = synthetic()
    step, init_states = trainer(rule)
    losses = train_ch11(step, init_states(FEATURES), {"lr": 0.02}, batches(x, y))
    assert len(losses) == 15
    np.testing.assert_allclose(losses, by_hand(rule, {"lr": 0.02}, x, y), rtol=1e-4, atol=1e-6)


def test_comparison_can_fail():
    x, y = synthetic()
    step, init_states = trainer(momentum)
    losses = train_ch11(step, init_states(FEATURES), {"lr": 0.02, "beta": 0.8}, batches(x, y))
    other = by_hand(momentum, {"lr": 0.02, "beta": 0.79}, x, y)
    assert np.abs(np.array(losses) - other).max() > 1e-3


@pytest.mark.parametrize(("rule", "eps"), [(adam, 1e-6), (yogi, 1e-3)])
def test_equals_d2l_own_trainers(rule, eps):
    """d2l's trainers for Adam and Yogi, as its chapter prints them, with their eps."""

    def theirs(params, states, hyperparams):
        beta1, beta2 = 0.9, 0.999
        for p, (v, s) in zip(params, states, strict=True):
            with torch.no_grad():
                v[:] = beta1 * v + (1 - beta1) * p.grad
                square = torch.square(p.grad)
                if rule is adam:
                    s[:] = beta2 * s + (1 - beta2) * square
                else:
                    s[:] = s + (1 - beta2) * torch.sign(square - s) * square
                v_hat = v / (1 - beta1 ** hyperparams["t"])
                s_hat = s / (1 - beta2 ** hyperparams["t"])
                p[:] -= hyperparams["lr"] * v_hat / (torch.sqrt(s_hat) + eps)
            p.grad.data.zero_()
        hyperparams["t"] += 1

    data_iter = batches(*synthetic())
    shapes = (FEATURES, 1), (1,)
    states = [(torch.zeros(shape), torch.zeros(shape)) for shape in shapes]
    expected = train_ch11(theirs, states, {"lr": 0.01, "t": 1}, data_iter)
    step, init_states = trainer(rule)
    found = train_ch11(step, init_states(FEATURES), {"lr": 0.01, "eps": eps}, data_iter)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.skipif("FIRSTORDER_DATA" not in os.environ, reason="FIRSTORDER_DATA is not set")
@pytest.mark.parametrize("rule", [sgd, adam], ids=lambda rule: rule.__name__)
def test_airfoil(rule):
    """The real data of d2l's chapter, whose own runs end between 0.24 and 0.25."""
    from d2l import torch as d2l

    data = airfoil(protocol="d2l")
    with quiet():
        x, y = (t.numpy() for t in d2l.get_data_ch11(BATCH)[0].dataset.tensors)
    np.testing.assert_allclose(x, data.x_train, rtol=0, atol=1e-4)  # d2l computes in float32
    np.testing.assert_allclose(y, data.y_train, rtol=0, atol=1e-4)
    step, init_states = trainer(rule)
    losses = train_ch11(step, init_states(FEATURES), {"lr": 0.01}, batches(x, y))
    np.testing.assert_allclose(losses, by_hand(rule, {"lr": 0.01}, x, y), rtol=1e-4)
    assert 0.23 < losses[-1] < 0.26 < losses[0]


def test_step_works_in_place_and_zeroes_the_gradients():
    step, init_states = trainer(momentum)
    w = torch.ones(3, 1, requires_grad=True)
    b = torch.ones(1, requires_grad=True)
    states = init_states(3)
    assert [state.v.shape for state in states] == [(3, 1), (1,)]
    addresses = w.data_ptr(), b.data_ptr()
    for _ in range(2):
        (w.sum() + 3 * b.sum()).backward()
        step([w, b], states, {"lr": 0.1, "beta": 0.5})
        assert (w.grad.count_nonzero(), b.grad.count_nonzero()) == (0, 0)
    assert (w.data_ptr(), b.data_ptr()) == addresses
    assert w.requires_grad
    assert w.is_leaf
    torch.testing.assert_close(w.detach(), torch.full((3, 1), 1 - 0.1 * (1 + 1.5)))
    torch.testing.assert_close(b.detach(), torch.full((1,), 1 - 0.1 * (3 + 4.5)))
    torch.testing.assert_close(states[1].v, torch.tensor([4.5]))


@pytest.mark.parametrize(
    ("hyperparams", "error", "message"),
    [
        ({"lr": 0.1, "t": 1}, TypeError, "momentum has no hyper-parameter 't'; it has lr, beta"),
        ({"lr": -0.1}, ValueError, "lr must be finite and at least 0, got -0.1"),
        ({"beta": 1.0}, ValueError, "beta must be at least 0 and below 1, got 1"),
    ],
)
def test_bad_hyper_parameters_change_nothing(hyperparams, error, message):
    step, init_states = trainer(momentum)
    w, b = torch.ones(2, 1, requires_grad=True), torch.ones(1, requires_grad=True)
    (w.sum() + b.sum()).backward()
    with pytest.raises(error, match=message):
        step([w, b], init_states(2), hyperparams)
    assert torch.equal(w, torch.ones(2, 1))
    assert torch.equal(w.grad, torch.ones(2, 1))


def test_quiet_prints_draws_and_warns_nothing(capsys):
    from d2l import torch as d2l

    before = d2l.Animator
    step, init_states = trainer(sgd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_ch11(step, init_states(FEATURES), {"lr": 0.1}, batches(*synthetic()))
    assert capsys.readouterr() == ("", "")
    assert d2l.Animator is before
    assert not d2l.plt.get_fignums()


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A stand-in for the airfoil file, an empty working folder, and d2l's own download forbidden.

    Gives (path, table); ``airfoil_path``, as the adapter sees it, returns the path.
    """
    from d2l import torch as d2l

    table = np.random.default_rng(3).normal(5.0, 2.0, (1503, 6)).astype(np.float32)
    path = tmp_path / "stand-in.dat"
    np.savetxt(path, table, delimiter="\t", fmt="%.9g")
    work = tmp_path / "book" / "chapters"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setattr(adapter, "airfoil_path", lambda: path)
    monkeypatch.setattr(d2l.requests, "get", lambda *args, **kwargs: pytest.fail("downloaded"))
    return path, table


def test_quiet_gives_d2l_the_checked_file_and_writes_nothing(file, tmp_path):
    from d2l import torch as d2l

    path, table = file
    before = d2l.download
    with quiet():
        assert d2l.download("airfoil") == str(path)
        data_iter, feature_dim = d2l.get_data_ch11(batch_size=BATCH)
    assert d2l.download is before
    assert feature_dim == FEATURES
    x, y = data_iter.dataset.tensors
    expected = ((table - table.mean(axis=0)) / table.std(axis=0))[:1500]
    np.testing.assert_allclose(np.c_[x, y], expected, rtol=1e-5, atol=1e-5)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["stand-in.dat"]
    assert not (tmp_path / "book" / "data").exists()


@pytest.mark.parametrize("error", [FileNotFoundError("not here"), ValueError("a wrong SHA-1")])
def test_quiet_lets_the_error_of_the_file_through(file, tmp_path, monkeypatch, error):
    from d2l import torch as d2l

    def missing():
        raise error

    monkeypatch.setattr(adapter, "airfoil_path", missing)
    with pytest.raises(type(error), match=str(error)), quiet():
        d2l.get_data_ch11(batch_size=BATCH)
    assert d2l.download.__module__ == "d2l.torch"
    assert not (tmp_path / "book" / "data").exists()


def test_quiet_leaves_other_names_to_d2l(file, monkeypatch):
    from d2l import torch as d2l

    asked = []
    monkeypatch.setattr(d2l, "download", lambda *args, **kwargs: asked.append((args, kwargs)) or 7)
    with quiet():
        assert d2l.download("kaggle_house_train", cache_dir="here") == 7
    assert asked == [(("kaggle_house_train",), {"cache_dir": "here"})]


def test_the_file_is_that_of_the_package():
    assert adapter.airfoil_path is datasets.airfoil_path


def test_import_needs_neither_d2l_nor_torchvision():
    code = (
        "import sys, firstorder.adapters.d2l\n"
        "print([name for name in ('d2l', 'torchvision', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
