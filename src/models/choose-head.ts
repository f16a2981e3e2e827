/** The head that a model is to have: the one that its config names, or another one for a task, as transformers makes it when it loads a model. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { headKind, labelCount } from "./head.ts";
import { describeModel, familyHeads } from "./index.ts";
import type { HeadKind, HeadNames, ModelConfig, ModuleInfo } from "./model.ts";

/** PEFT's task types that have a head of their own, and its kind. */
const taskKinds = { SEQ_CLS: "sequence", TOKEN_CLS: "token", QUESTION_ANS: "span" } as const;

export type HeadTask = keyof typeof taskKinds;
export const headTasks = Object.keys(taskKinds) as readonly HeadTask[];

/** A head that is asked for. */
export interface HeadOptions {
  /** What it is for; the task type of the adapter's config unless given. */
  readonly task?: HeadTask;
  /** How many labels it has, or their names in order. */
  readonly labels?: number | readonly string[];
  /** transformers' name of what labels are: `regression`, `single_label_classification` or `multi_label_classification`. */
  readonly problem?: string;
  /** Seed of the numbers that are drawn; 0 unless given. */
  readonly seed?: number;
}

/** What an adapter's folder tells of a head beside its tensors. */
export type HeadLabels = Pick<HeadOptions, "labels" | "problem">;

/** What else is known of a head: by the adapter that a model is for. */
interface Known {
  /** What its folder tells; what is asked for goes before. */
  readonly kept?: HeadLabels | undefined;
  /** Task type of its config. */
  readonly taskType: unknown;
  /** The class of the base model that its config names where it has no task type. */
  readonly className?: unknown;
  /** Rows of a tensor of its file by the path of the module; undefined where there is no file. */
  readonly held?: ((path: string) => number | undefined) | undefined;
}

/** The config with the head; undefined where the model keeps the one that it has. Throws `CONFIG-HEAD`. */
export function withChosenHead(config: ModelConfig, asked: HeadOptions, known: Known): ModelConfig | undefined {
  const names = familyHeads(config);
  const kind = wantedKind(config, names, asked, known);
  if (kind === undefined) return undefined;
  const current = headKind(config, names);
  const { kept = {} } = known;
  const problem = asked.problem ?? kept.problem;
  const isKept = current === kind && asked.labels === undefined && kept.labels === undefined && problem === undefined;
  if (isKept && (kind === "span" || known.held === undefined)) return undefined;
  const choice = { names, kind, current };
  const rows = kind === "span" ? 2 : heldLabels(config, choice, known);
  const found = rows ?? namedLabels(config);
  if (isKept && (found === undefined || found === labelCount(config))) return undefined;
  // What is asked of a head that the config counts no labels of is asked of as many as transformers gives it.
  const usual = asked.problem !== undefined && current === kind ? labelCount(config) : undefined;
  const labels = kind === "span" ? 2 : (withNames(asked.labels, kept.labels) ?? found ?? usual);
  if (rows !== undefined && labels !== undefined && countOf(labels) !== rows)
    throw misfit(
      "the adapter's file has a head of another number of labels",
      `${rows} labels`,
      String(countOf(labels)),
      "leave the labels out: the file tells how many there are; or train a fresh adapter, from its config",
    );
  if (labels === undefined && known.held !== undefined) return undefined;
  if (labels === undefined)
    throw misfit(
      `the config is for ${String(asked.task ?? known.taskType)}, and the base model has no head for that: nothing says how many labels a new one has`,
      "the number of labels, or their names",
      `a head of the kind ${current}`,
      'give them: --labels 3, --labels neg,neu,pos, or { head: { labels: ["neg", "neu", "pos"] } } in calls',
    );
  return headed(config, choice, labels, problem);
}

type Labels = NonNullable<HeadOptions["labels"]>;

const countOf = (labels: Labels): number => (typeof labels === "number" ? labels : labels.length);

/** Labels that are asked for, with the names that are known of as many. */
function withNames(asked: Labels | undefined, kept: Labels | undefined): Labels | undefined {
  if (typeof asked !== "number" || kept === undefined) return asked ?? kept;
  return countOf(kept) === asked ? kept : asked;
}

const misfit = (message: string, expected: string, got: string, help?: string): WebpeftError =>
  new WebpeftError("CONFIG-HEAD", { message, where: "head", expected, got, ...(help === undefined ? {} : { help }) });

