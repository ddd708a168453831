"""Make a release: one version in every place that names it, the install cells, a commit and a tag.

    python tools/release.py 0.2.0

Sets the version in pyproject.toml, CITATION.cff, chapters/how-to.md and the first cell of every
notebook (which installs the package at the tag of its version), dates the changelog, commits and
tags v0.2.0.  Nothing is pushed.

Raises ``ValueError``, before anything is written, unless the version is three numbers and above the
present one, the tree is clean, the tag is new, the changelog has a part for the version, and
``repository: url`` in _config.yml is set.
"""

import argparse
import datetime
import re
import subprocess
import sys

import notebooks

PLACES = {
    "pyproject.toml": r'(?m)^version = "(.*)"$',
    "CITATION.cff": r"(?m)^ *version: (.*)$",
    "chapters/how-to.md": r"(?m)^ *version = \{(.*)\},$",
}


def release(version, today=None):
    """Set ``version`` everywhere, commit and tag."""
    root, before = notebooks.ROOT, notebooks.version()
    _check(version, before)
    for name, pattern in PLACES.items():
        text = (root / name).read_text(encoding="utf-8")
        new = re.sub(pattern, lambda match: match[0].replace(match[1], version), text)
        if new != text:  # make would install everything again
            (root / name).write_text(new, encoding="utf-8")
    changelog = root / "chapters" / "changelog.md"
    text = changelog.read_text(encoding="utf-8")
    day = (today or datetime.date.today()).isoformat()
    changelog.write_text(
        text.replace(f"## {version}, unreleased", f"## {version}, {day}"), encoding="utf-8"
    )
    for path in notebooks.paths():
        notebook = notebooks.normalise(notebooks.read(path), path)
        path.write_text(notebooks.text(notebook), encoding="utf-8")
    _git("commit", "--all", "--quiet", "--message", f"Version {version}")
    _git("tag", "--annotate", f"v{version}", "--message", f"Version {version}")


def _check(version, before):
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"version must be three numbers such as 0.2.0, got {version!r}")
    numbers = [tuple(map(int, v.split("."))) for v in (before, version)]
    if numbers[1] < numbers[0]:
        raise ValueError(f"version must be at least the present one, {before}, got {version}")
    if _git("tag", "--list", f"v{version}"):
        raise ValueError(f"version must be new: the tag v{version} exists")
    if changed := _git("status", "--porcelain"):
        raise ValueError(f"the tree must be clean, commit or undo these changes:\n{changed}")
    if not notebooks.repository():
        raise ValueError("repository: url in _config.yml must be set: install cells name it")
    for name, pattern in PLACES.items():
        found = re.findall(pattern, (notebooks.ROOT / name).read_text(encoding="utf-8"))
        if set(found) != {before}:
            raise ValueError(f"{name} must name the version {before}, got {found}")
    text = (notebooks.ROOT / "chapters" / "changelog.md").read_text(encoding="utf-8")
    if f"## {version}, unreleased" not in text:
        raise ValueError(f"chapters/changelog.md must have a part '## {version}, unreleased'")


def _git(*arguments):
    git = ["git", "-C", str(notebooks.ROOT), *arguments]
    done = subprocess.run(git, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version")
    try:
        release(parser.parse_args().version)
    except ValueError as error:
        sys.exit(f"no release: {error}")
    print("Released. To publish: git push --follow-tags")


if __name__ == "__main__":
    main()
