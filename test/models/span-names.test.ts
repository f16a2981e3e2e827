/** What classes of transformers that find spans call the stack below them: adapters' files have modules by these names. */
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { describeModel, familyHeads } from "../../src/models/index.ts";
import { readJson } from "./helpers.ts";

/** `base_model_prefix` of each decoder's class in transformers 5.24. */
const known = {
  ...{ llama: "transformer", mistral: "model", qwen2: "transformer", gpt2: "transformer", ministral: "transformer" },
  ...{ qwen3: "transformer", smollm3: "transformer", gpt_neox: "gpt_neox", falcon: "transformer", opt: "model" },
  ...{ mixtral: "model", qwen2_moe: "model", qwen3_moe: "transformer", exaone4: "transformer", ministral3: "model" },
  ...{ seed_oss: "transformer", arcee: "transformer", nemotron: "transformer", bloom: "transformer" },
};

it("decoders that find spans have the names of transformers above their layers", () => {
  const bases = readdirSync(new URL("../fixtures/golden/bases", import.meta.url));
  const found = bases
    .map((base) => readJson(`bases/${base}/config.json`))
    .filter((config) => ["causal", "span"].every((head) => Object.hasOwn(familyHeads(config), head)))
    .map((config) => {
      const { modules } = describeModel({ ...config, architectures: ["AForQuestionAnswering"] });
      return [config.model_type, modules[0]!.path] as const;
    });
  expect(Object.fromEntries(found)).toEqual(known);
});
