
# What only ctr knows: the names of containers, images and volumes.
function __ctr_after
    # Whether the command is one of these, by either spelling.
    set -l words (commandline -opc | string match -v -- '-*')
    set -e words[1]
    contains -- "$words[1]" container image volume; and set -l group $words[1]; and set -e words[1]
    contains -- "$group/$words[1]" $argv
end
set -l containers {,container}/{start,stop,restart,kill,pause,unpause,rm,wait,attach,exec,logs,top,stats,port,rename,update,diff,cp,commit,export,inspect} /where
set -l images {,container}/{run,create} {,image}/{tag,history,save,push,inspect} /rmi image/rm /where
set -l volumes volume/{rm,inspect} /inspect /where
complete -c ctr -n "__ctr_after $containers" -f -a "(ctr ps -a --format '{{.Names}}' 2>/dev/null)"
complete -c ctr -n "__ctr_after $images" -f -a "(ctr images --filter dangling=false --format '{{.Repository}}:{{.Tag}}' 2>/dev/null)"
complete -c ctr -n "__ctr_after $volumes" -f -a "(ctr volume ls -q 2>/dev/null)"
