/** Chat templates: what they are given, and what is said when they fail. */
import { describe, expect, it } from "vitest";
import { jsonLinesExamples } from "../../src/index.ts";
import { failure } from "../files/helpers.ts";
import { byteTokenizer, type Files, load } from "./tokenizers.ts";

const alphabet = String.fromCharCode(...Array(128).keys());
const specials = ["</s>", "<s>", "<pad>", "<unk>", "<cls>", "<sep>", "<mask>", "<image>"];
const withTemplate = (chat_template: unknown, config = {}): Files =>
  byteTokenizer(alphabet, specials, { chat_template, ...config }).files;
const messages = [
  { role: "user", content: "hi" },
  { role: "assistant", content: "yes" },
];

async function rendered(files: Files): Promise<string> {
  return (await load(files)).chat!(messages, false);
}

describe("the variables of a template", () => {
  const names = ["bos", "eos", "pad", "unk", "cls", "sep", "mask"].map((name) => `${name}_token`);
  const show = names.map((name) => `{{ ${name} }}`).join(",");
  const config = { pad_token: "<pad>", unk_token: { content: "<unk>", special: true }, cls_token: "<cls>" };

  it("have every special token of the tokenizer", async () => {
    expect(await rendered(withTemplate(show, config))).toBe(",</s>,<pad>,<unk>,<cls>,,");
    const own = { ...config, extra_special_tokens: { image_token: "<image>" } };
    expect(await rendered(withTemplate("{{ image_token }}", own))).toBe("<image>");
    const more = { additional_special_tokens: ["<sep>", { content: "<mask>" }] };
    expect(await rendered(withTemplate("{{ additional_special_tokens[1] }}", more))).toBe("<mask>");
  });

  it("come from special_tokens_map.json where the config is of the older kind", async () => {
    const map = JSON.stringify({ mask_token: "<mask>", pad_token: { content: "<sep>" } });
    expect(await rendered({ ...withTemplate(show, config), "special_tokens_map.json": map })).toBe(
      ",</s>,<sep>,<unk>,<cls>,,<mask>",
    );
    const listed = { ...config, added_tokens_decoder: {} };
    expect(await rendered({ ...withTemplate(show, listed), "special_tokens_map.json": map })).toBe(
      ",</s>,<pad>,<unk>,<cls>,,",
    );
  });

  it("are as transformers gives them: no tools, no tokens that are not there", async () => {
    const asked = "{{ tools is none }} {{ bos_token is defined }} {% if tools %}T{% endif %}{{ messages|length }}";
    expect(await rendered(withTemplate(asked))).toBe("true false 2");
  });

  it("come to the template in a file of its own first", async () => {
    const files = { ...withTemplate("config"), "chat_template.jinja": "file" };
    expect(await rendered(files)).toBe("file");
    const several = [
      { name: "tool_use", template: "tools" },
      { name: "default", template: "default" },
    ];
    expect(await rendered(withTemplate(several))).toBe("default");
  });
});

