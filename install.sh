#!/bin/sh
# Installs evercan on a Docker engine, or upgrades it in place. It says each change in one line. If a
# step fails, it restores what was there before: the former build runs on.
set -eu
VERSION=0.1.0
REGISTRY=ghcr.io/evercan
SIGNER=https://github.com/evercan/evercan/.github/workflows/release.yml@ ISSUER=https://token.actions.githubusercontent.com
NAME=evercan:latest STAGED=evercan:staged HELPER=evercan-install-helper TOOLS=evercan/can-tools:latest
usage="Usage: install.sh [OPTION]...   installs evercan on docker's current engine, or upgrades it in place
  --from FILE          install evercan-plugin-X.Y.Z-ARCH.tar.gz of a release; needs no network
  --version X.Y.Z      install this version; default: $VERSION
  --registry REGISTRY  pull evercan:X.Y.Z-ARCH from here; default: $REGISTRY
  --uninstall          remove the plugin, the list of kernel modules, and $TOOLS; --force: networks too
  --dry-run            say what would be done, and change nothing"

note() { echo "evercan: $1"; }
die() {
    printf 'evercan: %s\nremedy: %s\n' "$1" "${2:-$remedy}" >&2
    exit 1
}
# Says what is done ($1) and runs the command that follows; a failure ends the script.
run() {
    note "${dry:+would be }$1"
    [ -z "$dry" ] || return 0
    did=$1 && shift
    "$@" >"$tmp/out" 2>&1 </dev/null || die "failed: $did: $(tail -n 3 "$tmp/out")"
}

examine_engine() {
    docker info --format '{{.ServerVersion}}|{{.Architecture}}|{{.KernelVersion}}|{{.Name}}|{{.DockerRootDir}}' \
        >"$tmp/info" 2>"$tmp/out" || die "no Docker engine answers: $(tail -n 1 "$tmp/out")" \
        "install it (apt install docker.io), start it (systemctl start docker), use sudo, or set DOCKER_HOST"
    IFS='|' read -r engine machine kernel host data_root <"$tmp/info"
    case $machine in
    x86_64 | amd64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;;
    *) die "there is no evercan for the engine's architecture $machine" "use an engine on amd64 or arm64" ;;
    esac
    case $engine in
    29.0.[0-2] | 29.0.[0-2][!0-9]*) die "Docker $engine crashes with any network plugin" "upgrade it to 29.0.3 or newer" ;;
    [0-9].* | 1[0-9].* | 20.[0-9].*) die "Docker $engine is too old" "upgrade it to 20.10 or newer" ;;
    esac
    note "Docker $engine on $host, $arch"
}

