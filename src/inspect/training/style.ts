/** How the page of a training looks, light and dark as the system says. */

const colours = `:root { color-scheme: light dark; --ink: #1c2430; --soft: #566170; --paper: #f6f7f8; --card: #fff; --line: #d9dee4; --accent: #1a56b0; --raw: #6f9bd8; --mark: #96500c; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #a3adba; --paper: #12161b; --card: #1a2027; --line: #323b47; --accent: #8fbaff; --raw: #4d76b3; --mark: #eeb27a; --bad: #ff8f83; } }
`;

const curves = `svg text { font: 12.5px system-ui, sans-serif; fill: var(--soft); }
svg .title { font-weight: 600; fill: var(--ink); }
svg .paper { fill: var(--card); }
svg .grid { stroke: var(--line); fill: none; }
svg path.raw { stroke: var(--raw); stroke-width: 1; fill: none; }
svg path.smooth { stroke: var(--accent); stroke-width: 2; fill: none; }
svg circle.raw, svg circle.smooth { fill: var(--accent); }
svg circle.marks { fill: var(--mark); }
svg .raw-key { fill: var(--soft); }
svg .smooth-key { fill: var(--accent); font-weight: 600; }
svg .marks-key { fill: var(--mark); font-weight: 600; }
svg .spot { fill: transparent; }
`;

export const chartStyle = colours + curves;

export const trainingStyle = `${chartStyle}* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 13.5px / 1.45 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 16px; }
h1 { margin: 0; font-size: 18px; overflow-wrap: anywhere; }
h2 { margin: 0 0 6px; font-size: 15px; overflow-wrap: anywhere; }
p { margin: 4px 0; overflow-wrap: anywhere; }
a { color: var(--accent); }
.soft { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 14px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
.card b { display: block; font-size: 19px; }
.failure { border: 2px solid var(--bad); border-radius: 8px; background: var(--card); padding: 12px 14px; margin: 14px 0; }
.failure h2 { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 12px; }
.charts svg { display: block; width: 100%; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 14px; margin: 8px 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 8px 0; font-size: 12.5px; }
th, td { padding: 3px 12px 3px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
details { margin-top: 14px; }
code { font: 12.5px ui-monospace, monospace; }
`;
