# SPDX-License-Identifier: Apache-2.0
#
# The Debian packages: built (with Open vSwitch, the first time), looked at by
# lintian, installed and purged in a copy of this machine's root.
# Then installed on machines that are booted with systemd: check-boot,
# check-libvirt.

.PHONY: check-packaging check-boot check-libvirt
check-packaging:
	@$(top_srcdir)/tests/packaging/run packaging
check-boot check-libvirt:
	@ls packaging/ovs-matd_*.deb > /dev/null 2>&1 || \
		$(top_srcdir)/tests/packaging/run packaging
	@$(top_srcdir)/tests/packaging/$(@:check-%=%) packaging

EXTRA_DIST += tests/packaging/boot tests/packaging/libvirt \
	tests/packaging/machine.sh tests/packaging/run \
	debian/changelog \
	debian/control \
	debian/copyright \
	debian/openvswitch-mat.docs \
	debian/openvswitch-mat.install \
	debian/openvswitch-mat.links \
	debian/openvswitch-mat.lintian-overrides \
	debian/openvswitch-mat.manpages \
	debian/openvswitch-mat.postinst \
	debian/openvswitch-mat.postrm \
	debian/openvswitch-mat.preinst \
	debian/openvswitch-mat.prerm \
	debian/ovs-matd.docs \
	debian/ovs-matd.install \
	debian/ovs-matd.manpages \
	debian/ovs-matd.postrm \
	debian/rules \
	debian/source/format
clean-local: clean-packaging
.PHONY: clean-packaging
clean-packaging:
	rm -rf packaging
