"""The built site as a reader meets it: every page in a browser, wide and narrow, light and dark.

Run after ``make book``:  pytest tests/site
"""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

import notebooks
from classroom import solution_lines

ROOT = Path(__file__).parents[2]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}

# Violations of the theme that cannot be mended here, (rule, part of the element): reason.  None.
ALLOWED = {}


def documents():
    """The documents of _toc.yml, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [toc["root"]]
    for part in [*toc.get("parts", []), toc]:
        names += [chapter["file"] for chapter in part.get("chapters", [])]
    return names


PAGES = [f"{name}.html" for name in documents()]


# --------------------------------------------------------------------------------------------------
# In a browser


def open_page(context, address, name):
    """A page in the browser with its mathematics shown, and what went wrong while it loaded."""
    page, complaints = context.new_page(), []

    def on_console(message):
        if message.type in ("error", "warning"):
            complaints.append(f"console {message.type}: {message.text}")

    def on_request(request):
        if not request.url.startswith((address, "data:", "blob:")):
            complaints.append(f"request to another host: {request.url}")

    def on_response(response):
        if response.status >= 400:
            complaints.append(f"status {response.status}: {response.url}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("response", on_response)
    page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.goto(urljoin(address, name))
    page.evaluate("async () => { await window.MathJax?.startup?.promise }")
    page.wait_for_load_state("networkidle")
    return page, complaints


@pytest.fixture(scope="session", params=PAGES)
def visit(request, context, address):
    """Each page of the book, loaded once; pytest runs all tests of a page before the next one."""
    page, complaints = open_page(context, address, request.param)
    yield page, complaints
    page.close()


@pytest.fixture
def page(visit):
    """The page as on a desktop in daylight, whatever the test before did."""
    return look(visit[0], DESKTOP, "light")


def look(page, size, scheme, media="screen"):
    page.set_viewport_size(size)
    page.emulate_media(media=media, color_scheme=scheme)
    page.wait_for_selector(f"html[data-theme={scheme}]")  # the reader's setting is followed
    page.evaluate("nameScrollers()")
    return page


def test_page_loads_without_complaint_and_from_here_alone(visit):
    assert visit[1] == []


def test_mathematics_is_rendered(page):
    sources = page.locator(".bd-article .math").count()
    shown = page.locator(".bd-article .math mjx-container").count()
    assert shown >= sources, f"{sources} formulae, {shown} rendered"
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    text = page.evaluate(
        """() => {
          const article = document.querySelector(".bd-article").cloneNode(true);
          const literal = "pre, code, dt, mjx-container, script";
          article.querySelectorAll(literal).forEach((e) => e.remove());
          return article.textContent;
        }"""
    )
    assert re.findall(r"\\\(|\\\[|\$\$|\\begin\{|\$[^$\s]+\$", text) == []
    loads = page.locator("script[src*='mathjax/']").count()
    assert loads == bool(sources), "MathJax is loaded where there is mathematics, and only there"


def test_pictures_are_described(page):
    pictures = page.eval_on_selector_all(
        "img",
        "all => all.map((i) => [i.getAttribute('alt'), i.getAttribute('src'), i.naturalWidth])",
    )
    for alt, source, width in pictures:
        assert alt is not None, f"{source} has no alt text"
        assert width > 0, f"{source} is not shown"
        assert not re.search(r"\.(png|svg|jpe?g)$|[0-9a-f]{16}", alt), f"alt text {alt!r}"
        assert len(alt.split()) >= 3, f"{source}: alt text {alt!r} says too little"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_violation(page, size, scheme):
    look(page, size, scheme)
    page.add_style_tag(content="*, ::before, ::after { transition: none !important }")
    found = [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]} {node['failureSummary']}"
        for violation in Axe().run(page).response["violations"]
        for node in violation["nodes"]
        if not any(v == violation["id"] and part in node["html"] for v, part in ALLOWED)
    ]
    assert found == [], "\n".join(found)


def test_solutions_are_folded_on_screen_and_open_in_print(page):
    bodies = page.locator(".solution > .admonition-title ~ *")
    assert not any(body.is_visible() for body in bodies.all())
    look(page, DESKTOP, "dark", "print")
    assert all(body.is_visible() for body in bodies.all())
    for part in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article"):
        assert not any(element.is_visible() for element in page.locator(part).all()), part
    assert page.locator(".bd-article h1").first.is_visible()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)", "print on white, also when the screen is dark"


def test_phone_has_no_sideways_scroll_with_solutions_open(page):
    look(page, PHONE, "light")
    first = page.locator(".toggle-hidden .toggle-button").first
    if first.count():
        first.press("Enter")  # with the keyboard; the others at once
    page.evaluate(
        "document.querySelectorAll('.toggle-hidden .toggle-button').forEach(b => b.click())"
    )
    page.evaluate("nameScrollers()")
    assert page.locator(".toggle-hidden").count() == 0
    wide = page.evaluate(
        """() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
          [...document.querySelectorAll(".bd-article *")]
            .filter((e) => e.getBoundingClientRect().right > innerWidth)
            .map((e) => e.outerHTML.slice(0, 120)).concat("sideways scroll")"""
    )
    assert wide == []


def test_search_finds_a_word(context, address):
    page, complaints = open_page(context, address, "search.html?q=gradient")
    page.wait_for_selector("#search-results li a")
    page.close()
    assert complaints == []


def test_pages_work_opened_as_files(context, site):
    """Without any server: style, mathematics and pictures come from the folder."""
    for name in (PAGES[0], PAGES[len(PAGES) // 2]):
        page, complaints = open_page(context, f"{site.as_uri()}/", name)
        shown = page.locator(".bd-article .math mjx-container").count()
        assert shown >= page.locator(".bd-article .math").count()
        page.close()
        assert complaints == []


def test_the_cheat_sheet_prints_on_one_page(context, address):
    page, _ = open_page(context, address, "chapters/cheat-sheet.html")
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 1


# --------------------------------------------------------------------------------------------------
# In the files


class Anchors(HTMLParser):
    """The ids of a page and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs[key] for key in ("id", "name") if attrs.get(key) and tag != "meta"]
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]


