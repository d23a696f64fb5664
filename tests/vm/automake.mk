# SPDX-License-Identifier: Apache-2.0
#
# Guests for tests with QEMU: programs that make traffic, and scripts that make
# kernel and root.  They are static, since the guest has no libraries.
EXTRA_PROGRAMS += tests/vm/vmload
tests_vm_vmload_SOURCES = tests/vm/vmload.c
tests_vm_vmload_LDFLAGS = -static
tests_vm_vmload_LDADD =
CLEANFILES += tests/vm/vmload
EXTRA_PROGRAMS += tests/vm/vmapp
tests_vm_vmapp_SOURCES = tests/vm/vmapp.c
tests_vm_vmapp_LDFLAGS = -static
tests_vm_vmapp_LDADD =
CLEANFILES += tests/vm/vmapp

EXTRA_DIST += \
	tests/vm/init \
	tests/vm/make-apps \
	tests/vm/make-guest

.PHONY: guest
guest: tests/vm/vmload
	$(srcdir)/tests/vm/make-guest guest tests/vm/vmload
