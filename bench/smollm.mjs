// node smollm.mjs ENGINE FOLDER IDS STEPS RATE: steps of a LoRA; prints what smollm.py reads.
import { compile, load, loadModel } from "./results/webpeft/webpeft.js";

const [, , engine, folder, ids, steps, rate] = process.argv;
const input_ids = Int32Array.from(JSON.parse(ids));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const seconds = ({ user, system }) => (user + system) / 1e6;

const { executor, target } = await load({ engine });
const model = await loadModel(folder);
const config = { peft_type: "LORA", r: 8, lora_alpha: 16, target_modules: ["q_proj", "v_proj"] };
const program = await compile(model, config, { batch: 1, length: input_ids.length, target });
const session = await program.start({ device: executor, seed: 1 });
const [wall, processor, losses] = [[], [], []];
for (let step = 0; step < Number(steps); step++) {
  const [begin, used] = [performance.now(), process.cpuUsage()];
  losses.push((await session.step({ input_ids, labels: input_ids }, { lr: Number(rate) })).loss);
  wall.push((performance.now() - begin) / 1000);
  processor.push(seconds(process.cpuUsage(used)));
}
const peak = process.resourceUsage().maxRSS * 1024;
const times = { wall: median(wall.slice(1)), processor: median(processor.slice(1)), first: wall[0] };
console.log(JSON.stringify({ ...times, loss: losses[0], peak }));
process.exit(0);
