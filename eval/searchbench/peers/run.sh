#!/bin/sh
# run.sh VECTORS WORK: compares Pare with other engines on a folder of token
# embeddings, one thread, one query at a time. README.md says what is needed.
#
# What WORK holds already (indexes, programs) is used again; remove it to start
# anew. ENGINES and REPEAT in the environment choose what is measured how often.
set -eu
vectors=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
cd "$(dirname "$0")"
repeat=${REPEAT:-3}
engines=${ENGINES:-faiss next-plaid-4bit next-plaid-2bit tachiom}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 RAYON_NUM_THREADS=1
one=""
if command -v taskset >/dev/null; then one="taskset -c 0"; fi

# Programs.
(cd ../../.. && go build -o "$work/pare" ./cmd/pare)
if [ ! -d "$work/venv" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r requirements.txt
    "$work/venv/bin/pip" install -q tachiom==0.4.0 || echo "tachiom cannot be installed here and is left out" >&2
fi
python="$work/venv/bin/python"
case $engines in
*next-plaid*) CARGO_TARGET_DIR="$work/target" cargo build --quiet --release --manifest-path next-plaid/Cargo.toml ;;
esac

# Pare with each of the machine's levels, and with codes that are all it keeps. The
# first run keeps the exact ranking. Building may use all processors.
reports=""
measure_pare() { # NAME LEVEL FLAGS-FOR-BUILDING...
    name=$1 level=$2
    shift 2
    "$work/pare" bench kernels --time 1ms --level "$level" >/dev/null 2>&1 || return 0
    index="$work/$name.idx"
    [ -d "$index" ] || "$work/pare" bench search --embeddings "$vectors" --index "$index" --level "$level" "$@" --grid depth=200 --repeat 1 --format json >"$work/$name-built.json"
    $one "$work/pare" bench search --embeddings "$vectors" --index "$index" --level "$level" --repeat "$repeat" --format json >"$work/$name.json"
    reports="$reports $work/$name-built.json $work/$name.json"
}
measure_pare pare-avx512 avx512 --refinements
measure_pare pare-avx2 avx2 --refinements
measure_pare pare-2bit avx512
measure_pare pare-4bit avx512 --codec residual4

# The others.
for engine in $engines; do
    if [ "$engine" = tachiom ] && ! "$python" -c "import tachiom" 2>/dev/null; then continue; fi
    case $engine in
    next-plaid*) [ -e "$work/centroids.npy" ] || "$python" peers.py centroids "$vectors" "$work" ;;
    esac
    [ -e "$work/$engine" ] || "$python" peers.py build "$engine" "$vectors" "$work"
    $one "$python" peers.py search --repeat "$repeat" "$engine" "$vectors" "$work"
done >&2
"$python" peers.py table "$vectors" "$work" $reports
