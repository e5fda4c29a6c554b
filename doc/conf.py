"""Configuration of the documentation build. It needs no network."""

import skdeconv

project = "skdeconv"
author = "The skdeconv developers"
copyright = f"2026, {author}"
version = release = skdeconv.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "literal"

# References to names of this package must resolve. Those of other projects cannot, offline.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!skdeconv\.).*")]

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
# Checks of all docstrings that the API reference shows. Extended summaries, "See Also", examples
# and a verb at the start are optional.
numpydoc_validation_checks = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "GL10"),
    *("SS02", "SS03", "SS04"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR10"),
    *("RT01", "RT04", "YD01", "SA02", "SA03", "SA04"),
}
numpydoc_validation_exclude = {r"\.__init__$"}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"/benchmarks/|__init__\.py",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": "skdeconv",
    "reference_url": {"skdeconv": None},
    "plot_gallery": True,
    # Two processes run the examples.
    "parallel": 2,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skdeconv {version}"
html_static_path = ["_static"]
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"changes": [], "contributing": []}