/** The kind of head that somebody wants; undefined where nobody wants another one. */
function wantedKind(
  config: ModelConfig,
  names: HeadNames,
  { task, labels, problem }: HeadOptions,
  { taskType, className, held }: Known,
): HeadKind | undefined {
  const isTask = (type: unknown): type is HeadTask => typeof type === "string" && Object.hasOwn(taskKinds, type);
  if (task !== undefined && isTask(taskType) && taskType !== task)
    throw misfit(
      "another head is asked for than the config of the adapter is for",
      `a head for ${taskType}`,
      task,
      `leave the task out (--head); or train an adapter whose config has "task_type": "${task}"`,
    );
  const type = task ?? (isTask(taskType) ? taskType : undefined);
  const has = (kind: HeadKind): boolean => Object.hasOwn(names, kind);
  const classifiers = (["sequence", "token"] as const).filter(has);
  const isAsked = task !== undefined || labels !== undefined || problem !== undefined;
  const kind =
    type === undefined ? (isAsked && classifiers.length === 1 ? classifiers[0] : undefined) : taskKinds[type];
  if (kind !== undefined && has(kind)) return kind;
  const isNamed = (one: HeadKind): boolean => String(className).endsWith(names[one]!);
  if (!isAsked) return held === undefined ? undefined : Object.values(taskKinds).filter(has).find(isNamed);
  const built = headTasks.filter((one) => has(taskKinds[one]));
  if (kind !== undefined)
    throw misfit(
      "a head for this task is not built for the family of the base model",
      built.join(", ") || "none",
      type!,
    );
  const [one] = built;
  if (one === undefined)
    throw misfit(
      "no head that has labels is built for the family of the base model",
      "a base model of another family",
      `labels for ${String(config.model_type)}`,
    );
  throw misfit(
    "nothing says what the labels are of: rows, or tokens",
    `a task: ${built.join(", ")}`,
    `task_type ${JSON.stringify(taskType ?? null)} in the adapter's config`,
    `set "task_type" in the config, or give the task: --head ${one}, or { head: { task: "${one}" } } in calls`,
  );
}

interface Choice {
  readonly names: HeadNames;
  readonly kind: HeadKind;
  /** Of the config as it is. */
  readonly current: HeadKind;
}

/** The labels that the adapter's file has rows for. */
function heldLabels(config: ModelConfig, choice: Choice, { held }: Known): number | undefined {
  const modules = (labels: number): readonly ModuleInfo[] => describeModel(headed(config, choice, labels)).modules;
  const few = new Map(modules(2).map(({ path, out }) => [path, out]));
  const ends = modules(3).filter(({ path, out }) => few.get(path) !== out);
  return ends.flatMap(({ path }) => held?.(path) ?? [])[0];
}

const namedLabels = (config: ModelConfig): number | undefined =>
  config.id2label === undefined && config.num_labels === undefined ? undefined : labelCount(config);

/** transformers' name of a label that has none. */
const numbered = (place: number): string => `LABEL_${place}`;

/** What the config says of its labels, and PEFT's files of an adapter do not: names that are more than numbers, and the problem. */
export function configuredLabels({ id2label, problem_type }: ModelConfig): HeadLabels {
  const names = (typeof id2label === "object" && id2label !== null ? Object.values(id2label) : []).map(String);
  return {
    ...(names.every((name, i) => name === numbered(i)) ? {} : { labels: names }),
    ...(typeof problem_type === "string" ? { problem: problem_type } : {}),
  };
}

/** The config with another head: its class, and its labels where it has other ones. */
function headed(
  config: ModelConfig,
  { names, kind, current }: Choice,
  labels: number | readonly string[],
  problem?: string,
): ModelConfig {
  const { num_labels: _count, id2label: _names, label2id: _ids, problem_type: _problem, ...rest } = config;
  const class_ = `${classPrefix(config, names[current]!)}${names[kind]}`;
  const list = typeof labels === "number" ? Array.from({ length: labels }, (_unused, i) => numbered(i)) : labels;
  const isKept = typeof labels === "number" && config.id2label !== undefined && labelCount(config) === labels;
  const named = {
    id2label: isKept ? config.id2label : Object.fromEntries(list.entries()),
    label2id: isKept ? config.label2id : Object.fromEntries(list.map((name, i) => [name, i])),
  };
  const type = problem ?? config.problem_type;
  return {
    ...rest,
    architectures: [class_],
    ...(kind === "span" ? {} : named),
    ...(typeof type === "string" && kind === "sequence" ? { problem_type: type } : {}),
  };
}

/** What names of the family's classes begin with: `Bert`; by the model's type where the config names no class. */
function classPrefix({ architectures, model_type }: ModelConfig, ending: string): string {
  const [name] = Array.isArray(architectures) ? architectures : [];
  if (typeof name === "string" && name.endsWith(ending)) return name.slice(0, -ending.length);
  return String(model_type)
    .split(/[-_]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
