/** Combining IA3 adapters: the learned vectors are added up. */
import { sameShape } from "../../ir/types.ts";
import { siteKey } from "../config/index.ts";
import { byModule, type Combine, combineError, requireOnly, unitedConfig } from "./sources.ts";

/** l = sum of w_i l_i over the adapters that a module has. Throws `SESSION-COMBINE` where one scales inputs and another outputs. */
export const combineScales: Combine = (sources, { combination = "linear" }) => {
  if (combination !== "linear") {
    throw combineError("SESSION-COMBINE-OPTION", "vectors have no factors", "combination", {
      expected: "linear",
      got: combination,
    });
  }
  requireOnly(sources, ["ia3_l"]);
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const feedforward: string[] = [];
  const modules = byModule(sources);
  for (const { path, parts } of modules) {
    const key = siteKey(path, "ia3_l");
    const vectors = parts.map(({ source }) => ({ ...source.tensors.get(key)!, weight: source.weight }));
    const { shape } = vectors[0]!;
    if (vectors.some((vector) => !sameShape(vector.shape, shape)))
      throw combineError("SESSION-COMBINE", "one adapter scales the input of a module, another its output", path);
    if (shape[0] === 1) feedforward.push(path);
    const sum = (i: number): number => vectors.reduce((total, { weight, data }) => total + weight * data[i]!, 0);
    tensors.set(key, { shape, data: Float32Array.from(vectors[0]!.data, (_x, i) => sum(i)) });
  }
  const config = unitedConfig(
    sources,
    modules.map(({ path }) => path),
  );
  return { config: { ...config, feedforward_modules: feedforward }, tensors };
};
