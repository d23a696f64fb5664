# SPDX-License-Identifier: Apache-2.0
#
# Compiled inside the Open vSwitch tree (see ovs-automake.mk there): here the
# files are only shipped.

dist_man_MANS += vswitchd-ext/ovs-mat.7