describe("a template that fails", () => {
  const line = JSON.stringify({ messages });
  const told = async (files: Files) => {
    const tokenizer = await load(files, "model");
    return failure(() => jsonLinesExamples(`${line}\n${line}`, 64, tokenizer, "d.jsonl"));
  };
  const endless = "{% for i in range(2000) %}{% for j in range(2000) %}{{ i }}{% endfor %}{% endfor %}";
  const doubling = "{% set n = namespace(s='x') %}{% for i in range(90) %}{% set n.s = n.s + n.s %}{% endfor %}";

  it.each([
    ["raises", "{{ raise_exception('roles must alternate') }}", /roles must alternate/],
    ["has a filter that nobody knows", "{{ messages|shuffle }}", /shuffle/],
    ["has a function that nobody knows", "{{ shuffle(messages) }}", /not a function/],
    ["asks nothing for an attribute", "{{ message.content }}", /message is undefined, and has no content/],
    ["asks deeper", "{{ messages[0]['tool']['name'] }}", /messages\[0\]\["tool"\] is undefined/],
    ["counts too far", "{% for i in range(1000000000) %}{% endfor %}", /longer than 100000/],
    ["loops without an end", endless, /does not come to an end|no end after/],
    ["doubles a text", doubling, /does not come to an end|no end after/],
    ["doubles a list", doubling.replaceAll("'x'", "[1]"), /does not come to an end|no end after/],
    ["calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", /calls itself/],
    [
      "calls itself twice",
      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
      /does not come to an end|no end after/,
    ],
  ])("%s", async (_name, template, got) => {
    const { code, where, got: said, help } = await told(withTemplate(template));
    expect([code, where]).toEqual(["DATA-CHAT-TEMPLATE", "d.jsonl:1"]);
    expect(said).toMatch(got);
    expect(help).toContain("model/tokenizer_config.json: chat_template");
  });

  it("does not parse: the file is named, and nobody else is disturbed", async () => {
    const files = withTemplate("{% for x in %}");
    expect(await told(files)).toMatchObject({
      code: "DATA-CHAT-TEMPLATE",
      where: "model/tokenizer_config.json: chat_template",
    });
    const own = { ...files, "chat_template.jinja": `${"(".repeat(1e5)}{{ (` };
    expect(await told({ ...own, "chat_template.jinja": "{{ 'a" })).toMatchObject({
      where: "model/chat_template.jinja",
    });
    expect(jsonLinesExamples('{"text":"ab"}', 9, await load(files), "d.jsonl")).toHaveLength(1);
  });

  it.each([[5], [{ default: "a" }], [[{ name: "default", template: 5 }]], [[{ name: "default" }]]])(
    "is no text: %j",
    async (template) => {
      const error = await told(withTemplate(template));
      expect(error).toMatchObject({ code: "DATA-CHAT-TEMPLATE", where: "model/tokenizer_config.json: chat_template" });
      expect(error.got).toMatch(/^no text/);
    },
  );

  it("takes forever to be parsed: it is stopped", async () => {
    const error = await told(withTemplate(" ".repeat(200_000)));
    expect(error).toMatchObject({ code: "DATA-CHAT-TEMPLATE", where: "model/tokenizer_config.json: chat_template" });
    expect(error.got).toMatch(/no end after/);
  });

  it("is one that looks back over a long conversation: that is none", async () => {
    const long = Array.from({ length: 150 }, (_unused, i) => ({ ...messages[i % 2]!, content: `${i}` }));
    const template =
      "{% for m in messages %}{% for n in messages %}{% if n.content == m.content and loop.last %}{{ m.content }} {% endif %}{% endfor %}{% endfor %}";
    expect((await load(withTemplate(template))).chat!(long, false)).toBe("149 ");
  });

  it("begins with the assistant: many look at the first message all the same", async () => {
    const template =
      "{% if messages[0].role == 'system' %}S{% endif %}{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}";
    const begun = JSON.stringify({ messages: [messages[1], messages[0], messages[1]] });
    const [example] = jsonLinesExamples(begun, 64, await load(withTemplate(template)), "d.jsonl");
    expect(example!.labels.filter((label) => label !== -100)).toHaveLength(8);
  });
});

describe("a tokenizer's regular expression", () => {
  it("that never ends is stopped", async () => {
    const { files } = byteTokenizer("ab!");
    const json = JSON.parse(files["tokenizer.json"]!);
    json.pre_tokenizer = { type: "Split", pattern: { Regex: "(a+)+b" }, behavior: "Isolated", invert: false };
    const tokenizer = await load({ ...files, "tokenizer.json": JSON.stringify(json) }, "model");
    expect(tokenizer.encode("aab")).toHaveLength(3);
    expect(await failure(() => tokenizer.encode(`${"a".repeat(60)}!`))).toMatchObject({
      code: "DATA-TOKENIZER-TIME",
      where: "model/tokenizer.json",
    });
  });
});
