#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# boot.sh           prepares a git checkout: makes ./configure (autoreconf).
# boot.sh check     from a bare Debian 12, as root: installs what is missing,
#                   builds everything in _build/ and runs the quick tests.
# boot.sh check-full  the same with the long tests too.
# boot.sh demo [OPTION]...
#                   the same build, then the demonstration; --help lists its
#                   options.
set -e
cd "$(dirname "$0")"
if test $# -eq 0; then
    exec autoreconf --install --force
fi
exec build-aux/drive "$@"
