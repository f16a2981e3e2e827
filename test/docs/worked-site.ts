/** One site through all levels, for `docs/architecture.md`: what the compiler makes of a fragment, shortened to what belongs to the site. */
import { printKernel } from "../../src/codegen/index.ts";
import { compile, loadModel } from "../../src/index.ts";

const fragment = `method update on linear {
  W' = W + 2 * B @ A;
  param A[2, in]  = kaiming_uniform at "A";
  param B[out, 2] = zeros at "B";
}`;

const path = "model.layers.0.self_attn.q_proj";
const config = {
  ...{ model_type: "llama", architectures: ["LlamaForCausalLM"], hidden_act: "silu", tie_word_embeddings: false },
  ...{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2, intermediate_size: 12 },
  ...{ vocab_size: 16, rms_norm_eps: 1e-5, max_position_embeddings: 32 },
};

/** Lines of a printed graph that belong to the site, without its path. */
const ofSite = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.includes(`// ${path}`))
    .map((line) =>
      line.replace(`  // ${path}`, "  //").replaceAll(/(base_model\.model\.)?model\.layers\.0\.self_attn\./g, ""),
    )
    .map((line) => line.replace(/ +\/\/$/, ""));

/** From the line that begins with the last `for` to the one that stores, with what is around it left out. */
function innermost(text: string, loop: RegExp, store: RegExp): string[] {
  const lines = text.trimEnd().split("\n");
  const from = lines.findLastIndex((line) => loop.test(line));
  const to = lines.findLastIndex((line) => store.test(line));
  return ["    ...", ...lines.slice(from, to + 1), "    ..."];
}

/** The section between its markers. */
export async function workedSite(): Promise<string> {
  const files = { "config.json": new TextEncoder().encode(JSON.stringify(config)) };
  const program = await compile(
    await loadModel(files, { headersOnly: true }),
    { peft_type: "UPDATE", target_modules: ["q_proj"] },
    { method: fragment, methodFile: "update", mode: "infer", batch: 1, length: 4 },
  );
  const { nodes } = program.graph("tensor");
  const last = nodes.findLastIndex(({ scope }) => scope === path);
  const stage = program.plan.stages.find(({ name }) => name === "forward")!;
  const [name] = stage.dispatches.filter((dispatch) => dispatch.nodes.includes(last)).map(({ kernel }) => kernel);
  const kernel = program.generated.kernels.find((one) => one.name === name)!;
  const text = printKernel(kernel.ir, name);
  const block = (language: string, lines: readonly string[]): string =>
    [`\`\`\`${language}`, ...lines, "```"].join("\n");
  return [
    "The fragment, as its author writes it:",
    block("", fragment.split("\n")),
    "Operator IR, after `attach` and `algebra`. A weight is an operator; nothing says yet in which order its parts meet the input:",
    block("", ofSite(program.print("operator"))),
    "Tensor IR, after `associate` and `simplify`. `B @ A` is never made, as two thin products with 4 tokens cost less:",
    block("", ofSite(program.print("tensor"))),
    `Kernel IR of the kernel that makes the last value: both products go into one accumulator. \`#n\` are words of the uniform block, so that every\nlayer of these forms is the same kernel, whatever its sizes. Of its ${text.split("\n").length} lines the second loop:`,
    block("", innermost(text, /^ *for /, /^ *store /)),
    "WGSL, the same lines:",
    block("wgsl", innermost(kernel.wgsl, /^ *for /, /^ *\w*out0\[/)),
  ].join("\n\n");
}
