"""The documentation site: ``sphinx-build -W -b html docs FOLDER``.

Pages are Markdown that a forge shows too. Tutorials are written once, as scripts with cells in ``tutorials/``, and made
into pages and notebooks here. Formulas become MathML, so that no page loads anything from elsewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jupytext
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import nwb_dcf

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "docs" / "tutorials"

project = "nwb_dcf"
author = "nwb_dcf developers"
copyright = author
version = release = nwb_dcf.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
suppress_warnings = ["config.cache"]

autodoc_typehints = "none"  # numpydoc's sections have them, in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_preprocess_types = False
napoleon_use_rtype = False
html_math_renderer = "mathml"
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_title = f"nwb_dcf {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
html_theme_options: dict[str, Any] = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
    "footer_start": [],
    "footer_end": [],
}
html_sidebars: dict[str, list[str]] = {"index": [], "start": [], "concepts": []}  # pages without pages below them


def write_tutorials(app: Sphinx) -> None:
    """Make a page and a notebook of every tutorial."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    shutil.copytree(ROOT / "tutorials" / "pictures", GENERATED / "pictures")
    for script in sorted((ROOT / "tutorials").glob("*.py")):
        notebook = jupytext.read(script, fmt="py:percent")
        jupytext.write(notebook, GENERATED / f"{script.stem}.ipynb")
        page = jupytext.writes(notebook, fmt="markdown")
        page = page.partition("---\n\n")[2] if page.startswith("---") else page
        links = f"{{download}}`Notebook <{script.stem}.ipynb>` · {{download}}`script <../../tutorials/{script.name}>`"
        title, _, rest = page.lstrip().partition("\n")
        (GENERATED / f"{script.stem}.md").write_text(f"{title}\n\n{links}\n{rest}", encoding="utf-8")


def visit_formula(translator: Any, node: nodes.math) -> None:
    """Write a formula that stands in a line."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_formula_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula that has a line of its own."""
    translator.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Add what is made at the time of building."""
    app.add_lexer("mermaid", TextLexer)  # which a forge draws
    app.connect("builder-inited", write_tutorials)
    app.add_html_math_renderer(
        "mathml", inline_renderers=(visit_formula, None), block_renderers=(visit_formula_block, None)
    )
