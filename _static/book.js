// What scrolls sideways can be reached and scrolled with the keyboard, and has a name.
"use strict";

function nameScrollers() {
  for (const formula of document.querySelectorAll(".bd-article span.math > mjx-container")) {
    const column = formula.closest("p, li, td, dd, figcaption")?.clientWidth ?? Infinity;
    const alone = !formula.closest("table"); // a wide table scrolls as a whole
    formula.classList.toggle("too-wide", alone && formula.scrollWidth > column);
  }
  const scrollers = {
    'mjx-container[display="true"], mjx-container.too-wide': "Formula",
    "div.highlight pre, .output pre": "Code",
    ".pst-scrollable-table-container": "Table",
  };
  for (const [selector, name] of Object.entries(scrollers)) {
    for (const element of document.querySelectorAll(`.bd-article :is(${selector})`)) {
      if (element.scrollWidth > element.clientWidth) {
        element.tabIndex = 0;
        element.setAttribute("role", "group");
        element.setAttribute("aria-label", name);
      } else if (element.getAttribute("role") === "group") {
        element.removeAttribute("tabindex");
        element.removeAttribute("role");
        element.removeAttribute("aria-label");
      }
    }
  }
}

addEventListener("load", () => {
  const ready = window.MathJax?.startup?.promise ?? Promise.resolve();
  ready.then(nameScrollers);
});
addEventListener("resize", nameScrollers);
// A solution that opens may hold something wide.
addEventListener("click", () => requestAnimationFrame(nameScrollers));
