/** For tsdown: what `scripts/licenses-plugin.mjs` makes. */
import type { Plugin } from "rolldown";
export function licensesPlugin(): Plugin;
