/** Random configs either compile or are refused with a code. `npm run fuzz` tries a quarter of its number, since each is compiled; `npm test` 150. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { describeModel } from "../../src/models/index.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { baseModel } from "../golden/helpers.ts";
import { type RandomConfig, randomConfigs } from "./random-configs.ts";

const runs = process.env.WEBPEFT_FUZZ === undefined ? 150 : Math.ceil(Number(process.env.WEBPEFT_FUZZ) / 4);
const seed = 20260721;
/** Kernels are made for one of so many configs that compile. */
const kernelsOf = 50;

const models = new Map<string, Model>(
  await Promise.all(["llama", "gpt2", "bert-cls"].map(async (base) => [base, await baseModel(base)] as const)),
);
const modules = new Map([...models].map(([base, { config }]) => [base, describeModel(config).modules]));

/** Faults of the config. Other codes of METHOD- are about the text of a fragment, and those of webpeft's own have no faults. */
const refusals = /^(CONFIG-[A-Z-]+|METHOD-(CONSTRAINT|NUMBER|SITE|SIZE|UNSUPPORTED))$/;

/** What configs that mix adapters find, on every base. */
const expert = { peft_type: "LORA", r: 2, target_modules: ["q_proj", "c_attn", "query"] };
const options = { batch: 2, length: 4, experts: { first: expert, second: { ...expert, r: 3 } } };

const pasteable = (base: string, config: RandomConfig): string =>
  `await compile(await baseModel("${base}"), ${JSON.stringify(config)}, ${JSON.stringify(options)})`;

/** The code of the refusal, or undefined where the config compiles. Anything else that is thrown fails the test. */
async function outcome(base: string, config: RandomConfig, kernels: boolean): Promise<string | undefined> {
  try {
    const program = await compile(models.get(base)!, config, options);
    if (kernels) expect(program.kernels.length).toBeGreaterThan(0);
    return undefined;
  } catch (error) {
    if (error instanceof WebpeftError && refusals.test(error.code)) return error.code;
    throw new Error(`${pasteable(base, config)}\nis neither compiled nor refused as a config`, { cause: error });
  }
}

test(`${runs} random configs`, { timeout: 60_000 + runs * 1000 }, async () => {
  const found = new Map<string, number>();
  let compiled = 0;
  await fc.assert(
    fc.asyncProperty(randomConfigs(modules), async ({ base, config }) => {
      const code = await outcome(base, config, compiled % kernelsOf === 0);
      if (code === undefined) compiled += 1;
      else found.set(code, (found.get(code) ?? 0) + 1);
    }),
    { seed, numRuns: runs, endOnFailure: true },
  );
  // A generator whose configs were all refused, or all refused for one reason, would show nothing.
  expect(compiled).toBeGreaterThan(runs / 5);
  expect(found.size).toBeGreaterThan(10);
});
