#!/usr/bin/env bash
# Downloads one file, whole or not at all.
#     fetch.sh URL FILE [ALGORITHM:HASH]    ALGORITHM is md5, sha256, ...
# FILE appears only when it is complete and has that hash; what has arrived so far is kept in FILE.part, and the next
# run goes on from there. TIMEOUT is how many seconds a silent server is waited for, ATTEMPTS how often it is asked.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: fetch.sh URL FILE [ALGORITHM:HASH]" >&2; exit 2; }
url=$1 file=$2 checksum=${3-} part=$2.part
timeout=${TIMEOUT:-60} attempts=${ATTEMPTS:-5}

fail() { echo "fetch: $*" >&2; exit 1; }
size() { [ -e "$1" ] && wc -c < "$1" || echo 0; }
matches() { [ "$("${checksum%%:*}sum" "$part" | cut -d ' ' -f 1)" = "${checksum#*:}" ]; }

[ -e "$file" ] && exit
[ -z "$checksum" ] || command -v "${checksum%%:*}sum" > /dev/null || fail "$checksum: unknown kind of checksum"
mkdir -p "$(dirname "$file")"

for ((attempt = 1; ; attempt++)); do
    [ -n "$checksum" ] && [ -s "$part" ] && matches && break  # killed just before the renaming
    before=$(size "$part") status=0
    curl --fail --location --silent --show-error --continue-at - --connect-timeout "$timeout" \
        --speed-limit 1 --speed-time "$timeout" --output "$part" "$url" || status=$?
    [ $status -eq 0 ] && break
    case $status in
        33 | 36) rm -f "$part" ;;  # this server cannot resume: from the start
        22) [ "$before" -eq 0 ] && fail "$url: the server refuses (see above); set URL, or DATA if you have the files"
            rm -f "$part" ;;       # it may be that there is nothing beyond what we have: from the start
        1 | 3 | 6 | 37) fail "$url: cannot be fetched (see above); check URL, or set DATA if you have the files" ;;
    esac
    [ "$attempt" -lt "$attempts" ] || fail \
        "$url: broken off after $(size "$part") bytes, $attempts times; run again to go on from there"
    sleep $((attempt < 10 ? attempt : 10))
done

[ -s "$part" ] || { rm -f "$part"; fail "$url: the server sent nothing; check URL, or set DATA if you have the files"; }
if [ -n "$checksum" ] && ! matches; then
    kind=$(head -c 512 "$part" | grep -qi '<html' && echo "a web page" || echo "$(size "$part") bytes")
    rm -f "$part"
    fail "$url: is not the right file: $kind whose ${checksum%%:*} is not ${checksum#*:}; removed. Set URL to the" \
        "file itself, or download it by hand and set DATA"
fi
mv "$part" "$file"
