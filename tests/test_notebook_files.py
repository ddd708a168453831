"""Which notebooks there are, and the cell that they all begin with.

What one notebook must look like is tested where it is collected, in ``conftest.py``.
"""

import subprocess
import sys
import tomllib

import pytest
import yaml

import notebooks

ADDRESS = "https://example.org/somebody/first-order"


def toc():
    """Return the files of ``_toc.yml``, without suffix, the root included."""
    table = yaml.safe_load((notebooks.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [table["root"], *(c["file"] for part in table["parts"] for c in part["chapters"])]


def test_every_page_on_disk_is_in_the_table_of_contents_and_the_reverse():
    pages = [*notebooks.paths(), *notebooks.CHAPTERS.rglob("*.md"), notebooks.ROOT / "intro.md"]
    on_disk = sorted(p.relative_to(notebooks.ROOT).with_suffix("").as_posix() for p in pages)
    assert sorted(toc()) == on_disk


def test_figures_have_names_of_their_own():
    names = [
        cell.metadata["mystnb"]["figure"]["name"]
        for path in notebooks.paths()
        for cell in notebooks.read(path).cells
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert sorted(names) == sorted(set(names))


def execute(source, monkeypatch, **environment):
    """Run a first cell as on a machine without firstorder; return the pip commands it gave."""
    commands = []

    def record(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.delenv("FIRSTORDER_SOURCE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", record)
    exec(compile(source, "first cell", "exec"), {})
    return commands


def test_first_cell_does_nothing_where_the_package_is(capsys, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("nothing is to be installed")

    monkeypatch.setattr("subprocess.run", fail)
    exec(compile(notebooks.first_cell(ADDRESS, "1.2.3"), "first cell", "exec"), {})
    assert capsys.readouterr() == ("", "")


def test_first_cell_installs_the_tagged_version(monkeypatch):
    [command] = execute(notebooks.first_cell(ADDRESS, "1.2.3"), monkeypatch)
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1] == f"git+{ADDRESS}@v1.2.3"


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_first_cell_prefers_the_source_that_the_environment_names(monkeypatch, address):
    source = notebooks.first_cell(address, "1.2.3")
    [command] = execute(source, monkeypatch, FIRSTORDER_SOURCE="some/folder")
    assert command[-1] == "some/folder"


def test_first_cell_without_an_address_says_where_to_set_it(monkeypatch):
    with pytest.raises(RuntimeError, match=r"repository: url in _config\.yml"):
        execute(notebooks.first_cell("", "1.2.3"), monkeypatch)


def test_first_cell_of_a_chapter_that_needs_more_names_the_extra(monkeypatch):
    source = notebooks.first_cell("", "1.2.3", "d2l", ("d2l",))
    [command] = execute(source, monkeypatch, FIRSTORDER_SOURCE="git+https://example.org/b@v2")
    assert command[-2:] == ["git+https://example.org/b@v2", "firstorder[d2l]"]
    with pytest.raises(RuntimeError, match="firstorder or d2l is missing"):
        execute(source, monkeypatch, FIRSTORDER_SOURCE="")


def test_extras_are_those_of_the_package():
    text = (notebooks.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    for extra, modules in notebooks.EXTRAS.values():
        assert all(any(need.startswith(module) for need in extras[extra]) for module in modules)


def test_first_cell_repeats_what_pip_said(monkeypatch, tmp_path):
    monkeypatch.setenv("FIRSTORDER_SOURCE", str(tmp_path / "no-such-package"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="no-such-package"):
        exec(compile(notebooks.first_cell("", "1.2.3"), "first cell", "exec"), {})


def test_first_cell_follows_the_repository(monkeypatch, tmp_path):
    (tmp_path / "_config.yml").write_text(f"repository:\n  url: {ADDRESS}/\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "4.5.6"\n', encoding="utf-8")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    assert notebooks.repository() == ADDRESS
    assert notebooks.version() == "4.5.6"


@pytest.mark.parametrize("text", ["title: T", "repository:\n  url:", 'repository:\n  url: ""'])
def test_no_address_is_set(monkeypatch, tmp_path, text):
    (tmp_path / "_config.yml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    assert notebooks.repository() == ""
