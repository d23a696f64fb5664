# SPDX-License-Identifier: Apache-2.0
#
# The tests of ./configure.

# MAT_CHECK_OPTION(VARIABLE, OPTION): adds OPTION to VARIABLE if CC knows it.
AC_DEFUN([MAT_CHECK_OPTION],
  [AC_MSG_CHECKING([whether $CC accepts $2])
   mat_save_CFLAGS=$CFLAGS
   CFLAGS="-Werror $$1 $2"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
     [AC_MSG_RESULT([yes])
      $1="$$1 $2"],
     [AC_MSG_RESULT([no])])
   CFLAGS=$mat_save_CFLAGS])

# MAT_CHECK_COMPILER_OPTIONS: strict warnings; errors with --enable-Werror.
# lib/ has more of them, as it must also pass those of Open vSwitch.
AC_DEFUN([MAT_CHECK_COMPILER_OPTIONS],
  [MAT_WARNINGS=
   for mat_option in -Wall -Wextra -Wshadow -Wstrict-prototypes \
       -Wmissing-prototypes -Wold-style-definition -Wswitch \
       -Wformat-security; do
       MAT_CHECK_OPTION([MAT_WARNINGS], [$mat_option])
   done
   MAT_LIB_WARNINGS=
   for mat_option in -Wconversion -Wbad-function-cast -Wcast-align \
       -Wpointer-arith -Wswitch-enum -Wenum-compare -Wswitch-bool \
       -Wduplicated-cond -Wmultistatement-macros; do
       MAT_CHECK_OPTION([MAT_LIB_WARNINGS], [$mat_option])
   done
   AC_SUBST([MAT_LIB_WARNINGS])
   AC_ARG_ENABLE([Werror],
     [AS_HELP_STRING([--enable-Werror], [make warnings errors])],
     [], [enable_Werror=no])
   AS_IF([test "$enable_Werror" = yes],
     [MAT_WARNINGS="$MAT_WARNINGS -Werror"])
   AM_CONDITIONAL([WERROR], [test "$enable_Werror" = yes])
   AC_SUBST([MAT_WARNINGS])])

# MAT_CHECK_SANITIZERS: --enable-sanitizers=address,undefined and such.
AC_DEFUN([MAT_CHECK_SANITIZERS],
  [AC_ARG_ENABLE([sanitizers],
     [AS_HELP_STRING([--enable-sanitizers=LIST],
        [build lib/ and its tests with -fsanitize=LIST])],
     [], [enable_sanitizers=no])
   MAT_SANITIZE=
   AS_IF([test "$enable_sanitizers" != no],
     [MAT_SANITIZE="-fsanitize=$enable_sanitizers"
      MAT_SANITIZE="$MAT_SANITIZE -fno-sanitize-recover=all"
      MAT_SANITIZE="$MAT_SANITIZE -fno-omit-frame-pointer"])
   AC_SUBST([MAT_SANITIZE])])

# MAT_CHECK_FUZZ: --enable-fuzz links the fuzz targets with libFuzzer.
AC_DEFUN([MAT_CHECK_FUZZ],
  [AC_ARG_ENABLE([fuzz],
     [AS_HELP_STRING([--enable-fuzz],
        [link the fuzz targets with libFuzzer (needs CC=clang)])],
     [], [enable_fuzz=no])
   AS_IF([test "$enable_fuzz" = yes],
     [mat_save_CFLAGS=$CFLAGS
      CFLAGS="$CFLAGS -fsanitize=fuzzer"
      AC_LINK_IFELSE(
        [AC_LANG_SOURCE([[#include <stddef.h>
           int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);
           int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
           { return p && n ? 0 : 0; }]])],
        [], [MAT_MISSING([a clang with libFuzzer, as CC],
                         [libclang-rt-dev])])
      CFLAGS=$mat_save_CFLAGS])
   AM_CONDITIONAL([FUZZ], [test "$enable_fuzz" = yes])])

