/** The page `docs/errors.md`, made from the table of codes. */
import { type Code, codes } from "../../src/ir/codes/index.ts";

type Room = Code extends infer Each ? (Each extends `${infer First}-${string}` ? First : never) : never;

/** What the first word of a code stands for, in the order of the page. */
const rooms: Readonly<Record<Room, string>> = {
  CLI: "Options of a command that do not go together",
  CONFIG: "The adapter's config",
  FILE: "Files that are read or written",
  MODEL: "The base model",
  DATA: "Data, batches and tokenizers",
  METHOD: "The text of a method",
  COMPILE: "What is compiled",
  CODEGEN: "Kernels and the device's limits",
  INSPECT: "What is looked at",
  MEASURE: "Measuring",
  PRECISION: "Comparing with f64",
  DEVICE: "Devices",
  SESSION: "Calls of a session",
  TRAIN: "Training and its checkpoints",
  RESULT: "Results",
  GENERATE: "Generated text",
  MERGE: "Merged models",
  CONVERT: "Adapters that become LoRAs",
  PASS: "Passes of the compiler",
  IR: "Graphs: their text, their types, and what the verifier finds",
  KERNEL: "Kernels: what the verifier finds",
};

const head = `# Codes of errors and warnings

Written from \`src/ir/codes/\` by \`npx vitest run test/docs -u\`.

Everything that goes wrong because of what was given is a \`WebpeftError\` with a \`code\`, a message and, where they are known,
\`where\`, \`expected\`, \`got\` and \`help\`. The command prints them on stderr; \`program.diagnostics\` holds warnings and notes in the
same form. Codes stay; messages may become clearer. With \`--strict\` (\`strict: true\`) a warning is an error of the same code.
Anything else that is thrown is a defect of webpeft.
`;

export function errorsPage(): string {
  const entries = Object.entries(codes);
  const sections = Object.entries(rooms).map(([room, title]) => {
    const own = entries.filter(([code]) => code.startsWith(`${room}-`));
    const rows = own.map(([code, text]) => `| \`${code}\` | ${text.replaceAll("|", "\\|")} |`);
    return [`## ${room}: ${title}`, "", "| code | what it means, and what to do |", "|---|---|", ...rows, ""].join(
      "\n",
    );
  });
  return [head, ...sections].join("\n");
}
