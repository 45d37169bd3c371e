#!/usr/bin/env bash
# 200 drawn classes at 32 px, from drawing to the page that lists them: recipes/many-classes/run.sh OUT [KIMG [CLASSES]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: run.sh OUT [KIMG [CLASSES]]}
kimg=${2:-80}
classes=${3:-200}
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
[ -d photos ] || "$python" "$here/beetles.py" photos --classes "$classes"
[ -f beetles.zip ] || "$python" -m stylex prepare photos --out beetles.zip --resolution 32
[ -d classifier ] || "$python" -m stylex classifier --data beetles.zip --out classifier
"$python" -m stylex train --data beetles.zip --classifier classifier --out run --preset small-32 --kimg "$kimg"
"$python" -m stylex classes run --data beetles.zip --out classes --images 1000 --overwrite
