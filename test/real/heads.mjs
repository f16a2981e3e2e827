// What heads.py asks of webpeft: `families` prints the built model types with the ends of their classes' names; without it, a line of
// { model, adapter?, batch, rows, length, labelLength? } comes in, and one of { logits, loss? } or { error } goes out.
import { createInterface } from "node:readline";
import { compile, loadModel, readAdapter, WebpeftError, wasmTargetHere } from "../../dist/index.js";

/** What an error says that it expected, as a list behind the words before it. */
async function expected(config, before = "") {
  try {
    await compile(await loadModel({ config, weights: {} }), null);
  } catch (error) {
    if (error instanceof WebpeftError) return error.expected.slice(before.length).split(", ");
    throw error;
  }
  throw new Error(`nothing is wrong with ${JSON.stringify(config)}`);
}

async function families() {
  const types = await expected({ model_type: "none" });
  const heads = types.map((model_type) => expected({ model_type, architectures: ["none"] }, "a name that ends with "));
  return Object.fromEntries((await Promise.all(heads)).map((ends, i) => [types[i], ends]));
}

async function answer({ model: folder, adapter: from, batch, rows, length, labelLength }) {
  const [model, adapter] = [await loadModel(folder), from === undefined ? undefined : await readAdapter(from)];
  const program = await compile(model, adapter ?? null, {
    ...{ mode: "infer", batch: rows, length, mask: batch.attention_mask !== undefined, target: wasmTargetHere() },
    ...(labelLength === undefined ? {} : { labelLength }),
  });
  const session = await program.start({ device: "cpu", ...(adapter === undefined ? {} : { adapter }) });
  try {
    const { logits, hidden, loss } = await session.forward(batch);
    return { logits: [...(hidden ?? logits)], loss };
  } finally {
    session.dispose();
  }
}

if (process.argv[2] === "families") console.log(JSON.stringify(await families()));
else
  for await (const line of createInterface({ input: process.stdin })) {
    const found = await answer(JSON.parse(line)).catch((error) => ({ error: String(error.stack ?? error) }));
    console.log(JSON.stringify(found));
  }
