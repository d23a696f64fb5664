# SPDX-License-Identifier: Apache-2.0
#
# cmocka programs.  A new test is one line here, its source is the file of the
# same name with .c; one cmocka group a program (the output is read as TAP).

unit_tests +=
