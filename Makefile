# make demo         builds recipes/digits end to end
# make test         everything that must hold before a change lands
# make slow         the thorough random tests that make test leaves out: about an hour
# make keras        the Python API with live models: Keras 3, Keras 2 (QKeras and HGQ, too), and Keras 3 without TensorFlow
# make conformance  N=1000 random models of every layer (SEED=0) against Keras 2 and 3, and the C simulation
# make quantized    N=500 random quantized models (SEED=0) of LIBRARY=qkeras, hgq or hgq2, all three unless given, by equality
# make benchmarks   kbuild beside hls4ml and da4ml
# Each makes its own environment here; PYTHON=python3.12 chooses the Python, EXTRAS=compiler has pip bring a compiler.

PYTHON ?=
EXTRAS ?=
PEER_PYTHON ?= $(or $(PYTHON),python3)
N ?= 1000
SEED ?= 0
CONFORMANCE ?=
KERAS_TESTS ?= tests/api
LIBRARY ?= qkeras hgq hgq2
KERAS2_PYTHON ?=
RECIPE ?= recipes/digits/recipe.yml
export PYTHON KERAS2_PYTHON
unexport PYTHONDONTWRITEBYTECODE  # the packages are here for good: compile them once

# An environment is good while its inputs are: its stamp is named by their checksum.
sum := $(shell (cat pyproject.toml constraints/pinned.txt .ci/environment; echo '$(CURDIR) $(PYTHON) $(EXTRAS)') | cksum | cut -d' ' -f1)
comma := ,
demo := .venv/ready-$(sum)
test := .venv-test/ready-$(sum)
keras := .venv-conformance/ready-$(sum)
jax := .venv-jax/ready-$(sum)
keras2 := .venv-keras2/ready-$(shell (cat constraints/keras2.txt .ci/keras2; echo '$(CURDIR) $(KERAS2_PYTHON)') | cksum | cut -d' ' -f1)
peer := .venv-hls4ml/ready-$(shell cat benchmarks/requirements-hls4ml.txt | cksum | cut -d' ' -f1)

.PHONY: demo test lint types check slow keras conformance quantized benchmarks constraints wheel clean help

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

demo: $(demo)
	@.venv/bin/kbuild build $(RECIPE)

test: lint types check

lint: $(test)
	.venv-test/bin/ruff check .

types: $(test)
	.venv-test/bin/mypy

check: $(test)
	.venv-test/bin/python -m pytest -q -m 'not slow'

slow: $(test) $(keras)
	.venv-test/bin/python -m pytest -q -m slow
	.venv-conformance/bin/python -m pytest -q -rs -m slow tests/passes/test_reference_networks.py -k keras

# KBUILD_REFERENCE may name the folder of hls4ml's page on Keras, keras-frontend.txt, whose pieces of code are run, too.
# KERAS_TESTS may name some of the tests, since most of tests/api needs no Keras and is part of make test.
keras: $(keras) $(jax) $(keras2)
	KBUILD_KERAS_PYTHON=$(CURDIR)/.venv-jax/bin/python .venv-conformance/bin/python -m pytest -q -rs $(KERAS_TESTS)
	@if [ -f $(keras2) ]; then echo "== live models of QKeras and HGQ"; PYTHONPATH=. .venv-keras2/bin/python -m pytest -q -rs \
	    tests/api/test_reference_blocks.py tests/api/test_live_quantized.py; fi

# CONFORMANCE takes further options, such as '--json found.json' or the names of cases: see docs/conformance.md.
conformance: $(keras)
	@cd tests && ../.venv-conformance/bin/python -m conformance -n $(N) --seed $(SEED) $(CONFORMANCE)

# QKeras and HGQ are in an environment of their own, which is skipped with a line where it cannot be made (.ci/keras2).
quantized: $(keras) $(keras2)
	@cd tests && for library in $(LIBRARY); do KBUILD_KERAS2_PYTHON='$(CURDIR)/.venv-keras2/bin/python' \
	    ../.venv-conformance/bin/python -m conformance -n $(N) --seed $(SEED) --library $$library $(CONFORMANCE) || exit 1; done

# Needs KBUILD_MODELS, the folder of the published models, and a Python 3.10 or 3.11 for hls4ml (PEER_PYTHON).
benchmarks: $(test) $(peer)
	.venv-test/bin/python benchmarks/run.py --peer .venv-hls4ml/bin/python

wheel: $(test)
	.venv-test/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Resolves the pinned versions anew for all Pythons at once; needs uv (pip install uv).
constraints:
	sed -n '/^#/p' constraints/pinned.txt > constraints/pinned.new
	uv pip compile --quiet --universal --all-extras --python-version 3.10 --no-annotate --no-header --no-emit-package kbuild \
	    --constraint constraints/limits.txt --upgrade pyproject.toml >> constraints/pinned.new
	mv constraints/pinned.new constraints/pinned.txt

clean:
	rm -rf .venv .venv-test .venv-conformance .venv-jax .venv-keras2 .venv-hls4ml build dist recipes/*/build

$(demo):
	@.ci/environment .venv $@ '$(EXTRAS)'

$(test):
	@.ci/environment .venv-test $@ 'test$(addprefix $(comma),$(EXTRAS))'

$(keras):
	@.ci/environment .venv-conformance $@ 'conformance,test$(addprefix $(comma),$(EXTRAS))'

$(jax):
	@.ci/environment .venv-jax $@ 'jax$(addprefix $(comma),$(EXTRAS))'

$(keras2):
	@.ci/keras2 .venv-keras2 $@

$(peer):
	rm -rf .venv-hls4ml
	$(PEER_PYTHON) -m venv .venv-hls4ml
	.venv-hls4ml/bin/python -m pip install --quiet --disable-pip-version-check \
	    --requirement benchmarks/requirements-hls4ml.txt
	touch $@
