#!/usr/bin/env bash
# What can only be seen on a real GPU: golden cases, the benchmark's workloads, tiles against each other; one table at the end, in less than eight minutes.
#   scripts/gpu-check.sh pack    makes test/gpu-packed (35 MB): this Node, Dawn and the check as one file. It travels with the checkout to
#                                a machine that has nothing but a driver of Vulkan (and libvulkan.so.1).
#   scripts/gpu-check.sh         runs it there, or here. GPU_CHECK_MINUTES: when to stop (7). GPU_CHECK_PART: every n-th case, fewer sizes (1).
set -euo pipefail
cd "$(dirname "$0")/.."
packed=test/gpu-packed

pack() {
  rm -rf "$packed"
  mkdir -p "$packed/node_modules/webgpu/dist"
  node node_modules/tsdown/dist/run.mjs --config test/gpu/tsdown.config.ts --logLevel warn
  xz -6 -c "$(node -p process.execPath)" > "$packed/node.xz"
  # TensorFlow.js, which merges, looks for them beside itself.
  cp node_modules/@tensorflow/tfjs-backend-wasm/wasm-out/*.wasm "$packed/"
  local platform
  platform=$(node -p 'process.platform + "-" + process.arch')
  cp node_modules/webgpu/{index.js,package.json} "$packed/node_modules/webgpu/"
  cp -r "node_modules/webgpu/dist/$platform" "$packed/node_modules/webgpu/dist/"
  xz -6 "$packed/node_modules/webgpu/dist/$platform/dawn.node"
  du -sh "$packed"
}

if [ "${1:-}" = pack ]; then
  pack
  exit
fi
[ -e "$packed/check.js" ] || pack
for file in "$packed"/node "$packed"/node_modules/webgpu/dist/*/dawn.node; do
  [ -e "$file" ] || xz -dk "${file/\*/$(ls "$packed/node_modules/webgpu/dist")}.xz"
done
chmod +x "$packed/node"
timeout 475 "$packed/node" "$packed/check.js"
