
# What only ctr knows: the names of containers, images and volumes. Everything else is the function above.
_ctr_names() {
    # The word as it was typed: to bash a colon in it, as in base:latest, would begin another.
    local line=${COMP_LINE:0:COMP_POINT} word="" group="" command="" kind="" i
    word=${line##*[[:space:]]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -*) ;;
            container | image | volume | system) [[ $group ]] && break || group=${COMP_WORDS[i]} ;;
            *) command=${COMP_WORDS[i]} && break ;;
        esac
    done
    case $group/$command in
        */run | */create | */rmi | */tag | */history | */save | */push | image/rm | image/remove | image/inspect) kind="images" ;;
        /stop | /kill | /exec | /attach | /top | /stats | /port | /pause | /restart) kind="ps" ;;
        container/stop | container/kill | container/exec | container/attach | container/top | container/stats) kind="ps" ;;
        volume/rm | volume/remove | volume/inspect) kind="volumes" ;;
        /start | /rm | /wait | /logs | /unpause | /rename | /update | /diff | /cp | /commit | /export) kind="ps -a" ;;
        container/*) kind="ps -a" ;;
        /inspect | /where) kind="all" ;;
    esac
    if [[ -z $kind || $word == -* ]]; then
        _ctr "$@"
        return
    fi
    local names=""
    [[ $kind == ps ]] && names=$(ctr ps --format '{{.Names}}' 2>/dev/null)
    [[ $kind == "ps -a" || $kind == all ]] && names+=" $(ctr ps -a --format '{{.Names}}' 2>/dev/null)"
    [[ $kind == images || $kind == all ]] && names+=" $(ctr images --filter dangling=false --format '{{.Repository}}:{{.Tag}}' 2>/dev/null)"
    [[ $kind == volumes || $kind == all ]] && names+=" $(ctr volume ls -q 2>/dev/null)"
    mapfile -t COMPREPLY < <(compgen -W "$names" -- "$word")
    # What stands before the last colon is on the line already.
    [[ $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    [[ ${COMPREPLY[*]} ]] || COMPREPLY=()
}
complete -F _ctr_names -o bashdefault -o default ctr
