# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo test venv lint sanity units cores sandbox sandbox-down integration soak benchmark docs build package \
	generate format lock clean

VENV_PYTHON := .venv/bin/python
SANDBOX := tests/sandbox/sandbox
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile

demo: venv ## A running datacenter of three racks, its status and how to connect (KUBECONFIG=... for your own cluster)
	@tests/tools/demo.sh

test: venv ## Everything: lint, sanity, units, cores, package, sandbox, integration; ends with its count
	@$(VENV_PYTHON) tests/run.py

venv: ## .venv with Ansible and the pinned requirements; this clone as the collection in it
	@tests/tools/venv.sh

lint: venv ## Linters, types, documentation, and the collection's own rules
	@$(VENV_PYTHON) tests/tools/lint.py

sanity: venv ## ansible-test sanity, on a clean copy
	@$(VENV_PYTHON) tests/tools/sanity.py

units: venv ## Unit tests
	@$(VENV_PYTHON) -m pytest tests/unit --numprocesses auto --durations 15

cores: venv ## Unit tests on the other supported versions of ansible-core
	@$(VENV_PYTHON) tests/tools/cores.py

sandbox: venv ## Start the sandbox: a real Kubernetes on this host (Linux, root)
	@$(SANDBOX) up $(if $(CI),--fresh)

sandbox-down: venv ## Stop the sandbox and remove what it holds
	@$(SANDBOX) down

integration: venv ## Tests on real Kubernetes and real Cassandra; needs the sandbox up
	@$(VENV_PYTHON) -m pytest tests/integration -m "not soak" --durations 25

soak: venv ## Whole matrices of faults, of which `make test` takes a sample; hours; goes on where it was stopped
	@$(VENV_PYTHON) -m pytest tests/integration -m soak

benchmark: venv ## Measurements side by side; writes tests/benchmark/results.json
	@$(VENV_PYTHON) tests/benchmark/run.py

docs: venv ## The documentation as a site, in build/docs
	@$(VENV_PYTHON) tests/tools/website.py

build: venv ## The collection's tarball, in build/
	@$(VENV_PYTHON) tests/tools/package.py build

package: venv ## Build the tarball, use it in an empty folder, give it to galaxy-importer, and build the site
	@$(VENV_PYTHON) tests/tools/package.py check

generate: venv ## Write what follows from the tree (action group, requirements of execution environments, AWX)
	@$(VENV_PYTHON) tests/tools/rules.py

format: venv ## Lay out all Python as ruff wants it
	@.venv/bin/ruff format

lock: venv ## Pin anew what tests/requirements.in names
	@tests/tools/lock.sh

clean: ## Remove what these targets made inside the clone (.venv, build, caches)
	rm -rf .venv build tests/output .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
