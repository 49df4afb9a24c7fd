#!/usr/bin/env bash
# Packs a release build for machines without Swift: a Debian package and a tarball.
#
#   scripts/package.sh [FOLDER]      into FOLDER, or dist; FUSEBOX_BINARY names another binary than .build/release/fusebox
#
# The package depends on what the binary is linked with, asked of the system that it was built on: a package of Debian 12 is for Debian 12
# and later, and Ubuntu 24.04 and later. The same commit and binary give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-dist}
binary=${FUSEBOX_BINARY:-.build/release/fusebox}
if [ ! -x "$binary" ]; then
    echo "package: there is no $binary; scripts/release.sh fusebox builds it" >&2
    exit 2
fi
for tool in dpkg-deb dpkg-query objdump; do
    command -v "$tool" >/dev/null || { echo "package: there is no $tool; install dpkg and binutils" >&2; exit 2; }
done

version=$("$binary" --version | sed 's/^fusebox \([^ ]*\) .*/\1/')
architecture=$(dpkg --print-architecture)
if [ -z "${SOURCE_DATE_EPOCH-}" ]; then SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0); fi
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# What a package has, and where.
install -D "$binary" "$root/usr/bin/fusebox"
install -d "$root/usr/lib/systemd/system"
sed -e 's|/usr/local/bin/fusebox|/usr/bin/fusebox|' -e '/^# Put the binary/d' -e '/^#   systemctl/d' deploy/systemd/fusebox.service \
    >"$root/usr/lib/systemd/system/fusebox.service"
install -D -m 644 deploy/systemd/fusebox-gateway.conf "$root/usr/share/doc/fusebox/examples/fusebox-gateway.conf"
install -D -m 644 -t "$root/usr/share/doc/fusebox" docs/*.md CHANGELOG.md README.md
install -D -m 644 LICENSE "$root/usr/share/doc/fusebox/copyright"
install -D -m 644 -t "$root/usr/share/fusebox/prometheus" deploy/prometheus/*.yml
install -D -m 644 -t "$root/usr/share/fusebox/grafana" dashboards/*.json
install -d "$root/usr/share/man/man1"
scripts/make-manual.py "$binary" | gzip -9n >"$root/usr/share/man/man1/fusebox.1.gz"
complete() {
    install -d "$root/$(dirname "$2")"
    "$binary" --generate-completion-script "$1" >"$root/$2"
}
complete bash usr/share/bash-completion/completions/fusebox
complete zsh usr/share/zsh/vendor-completions/_fusebox
complete fish usr/share/fish/vendor_completions.d/fusebox.fish
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f ! -path "$root/usr/bin/*" -exec chmod 644 {} +

# Each library's package; of the C library also the newest version of a symbol that is called.
dependencies() {
    local library path package
    while read -r library; do
        path=$(ldconfig -p | awk -v name="$library" '$1 == name { print $NF; exit }')
        if [ -z "$path" ]; then
            echo "package: $library belongs to no package; pack a release build: scripts/release.sh fusebox" >&2
            return 1
        fi
        # Since the merge of /usr a file has two names, and its package knows one.
        package=$(dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "${path#/usr}" 2>/dev/null || dpkg-query -S "$(readlink -f "$path")")
        package=${package%%:*}
        [ "$package" = libc6 ] || echo "$package"
    done < <(objdump -p "$binary" | awk '$1 == "NEEDED" && $2 !~ /^ld-linux/ { print $2 }') | sort -u
    echo "libc6 (>= $(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -1))"
}
depends=$(dependencies | paste -sd, | sed 's/,/, /g')

mkdir -p "$root/DEBIAN" "$folder"
cat >"$root/DEBIAN/control" <<END
Package: fusebox
Version: $version
Architecture: $architecture
Maintainer: Fusebox <fusebox@localhost>
Installed-Size: $(du -ks --exclude DEBIAN "$root" | cut -f1)
Depends: $depends
Section: net
Priority: optional
Description: OpenTelemetry collector and span store for AI agents
 One binary, one SQLite file. It keeps every span that it acknowledged through
 kill -9 and power loss, answers SQL about them, and counts timeouts, opens of
 circuit breakers, cooldown time, tokens and dollars.
END
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$folder/fusebox_${version}_$architecture.deb" >/dev/null

# The same files for any other system, below a folder of the version.
name=fusebox-$version-linux-$(uname -m)
rm -rf "$root/DEBIAN"
tar --create --directory "$root/usr" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --transform "s|^\.|$name|" . | gzip -9n >"$folder/$name.tar.gz"
ls -l "$folder/fusebox_${version}_$architecture.deb" "$folder/$name.tar.gz" | awk '{ printf "%s %.1f MB\n", $NF, $5 / 1e6 }'
