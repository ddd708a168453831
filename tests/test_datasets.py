"""Data: what is in it, how it is split and scaled, and that no unchecked file is ever used."""

import hashlib
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from firstorder import datasets
from firstorder.datasets import airfoil, airfoil_path, digits, minibatches, sparse


def check_shapes(data, n_train, n_val, d):
    assert data.x_train.shape == (n_train, d)
    assert data.x_val.shape == (n_val, d)
    assert data.y_train.shape == (n_train,)
    assert data.y_val.shape == (n_val,)
    assert data.x_train.dtype == data.x_val.dtype == np.float64
    assert len(data.features) == d
    assert data.source
    assert data.licence


# --------------------------------------------------------------------------------------------------
# Digits


def test_digits_holds_every_image_once():
    data = digits(raw=True)
    check_shapes(data, 1280, 517, 64)
    x, y = load_digits(return_X_y=True)
    ours = np.c_[np.r_[data.x_train, data.x_val], np.r_[data.y_train, data.y_val]]
    np.testing.assert_array_equal(np.unique(ours, axis=0), np.unique(np.c_[x, y], axis=0))
    assert data.y_train.dtype == data.y_val.dtype == np.int64


def test_digits_split_keeps_the_share_of_each_class():
    data = digits(raw=True)
    share = np.bincount(load_digits().target) / 1797
    assert np.abs(np.bincount(data.y_train) - 1280 * share).max() < 1
    assert np.abs(np.bincount(data.y_val) - 517 * share).max() < 1


def test_digits_split_is_fixed():
    first, second = digits(), digits()
    np.testing.assert_array_equal(first.x_val, second.x_val)
    rows = np.r_[digits(raw=True).x_train, digits(raw=True).x_val].astype(np.uint8)
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == "2603c868f0b70c25"


def test_digits_are_standardised_with_the_training_part_alone():
    raw, data = digits(raw=True), digits()
    scaler = StandardScaler().fit(raw.x_train)
    used = np.ptp(raw.x_train, axis=0) > 0
    assert (~used).sum() == 4
    for ours, theirs in ((data.x_train, raw.x_train), (data.x_val, raw.x_val)):
        np.testing.assert_allclose(
            ours[:, used], scaler.transform(theirs)[:, used], rtol=1e-12, atol=1e-12
        )
        np.testing.assert_array_equal(ours[:, ~used], 0.0)
    assert raw.x_val[:, ~used].max() > 0  # without care, an untrained weight would see this pixel


