// ONNX Runtime peer: a model of one MatMul, written byte by byte, whose second operand is a weight.
export async function load() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  return ort;
}

/** Fields of protobuf: LEB128 numbers, and lengths with bytes. */
function number(value) {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}
const int = (field, value) => Uint8Array.from([...number(field * 8), ...number(value)]);
const bytes = (field, content) =>
  concat(Uint8Array.from([...number(field * 8 + 2), ...number(content.length)]), content);
const text = (field, value) => bytes(field, new TextEncoder().encode(value));
function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const float = 1;
/** ValueInfoProto of an f32 tensor. */
function valueInfo(name, shape) {
  const dims = concat(...shape.map((n) => bytes(1, int(1, n))));
  return concat(text(1, name), bytes(2, bytes(1, concat(int(1, float), bytes(2, dims)))));
}

function model({ A, B }) {
  const node = concat(text(1, "A"), text(1, "B"), text(2, "C"), text(4, "MatMul"));
  const raw = new Uint8Array(B.data.buffer, B.data.byteOffset, B.data.byteLength);
  const weight = concat(...B.shape.map((n) => int(1, n)), int(2, float), text(8, "B"), bytes(9, raw));
  const graph = concat(
    bytes(1, node),
    text(2, "product"),
    bytes(5, weight),
    bytes(11, valueInfo("A", A.shape)),
    bytes(12, valueInfo("C", [A.shape[0], B.shape[1]])),
  );
  return concat(int(1, 8), bytes(7, graph), bytes(8, concat(text(1, ""), int(2, 13))));
}

async function matrixProduct(ort, { A, B }) {
  const session = await ort.InferenceSession.create(model({ A, B }), { executionProviders: ["wasm"] });
  const input = new ort.Tensor("float32", A.data, A.shape);
  let running;
  return {
    step() {
      running = session.run({ A: input });
    },
    async sync() {
      await running;
    },
    outputs: async () => ({ C: (await running).C.data }),
  };
}
export const workloads = { M128: matrixProduct, M512: matrixProduct };
