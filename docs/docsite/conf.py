# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the site that `make docs` builds out of the pages for people and those of antsibull-docs."""

project = "cassops.kubernetes"
project_copyright = "cassops contributors"
author = "cassops contributors"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
root_doc = "index"
exclude_patterns = ["collections/environment_variables.rst"]
# Anchors of headings as GitHub makes them, which is what the pages link to.
myst_heading_anchors = 4
# Mermaid is drawn by GitHub; here it stays text.
suppress_warnings = ["misc.highlighting_failure", "ref.ref", "toc.no_title"]

html_theme = "alabaster"
html_theme_options = {"description": "Apache Cassandra on any Kubernetes, without an operator", "page_width": "1100px"}
html_title = "cassops.kubernetes"
html_show_sphinx = False
html_copy_source = False
highlight_language = "yaml+jinja"
