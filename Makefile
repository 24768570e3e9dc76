# Moongate: GNU make, one file, no configure step. `make help` lists the targets.
#
# Everything built goes to $(BUILD) = build/<flavour>. The folder's name picks the flavour (release,
# debug, asan, fuzz; any other name is a release build), so `make BUILD=build/mine` is a private tree.

BUILD   ?= build/release
FLAVOUR ?= $(or $(filter debug asan fuzz,$(notdir $(BUILD))),release)
PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)

# Debian 12 packages, listed here and nowhere else. luajit2 replaces the stock luajit packages.
DEPS := gcc make libc6-dev pkg-config luajit2 libluajit2-5.1-dev libevent-dev libssl-dev libcrypt-dev \
	libpcre2-dev libc-ares-dev libnghttp2-dev zlib1g-dev libbrotli-dev libzstd-dev lua-cjson openssl \
	ca-certificates
TEST_DEPS := lua-busted lua-check lua-cqueues lua-luaossl lua-posix lua-filesystem curl python3 nodejs procps redis-server python3-grpcio
DEV_DEPS  := clang clang-format clang-tidy libclang-rt-dev wrk

PKGS := luajit libevent_core openssl libpcre2-8 libcares libnghttp2 zlib libbrotlienc libzstd

WARN := -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wswitch-enum -Wnull-dereference -Werror=implicit -Werror=return-type \
	-Werror=incompatible-pointer-types

ifneq ($(FLAVOUR),fuzz)
ifeq ($(origin CC),default)
CC := gcc
endif
else
CC := clang
endif

# Warnings from a header of a library are not ours: -isystem.
# Asked once, and only when something is compiled: `make deps` runs before there is a pkg-config.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS))))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)

CPPFLAGS_ALL = -D_GNU_SOURCE -DMG_SHARE_DIR='"$(PREFIX)/share/moongate"' -Icore $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 -g $(WARN) -fstack-protector-strong $(CFLAGS_$(FLAVOUR)) $(CFLAGS)
LDFLAGS_ALL  = $(LDFLAGS_$(FLAVOUR)) $(LDFLAGS)
LIBS         = $(PKG_LIBS) -lcrypt -lpthread -ldl -lm

# The release binary hides its symbols; the library for the unit specs needs them, so it has an object
# tree of its own (-O1, CHECK on). The other flavours are not shipped and use one tree for both.
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# WERROR=1 (set by .ci/run) makes warnings errors; not under sanitizers, which confuse the flow analysis.
CFLAGS_release  := -O2 -flto=auto -D_FORTIFY_SOURCE=2 $(if $(WERROR),-Werror)
CFLAGS_debug    := -O0 -DMG_DEBUG -fPIC
CFLAGS_asan     := -O1 -DMG_DEBUG -DMG_POOL_SEPARATE -fPIC $(SAN)
CFLAGS_fuzz     := -O1 -DMG_DEBUG -DMG_POOL_SEPARATE -fPIC $(SAN) -fsanitize=fuzzer-no-link -Wno-gnu-folding-constant
LDFLAGS_release := -O2 -flto=auto -Wl,-z,relro,-z,now
LDFLAGS_asan    := $(SAN)
LDFLAGS_fuzz    := $(SAN)
ifeq ($(FLAVOUR),release)
TEST_TREE  := tobj
OBJ_CFLAGS := -fPIE -fvisibility=hidden
else
TEST_TREE  := obj
OBJ_CFLAGS :=
endif

