#!/usr/bin/env bash
# Makes the pictures that README and docs show:
#   scripts/pictures.sh report [RUN [HEIGHT]]   images/report.png, report-dark.png, from the latest run; needs khd on the PATH
#   scripts/pictures.sh live                    images/live-drill.png, live-phone.png, by the test of the live page
# Needs what scripts/setup.sh --dev installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p images

picture() { # FILE PREFERRED-COLOUR-SCHEME (0 dark, 1 light)
    chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir="$folder/profile" --hide-scrollbars \
        --blink-settings=preferredColorScheme="$2" --window-size=1280,"$height" --screenshot="$PWD/$1" \
        "file://$folder/report.html" 2>"$folder/chromium.log" || { cat "$folder/chromium.log" >&2; exit 1; }
    printf '%s\n' "$1"
}

report() {
    local run=${1:-latest}
    height=${2:-3350} # of the default lab's 30 partitions, down to the end of the lanes
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    khd report "$run" --format html >"$folder/report.html" || [ $? -eq 1 ] # a failed verdict makes a picture, too
    picture images/report.png 1
    picture images/report-dark.png 0
}

live() {
    KHD_PICTURES=$PWD/images cargo nextest run --locked --test lab page::
}

case ${1-} in
report | live) "$@" ;;
*) echo "usage: $0 report [RUN [HEIGHT]] | live" >&2; exit 2 ;;
esac
