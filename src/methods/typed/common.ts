/** Fields of every adapter config. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";

export interface CommonConfig {
  /** What the model is for; decides the task head that is trained too. */
  readonly task_type?: string | null;
  /** Class and library of a base model without a task type. */
  readonly auto_mapping?: FieldValue;
  /** The version that wrote the config; decides the defaults of absent fields. */
  readonly peft_version?: string | null;
  /** The base model. */
  readonly base_model_name_or_path?: string | null;
  /** Revision of the base model. */
  readonly revision?: string | null;
  /** Written as true in every saved config. */
  readonly inference_mode?: boolean;
}
