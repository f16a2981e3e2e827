/** Types of `serve.mjs` for what imports it from TypeScript. */

export declare function pageScript(webpeft?: string, plugins?: readonly object[]): Promise<string>;
export declare function answer(
  path: string,
  script: string,
): Promise<{ readonly type: string; readonly body: string | Uint8Array } | undefined>;
