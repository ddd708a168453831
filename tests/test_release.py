"""``make release`` sets one version everywhere, and refuses before it has written anything."""

import datetime
import shutil
import subprocess

import pytest

import notebooks
import release

ADDRESS = "https://example.org/someone/first-order"
COPIED = ("pyproject.toml", "CITATION.cff", "_config.yml")


def git(root, *arguments):
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A small copy of the repository, clean and with an address."""
    chapters = tmp_path / "chapters"
    chapters.mkdir()
    for name in COPIED:
        shutil.copy(notebooks.ROOT / name, tmp_path)
    for name in ("how-to.md", "changelog.md", "adam.ipynb", "airfoil.ipynb"):
        shutil.copy(notebooks.CHAPTERS / name, chapters)
    config = (tmp_path / "_config.yml").read_text(encoding="utf-8")
    lines = config.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("repository:"))
    at = next(i for i in range(at, len(lines)) if lines[i].strip().startswith("url:"))
    lines[at] = f"  url: {ADDRESS}"
    (tmp_path / "_config.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (chapters / "changelog.md").open("a", encoding="utf-8") as file:
        file.write("\n## 7.8.9, unreleased\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Someone")
    git(tmp_path, "config", "user.email", "someone@example.org")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "A book")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "CHAPTERS", chapters)
    return tmp_path


def test_version_tag_and_cells_are_set_together(book):
    release.release("7.8.9", today=datetime.date(2030, 1, 2))
    assert notebooks.version() == "7.8.9"
    assert "version: 7.8.9" in (book / "CITATION.cff").read_text(encoding="utf-8")
    assert "{7.8.9}" in (book / "chapters" / "how-to.md").read_text(encoding="utf-8")
    assert "## 7.8.9, 2030-01-02" in (book / "chapters" / "changelog.md").read_text("utf-8")
    for name in ("adam", "airfoil"):
        first = notebooks.read(book / "chapters" / f"{name}.ipynb").cells[0].source
        assert f"git+{ADDRESS}@v7.8.9" in first
    assert git(book, "tag", "--points-at", "HEAD") == "v7.8.9"
    assert git(book, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("version", "change", "said"),
    [
        ("7.8", None, "three numbers"),
        ("0.0.1", None, "at least the present one"),
        ("8.0.0", None, "must have a part '## 8.0.0, unreleased'"),
        ("7.8.9", "tag", "the tag v7.8.9 exists"),
        ("7.8.9", "change", "the tree must be clean"),
        ("7.8.9", "address", "must be set"),
        ("7.8.9", "citation", r"CITATION\.cff must name the version"),
    ],
)
def test_it_refuses(book, version, change, said):
    if change == "tag":
        git(book, "tag", "v7.8.9")
    if change == "change":
        (book / "new.txt").write_text("new")
    if change == "address":
        config = (book / "_config.yml").read_text(encoding="utf-8")
        (book / "_config.yml").write_text(config.replace(ADDRESS, '""'), encoding="utf-8")
        git(book, "commit", "--quiet", "--all", "--message", "No address")
    if change == "citation":
        (book / "CITATION.cff").write_text("version: 3.2.1\n", encoding="utf-8")
        git(book, "commit", "--quiet", "--all", "--message", "Another version")
    before = {path: path.read_bytes() for path in book.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=said):
        release.release(version)
    after = {path: path.read_bytes() for path in book.rglob("*") if path.is_file()}
    ours = [path for path in before if ".git" not in path.parts]
    assert {path: after[path] for path in ours} == {path: before[path] for path in ours}
