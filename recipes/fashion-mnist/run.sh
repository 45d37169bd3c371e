#!/usr/bin/env bash
# From the raw files to the report, in one command: recipes/fashion-mnist/run.sh OUT [KIMG]
# The raw files come with Debian's package dataset-fashion-mnist (or set IDX to the folder that holds them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: run.sh OUT [KIMG]}
kimg=${2:-120}
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
[ -d photos ] || "$python" "$here/photos.py" photos --idx "${IDX:-/usr/share/datasets/fashion-mnist}"
[ -f shoes.zip ] || "$python" -m stylex prepare photos --out shoes.zip --resolution 32
[ -d classifier ] || "$python" -m stylex classifier --data shoes.zip --out classifier
"$python" -m stylex train --data shoes.zip --classifier classifier --out run --preset small-32 --kimg "$kimg"
"$python" -m stylex find run --data shoes.zip --out explanation --images 200 --attributes 10 --overwrite
"$python" -m stylex report explanation --strips
"$python" -m stylex evaluate run --data shoes.zip --images 100 --measured 200 --out evaluation.json --overwrite
