/** For tsdown, rolldown and vite: what `scripts/page-plugin.mjs` makes. */
export function reportPagePlugin(): { name: string; load(id: string): Promise<{ code: string; map: null }> | undefined };
