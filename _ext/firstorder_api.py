"""The API reference: writes every public name of the package into chapters/api.md at build time.

A new module or function appears by itself, and a public one without a docstring stops the build.
Docstrings are plain text: paragraphs, ``code``, lists of names each followed by two spaces and its
description, and indented code.  ``docstring_to_rst`` turns exactly that into reStructuredText.
"""

import ast
import importlib
import inspect
import io
import pkgutil
import re
import textwrap
import tokenize
from functools import cached_property

from sphinx.errors import ExtensionError

PACKAGE = "firstorder"
PAGE = "chapters/api"
MARK = "% The modules stand here: see _ext/firstorder_api.py"

# What a reader wants first comes first; modules not named here follow in alphabetical order.
ORDER = (
    *("rules", "run", "objectives", "datasets", "train", "figures", "notebook", "symbolic"),
    *("javascript", "rosetta", "adapters.libraries", "adapters.torch", "adapters.d2l"),
    *("hyperparameters", "namespace"),
)


def modules():
    """Every module of the package that has public names of its own, in the order of the page."""
    package = importlib.import_module(PACKAGE)
    found = [m.name for m in pkgutil.walk_packages(package.__path__, PACKAGE + ".")]
    places = {f"{PACKAGE}.{name}": place for place, name in enumerate(ORDER)}
    public = [name for name in found if not any(p.startswith("_") for p in name.split("."))]
    public.sort(key=lambda name: (places.get(name, len(places)), name))
    return [module for module in map(importlib.import_module, public) if public_names(module)]


def public_names(module):
    """The public names that a module itself defines, in the order of its source."""
    names = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [
                n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)
            ]
    return [n for n in dict.fromkeys(names) if not n.startswith("_") and hasattr(module, n)]


def methods(cls):
    """The public methods and properties that a class itself defines."""
    kinds = (property, cached_property, classmethod, staticmethod)
    return {
        name: member
        for name, member in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, kinds))
    }


def undocumented(module):
    """Full names of the public functions, classes and methods that have no docstring."""
    missing = [] if module.__doc__ else [module.__name__]
    for name in public_names(module):
        value, full = getattr(module, name), f"{module.__name__}.{name}"
        if inspect.isclass(value):
            members = {full: value} | {f"{full}.{k}": m for k, m in methods(value).items()}
            missing += [k for k, m in members.items() if not getattr(m, "__doc__", None)]
        elif inspect.isfunction(value) and not value.__doc__:
            missing.append(full)
    return missing


def is_named_tuple(cls):
    return inspect.isclass(cls) and issubclass(cls, tuple) and hasattr(cls, "_fields")


# --------------------------------------------------------------------------------------------------
# Comments in the source are the descriptions of a NamedTuple's fields and of constants


