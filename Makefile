# SPDX-License-Identifier: GPL-2.0
# The front door. `make help` says what there is.
BUILD := build/user
VERSION := $(shell cat VERSION)
PYTHON := /usr/bin/python3
DEPS := $(wildcard packaging/build-deps.txt tests/*/deps.txt)
DASHBOARD := build/dashboard
KDIR ?= /lib/modules/$(shell uname -r)/build
# What `make` and `make modules` need: the list up to the packages for tests.
INSTALL_DEPS = apt-get install --no-install-recommends $$(sed '/^\# tests/,$$d; s/\#.*//' packaging/build-deps.txt | xargs)
WITHOUT_PAGE := $(if $(filter no,$(PAGE)),--without-page)
# An unpacked release has the page.
BUILD_PAGE := $(if $(WITHOUT_PAGE)$(wildcard dashboard/cockpit/dist),,dashboard)

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@for tool in meson ninja cc pkg-config; do command -v $$tool >/dev/null || \
		{ echo "make: $$tool is missing; as root: $(INSTALL_DEPS)" >&2; exit 1; }; done
	meson setup $(BUILD)

help:
	@echo 'make              build apfd and apfctl in $(BUILD)'
	@echo 'make modules      build the kernel modules for KDIR ($(KDIR))'
	@echo 'make dashboard    build the Cockpit page in $(DASHBOARD)/dist (needs Node.js and npm)'
	@echo '                  MODULES=apf-VERSION-node-modules.tar.xz: without npm and network'
	@echo 'make install      install apfd, apfctl, units, man pages, the page if built (DESTDIR)'
	@echo 'make dkms-install install the sources of the modules for DKMS (DESTDIR)'
	@echo 'make deb          build the Debian packages in build/deb; PAGE=no: without the Cockpit page'
	@echo 'make dist         make the tarballs of a release in build/dist; PAGE=no as above'
	@echo 'make demo         boot a KVM host in emulation, overcommit a VM, show the gain'
	@echo 'make check        all tests; T=NAME: that one only'
	@echo 'make check-fast   unit, bus and static tests, no lab'
	@echo 'make check-field  the doctor and list on made-up hosts and VMs of the field; T=NAME: that one only'
	@echo 'make check-lab    tests on a real KVM host in emulation; T=gate: that one only'
	@echo 'make check-kernels  both modules against every kernel of Debian; R=trixie, K=7.3: those only'
	@echo 'make check-static  the slow analysers: clang, coccinelle with the scripts of the kernel'
	@echo 'make check-sanitize  user space with ASan, UBSan and TSan under its tests; S="asan bus": that only'
	@echo 'make check-docs   run the commands of the documents in a clean Debian'
	@echo 'make check-debug  the lab on kernels with KASAN, lockdep, KCSAN, PREEMPT_RT: R=release, K=kernel, T=test'
	@echo 'make check-storm  look for races for hours: R=release, BOOTS=n, PIECES=n, MIN=minutes, MORE=1'
	@echo 'make bench B=NAME run tests/bench/NAME: prints a table, writes build/bench/NAME.json'
	@echo '                  ARGS="--vms 5000" are options for it, ARGS=--help lists them'
	@echo 'make pictures     make the pictures of docs/pictures: apfctl top, the Cockpit page'
	@echo 'make deps         install the Debian packages all of the above need'
	@echo 'make clean        remove what was built, but not the images of the lab and the kernels'
	@echo 'make distclean    remove these too'

deps:
	@packaging/install-deps $(DEPS)

modules:
	$(MAKE) -C host-module KDIR=$(KDIR)
	$(if $(wildcard guest-module/Kbuild),$(MAKE) -C guest-module KDIR=$(KDIR))

# Node.js is needed for this one alone. What npm fetches is pinned by the lock file and kept; with
# it there, building needs no network. MODULES: the tarball with the sources of the npm packages that a
# release has; then the page is built without npm and network, with Debian's esbuild.
dashboard: $(DASHBOARD)/dist/manifest.json

$(DASHBOARD)/node_modules/.package-lock.json: dashboard/cockpit/package.json dashboard/cockpit/package-lock.json $(MODULES)
	@mkdir -p $(DASHBOARD)
ifdef MODULES
	rm -rf $(DASHBOARD)/node_modules
	tar -C $(DASHBOARD) -xf $(MODULES)
else
	cp $^ dashboard/cockpit/.npmrc $(DASHBOARD)
	cd $(DASHBOARD) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
endif
	touch $@

$(DASHBOARD)/dist/manifest.json: $(DASHBOARD)/node_modules/.package-lock.json dashboard/cockpit/build.mjs dashboard/cockpit/po.mjs \
		$(wildcard dashboard/cockpit/src/* dashboard/cockpit/po/*.po)
	APF_NODE_MODULES=$(DASHBOARD)/node_modules APF_BUNDLED=$(DASHBOARD)/bundled \
		node dashboard/cockpit/build.mjs $(DASHBOARD)/dist
	@touch $@

install: all
	meson install -C $(BUILD) --no-rebuild

dkms-install:
	$(MAKE) -C host-module dkms-install
	$(if $(wildcard guest-module/Kbuild),$(MAKE) -C guest-module dkms-install)

dist: $(BUILD_PAGE)
	@packaging/dist $(WITHOUT_PAGE) build/dist

deb:
	@packaging/install-deps packaging/deb-deps.txt $(if $(BUILD_PAGE),packaging/page-deps.txt)
	@$(if $(BUILD_PAGE),$(MAKE) --no-print-directory $(BUILD_PAGE))
	@packaging/deb $(WITHOUT_PAGE) build/deb

demo: deps
	@tests/lab/demo

check: deps
	@tests/run $(if $(T),--only $(T)) fast lab

check-fast: deps
	@tests/run $(if $(T),--only $(T)) fast

# A host or VM of the field for each case, see tests/field/README.md.
check-field: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet
	@APF_BUILD_DIR=$(BUILD) tests/field/run $(T)

check-lab: deps
	@tests/run $(if $(T),--only $(T)) lab

# Not part of `make check`: it fetches gigabytes. What needs little of it is in tests/kernels/test_*.py.
check-kernels: deps
	@rc=0; tests/kernels/check $(if $(R),--release $(R)) $(if $(K),--kernel $(K)) || rc=1; \
	$(if $(or $(K),$(filter sid,$(R))),,tests/kernels/dkms-test $(R) || rc=1;) exit $$rc

# Not part of `make check`: it makes a Debian and builds everything in it.
check-docs: deps
	@tests/docs/run-commands

# Once for each release; the files are in git.
pictures: deps
	@tests/pictures/make

check-storm: deps
	@tests/lab/storm

# Not part of `make check`: it compiles kernels, and runs them in emulation, for hours.
check-debug: deps
	@tests/lab/debug/check

# gcc's analyser and our own semantic patches are quick, and part of `make check-fast`.
check-static: deps
	@tests/static/analyse

check-sanitize: deps
	@tests/sanitize/run $(S)

bench: deps
	@test -x tests/bench/$(B) -a -n '$(B)' || { echo "make bench: B=NAME, one of: $$(ls tests/bench)" >&2; exit 2; }
	@mkdir -p build/bench
	@tests/bench/$(B) $(ARGS)

clean:
	rm -rf $(BUILD) build/check build/modules build/dist build/deb $(DASHBOARD)/dist

distclean:
	rm -rf build

.PHONY: all help deps modules dashboard install dkms-install demo bench check check-fast \
	check-field check-lab check-storm check-debug check-kernels check-static check-sanitize dist deb \
	check-docs pictures clean distclean
