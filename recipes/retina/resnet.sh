#!/usr/bin/env bash
# The same eyes with a ResNet-18 (11 M parameters) trained by an ordinary script, from class folders (or a zip of them) to the report of
# each class: recipes/retina/resnet.sh SOURCE OUT [KIMG]
# Needs: pip install transformers
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "${1:?usage: resnet.sh SOURCE OUT [KIMG]}")
out=${2:?usage: resnet.sh SOURCE OUT [KIMG]}
kimg=${3:-40}
python=${PYTHON:-python}
export PYTHONPATH="$here/..:$here/../../benchmarks${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$out"
cd "$out"
[ -f retina.zip ] || "$python" -m stylex prepare "$source" --out retina.zip --resolution 128
[ -d resnet ] || "$python" "$here/../resnet.py" retina.zip resnet --epochs 12 --mirror
"$python" -m stylex train --data retina.zip --classifier hf:resnet --out run-resnet --preset large-128 --kimg "$kimg" --mirror
"$python" -m stylex classes run-resnet --data retina.zip --classifier hf:resnet --out classes-resnet --images 300 --overwrite
"$python" "$here/../../benchmarks/photograph.py" run-resnet retina.zip --classifier hf:resnet --domain retina-resnet \
    --json photograph.json --sheet sheet-resnet.png
