#!/bin/bash
# Run Opsin on an emulated AArch64 processor with Linux, on a Debian machine with an x86 processor.
#
#     tools/aarch64.sh FOLDER [setup | models | bits | kernels | backends | commands | all]
#
# `setup` unpacks qemu's user mode, a Python and the libraries it needs from Debian's packages for arm64 into FOLDER, and
# the published wheels of the dependencies. Nothing is installed on the machine, and root is not needed. The steps after
# it, all by default, take about forty minutes on two cores:
#
#     models     train the digits on both processors, and check each model file on the other; predict, evaluate
#     bits       a training step equals the interpreter of the kernel language, bit by bit
#     kernels    the tests of all kernels, as machine code for NEON
#     backends   tests of the engine: operations, threads, options, profile, machine peak
#     commands   opsin profile and opsin bench
#
# Variables: PYTHON (a Python on this machine that has Opsin's dependencies: .venv/bin/python), CPU (a processor that qemu
# emulates: neoverse-n1, or max, with SVE, for which LLVM compiles as for Neoverse V1), SOURCES (the file with Debian's
# archives), EPOCHS (2).

set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,/^$/s/^# \?//p' "$0"; exit 2; }
ROOT=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
FOLDER=$(cd "$1" && pwd)
case "$FOLDER/" in "$ROOT"/*) echo "$FOLDER is inside the repository; name a folder outside" >&2; exit 2 ;; esac
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
CPU=${CPU:-neoverse-n1}
EPOCHS=${EPOCHS:-2}
ARM=$FOLDER/venv/bin/python

sources() {
    for file in "${SOURCES:-}" /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        [ -s "$file" ] && { echo "$file"; return; }
    done
    echo "found no list of Debian's archives; name its file: SOURCES=FILE" >&2
    return 1
}

debian_packages() {  # download the packages and all that they depend on, for both architectures, with apt's own folder
    local state=$FOLDER/apt list
    list=$(sources)
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$FOLDER/root" "$FOLDER/host"
    touch "$state/status"
    cp "$list" "$state/debian.${list##*.}"
    cat >"$state/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Debug::NoLocking "1";
Dir::State "$state";
Dir::State::Lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
Dir::Etc::sourcelist "$state/debian.${list##*.}";
Dir::Etc::sourceparts "/nonexistent";
CONF
    export APT_CONFIG=$state/apt.conf
    apt-get update -qq
    apt-get install -qq --yes --download-only python3 libstdc++6 qemu-user-static:amd64 >"$FOLDER/apt.log"
    unset APT_CONFIG
    for package in "$state"/cache/archives/*.deb; do
        case $package in
        *_amd64.deb) dpkg-deb --extract "$package" "$FOLDER/host" ;;
        *) dpkg-deb --extract "$package" "$FOLDER/root" ;;
        esac
    done
}

virtual_environment() {  # a virtual environment whose Python starts qemu, so that processes started by Opsin do, too
    local python version site tags=()
    python=$(basename "$(ls "$FOLDER"/root/usr/bin/python3.[0-9]*)")
    version=${python#python}
    site=$FOLDER/venv/lib/$python/site-packages
    mkdir -p "$FOLDER/venv/bin" "$site"
    echo "home = $FOLDER/root/usr/bin" >"$FOLDER/venv/pyvenv.cfg"
    cat >"$ARM" <<RUN
#!/bin/sh
exec "$FOLDER/host/usr/bin/qemu-aarch64-static" -cpu "\${CPU:-$CPU}" -L "$FOLDER/root" -0 "$ARM" \\
    "$FOLDER/root/usr/bin/$python" "\$@"
RUN
    chmod +x "$ARM"
    echo "$ROOT/src" >"$site/opsin.pth"
    for tag in manylinux2014 manylinux_2_17 manylinux_2_26 manylinux_2_27 manylinux_2_28; do
        tags+=(--platform "${tag}_aarch64")
    done
    "$PYTHON" -m pip install --quiet --upgrade --no-compile --target "$site" "${tags[@]}" --only-binary=:all: \
        --implementation cp --python-version "$version" --abi "cp${version/./}" --abi abi3 --abi none \
        $("$PYTHON" -c "import tomllib; print(*(r.replace(' ', '') for r in
tomllib.load(open('$ROOT/pyproject.toml', 'rb'))['project']['dependencies']))") pytest hypothesis
}

cpuinfo() {  # what Linux says of the processor: qemu would show the file of this machine
    local part features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
    case $CPU in
    neoverse-n1) part=0xd0c ;;
    max) part=0xd40 features="$features sve i8mm bf16" ;;  # Neoverse V1
    *) rm -f "$FOLDER/root/proc/cpuinfo"; return ;;  # LLVM's generic processor
    esac
    mkdir -p "$FOLDER/root/proc"
    for number in 0 1; do
        printf '%s\t: %s\n' processor $number BogoMIPS 50.00 Features "$features" "CPU implementer" 0x41 \
            "CPU architecture" 8 "CPU variant" 0x3 "CPU part" $part "CPU revision" 1
        echo
    done >"$FOLDER/root/proc/cpuinfo"
}

setup() {
    debian_packages
    virtual_environment
    cpuinfo
    arm -c "
import platform
from opsin.backends.native import codegen
from opsin.base.processors import processors
host = codegen.host()
print(platform.machine(), platform.python_version(), host.cpu, host.target.name, processors(), 'processors')
assert host.target.name == 'neon'"
}

arm() { OPSIN_CACHE=$FOLDER/cache-arm "$ARM" "$@"; }
here() { OPSIN_CACHE=$FOLDER/cache-here PYTHONPATH=$ROOT/src "$PYTHON" "$@"; }

CHECK="
import sys, opsin
for path in sys.argv[1:]:
    model = opsin.load(path)
    assert model.goldens is not None, 'the file has no outputs to compare with'
    print(path, 'deviates from its recorded outputs by', model.check())"

models() {
    cd "$FOLDER"
    here -m opsin train digits --epochs "$EPOCHS" --out here.opsin >here.log
    arm -m opsin train digits --epochs "$EPOCHS" --out arm.opsin >arm.log
    grep -h "correctly" here.log arm.log
    # One with Winograd's algorithm, too; its training would take too long under emulation.
    here -c "import opsin; opsin.train('resnet20_cifar', 'digits', epochs=1).save('resnet20.opsin')"
    echo "on this processor:"; here -c "$CHECK" here.opsin arm.opsin resnet20.opsin
    echo "on AArch64:"; arm -c "$CHECK" here.opsin arm.opsin resnet20.opsin
    arm -m opsin predict arm.opsin "$ROOT/docs/seven.png"
    arm -m opsin predict here.opsin "$ROOT/docs/seven.png"
    arm -m opsin evaluate here.opsin digits
}

tests() { (cd "$ROOT" && PYTHONDONTWRITEBYTECODE=1 arm -m pytest -q -p no:cacheprovider --basetemp "$FOLDER/pytest" "$@"); }
bits() { tests tests/backends/test_interpreted.py; }
# Interpretation and the plans of the other rows are the same on every processor.
kernels() { tests tests/kernels -k "not run_interpreted and not avx and not sse4"; }
backends() {  # an emulated processor is slower than any real one
    tests tests/backends/test_{aarch64,codegen,options,profile,machine_peak,compile_workers,cache,depthwise,pool}.py \
        tests/test_processors.py --deselect tests/backends/test_machine_peak.py::test_figures_are_of_a_processor
    tests tests/backends/test_native.py -k "not avx and not sse4"
}

commands() {
    arm -m opsin profile lenet5 --batch 4 --seconds 1 --top 5
    arm -m opsin bench lenet5:4 --train --rounds 1 --seconds 0.5
}

steps=("${@:2}")
[ ${#steps[@]} -gt 0 ] && [ "${steps[0]}" != all ] || steps=(setup models bits kernels backends commands)
for step in "${steps[@]}"; do
    case $step in
    setup | models | bits | kernels | backends | commands) ;;
    *) echo "there is no step $step" >&2; exit 2 ;;
    esac
    echo "== $step"
    SECONDS=0
    (set -e; "$step")
    echo "== $step: $SECONDS s"
done
