# SPDX-License-Identifier: Apache-2.0
#
# Guests for tests with QEMU: a program that makes traffic, and a script that
# makes kernel and root.  It is static, since the guest has no libraries.
EXTRA_PROGRAMS += tests/vm/vmload
tests_vm_vmload_SOURCES = tests/vm/vmload.c
tests_vm_vmload_LDFLAGS = -static
tests_vm_vmload_LDADD =
CLEANFILES += tests/vm/vmload

EXTRA_DIST += \
	tests/vm/init \
	tests/vm/make-guest

.PHONY: guest
guest: tests/vm/vmload
	$(srcdir)/tests/vm/make-guest guest tests/vm/vmload
