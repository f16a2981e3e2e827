/** For tsdown and rolldown: what `scripts/worker-text-plugin.mjs` makes. */
export function workerTextPlugin(): { name: string; load(id: string): Promise<{ code: string; moduleType: "js"; map: null }> | undefined };
