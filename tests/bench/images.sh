#!/bin/bash
# How long layers and images take: unpacked, stored, committed, sent to a registry and fetched from it. Read in by run.sh.
# shellcheck shell=bash disable=SC2154,SC2034

work=$tmp/images
fs=$work/fs # a filesystem that is made anew before each run
export CTR_ROOT=$fs/root

mkdir -p "$fs"

# ext4 passes over inodes that were freed in the last minutes, one by one: whoever runs after a removal of many files is slowed down
# by that. So nothing is removed here.
cat > "$work/fresh" << END
#!/bin/bash
findmnt -rno TARGET | grep "^$fs" | sort -r | xargs -r umount
rm -f "$work/disk"
truncate -s 8G "$work/disk"
mkfs.ext4 -q -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$work/disk"
mount -o loop "$work/disk" "$fs"
mkdir "$fs/out"
sync
END
chmod +x "$work/fresh"
fresh=$work/fresh
$fresh

# Four layers, each of 20,000 files of 200 MB together, half of whose bytes compress, folder by folder. And a program.
/usr/bin/python3 - "$work" "$(command -v busybox || command -v true)" << 'END'
import io, random, sys, tarfile
work, program = sys.argv[1:]
random.seed(1)
for part in range(4):
    with tarfile.open(f"{work}/part{part}.tar", "w") as tar:
        tar.add(program, "bin/true")
        for n in range(20000):
            folder = f"usr/share/part{part}/d{n // 50:03}"
            if n % 50 == 0:
                member = tarfile.TarInfo(folder)
                member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
                tar.addfile(member)
            size = random.choice([500, 2000, 4000, 8000, 36000])
            content = random.randbytes(size // 2) + b"all work and no play\n" * (size // 42)
            member = tarfile.TarInfo(f"{folder}/f{n:05}")
            member.size, member.mode, member.mtime = len(content), 0o644, 1_700_000_000
            tar.addfile(member, io.BytesIO(content))
END
ln -s part0.tar "$work/tree.tar"
gzip -1 -c "$work/tree.tar" > "$work/tree.tar.gz"
files=$(tar -tf "$work/tree.tar" | wc -l)
bytes=$(stat -L -c %s "$work/tree.tar")

# --- unpack: a blob that came without its files, as skopeo leaves it, is unpacked by the first mount.
layerfs import "$work/tree.tar.gz" tree > /dev/null
cp -a "$fs/root/images" "$work/seed"
before="$fresh; mkdir $fs/root; cp -a $work/seed $fs/root/images; sync"
measure 'unpack: layerfs mount' layerfs mount --read-only tree "$fs/mnt"
before=$fresh
measure 'unpack: tar -xzf' tar -C "$fs/out" -xzf "$work/tree.tar.gz"
measure 'unpack: tar -xzf, and sync' bash -c "tar -C $fs/out -xzf $work/tree.tar.gz && sync -f $fs/out"

# --- import: the same tar, into a store without it.
measure 'import: layerfs' layerfs import "$work/tree.tar" tree
memory 'import: layerfs' layerfs import "$work/tree.tar" tree
if has podman; then
    podman=(podman --root "$fs/podman" --runroot "$work/podman-run" --tmpdir "$work/podman-tmp" --cgroup-manager cgroupfs)
    before="$fresh; rm -rf $work/podman-run $work/podman-tmp"
    measure 'import: podman' "${podman[@]}" import -q "$work/tree.tar" tree
else
    missing 'import: podman' 'not installed'
fi
if has umoci; then
    before="$fresh; umoci init --layout $fs/oci && umoci new --image $fs/oci:tree; sync"
    measure 'import: umoci, blob alone' umoci raw add-layer --image "$fs/oci:tree" "$work/tree.tar"
    measure 'import: umoci, unpacked' bash -c "umoci raw add-layer --image $fs/oci:tree $work/tree.tar && umoci unpack --image $fs/oci:tree $fs/bundle"
else
    missing 'import: umoci' 'not installed'
fi

# --- commit: 2,000 of the files changed. umoci finds out which by looking at all.
change="for d in \$1/usr/share/part0/d0[0-3]*; do for f in \$d/*; do echo more >> \$f; done; done"
$fresh
layerfs import "$work/tree.tar" tree > /dev/null
layerfs mount tree "$fs/mnt" --upper "$fs/upper" --work "$fs/ovl"
bash -c "$change" - "$fs/mnt"
layerfs umount "$fs/mnt"
before="layerfs rm tree:2; layerfs gc"
measure 'commit: layerfs' layerfs commit "$fs/upper" --parent tree --tag tree:2
memory 'commit: layerfs' layerfs commit "$fs/upper" --parent tree --tag tree:3
if has podman && prepared 'commit: podman' "${podman[@]}" import -q "$work/tree.tar" tree; then
    id=$("${podman[@]}" create --network none tree /bin/true)
    bash -c "$change" - "$("${podman[@]}" mount "$id")"
    "${podman[@]}" umount "$id" > /dev/null
    before="${podman[*]} rmi tree:2"
    measure 'commit: podman' "${podman[@]}" commit -q "$id" tree:2
fi
before=
if has umoci && prepared 'commit: umoci' bash -c "umoci init --layout $fs/oci && umoci new --image $fs/oci:tree &&
    umoci raw add-layer --image $fs/oci:tree $work/tree.tar && umoci unpack --image $fs/oci:tree $fs/bundle"; then
    bash -c "$change" - "$fs/bundle/rootfs"
    measure 'commit: umoci' umoci repack --image "$fs/oci:two" "$fs/bundle"
fi

# --- a registry, and an image of four layers
if has docker-registry; then
    cat > "$work/registry.yml" << END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:5000"}
END
    docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
    daemons[registry]=$!
    waited=0
    until curl -sf http://127.0.0.1:5000/v2/ > /dev/null; do
        sleep 0.1
        waited=$((waited + 1))
        [ $waited -lt 300 ] || { missing 'pull and push' 'docker-registry does not answer'; break; }
    done
    $fresh
    parent=scratch
    for n in 0 1 2 3; do
        diff_id=$(layerfs add < "$work/part$n.tar" | jq -r .DiffId)
        parent=$(layerfs commit --parent "$parent" --layer "$diff_id" --tag 127.0.0.1:5000/four)
    done
    from=(skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5000/four)
    to=(skopeo copy -q --dest-tls-verify=false "oci:$fs/root/images:127.0.0.1:5000/four:latest" docker://127.0.0.1:5000/four)
    before="rm -rf $work/registry; sync"
    measure 'push: layerfs' layerfs push -q 127.0.0.1:5000/four
    memory 'push: layerfs' layerfs push -q 127.0.0.1:5000/four
    measure 'push: skopeo' "${to[@]}"
    memory 'push: skopeo' "${to[@]}"
    before=$fresh
    measure 'pull: layerfs' layerfs pull -q 127.0.0.1:5000/four
    $fresh
    memory 'pull: layerfs' layerfs pull -q 127.0.0.1:5000/four
    # Once as we do, with the layers unpacked, and once as blobs alone.
    before="$fresh; rm -rf $work/storage-run"
    measure 'pull: skopeo, unpacked' "${from[@]}" "containers-storage:[overlay@$fs/storage+$work/storage-run]four"
    before=$fresh
    measure 'pull: skopeo, blobs alone' "${from[@]}" "oci:$fs/copy:four"
    $fresh
    memory 'pull: skopeo' "${from[@]}" "oci:$fs/copy:four"
else
    missing 'pull and push' 'docker-registry is not installed'
fi

# --- a thousand images
before=
$fresh
tar -C "$CTR_BIN_DIR" -c cgset | layerfs import - small > /dev/null
for n in $(seq 999); do
    layerfs commit --empty-layer --parent small --created-by "step $n" --tag "small:$n" > /dev/null
done
measure 'ctr images, 1000 of them' ctr images

echo
echo "median of $runs runs: a layer of $files files and $((bytes / 1000000)) MB; an image of four such layers"
row 'unpack: layerfs mount' 'unpack: tar -xzf' 1.10
row 'unpack: tar -xzf'
row 'unpack: tar -xzf, and sync'
row 'import: layerfs' 'import: umoci, unpacked' 1.00
row 'import: layerfs' 'import: podman' 1.00
row 'import: umoci, unpacked'
row 'import: umoci, blob alone'
row 'import: podman'
row 'commit: layerfs' 'commit: umoci' 1.00
row 'commit: layerfs' 'commit: podman' 1.00
row 'commit: umoci'
row 'commit: podman'
row 'push: layerfs' 'push: skopeo' 1.00
row 'push: skopeo'
row 'pull: layerfs' 'pull: skopeo, unpacked' 1.00
row 'pull: layerfs' 'pull: skopeo, blobs alone' 1.00
row 'pull: skopeo, unpacked'
row 'pull: skopeo, blobs alone'
row 'ctr images, 1000 of them'
echo 'the most memory of one process'
for name in 'import: layerfs' 'commit: layerfs' 'push: layerfs' 'push: skopeo' 'pull: layerfs' 'pull: skopeo'; do memory_row "$name"; done