@cache
def anchors(path):
    return Anchors(path.read_text(encoding="utf-8"))


def html_files(site):
    return [path for path in site.rglob("*.html") if "_static" not in path.parts]


def test_every_page_of_the_contents_is_built(site):
    assert [name for name in PAGES if not (site / name).exists()] == []


def test_internal_links_and_anchors_resolve(site):
    broken = []
    for path in html_files(site):
        for link in anchors(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            here = f"{path.relative_to(site)}: {link}"
            if not target.exists():
                broken.append(f"{here} (no such file)")
            elif parts.fragment and target.suffix == ".html":
                found = unquote(parts.fragment) in anchors(target).ids
                broken += [] if found else [f"{here} (no such anchor)"]
    assert broken == [], "\n".join(broken)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_leads_to_where_errors_are_reported(site, name):
    text = (site / name).read_text(encoding="utf-8")
    link = re.search(r'class="report-error" href="([^"]+)"', text)[1]
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    assert (
        link.startswith(f"{repository}/issues/new")
        if repository
        else "how-to" in link
        or (name.endswith("how-to.html") and link.endswith("#report-an-error"))
    )
    launches = re.findall(r"colab\.research|mybinder\.org/v2", text)
    assert bool(launches) <= bool(repository), "launch buttons without a repository"


def test_api_page_has_every_public_name(site):
    """By another way than the page was made: what Python's own import shows of each module."""
    import importlib
    import inspect
    import pkgutil

    import firstorder

    ids = set(anchors(site / "chapters" / "api.html").ids)
    missing = []
    for found in pkgutil.walk_packages(firstorder.__path__, "firstorder."):
        if found.name.rpartition(".")[2].startswith("_"):
            continue  # a private module
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == found.name
            public = not name.startswith("_") and (
                inspect.isroutine(value) or inspect.isclass(value)
            )
            if own and public and f"{found.name}.{name}" not in ids:
                missing.append(f"{found.name}.{name}")
    assert missing == []


def test_no_solution_of_an_assignment_is_on_the_site(site):
    """The answer key is built on request, elsewhere."""
    sources = [path for path in (site / "_sources").rglob("*") if path.is_file()]
    assert len(sources) >= len(PAGES)
    published = "\n".join(
        "\n".join(cell.source for cell in notebooks.read(path).cells)
        if path.suffix == ".ipynb"
        else path.read_text(encoding="utf-8")
        for path in sources
    )
    assert "initial_state(" in published
    for path in (notebooks.ROOT / "assignments").glob("*.ipynb"):
        lines = [line for cell in notebooks.read(path).cells for line in solution_lines(cell)]
        found = [line for line in lines if len(line) > 40 and line in published]
        assert len(found) <= 1, found  # a formula may be a chapter's, an answer is not
    assert "Model answer" not in published


def test_search_index_and_mathematics_come_with_the_site(site):
    assert "gradient" in (site / "searchindex.js").read_text(encoding="utf-8")
    fonts = list((site / "_static" / "mathjax").rglob("*.woff"))
    assert len(fonts) == 23
    size = sum(file.stat().st_size for file in (site / "_static" / "mathjax").rglob("*.*"))
    assert size < 2e6


def test_sizes_of_pages(site, request):
    """Reported, and bounded so that no page becomes a burden on a phone."""
    lines, sizes = ["page sizes, HTML and its pictures:"], {}
    for name in PAGES:
        path = site / name
        files = {(path.parent / unquote(link)).resolve() for link in anchors(path).links}
        pictures = [f for f in files if f.suffix in (".png", ".svg") and f.exists()]
        sizes[name] = (path.stat().st_size + sum(f.stat().st_size for f in pictures)) / 1e6
        lines.append(f"  {sizes[name]:6.2f} MB  {name}")
    total = sum(f.stat().st_size for f in site.rglob("*") if f.is_file()) / 1e6
    request.config.page_sizes = [*lines, f"  {total:6.2f} MB  the whole site"]
    assert {name: size for name, size in sizes.items() if size > 2.5} == {}
