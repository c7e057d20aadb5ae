
# What only ctr knows: the names of containers, images and volumes.
_ctr_ask() { local -a names; names=(${(f)"$("$@" 2>/dev/null)"}); compadd -a names }
_ctr_containers() { _ctr_ask ctr ps -a --format '{{.Names}}' }
_ctr_images() { _ctr_ask ctr images --filter dangling=false --format '{{.Repository}}:{{.Tag}}' }
_ctr_volumes() { _ctr_ask ctr volume ls -q }
_ctr_all() { _ctr_containers; _ctr_images; _ctr_volumes }

