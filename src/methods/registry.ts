/** Which method a config is for: one of the caller's own, one whose text the config carries, or a built-in one. */
import { type DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { peftTypeOf } from "./config/index.ts";
import { everyMethod, type Method, methodFor, methods, ownMethod, parseMethod } from "./index.ts";
import type { MethodRecord } from "./record.ts";

/** A method of one's own: the text of its fragment, what messages call it, and what else a record may say. */
export type OwnMethod = MethodRecord;

/** The field of a saved config that holds the text of a method that webpeft does not bring. */
const methodField = "webpeft_method";

const textIn = (config: unknown): string | undefined => {
  const text = (config as Readonly<Record<string, unknown>> | null)?.[methodField];
  return typeof text === "string" ? text : undefined;
};

export class Methods {
  private readonly own: ReadonlyMap<string, Method>;

  /** Throws METHOD-DECLARATION for two methods of one name. */
  constructor(own: readonly Method[]) {
    this.own = new Map(own.map((method) => [method.peftType, method]));
    const twice = own.find((method) => this.own.get(method.peftType) !== method);
    if (twice === undefined) return;
    throw new WebpeftError("METHOD-DECLARATION", {
      message: `Two methods are called ${twice.name}.`,
      where: twice.file,
      help: "Give one of them another name.",
    });
  }

  /** Those of the caller's own, and the built-in ones whose names they leave. */
  get all(): Method[] {
    return [...new Map([...methods, ...this.own]).values()];
  }

  /** These and one more. */
  and(method: Method): Methods {
    return new Methods([...this.own.values(), method]);
  }

  /**
   * The method of a config. One that does not say its type is for the only method of the caller's own. Throws CONFIG-TYPE-MISSING,
   * CONFIG-TYPE-UNKNOWN, METHOD-UNSUPPORTED, CONFIG-FIELDS-MIXED, and METHOD-... for the text in a config.
   */
  methodOf(config: unknown, sink: DiagnosticSink): Method {
    const given = (config as Readonly<Record<string, unknown>> | null)?.peft_type ?? undefined;
    const own = this.ownFor(given);
    const text = textIn(config);
    if (own !== undefined) return told(own, config, sink);
    if (text !== undefined) return told(parseMethod(text, `adapter_config.json ${methodField}`), config, sink);
    return methodFor(peftTypeOf(config, [...methods.keys(), ...this.own.keys()]), config as object)!;
  }

  private ownFor(peftType: unknown): Method | undefined {
    if (typeof peftType === "string") return this.own.get(peftType);
    return peftType === undefined && this.own.size === 1 ? [...this.own.values()][0] : undefined;
  }
}

/** Methods of one's own, beside the built-in ones. Throws METHOD-... for texts with faults. */
export const registry = (...own: readonly (string | OwnMethod)[]): Methods =>
  new Methods(own.map((one) => ownMethod(typeof one === "string" ? { text: one } : one)));

/** The method that a program's config must be for, if one was given, and all that the configs of its sessions may be for. */
export function ownMethods(options: {
  readonly method?: string | undefined;
  readonly methodFile?: string | undefined;
  readonly methods?: Methods | undefined;
}): { readonly method?: Method; readonly methods: Methods } {
  const { methods: given = registry() } = options;
  if (options.method === undefined) return { methods: given };
  const method = parseMethod(options.method, options.methodFile);
  return { method, methods: given.and(method) };
}

/** The config without the text of its method, which is no field of the method. */
export function withoutText(config: unknown): unknown {
  if (textIn(config) === undefined) return config;
  const { [methodField]: _text, ...rest } = config as Readonly<Record<string, unknown>>;
  return rest;
}

/** What is written beside the fields of a method's config: the text of one that webpeft does not bring. */
export const savedText = (method: Method): Readonly<Record<string, string>> =>
  everyMethod.includes(method) ? {} : { [methodField]: method.source };

/** The method, with notes and warnings about one that is not built in. */
export function told(method: Method, config: unknown, sink: DiagnosticSink): Method {
  const { name, peftType, file, source } = method;
  const saved = textIn(config);
  if (methods.has(peftType)) {
    sink.warn("METHOD-NAME-TAKEN", {
      message: `${name} is the name of a built-in method: this text takes its place, and PEFT reads what is saved as its own ${peftType}.`,
      where: file,
      help: "Give the method another name.",
    });
  }
  for (const { code, message, where, help } of method.warnings)
    sink.warn(code, { message, ...(where === undefined ? {} : { where }), ...(help === undefined ? {} : { help }) });
  if (saved !== undefined && saved !== source) {
    sink.note("METHOD-TEXT-DIFFERS", {
      message: "The adapter was saved with another text of the method than the one that is given.",
      where: file,
    });
  }
  return method;
}