# ONLY="base http" limits the library to these folders of core/, e.g. while another does not compile.
SRC      := $(sort $(shell find $(or $(ONLY:%=core/%),core) -name '*.c' 2>/dev/null))
OBJ      := $(SRC:%.c=$(BUILD)/obj/%.o)
TEST_OBJ := $(filter-out %/core/main.o,$(SRC:%.c=$(BUILD)/$(TEST_TREE)/%.o))
LIB_OBJ  := $(filter-out %/core/main.o,$(OBJ))
FUZZERS  := $(filter-out standalone,$(patsubst fuzz/%.c,%,$(wildcard fuzz/*.c)))

BIN      := $(BUILD)/moongate
TEST_LIB := $(BUILD)/libmoongate_test.so
# `build/moongate` is the release binary under its public name.
NAMED    := $(if $(filter build/release,$(BUILD)),build/moongate)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

## -- build
all: $(BIN) $(NAMED)  ## the release binary, build/moongate

lib: $(TEST_LIB)  ## the library that unit specs load through FFI

debug:  ## build/debug: -O0, CHECK on
	@$(MAKE) --no-print-directory BUILD=build/debug all lib

asan:  ## build/asan: address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory BUILD=build/asan all lib

# Objects depend on the flags they were made with: a changed PREFIX or CFLAGS rebuilds.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS_TEXT" | cmp -s - $@ || printf '%s\n' "$$FLAGS_TEXT" >$@
$(BUILD)/flags: export FLAGS_TEXT = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(OBJ_CFLAGS)

# Likewise the list of sources: a removed file, or another ONLY, links anew.
$(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(SRC)' | cmp -s - $@ || echo '$(SRC)' >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(OBJ_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tobj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC test $<"
	@$(CC) $(CPPFLAGS_ALL) -DMG_DEBUG $(CFLAGS_ALL) -fno-lto -O1 -fPIC -MMD -MP -c $< -o $@

$(BIN): $(OBJ) $(BUILD)/sources
	@mkdir -p $(@D); echo "  LINK    $@"
	@$(CC) $(LDFLAGS_ALL) -rdynamic $(OBJ) $(LIBS) -o $@

build/moongate: build/release/moongate
	@ln -f $< $@ 2>/dev/null || cp -f $< $@

# -Bsymbolic: our functions must never be replaced by namesakes in the process that loads us. lazy: a
# tree in which a function is still missing can be tested in its other parts.
$(TEST_LIB): $(TEST_OBJ) $(BUILD)/sources
	@mkdir -p $(@D); echo "  LINK    $@"
	@$(CC) $(LDFLAGS_ALL) -shared -Wl,-Bsymbolic,-z,lazy $(TEST_OBJ) $(LIBS) -o $@

deps:  ## install the Debian packages that build, run and test need
	@tools/deps.sh $(DEPS) $(TEST_DEPS)

dev-deps:  ## also install what format, tidy, fuzz and bench need
	@tools/deps.sh $(DEPS) $(TEST_DEPS) $(DEV_DEPS)

run:  ## install what is missing, build, start the quickstart
	@tools/deps.sh $(DEPS)
	@$(MAKE) --no-print-directory -j$(JOBS) all
	build/moongate run examples/quickstart/gateway.lua

install: all  ## copy the binary, lua/ and scripts/ below PREFIX
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/moongate
	@for dir in lua scripts; do \
	  find $$dir -name '*.lua' | while read -r file; do \
	    install -D -m 644 "$$file" "$(DESTDIR)$(PREFIX)/share/moongate/$$file"; done; done
	@echo "installed below $(DESTDIR)$(PREFIX)"

clean:  ## remove build/
	rm -rf build

## -- check (T=path or T="path path" picks specs; JOBS=n in parallel)
SPECS = tools/specs.sh --build $(BUILD) --jobs $(JOBS)

test: deps  ## everything: build, lint, all specs on release and under ASan + UBSan, fuzz replay
	@$(if $(T),$(MAKE) --no-print-directory -j$(JOBS) check,tools/test.sh $(JOBS))

check: all lib  ## all specs on the release build, or those of T=
	@$(SPECS) $(or $(T),spec)

check-asan: asan  ## all specs on the ASan + UBSan build, or those of T=
	@tools/specs.sh --build build/asan --jobs $(JOBS) $(or $(T),spec)

SPEC_GROUPS := unit flow wire conf ngx nginx scripts examples proc support
$(SPEC_GROUPS:%=check-%): check-%: all lib
	@$(SPECS) spec/$*
# make help: check-unit check-flow check-wire check-conf check-scripts check-examples check-proc

## -- lint
lint: layers headers metrics docs-check luacheck whitespace  ## all of the below, without a build

layers:  ## the include matrix, vendor headers, transitive headers per file
	@luajit tools/layers.lua core

headers:  ## each header compiles alone
	@CC="$(CC)" luajit tools/headers.lua $(CPPFLAGS_ALL)

metrics:  ## file and function size limits
	@luajit tools/metrics.lua

metrics-table:  ## the tree as a Markdown table: files, lines, function sizes
	@luajit tools/metrics.lua --table

docs: all  ## writes the pages and tables that are generated: docs/nginx-directives.md, the tables of docs/config.md
	@$(BIN) schema --nginx > docs/nginx-directives.md
	@$(BIN) schema --markdown | luajit tools/docs_tables.lua docs/config.md

docs-check:  ## a page that names a source file: the file exists
	@luajit tools/docs_check.lua

luacheck:  ## static checks of all Lua files
	@luajit /usr/bin/luacheck --quiet --no-color $(wildcard lua scripts spec tools examples bench)

whitespace:  ## tabs, trailing blanks, line ends, missing final newline
	@luajit tools/whitespace.lua

C_FILES = $(shell find core fuzz bench -name '*.[ch]' 2>/dev/null)
format:  ## clang-format all C files in place
	@clang-format -i $(C_FILES)

format-check:  ## fail where clang-format would change something
	@clang-format --dry-run -Werror $(C_FILES)

tidy:  ## clang-tidy over core/
	@clang-tidy --quiet $(SRC) -- -std=c11 $(CPPFLAGS_ALL)

## -- fuzz
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   ?= -max_len=65536 -timeout=5 -rss_limit_mb=2048
# What its Lua states hold from input to input looks like a leak; the replay finds those that are.
FUZZ_FLAGS_config_nginx := -detect_leaks=0

fuzz:  ## build and run one fuzzer: TARGET=h1_request FUZZ_SECONDS=600
	@test -n "$(TARGET)" || { echo "TARGET= is one of: $(FUZZERS)"; exit 2; }
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build/fuzz build/fuzz/$(TARGET)
	@mkdir -p fuzz/corpus/$(TARGET) build/fuzz/new/$(TARGET)
	build/fuzz/$(TARGET) $(FUZZ_FLAGS) $(FUZZ_FLAGS_$(TARGET)) -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	  -artifact_prefix=build/fuzz/$(TARGET)- build/fuzz/new/$(TARGET) fuzz/corpus/$(TARGET)

fuzz-build:  ## build all fuzzers (clang)
	@$(MAKE) --no-print-directory BUILD=build/fuzz $(FUZZERS:%=build/fuzz/%)

fuzz-smoke: fuzz-build  ## each fuzzer for FUZZ_SECONDS
	@for t in $(FUZZERS); do $(MAKE) --no-print-directory fuzz TARGET=$$t || exit 1; done

fuzz-replay:  ## the corpora through the ASan build, without clang
	@test -z "$(FUZZERS)" || $(MAKE) --no-print-directory BUILD=build/asan $(FUZZERS:%=build/asan/replay/%)
	@for t in $(FUZZERS); do build/asan/replay/$$t fuzz/corpus/$$t || exit 1; done

ifeq ($(FLAVOUR),fuzz)
$(FUZZERS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/obj/fuzz/%.o $(LIB_OBJ)
	@mkdir -p $(@D); echo "  LINK    $@"
	@$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer $^ $(LIBS) -o $@
endif

$(BUILD)/replay/%: $(BUILD)/obj/fuzz/%.o $(BUILD)/obj/fuzz/standalone.o $(LIB_OBJ)
	@mkdir -p $(@D); echo "  LINK    $@"
	@$(CC) $(LDFLAGS_ALL) $^ $(LIBS) -o $@

## -- bench
bench: all  ## the local load test, see bench/README.md
	@test -x bench/run || { echo "bench/run is missing"; exit 2; }
	bench/run

help:  ## this list
	@awk '/^## --/ { sub(/^## -- */, ""); printf "\n%s\n", $$0 } \
	  /^[a-z][a-z-]*:.*##/ { name = $$0; sub(/:.*/, "", name); sub(/.*##[ ]*/, ""); \
	  printf "  %-14s %s\n", name, $$0 } \
	  /^# make help: / { sub(/^# make help: /, ""); n = split($$0, t, " "); \
	  for (i = 1; i <= n; i++) { dir = t[i]; sub(/check-/, "", dir); \
	  printf "  %-14s the specs below spec/%s\n", t[i], dir } }' $(firstword $(MAKEFILE_LIST))

FORCE:
.PHONY: all lib debug asan deps dev-deps run install clean test check check-asan \
  $(SPEC_GROUPS:%=check-%) lint layers headers metrics metrics-table docs-check luacheck whitespace \
  format format-check tidy fuzz fuzz-build fuzz-smoke fuzz-replay bench help FORCE

# Objects of fuzzers are reached through pattern chains; make would delete them as intermediate.
.SECONDARY:

-include $(OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(wildcard $(BUILD)/obj/fuzz/*.d)