# --------------------------------------------------------------------------------------------------
# Airfoil: the file


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty cache, no FIRSTORDER_DATA, and a server on this machine in place of the real one.

    Gives (folder of the server, its file's content, cache).
    """
    content = b"800\t0\t0.3048\t71.3\t0.00266337\t126.201\n"
    served, cache = tmp_path / "served", tmp_path / "cache"
    served.mkdir()
    (served / datasets.AIRFOIL_FILE).write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/{datasets.AIRFOIL_FILE}"
    monkeypatch.setattr(datasets, "AIRFOIL_URL", url)
    monkeypatch.setattr(datasets, "AIRFOIL_SHA1", hashlib.sha1(content).hexdigest())
    monkeypatch.setattr(pooch, "os_cache", lambda project: cache / project)
    monkeypatch.delenv("FIRSTORDER_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield served, content, cache
    server.shutdown()
    server.server_close()


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_airfoil_is_the_file_that_d2l_downloads():
    import d2l.torch

    assert d2l.torch.DATA_HUB["airfoil"] == (datasets.AIRFOIL_URL, datasets.AIRFOIL_SHA1)


def test_airfoil_is_downloaded_once(elsewhere):
    served, content, cache = elsewhere
    path = airfoil_path()
    assert path == cache / "firstorder" / datasets.AIRFOIL_FILE
    assert path.read_bytes() == content
    (served / datasets.AIRFOIL_FILE).unlink()
    assert airfoil_path() == path


def test_airfoil_download_says_nothing(elsewhere, capfd):
    airfoil_path()
    assert capfd.readouterr() == ("", "")


def test_airfoil_with_a_wrong_hash_is_not_stored(elsewhere):
    served, content, cache = elsewhere
    (served / datasets.AIRFOIL_FILE).write_bytes(content + b"one line more\n")
    with pytest.raises(FileNotFoundError, match=r"(?s)hash.*FIRSTORDER_DATA"):
        airfoil_path()
    assert files(cache) == []


def test_a_truncated_airfoil_is_not_stored(elsewhere):
    served, content, cache = elsewhere
    (served / datasets.AIRFOIL_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileNotFoundError, match=r"(?s)hash.*FIRSTORDER_DATA"):
        airfoil_path()
    assert files(cache) == []


def test_an_airfoil_whose_download_breaks_off_is_not_stored(elsewhere, monkeypatch):
    """The server promises more than it sends, and hangs up."""
    _, content, cache = elsewhere

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{datasets.AIRFOIL_FILE}"
        monkeypatch.setattr(datasets, "AIRFOIL_URL", url)
        with pytest.raises(FileNotFoundError, match="FIRSTORDER_DATA"):
            airfoil_path()
        server.shutdown()
    assert files(cache) == []


def test_an_airfoil_without_a_server_is_an_error(elsewhere, monkeypatch):
    _, _, cache = elsewhere
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(datasets, "AIRFOIL_URL", f"http://127.0.0.1:{port}/file.dat")
    with pytest.raises(FileNotFoundError, match="FIRSTORDER_DATA"):
        airfoil_path()
    assert files(cache) == []


def test_a_spoilt_airfoil_in_the_cache_is_replaced(elsewhere):
    _, content, _ = elsewhere
    path = airfoil_path()
    path.write_bytes(b"spoilt")
    assert airfoil_path().read_bytes() == content


def test_a_spoilt_airfoil_in_the_cache_is_not_used_without_a_network(elsewhere):
    served, _, _ = elsewhere
    airfoil_path().write_bytes(b"spoilt")
    (served / datasets.AIRFOIL_FILE).unlink()
    with pytest.raises(FileNotFoundError):
        airfoil_path()


def test_airfoil_that_cannot_be_had_says_what_to_do(elsewhere):
    served, _, cache = elsewhere
    (served / datasets.AIRFOIL_FILE).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        airfoil_path()
    message = str(caught.value)
    for part in ("FIRSTORDER_DATA", datasets.AIRFOIL_URL, datasets.AIRFOIL_SHA1, "404"):
        assert part in message
    assert files(cache) == []


def test_firstorder_data_comes_first(elsewhere, tmp_path, monkeypatch):
    _, content, cache = elsewhere
    (tmp_path / datasets.AIRFOIL_FILE).write_bytes(content)
    monkeypatch.setenv("FIRSTORDER_DATA", str(tmp_path))
    assert airfoil_path() == tmp_path / datasets.AIRFOIL_FILE
    assert files(cache) == []


def test_firstorder_data_with_another_file_is_an_error(elsewhere, tmp_path, monkeypatch):
    (tmp_path / datasets.AIRFOIL_FILE).write_bytes(b"another file")
    monkeypatch.setenv("FIRSTORDER_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"must have the SHA-1 .*, got "):
        airfoil_path()


def test_firstorder_data_without_the_file_falls_through(elsewhere, tmp_path, monkeypatch):
    _, _, cache = elsewhere
    monkeypatch.setenv("FIRSTORDER_DATA", str(tmp_path / "served" / "nowhere"))
    assert airfoil_path().is_relative_to(cache)


# --------------------------------------------------------------------------------------------------
# Airfoil: the protocols, on a stand-in of the same form


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Return a table like the file's, sorted by its first column, read in place of it."""
    rng = np.random.default_rng(7)
    rows = rng.normal([2886, 6.8, 0.14, 51, 0.011, 125], [3100, 6, 0.09, 15, 0.013, 7], (1503, 6))
    rows = rows[np.argsort(rows[:, 0])]
    path = tmp_path / "table.dat"
    np.savetxt(path, rows, delimiter="\t", fmt="%.17g")
    monkeypatch.setattr(datasets, "airfoil_path", lambda: path)
    return rows


def test_airfoil_split(table):
    raw, data = airfoil(raw=True), airfoil()
    check_shapes(raw, 1200, 303, 5)
    check_shapes(data, 1200, 303, 5)
    whole = np.c_[np.r_[raw.x_train, raw.x_val], np.r_[raw.y_train, raw.y_val]]
    np.testing.assert_array_equal(whole[np.argsort(whole[:, 0])], table)
    x, y = StandardScaler().fit(raw.x_train), StandardScaler().fit(raw.y_train[:, None])
    np.testing.assert_allclose(data.x_train, x.transform(raw.x_train), rtol=0, atol=1e-12)
    np.testing.assert_allclose(data.x_val, x.transform(raw.x_val), rtol=0, atol=1e-12)
    np.testing.assert_allclose(data.y_val, y.transform(raw.y_val[:, None])[:, 0], atol=1e-12)
    # the file is sorted: a split that took it as it comes would differ in its first column
    assert abs(data.x_val[:, 0].mean()) < 0.2


def test_airfoil_as_in_d2l(table):
    data = airfoil(protocol="d2l")
    check_shapes(data, 1500, 0, 5)
    expected = (table - table.mean(axis=0)) / table.std(axis=0)
    np.testing.assert_allclose(data.x_train, expected[:1500, :5], rtol=0, atol=1e-12)
    np.testing.assert_allclose(data.y_train, expected[:1500, 5], rtol=0, atol=1e-12)
    raw = airfoil(raw=True, protocol="d2l")
    np.testing.assert_array_equal(np.c_[raw.x_train, raw.y_train], table[:1500])


def test_airfoil_knows_two_protocols(table):
    with pytest.raises(ValueError, match="protocol must be 'split' or 'd2l', got 'book'"):
        airfoil(protocol="book")


# --------------------------------------------------------------------------------------------------
# Sparse


def test_sparse_features_follow_zipf():
    data = sparse(n=20000, d=50, exponent=1.2, seed=3)
    check_shapes(data, 16000, 4000, 50)
    x = np.r_[data.x_train, data.x_val]
    assert set(np.unique(x)) == {0.0, 1.0}
    p = 0.5 * np.arange(1, 51) ** -1.2
    sigma = np.sqrt(p * (1 - p) / 20000)
    assert (np.abs(x.mean(axis=0) - p) < 4.5 * sigma).all()


def test_sparse_classes_are_logistic():
    # few features and many rows: the frequency of class 1 among equal rows is its probability
    data = sparse(n=50000, d=3, exponent=0.0, scale=1.5, seed=5)
    x, y = np.r_[data.x_train, data.x_val], np.r_[data.y_train, data.y_val]
    rng = np.random.default_rng(5)
    rng.random((50000, 3))
    w = 1.5 * rng.standard_normal(3)
    for row in np.unique(x, axis=0):
        chosen = y[(x == row).all(axis=1)]
        p = 1 / (1 + np.exp(-row @ w))
        assert abs(chosen.mean() - p) < 4.5 * np.sqrt(p * (1 - p) / len(chosen))


def test_sparse_depends_on_its_seed_alone():
    np.testing.assert_array_equal(sparse(50, 20, seed=4).x_train, sparse(50, 20, seed=4).x_train)
    assert (sparse(50, 20, seed=4).x_train != sparse(50, 20, seed=5).x_train).any()


def test_sparse_defaults():
    data = sparse()
    check_shapes(data, 3200, 800, 2000)
    assert 3.8 < data.x_train.sum(axis=1).mean() < 4.4
    assert 0.2 < data.y_train.mean() < 0.8


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 4}, ValueError, "n must be at least 5, got 4"),
        ({"d": 0}, ValueError, "d must be at least 1, got 0"),
        ({"n": 10.0}, TypeError, "n must be a whole number, got 10.0"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"scale": np.inf}, ValueError, "scale must be finite, got inf"),
        ({"scale": -1.0}, ValueError, "scale must be one number of at least 0, got -1"),
        ({"exponent": "a"}, TypeError, "exponent must be a number"),
        ({"exponent": [1, 2]}, ValueError, "exponent must be one number"),
    ],
)
def test_sparse_rejects(arguments, error, message):
    with pytest.raises(error, match=message):
        sparse(**arguments)