def comments(source):
    """Line number -> comment, for every comment in the source."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def field_comments(cls):
    """Field of a NamedTuple -> the comment beside it."""
    source = textwrap.dedent(inspect.getsource(cls))
    beside = comments(source)
    fields = [n for n in ast.parse(source).body[0].body if isinstance(n, ast.AnnAssign)]
    return {n.target.id: beside.get(n.lineno, "") for n in fields}


def constant_comment(module, name):
    """The comment beside a module-level assignment, or the lines of comment right above it."""
    source = inspect.getsource(module)
    notes, lines = comments(source), source.splitlines()
    for node in ast.parse(source).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            if node.end_lineno in notes:
                return notes[node.end_lineno]
            above, number = [], node.lineno - 1
            while number in notes and lines[number - 1].startswith("#"):
                above.insert(0, notes[number])
                number -= 1
            return " ".join(above if not set("".join(above)) <= set("- ") else [])
    return ""


# --------------------------------------------------------------------------------------------------
# Plain docstrings to reStructuredText

ITEM = re.compile(r"(``[^`]+``(?:, ``[^`]+``)*) {2,}(\S.*)")


def text_to_rst(text, links):
    """One line of text: ``code`` becomes a link where ``links`` knows it; the rest is literal."""

    def piece(part):
        if part.startswith("``"):
            code = part.strip("`")
            return f":py:obj:`~{links[code]}`" if code in links else part
        return re.sub(r"([\\*`_|])", r"\\\1", part)

    return "\\ " + "".join(piece(part) for part in re.split(r"(``[^`]+``)", text))


def docstring_to_rst(text, links):
    """The lines of reStructuredText that show a plain docstring."""
    out = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        lines = block.splitlines()
        if all(line.startswith("  ") for line in lines):
            out += ["::", "", *(textwrap.indent(textwrap.dedent(block), "   ").splitlines()), ""]
            continue
        kind, parts = "", []  # runs of lines that belong together
        for line in lines:
            item = ITEM.match(line)
            if item:
                kind = "item"
                parts.append([kind, item[1], item[2]])
            elif line.startswith("- "):
                kind = "bullet"
                parts.append([kind, "", line[2:]])
            elif kind == "text" or (kind and line.startswith("  ")):
                parts[-1][2] += " " + line.strip()
            else:
                kind = "text"
                parts.append([kind, "", line.strip()])
        for kind, term, body in parts:
            body = text_to_rst(body, links)
            if kind == "item":
                out += [term, "   " + body, ""]
            else:
                out += [("- " if kind == "bullet" else "") + body, ""]
    return out


def links_from(module, everything, parameters=()):
    """Names that a docstring of ``module`` may mean -> full names.

    Its own names, those the package exports, and classes; never a parameter of what it documents.
    """
    exported, links = vars(importlib.import_module(PACKAGE)), {}
    for other in [*everything, module]:
        for name in public_names(other):
            if other is module or name in exported or name[0].isupper():
                links[name] = f"{other.__name__}.{name}"
    return {name: full for name, full in links.items() if name not in parameters}


# --------------------------------------------------------------------------------------------------
# The page


def reference():
    """The Markdown of all modules."""
    everything = modules()
    missing = [name for module in everything for name in undocumented(module)]
    if missing:
        raise ExtensionError("public names without a docstring: " + ", ".join(missing))
    return "\n".join(section(module, links_from(module, everything)) for module in everything)


def section(module, links):
    lines = docstring_to_rst(module.__doc__, links)
    lines += [f".. py:module:: {module.__name__}", ""]
    for name in public_names(module):
        lines += [*entry(module, name, links), ""]
    rst = "\n".join(lines)
    return f"## {module.__name__.removeprefix(PACKAGE + '.')}\n\n````{{eval-rst}}\n{rst}\n````\n"


def entry(module, name, links):
    value, full = getattr(module, name), f"{module.__name__}.{name}"
    if inspect.isclass(value):
        lines = [f".. autoclass:: {full}", "   :members:", "   :member-order: bysource"]
        if is_named_tuple(value):  # show_docstring shows the fields
            lines.append(f"   :exclude-members: {', '.join(value._fields)}")
        return lines
    if inspect.isfunction(value):
        return [f".. autofunction:: {full}"]
    shown = []
    if isinstance(getattr(value, "latex", None), str):
        shown += [".. math::", "", f"   {value.latex}", ""]
    comment = constant_comment(module, name)
    if comment:
        shown += [text_to_rst(comment, links)]
    return [f".. py:data:: {name}", "", *("   " + line for line in shown)]


def write_page(app, docname, content):
    if docname == PAGE:
        if MARK not in content[0]:
            raise ExtensionError(f"{PAGE}.md must hold the line {MARK!r}")
        content[0] = content[0].replace(MARK, reference())


def show_docstring(app, what, name, obj, options, lines):
    everything = modules()
    module = next(m for m in everything if name.startswith(m.__name__ + "."))
    parameters = inspect.signature(obj).parameters if inspect.isfunction(obj) else ()
    links = links_from(module, everything, parameters)
    shown = docstring_to_rst("\n".join(lines), links)
    if is_named_tuple(obj):
        for field, comment in field_comments(obj).items():
            shown += [f"``{field}``", "   " + text_to_rst(comment, links), ""]
    lines[:] = shown


def show_signature(app, what, name, obj, options, signature, annotation):
    """A field made by a factory has no default that could be read: leave it open."""
    return (signature or "").replace("<factory>", "...") or None, annotation


def setup(app):
    app.connect("source-read", write_page)
    app.connect("autodoc-process-docstring", show_docstring)
    app.connect("autodoc-process-signature", show_signature)
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: [PAGE])
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
