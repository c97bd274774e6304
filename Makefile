# `make help` says what there is.

CARGO = cargo
PREFIX = /usr/local
SYSCONFDIR = /etc
DESTDIR =
LIBEXECDIR = $(PREFIX)/libexec/mail-master
MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/mail-master

# The demo's: its folder, its ports, and how many users with empty mailboxes (u1, u2, ...) it has beside alice and bob.
DEMO_DIR = demo
DEMO_IMAP_PORT = 11143
DEMO_POP3_PORT = 11110
DEMO_USERS = 0
# debug, or release
DEMO_PROFILE = release

# How long each fuzz target runs.
FUZZ_SECONDS = 30

PROGRAMS = mail-master mail-login mail-auth mail-worker mail-jail mailctl envdump fdpass

.PHONY: help demo release test check bench fuzz install clean tools

help:
	@echo 'make demo     serve sample mail on loopback until Ctrl-C; with DEMO_DIR=dir DEMO_IMAP_PORT=n'
	@echo '              DEMO_POP3_PORT=n, and DEMO_USERS=n for n more users, u1 to un'
	@echo 'make test     all tests; as root on Debian, first installs the clients that they need'
	@echo 'make check    what needs no running server: format, lints, fences, man pages, dependencies'
	@echo 'make release  all programs, into target/release/'
	@echo 'make bench    figures'
	@echo 'make fuzz     any bytes to every parser, FUZZ_SECONDS=n each; needs the nightly toolchain and cargo-fuzz'
	@echo 'make install  into PREFIX ($(PREFIX)), below DESTDIR'
	@echo 'make clean    forgets what was built, and the demo'

release:
	$(CARGO) build --workspace --bins --release

demo: export DEMO_DIR := $(DEMO_DIR)
demo: export DEMO_IMAP_PORT := $(DEMO_IMAP_PORT)
demo: export DEMO_POP3_PORT := $(DEMO_POP3_PORT)
demo: export DEMO_USERS := $(DEMO_USERS)
demo: export DEMO_PROGRAMS := target/$(DEMO_PROFILE)
demo:
	@$(CARGO) build --workspace --bins $(if $(filter release,$(DEMO_PROFILE)),--release)
	@tests/demo/demo.sh

tools:
	@tests/tools.sh

# The end-to-end tests run the programs of the workspace, so these are built first.
test: tools
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace --no-fail-fast

check:
	$(CARGO) fmt --all --check
	tests/fences.sh
	tests/pages.sh
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	tests/dependencies.sh

bench: release
	$(CARGO) bench -p tests

fuzz: export FUZZ_SECONDS := $(FUZZ_SECONDS)
fuzz:
	@tests/fuzz/fuzz.sh

install: release
	install -d $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(DOCDIR)
	install -m 755 $(PROGRAMS:%=target/release/%) $(DESTDIR)$(LIBEXECDIR)
	for program in mail-master mailctl; do \
	    ln -sf $(LIBEXECDIR)/$$program $(DESTDIR)$(PREFIX)/sbin/$$program || exit; \
	done
	for program in envdump fdpass mail-jail; do \
	    ln -sf $(LIBEXECDIR)/$$program $(DESTDIR)$(PREFIX)/bin/$$program || exit; \
	done
	for page in man/*.[1-8]; do \
	    section=$${page##*.}; \
	    install -d $(DESTDIR)$(MANDIR)/man$$section; \
	    install -m 644 $$page $(DESTDIR)$(MANDIR)/man$$section || exit; \
	done
	install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE $(DESTDIR)$(DOCDIR)
	install -d $(DESTDIR)$(DOCDIR)/examples
	install -m 644 deploy/sysctl.d/60-mail-master.conf $(DESTDIR)$(DOCDIR)/examples
	cp -R deploy/fail2ban deploy/crowdsec $(DESTDIR)$(DOCDIR)/examples
	sed 's,/usr/local/sbin/,$(PREFIX)/sbin/,' deploy/systemd/mail-master.service \
	    >$(DESTDIR)$(DOCDIR)/examples/mail-master.service
	install -d $(DESTDIR)$(SYSCONFDIR)/mail-master
	install -m 644 mail-master/mail-master.conf.example $(DESTDIR)$(SYSCONFDIR)/mail-master
	@echo
	@echo 'Users that own nothing have to be there:'
	@for user in maillogin mailauth mailbase; do \
	    echo "  useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin $$user"; \
	done
	@echo 'For systemd: $(DOCDIR)/examples/mail-master.service; for many clients: 60-mail-master.conf beside it.'
	@echo 'To begin: cp $(SYSCONFDIR)/mail-master/mail-master.conf.example $(SYSCONFDIR)/mail-master/mail-master.conf'
	@echo 'Then edit it, and: mail-master -t'

clean:
	$(CARGO) clean
	rm -rf demo
