# SPDX-License-Identifier: Apache-2.0
#
# What a host needs beside the programs: units, users, folders, rotation of
# logs, completion, libvirt's hook.  Only with "make install".

unitdir = $(prefix)/lib/systemd/system
DROPINS = ovs-vswitchd ovsdb-server
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
logrotatedir = $(sysconfdir)/logrotate.d
defaultdir = $(sysconfdir)/default
completiondir = $(datadir)/bash-completion/completions
hookdir = $(datadir)/ovs-mat

# Brackets, or config.status would replace the names here.
DIST_SED = sed -e 's|[@]sbindir@|$(sbindir)|g' \
	-e 's|[@]bindir@|$(bindir)|g' -e 's|[@]sysconfdir@|$(sysconfdir)|g'
DIST_FILES = ctl/systemd/matd.service ctl/systemd/tmpfiles.conf \
	ctl/systemd/logrotate

# Again when configure has other paths.
$(DIST_FILES): Makefile
	@$(MKDIR_P) ctl/systemd
	$(AM_V_GEN)$(DIST_SED) $(top_srcdir)/$@.in > $@.tmp && mv $@.tmp $@
ctl/systemd/matd.service: ctl/systemd/matd.service.in
ctl/systemd/tmpfiles.conf: ctl/systemd/tmpfiles.conf.in
ctl/systemd/logrotate: ctl/systemd/logrotate.in

if BUILD_OVS
all-local: $(DIST_FILES)
install-data-local: $(DIST_FILES)
	$(MKDIR_P) '$(DESTDIR)$(unitdir)' '$(DESTDIR)$(sysusersdir)' \
		'$(DESTDIR)$(tmpfilesdir)' '$(DESTDIR)$(logrotatedir)' \
		'$(DESTDIR)$(defaultdir)' '$(DESTDIR)$(completiondir)' \
		'$(DESTDIR)$(hookdir)'
	$(INSTALL_DATA) ctl/systemd/matd.service '$(DESTDIR)$(unitdir)/'
	for unit in $(DROPINS); do \
		$(MKDIR_P) "$(DESTDIR)$(unitdir)/$$unit.service.d" && \
		$(INSTALL_DATA) $(srcdir)/ctl/systemd/$$unit.conf \
			"$(DESTDIR)$(unitdir)/$$unit.service.d/ovs-mat.conf" || \
			exit 1; \
	done
	$(INSTALL_DATA) $(srcdir)/ctl/systemd/sysusers.conf \
		'$(DESTDIR)$(sysusersdir)/ovs-mat.conf'
	$(INSTALL_DATA) ctl/systemd/tmpfiles.conf \
		'$(DESTDIR)$(tmpfilesdir)/ovs-mat.conf'
	$(INSTALL_DATA) ctl/systemd/logrotate \
		'$(DESTDIR)$(logrotatedir)/ovs-mat'
	test -e '$(DESTDIR)$(defaultdir)/matd' || \
		$(INSTALL_DATA) $(srcdir)/ctl/systemd/default \
			'$(DESTDIR)$(defaultdir)/matd'
	$(INSTALL_DATA) $(srcdir)/ctl/matctl.bash \
		'$(DESTDIR)$(completiondir)/matctl'
	$(INSTALL_SCRIPT) $(srcdir)/ctl/libvirt-hook '$(DESTDIR)$(hookdir)/'
uninstall-local: uninstall-dist
uninstall-dist:
	rm -f '$(DESTDIR)$(unitdir)/matd.service' \
		'$(DESTDIR)$(unitdir)/ovs-vswitchd.service.d/ovs-mat.conf' \
		'$(DESTDIR)$(unitdir)/ovsdb-server.service.d/ovs-mat.conf' \
		'$(DESTDIR)$(sysusersdir)/ovs-mat.conf' \
		'$(DESTDIR)$(tmpfilesdir)/ovs-mat.conf' \
		'$(DESTDIR)$(logrotatedir)/ovs-mat' \
		'$(DESTDIR)$(defaultdir)/matd' \
		'$(DESTDIR)$(completiondir)/matctl' \
		'$(DESTDIR)$(hookdir)/libvirt-hook'
endif

dist_man_MANS += ctl/matctl.8
dist_doc_DATA += docs/matctl-json.md
.PHONY: uninstall-dist
CLEANFILES += $(DIST_FILES)
EXTRA_DIST += ctl/libvirt-hook ctl/matctl.bash \
	ctl/systemd/default ctl/systemd/logrotate.in \
	ctl/systemd/matd.service.in ctl/systemd/ovs-vswitchd.conf \
	ctl/systemd/ovsdb-server.conf ctl/systemd/sysusers.conf \
	ctl/systemd/tmpfiles.conf.in
