#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# bash completion of matctl, with a matctl that answers from golden/; with and
# without the functions of the package bash-completion.

here=${top_srcdir-.}/tests/ctl
n=0
failed=0

matctl()
{
    case " $* " in
        *' vms '*) file=vms ;;
        *' peers '*) file=peers ;;
        *' config '*) file=config ;;
    esac
    "${PYTHON3-python3}" -m json.tool "$here/golden/$file.json"
}

# check EXPECTED WORD...: completing the last word gives these.
check()
{
    local expected=$1 got
    shift
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMP_LINE="$*"
    COMP_POINT=${#COMP_LINE}
    COMPREPLY=()
    _matctl matctl "${COMP_WORDS[COMP_CWORD]}" ""
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ')
    n=$((n + 1))
    if test "${got% }" = "$expected"; then
        echo "ok $n - $how: $*"
    else
        echo "# got: $got"
        echo "not ok $n - $how: $*"
        failed=1
    fi
}

check_all()
{
    how=$1
    check "vms" matctl vm
    check "deactivate" matctl de
    check "path peers pools" matctl p
    check "lookup" matctl --json l
    check "migrate migrations" matctl mig
    check "--all" matctl vms --a
    check "--follow" matctl migrations --f
    check "--moas" matctl pools --m
    check "--json" matctl status --j
    check "10.0.0.1" matctl lookup 10
    check "10.0.0.1" matctl trace 10.0.0.1 10
    check "0xb2 0xc3" matctl path ""
    check "prepare" matctl hint pre
    check "hoa= iface-id= mac= port= zone=" matctl hint prepare ""
    check "0xb2 0xc3" matctl migrate 10.0.0.1 ""
    check "bandwidth=" matctl migrate 10.0.0.1 0xb2 b
    check "new-cluster" matctl key n
    check "--cluster=" matctl key revoke --c
    check "" matctl status x
}

compopt()
{
    :
}

# shellcheck source=/dev/null
. "$here/../../ctl/matctl.bash"
check_all "alone"
library=/usr/share/bash-completion/bash_completion
if test -r $library; then
    # shellcheck source=/dev/null
    . $library
    check_all "with bash-completion"
fi
echo "1..$n"
exit $failed