# Sets ref and from: where the build comes from; verifies it as far as possible.
choose_source() {
    ref=${registry:-$REGISTRY}/evercan:$version-$arch
    [ -n "$from$registry" ] || # a file beside this script; of this architecture, if there is one
        for file in "${0%install.sh}evercan-plugin-$version"-*.tar.gz "${0%install.sh}evercan-plugin-$version-$arch.tar.gz"; do
            [ ! -f "$file" ] || from=$file
        done
    if [ -n "$from" ]; then
        [ -f "$from" ] || die "there is no file $from" "give evercan-plugin-X.Y.Z-$arch.tar.gz of a release"
        sums=$(dirname "$from")/SHA256SUMS has=$(sha256sum <"$from")
        if [ ! -f "$sums" ]; then note "the checksum is not verified: there is no $sums"
        elif grep -qx "${has%% *} [ *]$(basename "$from")" "$sums"; then note "the checksum of $from is right"
        else die "$from is not the file that $sums lists" "download both again"; fi
    fi
    set --
    [ ! -f "$from.sigstore.json" ] || set -- verify-blob --bundle "$from.sigstore.json" "$from"
    [ -n "$from$registry" ] || set -- verify "$ref"
    if [ $# != 0 ] && command -v cosign >/dev/null; then
        cosign "$@" --certificate-oidc-issuer $ISSUER --certificate-identity-regexp "^$SIGNER" >"$tmp/out" 2>&1 ||
            die "the signature of ${from:-$ref} is not valid: $(tail -n 3 "$tmp/out")" "do not install it"
        note "the signature of ${from:-$ref} is valid"
    else note "the signature is not verified: it needs cosign, and ${from:-$REGISTRY}${from:+.sigstore.json}"; fi
    [ -n "$from" ] || return 0
    { tar -xzf "$from" -C "$tmp" && unpacked=$(echo "$tmp"/evercan-plugin-*) && [ -f "$unpacked/about" ]; } 2>"$tmp/out" ||
        die "$from is not a release of evercan $(tail -n 1 "$tmp/out")" "give evercan-plugin-X.Y.Z-$arch.tar.gz"
    version=$(field version) build=$(field documentation)
    [ "$(field architecture)" = "$arch" ] || die "$from is for $(field architecture); the engine is $arch" "use the one for $arch"
}
field() { sed -n "s/^$1=//p" "$unpacked/about"; }

load_modules() {
    [ "$host $kernel" = "$(uname -n) $(uname -r)" ] || { note "not checked: the kernel modules of $host" && return; }
    remedy="on Ubuntu install linux-modules-extra-$kernel, on Debian linux-image-$arch in place of a cloud kernel"
    for module in vcan vxcan can-gw; do
        [ ! -d "$root/sys/module/$(echo "$module" | tr - _)" ] || continue
        loaded="$module $loaded"
        run "loading kernel module $module" $sudo modprobe "$module"
    done
    [ ! -f "$conf" ] || return 0
    wrote=1 remedy="create $conf with the names of these modules"
    printf '%s\n' vcan vxcan can-gw >"$tmp/modules"
    run "loading them at each boot: $conf" $sudo install -D -m 644 "$tmp/modules" "$conf"
}

# Sets id, enabled, reference and about of the plugin; id is empty if there is none.
look_up() {
    docker plugin ls --no-trunc --format '{{.Name}}|{{.ID}}|{{.Enabled}}|{{.PluginReference}}' >"$tmp/plugins" || return
    sed -n "s/^$NAME|//p" "$tmp/plugins" >"$tmp/plugin"
    about='' && IFS='|' read -r id enabled reference <"$tmp/plugin" || :
    [ -z "$id" ] || about=$(docker plugin inspect -f '{{.Config.Documentation}}' $NAME)
}

# Serves the tarball's build, and the installed one as the way back, on the engine host's loopback address.
serve() {
    set -- --label evercan.purpose=upgrade --network host --cap-drop ALL
    [ -z "$id" ] || set -- "$@" --mount "type=bind,source=$data_root/plugins,target=/plugins,readonly" --env "OLD=$id"
    run "sending evercan $version to the engine" docker import "$unpacked/registry/$(field layer)" $HELPER:latest
    run "creating container $HELPER" docker create --name $HELPER "$@" $HELPER:latest /usr/bin/python3 -I /registry/serve.py
    run "copying the plugin into it" docker cp "$unpacked/registry" $HELPER:/
    run "starting it" docker start $HELPER
    tries=0 && echo PORT >"$tmp/port"
    until [ -n "$dry" ] || docker logs $HELPER 2>"$tmp/out" | head -n 1 | grep '^[0-9]' >"$tmp/port"; do
        { [ $tries -lt 60 ] && ! grep -q Error "$tmp/out"; } || die "container $HELPER does not serve: $(tail -n 3 "$tmp/out")"
        sleep 1 && tries=$((tries + 1))
    done
    ref=127.0.0.1:$(cat "$tmp/port")/evercan-upgrade:$version-$arch
    back=${ref%:*}:old
}

install_plugin() {
    case "$about|${build:-$about}" in *" Version $version for $arch.|$about")
        if [ "$enabled" = true ]; then note "it has evercan $version"; else run "enabling $NAME" docker plugin enable $NAME; fi
        return ;; esac
    pulled=${id:+$STAGED} pulled=${pulled:-$NAME} undo=1
    [ -n "$dry" ] || { cleaning=1 && clean; } || :
    case $reference in */evercan-upgrade:* | docker.io/*) ;; *) back=$reference ;; esac
    [ -z "$from" ] || serve
    [ -z "$id" ] || [ -n "$back" ] || note "the former build is from no registry; to go back, install its file"
    if [ -z "$id" ] || [ -z "$from" ]; then # an upgrade is pulled while the installed build runs
        run "pulling $ref" docker plugin install --disable --grant-all-permissions --alias "$pulled" "$ref"
        [ -n "$dry" ] || about=$(docker plugin inspect -f '{{.Config.Documentation}}' "$pulled") || die "$pulled is gone"
        case $dry$about in 1* | *" Version $version for $arch.") ;; *) die "$ref is another build: $about" ;; esac
    fi
    [ "$enabled" != true ] || run "disabling $NAME; frames keep flowing" docker plugin disable -f $NAME
    [ -z "$id" ] || run "upgrading $NAME" docker plugin upgrade --grant-all-permissions --skip-remote-check $NAME "$ref"
    run "enabling $NAME" docker plugin enable $NAME
}

uninstall() {
    undo=1
    docker network ls --format '{{.Driver}}|{{.Name}}' >"$tmp/networks" || die "the engine does not list its networks"
    networks=$(sed -n "s/^$NAME|//p" "$tmp/networks" | tr '\n' ' ')
    if [ -n "$networks" ]; then
        remedy="remove their containers and the networks (docker network rm $networks)"
        [ -n "$force" ] || die "these networks use $NAME: $networks" "$remedy, or give --force"
        for network in $networks; do run "removing network $network" docker network rm "$network"; done
    fi
    [ "$enabled" != true ] || run "disabling $NAME" docker plugin disable -f $NAME
    [ -z "$id" ] || run "removing $NAME and its state" docker plugin rm -f $NAME
    undo='' image=$(docker image ls -q $TOOLS) || die "the engine does not list its images"
    [ -z "$image" ] || run "removing image $TOOLS" docker image rm $TOOLS
    [ ! -f "$conf" ] || run "removing $conf; the modules stay loaded until the next boot" $sudo rm -f "$conf"
}

clean() { { docker plugin rm -f $STAGED; docker rm -f $HELPER; docker image rm $HELPER:latest; } >/dev/null 2>&1; }

# Runs at each exit with its status: restores what was there if a step failed, and removes what helped.
finish() {
    trap - EXIT && trap '' INT TERM HUP && set +e
    if [ "$1" != 0 ] && [ -z "$dry" ]; then
        [ -z "$undo" ] || { restore >"$tmp/out" 2>&1 && note "$NAME is as it was before"; } ||
            echo "evercan: $NAME is not as it was before: $(tail -n 3 "$tmp/out")" >&2
        [ -z "$wrote" ] || $sudo rm -f "$conf"
        for module in $loaded; do $sudo modprobe -r "$module" 2>/dev/null; done
    fi
    [ -z "$cleaning" ] || { clean; clean; } # again, in case that a call failed
    rm -rf "$tmp"
    exit "$1"
}
restore() {
    look_up || look_up || return
    [ -n "$before" ] || { [ -z "$id" ] || docker plugin rm -f $NAME && return; }
    if [ "$about" != "$before" ] && [ -n "$back" ]; then
        docker plugin disable -f $NAME
        docker plugin upgrade --grant-all-permissions --skip-remote-check $NAME "$back"
    fi
    [ "$was_enabled" != true ] || docker plugin enable $NAME
    look_up && [ "$about|$enabled" = "$before|$was_enabled" ]
}

main() {
    version=$VERSION from='' registry='' uninstall='' force='' dry='' build='' undo='' back='' cleaning='' wrote='' loaded='' sudo=''
    root=${EVERCAN_INSTALL_ROOT:-} conf=${EVERCAN_INSTALL_ROOT:-}/etc/modules-load.d/evercan.conf remedy='install.sh --help'
    while [ $# -gt 0 ]; do
        case $1 in
        --from) from=${2:?--from needs a file} && shift ;;
        --version) version=${2:?--version needs a version} && shift ;;
        --registry) registry=${2:?--registry needs a registry} && shift ;;
        --uninstall) uninstall=1 ;; --force) force=1 ;; --dry-run) dry=1 ;;
        -h | --help) echo "$usage" && exit ;;
        *) die "unknown option $1" ;;
        esac
        shift
    done
    [ "$(id -u)" = 0 ] || sudo=sudo
    tmp=$(mktemp -d) && trap 'finish $?' EXIT
    trap 'exit 143' INT TERM HUP
    examine_engine
    [ -n "$uninstall" ] || { choose_source; load_modules; }
    remedy="read the engine's log (journalctl -u docker), then run this again"
    look_up || die "the engine does not list its plugins"
    before=$about was_enabled=$enabled
    if [ -n "$uninstall" ]; then uninstall; else install_plugin; fi
}
main "$@"
