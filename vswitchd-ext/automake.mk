# SPDX-License-Identifier: Apache-2.0
#
# Compiled inside the Open vSwitch tree (see ovs-automake.mk there): here the
# files are only shipped.
