# SPDX-License-Identifier: Apache-2.0
#
# bash completion for matctl(8).
# shellcheck shell=bash

_matctl_commands="status vms peers lookup mappings migrations pools config
check path trace freeze unfreeze hint migrate key revoke metrics bugreport
deactivate activate"
_matctl_options="--json --zone= --input= --target= --switch= --db= --keys=
--timeout= --help --version"

# The values of a member of matd's reply, one a line; nothing if it is not
# running.
_matctl_values()
{
    local command=$1 member=$2

    matctl --timeout=2 --json "$command" "${@:3}" 2> /dev/null |
        sed -n "s/^ *\"$member\": \"\([^\"]*\)\",\{0,1\}$/\1/p" | sort -u
}

_matctl_key()
{
    case ${COMP_WORDS[index + 1]} in
        new-cluster | show)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            ;;
        issue)
            mapfile -t COMPREPLY < <(compgen -W "--cluster= --host= --zones=
                --hoas= --pools= --days= --out= --new-key" -- "$cur")
            ;;
        revoke | rotate)
            mapfile -t COMPREPLY < <(compgen -W "--cluster=" -- "$cur")
            ;;
        *)
            mapfile -t COMPREPLY < <(compgen -W "new-cluster issue show
                revoke rotate" -- "$cur")
            ;;
    esac
}

_matctl_hint()
{
    if test $((COMP_CWORD - index)) -eq 1; then
        mapfile -t COMPREPLY < <(compgen -W "prepare hold stopped started
            failed done park release" -- "$cur")
        return
    fi
    case $cur in
        hoa=*)
            mapfile -t COMPREPLY < <(compgen -P hoa= \
                -W "$(_matctl_values vms hoa --all)" -- "${cur#hoa=}")
            ;;
        port=*)
            mapfile -t COMPREPLY < <(compgen -P port= \
                -W "$(_matctl_values config name)" -- "${cur#port=}")
            ;;
        *)
            mapfile -t COMPREPLY < <(compgen -W "hoa= mac= iface-id= port=
                zone=" -- "$cur")
            ;;
    esac
}

_matctl_migrate()
{
    case $((COMP_CWORD - index)) in
        1)
            mapfile -t COMPREPLY < <(compgen \
                -W "$(_matctl_values vms hoa)" -- "$cur")
            ;;
        2)
            mapfile -t COMPREPLY < <(compgen \
                -W "$(_matctl_values peers host)" -- "$cur")
            ;;
        *)
            mapfile -t COMPREPLY < <(compgen -W "qmp= to-qmp= uri= port=
                bandwidth= downtime= wait= disks disk= disk-port=
                unprepared quit" -- "$cur")
            ;;
    esac
}

# Words after the command.
_matctl_arguments()
{
    case $1 in
        lookup | trace | freeze | unfreeze)
            mapfile -t COMPREPLY < <(compgen \
                -W "$(_matctl_values vms hoa --all)" -- "$cur")
            ;;
        path)
            mapfile -t COMPREPLY < <(compgen \
                -W "$(_matctl_values peers host)" -- "$cur")
            ;;
        hint)
            _matctl_hint
            ;;
        migrate)
            _matctl_migrate
            ;;
        key)
            _matctl_key
            ;;
        revoke)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            ;;
    esac
}

_matctl_command_options()
{
    case $1 in
        vms) echo --all ;;
        migrations) echo --follow ;;
        pools) echo --moas ;;
        bugreport) echo --output= ;;
    esac
}

_matctl()
{
    local cur index command=

    # Words as the shell has them, not cut at ':' and '='.
    if declare -F _get_comp_words_by_ref > /dev/null; then
        _get_comp_words_by_ref -n := cur
    else
        cur=${COMP_WORDS[COMP_CWORD]}
    fi
    for ((index = 1; index < COMP_CWORD; index++)); do
        if [[ $_matctl_commands =~ \
              (^|[[:space:]])"${COMP_WORDS[index]}"([[:space:]]|$) ]]; then
            command=${COMP_WORDS[index]}
            break
        fi
    done
    if [[ $cur == --*=* && $command != key ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "${cur#*=}")
    elif [[ $cur == -* && $command != key ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_matctl_options
            $(_matctl_command_options "$command")" -- "$cur")
    elif test -z "$command"; then
        mapfile -t COMPREPLY < <(compgen -W "$_matctl_commands" -- "$cur")
    else
        _matctl_arguments "$command"
    fi
    if declare -F __ltrim_colon_completions > /dev/null; then
        __ltrim_colon_completions "$cur"
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2> /dev/null
    fi
}

complete -F _matctl matctl
