import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { compileMatcher, compressTargets, nameMatcher } from "../../src/methods/config/match.ts";
import type { ModuleInfo } from "../../src/models/model.ts";
import { goldenJson } from "./golden.ts";
import { fourierft, lora } from "./methods.ts";
import { gpt2, net } from "./models.ts";
import { hits, resolve } from "./resolving.ts";

const small = (): ModuleInfo[] => net("lin0", "mylin0", "layers.0.q", "layers.1.q", "layers.2.q", "a_head");

describe("the examples of the specification", () => {
  const modules = small();
  test.each<[Record<string, unknown>, string[]]>([
    [{ target_modules: ["lin0"] }, ["lin0"]],
    [{ target_modules: "lin0" }, ["lin0"]],
    [{ target_modules: ".*lin0" }, ["lin0", "mylin0"]],
    [{ target_modules: ["q"], exclude_modules: ["layers.0.q"] }, ["layers.1.q", "layers.2.q"]],
    [{ target_modules: ["q"], exclude_modules: "layers.[01].q" }, ["layers.2.q"]],
    [{ target_modules: ["q"], layers_to_transform: [1], layers_pattern: "layers" }, ["layers.1.q"]],
    [{ target_modules: ["q"], layers_to_transform: 1, layers_pattern: ["blocks", "layers"] }, ["layers.1.q"]],
    [
      { target_modules: ["q", "layers.0.q"], layers_to_transform: [1], layers_pattern: "layers" },
      ["layers.0.q", "layers.1.q"],
    ],
    [{ target_modules: ["q"], layers_to_transform: [] }, ["layers.0.q", "layers.1.q", "layers.2.q"]],
  ])("%j", (config, expected) => expect(hits(config, { modules })).toEqual(expected));

  test("a layer list at the top of the path counts, unlike in PEFT, and that is said", () => {
    const sink = new DiagnosticSink(true);
    expect(hits({ target_modules: ["q"], layers_to_transform: [1] }, { modules, sink })).toEqual(["layers.1.q"]);
    expect(sink.diagnostics).toMatchObject([{ code: "CONFIG-LAYERS-TOP-LEVEL", severity: "note" }]);
  });
});

describe("the order of tests", () => {
  const modules = small();
  test("exclusion wins over targets", () => {
    expect(hits({ target_modules: ["lin0", "a_head"], exclude_modules: ["lin0"] }, { modules })).toEqual(["a_head"]);
  });
  test("saved modules and all below them are no targets, by whole path parts", () => {
    const config = { target_modules: ["q", "a_head"], modules_to_save: ["layers.1"] };
    expect(hits(config, { modules })).toEqual(["layers.0.q", "layers.2.q", "a_head"]);
    const matcher = compileMatcher({
      targets: ["q"],
      exclude: null,
      modulesToSave: ["yers"],
      layers: null,
      layersPattern: null,
    });
    expect(matcher("layers.1.q")).toBe("hit");
  });
  test("a literal name skips the layer filter, a suffix does not", () => {
    const config = { target_modules: ["model.layers.0.mlp.up_proj", "q_proj"], layers_to_transform: [1] };
    expect(hits(config)).toEqual(["model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj"]);
  });
  test("the first number with two parts before it is the layer", () => {
    const nested = net("model.layers.3.experts.1.q", "model.layers.1.experts.3.q");
    expect(hits({ target_modules: ["q"], layers_to_transform: [3] }, { modules: nested })).toEqual([
      "model.layers.3.experts.1.q",
    ]);
  });
  test("a group inside of a layer pattern does not shift the number", () => {
    const config = { target_modules: ["q"], layers_to_transform: [2], layers_pattern: "(layers|blocks)" };
    expect(hits(config, { modules })).toEqual(["layers.2.q"]);
  });
  test("modules inside an adapted one are not visited", () => {
    const nested = net("a.lin", "a.lin.lin", "b.lin");
    expect(hits({ target_modules: ["lin"] }, { modules: nested })).toEqual(["a.lin", "b.lin"]);
  });
  test("names that the base's file uses are found too", () => {
    const renamed: ModuleInfo[] = [
      {
        path: "vit.layers.0.attention.q_proj",
        kind: "linear",
        layout: "linear",
        weight: "vit.encoder.layer.0.attention.attention.query.weight",
      },
    ];
    expect(hits({ target_modules: ["query"] }, { modules: renamed })).toEqual(["vit.layers.0.attention.q_proj"]);
    expect(hits({ target_modules: ["q_proj"] }, { modules: renamed })).toEqual(["vit.layers.0.attention.q_proj"]);
    expect(hits({ target_modules: ["wte"] }, { modules: gpt2(), method: lora })).toEqual(["transformer.wte"]);
  });
});