# --------------------------------------------------------------------------------------------------
# Minibatches


def test_minibatches_visit_every_row_once_an_epoch():
    batches = minibatches(12, 4, epochs=5, seed=2)
    assert batches.shape == (15, 4)
    for epoch in batches.reshape(5, 12):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
    assert len(np.unique(batches.reshape(5, 12), axis=0)) == 5  # another order in each epoch


def test_a_short_last_batch_is_left_out_and_its_rows_change():
    epochs = minibatches(11, 4, epochs=50, seed=0).reshape(50, 8)
    left_out = [frozenset(range(11)) - set(epoch) for epoch in epochs]
    assert {len(rows) for rows in left_out} == {3}
    assert frozenset.union(*left_out) == frozenset(range(11))


def test_minibatches_depend_on_the_seed_alone():
    np.random.seed(1)  # noqa: NPY002
    first = minibatches(30, 7, epochs=3, seed=9)
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, minibatches(30, 7, epochs=3, seed=9))
    np.testing.assert_array_equal(first, minibatches(30, 7, epochs=6, seed=9)[: len(first)])
    assert (first != minibatches(30, 7, epochs=3, seed=10)).any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 1, 1, 0), ValueError, "n must be at least 1, got 0"),
        ((5, 0, 1, 0), ValueError, "batch_size must be at least 1, got 0"),
        ((5, 6, 1, 0), ValueError, "batch_size must be at most the number of rows, 5, got 6"),
        ((5, 2.0, 1, 0), TypeError, "batch_size must be a whole number, got 2.0"),
        ((5, 2, 0, 0), ValueError, "epochs must be at least 1, got 0"),
        ((5, 2, 1, -1), ValueError, "seed must be at least 0, got -1"),
        ((5, 2, 1, None), TypeError, "seed must be a whole number, got None"),
    ],
)
def test_minibatches_rejects(arguments, error, message):
    n, batch_size, epochs, seed = arguments
    with pytest.raises(error, match=message):
        minibatches(n, batch_size, epochs=epochs, seed=seed)