# MAT_CHECK_LIBRARIES: what the tests and user programs link with.
AC_DEFUN([MAT_CHECK_LIBRARIES],
  [MAT_NEED_LIBRARY([CMOCKA_LIBS], [cmocka.h], [cmocka],
     [_cmocka_run_group_tests], [libcmocka-dev],
     [#include <stdarg.h>
      #include <stddef.h>
      #include <setjmp.h>
      #include <stdint.h>])
   MAT_NEED_LIBRARY([PCAP_LIBS], [pcap/pcap.h], [pcap], [pcap_open_dead],
     [libpcap-dev])
   MAT_NEED_LIBRARY([SODIUM_LIBS], [sodium.h], [sodium], [sodium_init],
     [libsodium-dev])
   MAT_NEED_PROGRAM([PYTHON3], [python3], [python3])])

# MAT_CHECK_OVS: where the Open vSwitch source is, and what building it needs.
#
# OVS_SOURCE is an absolute path to a directory or tarball, or "no".
AC_DEFUN([MAT_CHECK_OVS],
  [AC_ARG_WITH([ovs-source],
     [AS_HELP_STRING([--with-ovs-source=DIR|TARBALL],
        [Open vSwitch source to patch and build
         (default: /usr/src/openvswitch/openvswitch.tar.gz);
         "no" builds lib/ and its tests only])],
     [], [with_ovs_source=/usr/src/openvswitch/openvswitch.tar.gz])
   AC_ARG_WITH([dpdk],
     [AS_HELP_STRING([--without-dpdk], [build Open vSwitch without DPDK])],
     [], [with_dpdk=shared])
   AS_CASE([$with_dpdk],
     [yes], [with_dpdk=shared],
     [no|shared|static], [],
     [AC_MSG_ERROR([--with-dpdk takes shared, static or no])])
   AS_IF([test "$with_ovs_source" != no], [MAT_CHECK_OVS_NEEDS])
   OVS_SOURCE=$with_ovs_source
   OVS_DPDK=$with_dpdk
   AC_SUBST([OVS_SOURCE])
   AC_SUBST([OVS_DPDK])
   AM_CONDITIONAL([BUILD_OVS], [test "$with_ovs_source" != no])])

AC_DEFUN([MAT_CHECK_OVS_NEEDS],
  [AC_MSG_CHECKING([for the Open vSwitch source])
   AS_IF([test -e "$with_ovs_source"],
     [AC_MSG_RESULT([$with_ovs_source])
      AS_IF([test -d "$with_ovs_source"],
        [with_ovs_source=`cd "$with_ovs_source" && pwd`],
        [mat_dir=`AS_DIRNAME(["$with_ovs_source"])`
         mat_dir=`cd "$mat_dir" && pwd`
         with_ovs_source=$mat_dir/`AS_BASENAME(["$with_ovs_source"])`])],
     [AC_MSG_RESULT([not found])
      MAT_MISSING([Open vSwitch source at $with_ovs_source],
                  [openvswitch-source])])
   MAT_NEED_PROGRAM([AUTORECONF], [autoreconf], [autoconf])
   MAT_NEED_PROGRAM([AUTOMAKE_PATH], [automake], [automake])
   MAT_NEED_PROGRAM([LIBTOOLIZE], [libtoolize], [libtool])
   MAT_NEED_PROGRAM([PATCH], [patch], [patch])
   MAT_NEED_PROGRAM([PKG_CONFIG], [pkg-config], [pkg-config])
   MAT_NEED_LIBRARY([OVS_SSL], [openssl/ssl.h], [ssl], [SSL_new],
     [libssl-dev])
   MAT_NEED_LIBRARY([OVS_CAPNG], [cap-ng.h], [cap-ng], [capng_clear],
     [libcap-ng-dev])
   AS_IF([test "$with_dpdk" != no],
     [MAT_NEED_LIBRARY([OVS_NUMA], [numa.h], [numa], [numa_available],
        [libnuma-dev])
      AC_MSG_CHECKING([for DPDK])
      AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists libdpdk],
        [mat_dpdk_version=`$PKG_CONFIG --modversion libdpdk`
         AC_MSG_RESULT([$mat_dpdk_version])],
        [AC_MSG_RESULT([not found])
         MAT_MISSING([DPDK; or use --without-dpdk], [libdpdk-dev])])])])