describe("compression", () => {
  test("finds the shortest suffixes that hit nothing else", () => {
    expect(compressTargets(["a.x.q", "b.x.q"], [])).toEqual(["q"]);
    expect(compressTargets(["a.x.q", "b.x.q"], ["c.y.q"])).toEqual(["x.q"]);
    expect(compressTargets(["a.q", "b.q"], ["c.q"])).toEqual(["a.q", "b.q"]);
  });

  test("never changes what is hit", () => {
    const path = fc
      .array(fc.constantFrom("a", "b", "0", "1", "q"), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("."));
    fc.assert(
      fc.property(
        fc.uniqueArray(path, { minLength: 1, maxLength: 25 }),
        fc.uniqueArray(path, { maxLength: 12 }),
        (paths, targets) => {
          const before = paths.filter(nameMatcher(targets));
          const compressed = compressTargets(
            before,
            paths.filter((p) => !before.includes(p)),
          );
          expect(paths.filter(nameMatcher(compressed))).toEqual(before);
          expect(compressed.length).toBeLessThanOrEqual(before.length);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("patterns", () => {
  const ranks = (config: Record<string, unknown>) =>
    Object.fromEntries(resolve(config, { method: lora }).sites.map(({ path, fields }) => [path.slice(13), fields.r]));

  test("the first entry that matches wins; a leading ^ ties it to the whole name", () => {
    const pattern = { "layers.0.self_attn.q_proj": 2, q_proj: 3, "^v_proj": 4, "^model.layers.1.self_attn.v.*": 5 };
    expect(ranks({ r: 7, rank_pattern: pattern, alpha_pattern: {} })).toEqual({
      "0.self_attn.q_proj": 2,
      "0.self_attn.v_proj": 7,
      "1.self_attn.q_proj": 3,
      "1.self_attn.v_proj": 5,
    });
  });

  test("entries that hit nothing are warned of", () => {
    const sink = new DiagnosticSink();
    resolve({ rank_pattern: { nope: 2, q_proj: 3 } }, { method: lora, sink });
    expect(sink.diagnostics.map((d) => d.message)).toEqual([
      "The following rank_pattern keys did not match any targeted module and were ignored: ['nope'].",
    ]);
  });

  test("the ranks of PEFT's own adapter", () => {
    const config = goldenJson("cases/llama-lora-pattern/adapter_config.json");
    const resolved = resolve(config, { method: lora, sink: new DiagnosticSink(true) });
    expect(new Set(resolved.sites.map((site) => site.fields.r)).size).toBeGreaterThan(1);
    expect(new Set(resolved.sites.map((site) => site.fields.lora_alpha)).size).toBeGreaterThan(1);
  });

  test("FourierFT's needs a dot before the name, or the whole name", () => {
    const modules = net("lin0", "a.lin1", "mylin1");
    const config = {
      target_modules: ["lin0", "lin1", "mylin1"],
      n_frequency: 9,
      n_frequency_pattern: { lin0: 5, lin1: 6 },
    };
    const fields = resolve(config, { method: fourierft, modules }).sites.map((site) => site.fields.n_frequency);
    expect(fields).toEqual([5, 6, 9]);
  });
});
