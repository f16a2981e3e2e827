/** Style of the report; follows the reader's colour scheme. */
export const reportStyle = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #fbfbf9; --card: #fff; --line: #dfe3e8; --accent: #1f5fbf; --bar: #9fc0ee; --code: #f3f4f1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --soft: #98a3b1; --paper: #14181e; --card: #1b2129; --line: #313a46; --accent: #8ab8ff; --bar: #3b5d8f; --code: #10141a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .2rem 1.5rem; align-items: baseline; padding: .6rem 1.5rem; background: var(--card); border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 1.15rem; }
h2 { margin: 0 0 .6rem; font-size: 1.05rem; }
h3 { margin: 1rem 0 .3rem; font-size: .95rem; color: var(--soft); font-weight: 600; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
main { max-width: 1180px; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
section { margin: 1.2rem 0; padding: 1rem 1.2rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; scroll-margin-top: 4rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: .8rem 1.2rem; margin: 0; }
dt { color: var(--soft); font-size: .82rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
pre, code { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Consolas, monospace; }
pre { margin: .5rem 0; padding: .8rem 1rem; overflow: auto; max-height: 32rem; background: var(--code); border: 1px solid var(--line); border-radius: 6px; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .88rem; }
th { padding: .3rem .6rem; text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); white-space: nowrap; }
td { padding: .25rem .6rem; vertical-align: top; border-bottom: 1px solid var(--line); }
tr:last-child > td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td code { overflow-wrap: anywhere; }
td button code, .grid { white-space: nowrap; overflow-wrap: normal; }
#passes table { table-layout: fixed; min-width: 46rem; }
#passes th:nth-child(1) { width: 16%; } #passes th:nth-child(2), #passes th:nth-child(4) { width: 9%; } #passes th:nth-child(3), #passes th:nth-child(5) { width: 13%; }
.bar { display: inline-block; height: .6rem; min-width: 1px; background: var(--bar); border-radius: 2px; }
.soft { color: var(--soft); }
.chosen { font-weight: 700; }
button { font: inherit; padding: 0; border: 0; background: none; color: var(--accent); cursor: pointer; text-align: left; }
button:hover { text-decoration: underline; }
details > summary { cursor: pointer; padding: .15rem 0; }
details details { margin-left: 1.1rem; }
.nodes { margin: .2rem 0 .5rem 1.1rem; padding-left: .7rem; border-left: 2px solid var(--line); }
.nodes > div { display: flex; flex-wrap: wrap; gap: 0 .8rem; font: 12.5px/1.6 ui-monospace, Consolas, monospace; }
.target { background: var(--bar); }
select, input { font: inherit; color: inherit; background: var(--code); border: 1px solid var(--line); border-radius: 4px; padding: .1rem .4rem; }
`;
