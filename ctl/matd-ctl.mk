# SPDX-License-Identifier: Apache-2.0
#
# matd's commands and metrics: sources of ctl/matd.

MATD_CTL_SOURCES = \
	ctl/matd-ctl-change.c \
	ctl/matd-ctl-config.c \
	ctl/matd-ctl-json.c \
	ctl/matd-ctl-json.h \
	ctl/matd-ctl-pools.c \
	ctl/matd-ctl-show.c \
	ctl/matd-ctl.c \
	ctl/matd-ctl.h \
	ctl/matd-histogram.c \
	ctl/matd-histogram.h \
	ctl/matd-metrics-format.c \
	ctl/matd-metrics-http.c \
	ctl/matd-metrics-private.h \
	ctl/matd-metrics.c \
	ctl/matd-metrics.h
