/** Which modules of the model a dispatch is for. Without imports, so that the report's page asks the same function. */

/** What of a node that a dispatch computes is asked for: the path of its module and its operations. */
export interface NodeWork {
  readonly scope?: string | undefined;
  readonly flops: number;
}

/** The share in a dispatch's work from which on it is for a module. */
const worthNaming = 0.02;

/** The share, 0 to 1, that every module has in the work of the nodes: by flops, or by their number where they have none. */
export function moduleShares(nodes: readonly NodeWork[]): ReadonlyMap<string, number> {
  const own = nodes.filter(({ scope = "" }) => scope !== "");
  const flops = own.reduce((sum, node) => sum + node.flops, 0);
  const shares = new Map<string, number>();
  for (const { scope = "", flops: work } of own)
    shares.set(scope, (shares.get(scope) ?? 0) + (flops > 0 ? work / flops : 1 / own.length));
  return shares;
}

/**
 * Paths of the modules that a dispatch with these nodes is for, those with the most work first; not those whose work is beside it, as a
 * mask is. Nothing for nodes outside of modules.
 */
export const modulesOf = (nodes: readonly NodeWork[]): string[] =>
  [...moduleShares(nodes)]
    .filter(([, share]) => share >= worthNaming)
    .sort(([, a], [, b]) => b - a)
    .map(([scope]) => scope);
