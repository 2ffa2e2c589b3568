# SPDX-License-Identifier: GPL-2.0
# The front door. `make help` says what there is.
BUILD := build/user
VERSION := $(shell cat VERSION)
PYTHON := /usr/bin/python3
DEPS := $(wildcard packaging/build-deps.txt tests/*/deps.txt)
DASHBOARD := build/dashboard
KDIR ?= /lib/modules/$(shell uname -r)/build

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

help:
	@echo 'make              build apfd and apfctl in $(BUILD)'
	@echo 'make modules      build the kernel modules for KDIR ($(KDIR))'
	@echo 'make dashboard    build the Cockpit page in $(DASHBOARD)/dist (needs Node.js and npm)'
	@echo 'make install      install apfd, apfctl, units, man pages, the page if built (DESTDIR)'
	@echo 'make dkms-install install the sources of the modules for DKMS (DESTDIR)'
	@echo 'make demo         boot a KVM host in emulation, overcommit a VM, show the gain'
	@echo 'make check        all tests; T=NAME: that one only'
	@echo 'make check-fast   unit, bus and static tests, no lab'
	@echo 'make check-lab    tests on a real KVM host in emulation; T=gate: that one only'
	@echo 'make bench B=NAME run tests/bench/NAME: prints a table, writes build/bench/NAME.json'
	@echo 'make deps         install the Debian packages all of the above need'
	@echo 'make clean        remove what was built, but not the images of the lab'
	@echo 'make distclean    remove these too'

deps:
	@packaging/install-deps $(DEPS)

modules:
	$(MAKE) -C host-module KDIR=$(KDIR)
	$(if $(wildcard guest-module/Kbuild),$(MAKE) -C guest-module KDIR=$(KDIR))

# Node.js is needed for this one alone. What npm fetches is pinned by the lock file and kept; with
# it there, building needs no network.
dashboard: $(DASHBOARD)/dist/manifest.json

$(DASHBOARD)/node_modules/.package-lock.json: dashboard/cockpit/package.json dashboard/cockpit/package-lock.json
	@mkdir -p $(DASHBOARD)
	cp $^ dashboard/cockpit/.npmrc $(DASHBOARD)
	cd $(DASHBOARD) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(DASHBOARD)/dist/manifest.json: $(DASHBOARD)/node_modules/.package-lock.json dashboard/cockpit/build.mjs \
		$(wildcard dashboard/cockpit/src/*)
	APF_NODE_MODULES=$(DASHBOARD)/node_modules node dashboard/cockpit/build.mjs $(DASHBOARD)/dist
	@touch $@

install: all
	meson install -C $(BUILD) --no-rebuild

dkms-install:
	$(MAKE) -C host-module dkms-install
	$(if $(wildcard guest-module/Kbuild),$(MAKE) -C guest-module dkms-install)

demo: deps
	@tests/lab/demo

check: deps
	@tests/run $(if $(T),--only $(T)) fast lab

check-fast: deps
	@tests/run $(if $(T),--only $(T)) fast

check-lab: deps
	@tests/run $(if $(T),--only $(T)) lab

bench: deps
	@test -x tests/bench/$(B) -a -n '$(B)' || { echo "make bench: B=NAME, one of: $$(ls tests/bench)" >&2; exit 2; }
	@mkdir -p build/bench
	@tests/bench/$(B)

clean:
	rm -rf $(BUILD) build/check build/modules $(DASHBOARD)/dist

distclean:
	rm -rf build

.PHONY: all help deps modules dashboard install dkms-install demo bench check check-fast check-lab clean distclean
