// Finds things by the site's modules in Node: node picks.mjs FOLDER, where cases.json says in what and where.
import fs from 'node:fs';
import path from 'node:path';
import { folder, imported, ort, plan, session } from './session.mjs';

const { pick, saliency } = await imported('pick', 'pick.js');
const salient = saliency(ort, session);

for (const { name, width, height, channels, x, y } of plan.cases) {
  const samples = new Uint8Array(fs.readFileSync(path.join(folder, `${name}.photo`)));
  const start = performance.now();
  const told = { name, doubt: null, error: null, runs: 0 };
  try {
    const progress = () => void (told.runs += 1);
    const { mask, doubt } = await pick({ width, height, channels, samples }, { x, y }, { salient, progress });
    fs.writeFileSync(path.join(folder, `${name}.mask`), mask.data);
    told.doubt = doubt;
  } catch (error) {
    told.error = error.message;
  }
  console.log(JSON.stringify({ ...told, seconds: (performance.now() - start) / 1000 }));
}
