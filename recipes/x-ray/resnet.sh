#!/usr/bin/env bash
# The same x-rays with a ResNet-18 (11 M parameters) trained by an ordinary script, after run.sh: recipes/x-ray/resnet.sh OUT [KIMG]
# Needs: pip install transformers
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: resnet.sh OUT [KIMG]}
kimg=${2:-30}
python=${PYTHON:-python}
cd "$out"
[ -d resnet ] || PYTHONPATH="$here/.." "$python" "$here/../resnet.py" x-ray.zip resnet --epochs 5
"$python" -m stylex train --data x-ray.zip --classifier hf:resnet --out run-resnet --preset large-128 --kimg "$kimg"
"$python" -m stylex find run-resnet --data x-ray.zip --classifier hf:resnet --out explanation-resnet --images 200 --overwrite
"$python" -m stylex report explanation-resnet --strips
"$python" "$here/../knobs.py" run-resnet explanation-resnet attributes-resnet.png --data x-ray.zip
PYTHONPATH="$here/../../benchmarks" "$python" "$here/../../benchmarks/photograph.py" run-resnet x-ray.zip --classifier hf:resnet \
    --domain x-ray-resnet --json photograph.json --sheet sheet-resnet.png
