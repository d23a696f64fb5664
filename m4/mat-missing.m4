# SPDX-License-Identifier: Apache-2.0
#
# What is missing is collected, and reported once, with the Debian packages
# that have it, instead of stopping at the first thing that is not there.

# MAT_MISSING_INIT
AC_DEFUN([MAT_MISSING_INIT],
  [mat_missing_what=
   mat_missing_packages=])

# MAT_MISSING(WHAT, DEBIAN-PACKAGE): notes that WHAT was not found.
AC_DEFUN([MAT_MISSING],
  [mat_missing_what="$mat_missing_what
  - $1 (package $2)"
   case " $mat_missing_packages " in
   *" $2 "*) ;;
   *) mat_missing_packages="$mat_missing_packages $2" ;;
   esac])

# MAT_MISSING_REPORT: stops if anything was noted.
AC_DEFUN([MAT_MISSING_REPORT],
  [AS_IF([test -n "$mat_missing_what"],
     [AC_MSG_ERROR([these are missing:$mat_missing_what
On Debian, install them with:
  apt-get install$mat_missing_packages])])])

# MAT_NEED_PROGRAM(VARIABLE, PROGRAM, DEBIAN-PACKAGE)
AC_DEFUN([MAT_NEED_PROGRAM],
  [AC_PATH_PROG([$1], [$2])
   AS_IF([test -z "$$1"], [MAT_MISSING([program $2], [$3])])])

# MAT_NEED_LIBRARY(VARIABLE, HEADER, LIBRARY, FUNCTION, DEBIAN-PACKAGE,
#                  [HEADERS-BEFORE])
# Puts the linker option in VARIABLE.
AC_DEFUN([MAT_NEED_LIBRARY],
  [$1=
   AC_CHECK_HEADER([$2],
     [AC_CHECK_LIB([$3], [$4], [$1=-l$3],
        [MAT_MISSING([library $3], [$5])])],
     [MAT_MISSING([header $2], [$5])], [$6])
   AC_SUBST([$1])])
