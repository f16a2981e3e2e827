/** Script of the report, as it stands in the page: builds every section from the JSON, links kernels, nodes and scopes both ways. */
export const reportScript = `
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const section = (id) => document.getElementById(id);
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "onclick" || name === "ontoggle" || name === "oninput") element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children.flat());
  return element;
}
const short = (n) => n >= 1e9 ? (n / 1e9).toFixed(2) + " G" : n >= 1e6 ? (n / 1e6).toFixed(2) + " M" : n >= 1e3 ? (n / 1e3).toFixed(1) + " k" : String(Math.round(n));
const bytes = (n) => n >= 2 ** 20 ? (n / 2 ** 20).toFixed(2) + " MiB" : n >= 1024 ? (n / 1024).toFixed(1) + " KiB" : n + " B";
const number = (text) => h("td", { class: "number" }, text);
const bar = (part) => h("span", { class: "bar", style: "width:" + Math.round(120 * part) + "px" });
function table(heads, rows) {
  const head = h("tr", null, heads.map((name) => h("th", name.startsWith("#") ? { class: "number" } : null, name.replace("#", ""))));
  return h("div", { class: "scroll" }, h("table", null, h("thead", null, head), h("tbody", null, rows)));
}
/** A list of scopes with its common part once. */
function scopes(list) {
  const known = [...new Set(list)].filter((scope) => scope !== "");
  if (known.length <= 3) return known.join(", ") || "the whole model";
  const kinds = new Set(known.map((scope) => scope.replace(/\\.\\d+\\./g, ".*.")));
  return [...kinds].slice(0, 6).join(", ") + (kinds.size > 6 ? ", ..." : "") + " (" + known.length + " places)";
}
const stageOf = new Map(data.stages.map((stage) => [stage.name, stage]));
const kernelsOfNode = new Map();
for (const stage of data.stages) {
  for (const dispatch of stage.dispatches) for (const id of dispatch.nodes) {
    const key = stage.name + "/" + id;
    kernelsOfNode.set(key, (kernelsOfNode.get(key) ?? new Set()).add(dispatch.kernel));
  }
}
const kernelLink = (name) => h("button", { onclick: () => showKernel(name) }, h("code", null, name));

// Summary
section("summary").append(h("dl", null, data.facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))));
for (const item of data.diagnostics) section("summary").append(h("p", null, h("code", null, item.code + " "), item.message));

// Formula
section("formula").append(data.formula === "" ? h("p", { class: "soft" }, "No adapter: the base model runs as it is.") : h("pre", null, data.formula));
if (Object.keys(data.fields).length > 0) {
  section("formula").append(h("details", null, h("summary", null, "adapter_config.json"), h("pre", null, JSON.stringify(data.fields, null, 2))));
}

// Passes
const most = Math.max(1, ...data.passes.map((pass) => pass.after));
for (const stage of new Set(data.passes.map((pass) => pass.stage))) {
  const rows = data.passes.filter((pass) => pass.stage === stage).map((pass) => h("tr", null,
    h("td", null, pass.pass), number(pass.milliseconds.toFixed(1)), number(String(pass.before)), number(String(pass.after)),
    h("td", null, bar(pass.after / most)),
    h("td", null, Object.entries(pass.hits).map(([rule, count]) => rule + " x " + count).join(", ") || h("span", { class: "soft" }, "none"))));
  section("passes").append(h("h3", null, stage), table(["pass", "#ms", "#nodes before", "#after", "", "rules that hit"], rows));
}

// Decisions
if (data.decisions.length === 0) section("decisions").append(h("p", { class: "soft" }, "Nothing was to be decided."));
else section("decisions").append(
  h("p", { class: "soft" }, "Whether an operator works on the activations or is folded into the weight, by flops of forward and backward together."),
  table(["stage", "where", "costs compared", ""], data.decisions.map((item) => {
    const finite = Object.values(item.candidates).filter((cost) => cost < 1e300);
    const largest = Math.max(1, ...finite);
    const lines = Object.entries(item.candidates).map(([name, cost]) => h("div", name === item.decision ? { class: "chosen" } : null,
      name + " " + (cost < 1e300 ? short(cost) : "not possible") + (name === item.decision ? " (chosen)" : "")));
    const bars = Object.values(item.candidates).map((cost) => h("div", null, bar(Math.min(1, cost / largest))));
    return h("tr", null, h("td", null, item.stage), h("td", null, h("code", null, scopes(item.scopes))), h("td", null, lines), h("td", null, bars));
  })));

// Kernels
const detail = h("div", { id: "kernel" });
const work = Math.max(1, ...data.kernels.map((kernel) => kernel.flops));
const place = (text) => { const [stage, id] = text.split("/%"); return { stage, id: Number(id), node: stageOf.get(stage).nodes[Number(id)] }; };
section("kernels").append(
  h("p", { class: "soft" }, "A kernel may be dispatched many times. Click a name for its WGSL and the nodes that it computes."),
  table(["kernel", "#dispatches", "#workgroup", "grid", "#flops of a step", "", "#bytes moved", "computes for"], data.kernels.map((kernel) => h("tr", null,
    h("td", null, kernelLink(kernel.name)), number(String(kernel.dispatches)), number(String(kernel.workgroup)),
    h("td", { class: "grid" }, kernel.grid.join(" x ")), number(short(kernel.flops)), h("td", null, bar(kernel.flops / work)), number(bytes(kernel.bytes)),
    h("td", null, h("code", null, scopes(kernel.nodes.map((text) => place(text).node[2]))))))),
  detail);
function showKernel(name) {
  const kernel = data.kernels.find((item) => item.name === name);
  const rows = kernel.nodes.map((text) => {
    const { stage, id, node } = place(text);
    return h("tr", null, h("td", null, h("button", { onclick: () => showNode(stage, id) }, h("code", null, text))), h("td", null, node[0]),
      h("td", null, h("code", null, node[1])), h("td", null, h("code", null, node[2])), h("td", null, node[4]));
  });
  detail.replaceChildren(h("h3", null, name), h("pre", null, kernel.wgsl),
    h("details", null, h("summary", null, kernel.nodes.length + " nodes"), table(["node", "op", "type", "scope", "formula"], rows)));
  history.replaceState(null, "", "#kernel=" + name);
  detail.scrollIntoView({ block: "center" });
}

// Dispatches
for (const stage of data.stages) {
  const list = h("details", { ontoggle: () => {
    if (!list.open || list.children.length > 1) return;
    list.append(table(["#", "kernel", "grid", "#flops", "#bytes moved", "runs", "computes for"], stage.dispatches.map((dispatch, i) => h("tr", null,
      h("td", { class: "soft" }, String(i)), h("td", null, kernelLink(dispatch.kernel)), h("td", { class: "grid" }, dispatch.grid.join(" x ")),
      number(short(dispatch.flops)), number(bytes(dispatch.bytes)), h("td", null, dispatch.when.length > 60 ? dispatch.when.slice(0, 57) + "..." : dispatch.when),
      h("td", null, h("code", null, scopes(dispatch.nodes.map((id) => stage.nodes[id][2]))))))));
  } }, h("summary", null, stage.name + ": " + stage.dispatches.length + " dispatches"));
  section("dispatches").append(list);
}

// Graph: the nodes of a stage as a tree of their scopes
const choice = h("select", { oninput: () => drawGraph(choice.value) }, data.stages.map((stage) => h("option", null, stage.name)));
const tree = h("div");
section("graph").append(h("p", null, "Stage ", choice, h("span", { class: "soft" }, "  Nodes stand in the module they belong to; inputs and kernels are links.")), tree);
const rowId = (stage, id) => "node-" + stage + "-" + id;
function nodeRow(stage, id) {
  const [name, type, , inputs, from] = stage.nodes[id];
  const reads = inputs.map((input) => h("button", { onclick: () => showNode(stage.name, input) }, "%" + input));
  const made = [...(kernelsOfNode.get(stage.name + "/" + id) ?? [])].map(kernelLink);
  return h("div", { id: rowId(stage.name, id) }, h("span", { class: "soft" }, "%" + id), h("span", null, name), h("span", { class: "soft" }, type), reads, h("span", null, made.flatMap((link) => [" ", link])), h("span", { class: "soft" }, from));
}
function branch(stage, name, item) {
  const count = (part) => part.ids.length + [...part.parts.values()].reduce((sum, child) => sum + count(child), 0);
  const view = h("details", { ontoggle: () => fill(view) }, h("summary", null, name, h("span", { class: "soft" }, "  " + count(item) + " nodes")));
  view.item = item;
  view.stage = stage;
  return view;
}
function fill(view) {
  if (!view.open || view.children.length > 1) return;
  for (const [name, part] of view.item.parts) view.append(branch(view.stage, name, part));
  view.append(h("div", { class: "nodes" }, view.item.ids.map((id) => nodeRow(view.stage, id))));
}
function drawGraph(name) {
  const stage = stageOf.get(name);
  const root = { parts: new Map(), ids: [] };
  stage.nodes.forEach((node, id) => {
    let at = root;
    for (const part of node[2] === "" ? [] : node[2].split(".")) {
      if (!at.parts.has(part)) at.parts.set(part, { parts: new Map(), ids: [] });
      at = at.parts.get(part);
    }
    at.ids.push(id);
  });
  choice.value = name;
  const view = branch(stage, stage.name, root);
  tree.replaceChildren(view);
  view.open = true;
  fill(view);
}
function showNode(name, id) {
  if (choice.value !== name) drawGraph(name);
  let view = tree.firstChild;
  view.open = true;
  fill(view);
  for (const part of stageOf.get(name).nodes[id][2].split(".").filter(Boolean)) {
    view = [...view.children].find((child) => child.tagName === "DETAILS" && child.item === view.item.parts.get(part));
    view.open = true;
    fill(view);
  }
  for (const old of document.querySelectorAll(".target")) old.classList.remove("target");
  const row = document.getElementById(rowId(name, id));
  row.classList.add("target");
  row.scrollIntoView({ block: "center" });
}
if (data.stages.length > 0) drawGraph((data.stages.find((stage) => stage.name === "micro") ?? data.stages.at(-1)).name);

// Memory
const widest = Math.max(1, ...data.buffers.map((buffer) => buffer.bytes));
section("memory").append(table(["buffer", "#bytes", "", "part of"], data.buffers.map((buffer) => h("tr", null,
  h("td", null, h("code", null, buffer.name)), number(bytes(buffer.bytes)), h("td", null, bar(buffer.bytes / widest)), h("td", null, buffer.within)))));
const wanted = location.hash.match(/^#kernel=(.+)$/);
if (wanted && data.kernels.some((kernel) => kernel.name === wanted[1])) showKernel(wanted[1]);
`;
