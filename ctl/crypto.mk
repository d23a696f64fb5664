# SPDX-License-Identifier: Apache-2.0
#
# The real cryptography behind the gossip engine's table of functions.

noinst_LIBRARIES += ctl/libmatcrypto.a
ctl_libmatcrypto_a_SOURCES = \
	ctl/mat-crypto-sodium.c \
	ctl/mat-crypto-sodium.h
