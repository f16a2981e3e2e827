/** Text to token ids and back, by the model's own `tokenizer.json`; chat templates by the model's own template. */
import { WebpeftError } from "../../ir/diagnostics.ts";

/** Reads a file of the model folder as text; undefined when it is not there. */
export type ReadText = (name: string) => Promise<string | undefined>;

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface TextTokenizer {
  /** Ids of a text, without special tokens. */
  encode(text: string): number[];
  /** Ids of a text with the special tokens that the tokenizer puts around it. */
  encodeWhole(text: string): number[];
  /** Text of ids, special tokens left out. */
  decode(ids: readonly number[]): string;
  /** Id of the token that ends a text, when the model has one. */
  readonly endToken?: number;
  readonly beginToken?: number;
  /** The text of a conversation; absent when the model has no chat template. */
  readonly chat?: (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string;
}

type Json = Record<string, unknown>;

function parse(name: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    const options = { cause };
    throw new WebpeftError(
      "DATA-TOKENIZER",
      { message: `${name} is not valid JSON`, where: name, help: "download the file again" },
      options,
    );
  }
}

/** A special token in `tokenizer_config.json` is a string or an object with `content`. */
function specialToken(config: Json, name: string): string | undefined {
  const token = config[name];
  if (typeof token === "string") return token;
  const content = (token as Json | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

async function chatTemplate(config: Json, readText: ReadText): Promise<string | undefined> {
  if (typeof config.chat_template === "string") return config.chat_template;
  if (Array.isArray(config.chat_template)) {
    const named = (config.chat_template as Json[]).find((entry) => entry.name === "default");
    if (typeof named?.template === "string") return named.template;
  }
  return readText("chat_template.jinja");
}

async function chatRenderer(source: string, tokens: Json): Promise<NonNullable<TextTokenizer["chat"]>> {
  const { Template } = await import("@huggingface/jinja");
  const template = new Template(source);
  return (messages, addGenerationPrompt) =>
    template.render({
      ...tokens,
      messages: messages.map((m) => ({ ...m })),
      add_generation_prompt: addGenerationPrompt,
    });
}

/** The tokenizer of a model folder. Throws `DATA-TOKENIZER-MISSING` when it has no `tokenizer.json`. */
export async function loadTokenizer(readText: ReadText, folder: string): Promise<TextTokenizer> {
  const source = await readText("tokenizer.json");
  if (source === undefined) {
    throw new WebpeftError("DATA-TOKENIZER-MISSING", {
      message: "the model folder has no tokenizer, and the data is text",
      where: folder,
      expected: "tokenizer.json",
      help: "put the model's tokenizer.json (and tokenizer_config.json) into its folder, or give ready token ids as .safetensors",
    });
  }
  const config = parse("tokenizer_config.json", (await readText("tokenizer_config.json")) ?? "{}");
  const { Tokenizer } = await import("@huggingface/tokenizers");
  let tokenizer: InstanceType<typeof Tokenizer>;
  try {
    tokenizer = new Tokenizer(parse("tokenizer.json", source), config);
  } catch (cause) {
    if (cause instanceof WebpeftError) throw cause;
    throw new WebpeftError(
      "DATA-TOKENIZER",
      { message: "the tokenizer cannot be used", where: `${folder}/tokenizer.json`, got: String(cause) },
      { cause },
    );
  }
  const [begin, end] = [specialToken(config, "bos_token"), specialToken(config, "eos_token")];
  const idOf = (token: string | undefined) => (token === undefined ? undefined : tokenizer.token_to_id(token));
  const [beginToken, endToken] = [idOf(begin), idOf(end)];
  const template = await chatTemplate(config, readText);
  return {
    encode: (text) => [...tokenizer.encode(text, { add_special_tokens: false }).ids],
    encodeWhole: (text) => [...tokenizer.encode(text).ids],
    decode: (ids) => tokenizer.decode([...ids], { skip_special_tokens: true }),
    ...(beginToken === undefined ? {} : { beginToken }),
    ...(endToken === undefined ? {} : { endToken }),
    ...(template === undefined
      ? {}
      : { chat: await chatRenderer(template, { bos_token: begin ?? "", eos_token: end ?? "" }) }),
  };
}
