/** What was made before something failed. */

/** All of them; with `soFar` those before the first that cannot be made. */
export function collected<T>(made: Iterable<T>, soFar: boolean): T[] {
  const all: T[] = [];
  try {
    for (const one of made) all.push(one);
  } catch (error) {
    if (!soFar) throw error;
  }
  return all;
}
