/** A model's chat template: where it stands, and what it makes of a conversation. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { isJsonObject, type JsonObject } from "../files/json.ts";
import type { SpecialTokens } from "./special-tokens.ts";
import { type TimeBudget, textBudget } from "./time-budget.ts";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/**
 * The text of a conversation. Throws `DATA-CHAT-TEMPLATE` for a template that does not parse, and for what goes wrong when it runs; `where`
 * is then the place of the conversation, or of the template when it is not given.
 */
export type RenderChat = (messages: readonly ChatMessage[], addGenerationPrompt: boolean, where?: string) => string;

export interface TemplateSource {
  /** What stands there, which may be no text. */
  readonly text: unknown;
  /** The file that it stands in, and the field if that is JSON. */
  readonly where: string;
}

/** The template of a folder: a file of its own counts before an entry of `tokenizer_config.json`, as in transformers. */
export function templateSource(
  folder: string,
  config: JsonObject,
  file: string | undefined,
): TemplateSource | undefined {
  if (file !== undefined) return { text: file, where: `${folder}/chat_template.jinja` };
  const where = `${folder}/tokenizer_config.json: chat_template`;
  const { chat_template: template } = config;
  if (template === undefined || template === null) return undefined;
  if (!Array.isArray(template)) return { text: template, where };
  const usual: unknown = template.find((entry) => isJsonObject(entry) && entry.name === "default");
  return isJsonObject(usual) ? { text: usual.template, where } : undefined;
}

/** Steps that any template may take, and those for every message: loops over all earlier messages included. */
const baseSteps = 300_000;
const stepsPerMessage = 10_000;

/** Steps in the time that a tokenizer has for a character, and less: steps run out before the time does. */
const stepsOfCharacter = 20;

const stepsFor = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, { content }) => sum + stepsPerMessage + content.length, baseSteps);

function failure({ where }: TemplateSource, cause: unknown, place?: string): WebpeftError {
  const fields =
    place === undefined
      ? {
          message: "the chat template cannot be read",
          where,
          expected: "a Jinja template",
          help: "download the file again, or mend the template",
        }
      : {
          message: "the chat template does not take the conversation",
          where: place,
          help: `mend the conversation, or the template (${where})`,
        };
  const got = (cause instanceof Error ? cause.message : String(cause)).slice(0, 500);
  return new WebpeftError("DATA-CHAT-TEMPLATE", { ...fields, got }, { cause });
}

/** What a message is for a template: without what it leaves open. */
const given = (message: ChatMessage): JsonObject =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined));

/** A template ready to be used. It is parsed when it is first needed, so that one that nobody needs may be broken. */
export async function chatRenderer(
  source: TemplateSource,
  { named, additional }: SpecialTokens,
  within: TimeBudget,
): Promise<RenderChat> {
  const { parseTemplate } = await import("./template-interpreter.ts");
  let parsed: ReturnType<typeof parseTemplate> | undefined;
  const template = () => {
    try {
      const { text } = source;
      if (typeof text !== "string") throw new Error(`no text: ${JSON.stringify(text)}`);
      parsed ??= within(() => parseTemplate(text), textBudget(0));
      return parsed;
    } catch (cause) {
      throw failure(source, cause);
    }
  };
  return (messages, addGenerationPrompt, where = source.where) => {
    const { render } = template();
    const variables = {
      ...named,
      ...(additional.length > 0 ? { additional_special_tokens: additional } : {}),
      tools: null,
      documents: null,
      messages: messages.map(given),
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      // Many templates look at the first message before they ask whether there is one.
      const steps = stepsFor(messages);
      return within(() => render(variables, steps, messages.length > 0), textBudget(steps / stepsOfCharacter));
    } catch (cause) {
      throw failure(source, cause, where);
    }
  };
}
