# SPDX-License-Identifier: Apache-2.0
#
# Open vSwitch, three times, each built from ovs-src or ovs-base-src:
#
#   ovs        patched (part of "make all")
#   ovs-base   as released, same flags: for comparison
#   ovs-asan   patched, with the address and undefined behaviour sanitizers
#
# build-aux/ovs-build finds out what is to be done, so it always runs.

OVS_CFLAGS = -O2 -g
# No warnings (-w): the sanitizers cause false ones.
OVS_ASAN_CFLAGS = -O1 -g -w -fno-omit-frame-pointer \
	-fsanitize=address,undefined
OVS_OPTIONS = \
	--prefix='$(prefix)' --sysconfdir='$(sysconfdir)' \
	--localstatedir='$(localstatedir)' --mandir='$(mandir)' \
	--with-dpdk=$(OVS_DPDK) --disable-afxdp
if WERROR
OVS_WERROR = --enable-Werror
endif
OVS_MAKE = $(top_srcdir)/build-aux/ovs-build --top='$(top_srcdir)' \
	--release='$(OVS_SOURCE)'

.PHONY: ovs ovs-base ovs-asan
ovs:
	+@$(OVS_MAKE) ovs-src ovs -- \
		$(OVS_OPTIONS) $(OVS_WERROR) CFLAGS='$(OVS_CFLAGS)'
ovs-base:
	+@$(OVS_MAKE) --patches=0 ovs-base-src ovs-base -- \
		$(OVS_OPTIONS) $(OVS_WERROR) CFLAGS='$(OVS_CFLAGS)'
ovs-asan:
	+@$(OVS_MAKE) ovs-src ovs-asan -- $(OVS_OPTIONS) \
		CFLAGS='$(OVS_ASAN_CFLAGS)'

# For user programs that link with the library of Open vSwitch.  Such a
# program, say ctl/foo, sets
#
#   ctl_foo_CPPFLAGS = $(OVS_CPPFLAGS)
#   ctl_foo_LDADD = lib/libmat.a $(OVS_LIB)
#   ctl_foo_LINK = $(OVS_LINK)
#   $(ctl_foo_OBJECTS): $(OVS_LIB)
OVS_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/vswitchd-ext \
	-Iovs -Iovs-src/include -Iovs/include -Iovs-src/lib -Iovs/lib -Iovs-src
OVS_LIB = ovs/lib/libopenvswitch.la
OVS_LINK = ovs/libtool --silent --tag=CC --mode=link $(CC) $(AM_CFLAGS) \
	$(CFLAGS) $(LDFLAGS) -o $@

if BUILD_OVS
$(OVS_LIB): ovs ;
all-local: ovs
install-exec-local:
	$(MAKE) -C ovs install DESTDIR='$(DESTDIR)'
uninstall-local:
	$(MAKE) -C ovs uninstall DESTDIR='$(DESTDIR)'
endif

clean-local:
	rm -rf ovs ovs-base ovs-asan ovs-steps ovs-newer check-*.d stages
	rm -f ovs*.lock ovs*.log checkpatch.log newer.log
distclean-local:
	rm -rf ovs-src ovs-base-src ovs-steps-src ovs-newer-src ovs-newer-deb \
	    guest

EXTRA_DIST += build-aux/ovs-build ovs-patches vswitchd-ext
