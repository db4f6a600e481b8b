#!/usr/bin/env bash
# A master boot record whose one entry takes the whole disk is how a program says "this disk is
# taken". The type that is made for it, 0xEE ("GPT protective", UEFI specification 2.10, 5.2.3),
# protects least: without a GPT behind it, parted 3.5 and sgdisk 1.0.9 take the disk for an empty
# one and write a new table, parted without the question that it asks for every other type. With
# 0xDA ("non-file-system data") or 0x83 in the same entry both stop.
#
# Seen on Debian 12, on a file:
#   type 0xDA: parted stops (1), sgdisk stops (3)
#   type 0x83: parted stops (1), sgdisk stops (3)
#   type 0xEE: parted writes (0), sgdisk writes (0)
#
# Needs apt-get and the system's C libraries; installs nothing. Exit status 1 where it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q parted=3.5-3+deb12u1 libparted2=3.5-3+deb12u1 gdisk=1.0.9-2.1 \
    libdevmapper1.02.1 libreadline8 libpopt0 >apt.log 2>&1 || { cat apt.log >&2; exit 2; }
for package in ./*.deb; do
    dpkg -x "$package" root
done
libraries=$(find root -name '*.so.*' -exec dirname {} + | sort -u | paste -sd :)
export LD_LIBRARY_PATH=$folder/${libraries//:/:$folder/}

# disk TYPE: 64 MiB of zeros with one entry from the second sector to the end.
disk() {
    rm -f disk
    truncate -s 64M disk
    # shellcheck disable=SC2059 # The type is part of the format.
    printf "\\0\\0\\2\\0\\x$1\\376\\377\\377\\1\\0\\0\\0\\377\\377\\1\\0" |
        dd of=disk bs=1 seek=446 conv=notrunc status=none
    printf '\125\252' | dd of=disk bs=1 seek=510 conv=notrunc status=none
}

seen=
for kind in DA 83 EE; do
    for program in "root/sbin/parted disk mklabel gpt" "root/sbin/sgdisk -o disk"; do
        disk "$kind"
        before=$(sha256sum <disk)
        status=0
        $program </dev/null >/dev/null 2>&1 || status=$?
        name=${program%% *}
        did=stops
        [ "$before" = "$(sha256sum <disk)" ] || did=writes
        line="0x$kind ${name##*/} $did ($status)"
        echo "$line"
        seen+="$line;"
    done
done
expected="0xDA parted stops (1);0xDA sgdisk stops (3);0x83 parted stops (1);0x83 sgdisk stops (3);"
expected+="0xEE parted writes (0);0xEE sgdisk writes (0);"
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
