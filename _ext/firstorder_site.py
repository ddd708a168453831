"""What the theme leaves to do: local mathematics, links to the repository, tidy HTML.

- MathJax is copied out of the installed package sphinx-mathjax-offline, only the files in use: the
  site asks no other host, and nobody's bundle is committed.
- While ``repository: url:`` in _config.yml is empty, the buttons that need it are left out.
- ``templates/`` replaces some of the theme's templates and adds the footer of every page.
"""

import re
import shutil
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote, urlencode

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx_exercise.nodes import solution_node

logger = logging.getLogger(__name__)

MATHJAX = "sphinx-mathjax-offline"
MATHJAX_FILES = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2/*.woff")
REPORT_PAGE, REPORT_SECTION = "chapters/how-to", "report-an-error"


def use_repository(app, config):
    """Show what needs the repository's address only where there is one."""
    config.templates_path.insert(0, str(Path(__file__).parent / "templates"))
    options = config.html_theme_options
    if options.get("repository_url"):
        options["use_repository_button"] = True
        return
    for name in ("repository_url", "launch_buttons"):
        options.pop(name, None)
    logger.info("_config.yml has no repository url: launch and repository buttons are left out")


def add_report_link(app, pagename, templatename, context, doctree):
    """Tell the footer where an error on this page is to be reported."""
    repository = app.config.html_theme_options.get("repository_url")
    if repository:
        query = urlencode({"title": f"Error on page {pagename}"}, quote_via=quote)
        context["report_url"] = f"{repository.rstrip('/')}/issues/new?{query}"
    else:
        page = "" if pagename == REPORT_PAGE else context["pathto"](REPORT_PAGE)
        context["report_url"] = f"{page}#{REPORT_SECTION}"


def tidy_body(app, pagename, templatename, context, doctree):
    """Mend what the writers of other packages leave behind, for those who listen to the page."""
    body = context.get("body", "")
    # ARIA roles of docutils' bibliography, deprecated and on the wrong elements.
    body = body.replace(' role="doc-biblioentry"', "")
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    # A corner of a table that heads nothing is no heading.
    body = re.sub(r'<th class="head([^"]*)">(<p></p>)?</th>', r'<td class="head\1"></td>', body)
    context["body"] = body


def copy_mathjax(app, exception):
    """Copy MathJax's one script and its fonts to _static/mathjax."""
    if exception or app.builder.format != "html":
        return
    source = Path(distribution(MATHJAX).locate_file(MATHJAX)) / "static" / "mathjax"
    for pattern in MATHJAX_FILES:
        found = list(source.glob(pattern))
        if not found:
            raise ExtensionError(f"the package {MATHJAX} has no {pattern} in {source}")
        for file in found:
            target = Path(app.outdir, "_static", "mathjax", file.relative_to(source))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


class TidyHtml(SphinxPostTransform):
    """Mend what the directives of other packages leave behind."""

    default_priority = 800
    repeated = ("exercise-content", "solution-content", "proof-content", "proof")

    def run(self, **kwargs):
        for node in self.document.findall(
            lambda n: isinstance(n, nodes.section | nodes.admonition)
        ):
            # The same id for every proof and for the body of every exercise; no class for a proof.
            if "proof" in node["ids"]:
                node["classes"].append("proof-text")
            node["ids"] = [i for i in node["ids"] if i not in self.repeated]
        for formula in list(self.document.findall(nodes.math)):
            keep_with_punctuation(formula)
        for solution in self.document.findall(solution_node):
            # Every solution is folded, whether or not its author remembered the class.
            if "dropdown" not in solution["classes"]:
                solution["classes"].append("dropdown")


def keep_with_punctuation(formula):
    """Let no line break come between an inline formula and the punctuation that follows it."""
    after = formula.next_node(descend=False, siblings=True)
    mark = re.match(r"[.,;:!?)\]’”]+", after) if isinstance(after, nodes.Text) else None
    if mark:
        parent = formula.parent
        at = parent.index(formula)
        together = nodes.inline("", "", formula.deepcopy(), nodes.Text(mark[0]), classes=["nowrap"])
        parent[at : at + 2] = [together, nodes.Text(after[mark.end() :])]


def setup(app):
    app.connect("config-inited", use_repository, priority=100)
    app.connect("html-page-context", add_report_link)
    app.connect("html-page-context", tidy_body)
    app.connect("build-finished", copy_mathjax)
    app.add_post_transform(TidyHtml)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
