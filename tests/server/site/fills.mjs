// Fills photos by the page's modules in Node: node fills.mjs FOLDER, where cases.json says what and with what.
import fs from 'node:fs';
import path from 'node:path';
import { folder, imported, ort, plan, session } from './session.mjs';

const { fill, predictor } = await imported('fill', 'fill.js');
const predict = predictor(ort, session);

for (const { name, width, height, channels, soft, guided } of plan.cases) {
  const read = (kind) => new Uint8Array(fs.readFileSync(path.join(folder, `${name}.${kind}`)));
  const plane = (data) => ({ width, height, data });
  const guidance = guided && {
    lines: guided.lines ? plane(read('lines')) : null,
    painted: guided.colours ? plane(read('painted')) : null,
    colours: guided.colours ? read('colours') : null,
  };
  const steps = [];
  const start = performance.now();
  const found = await fill({ width, height, channels, samples: read('photo') }, plane(read('mask')), {
    predict, soft, guidance: guidance || null, progress: (done, total) => void steps.push([done, total]),
  });
  fs.writeFileSync(path.join(folder, `${name}.filled`), found.photo.samples);
  console.log(JSON.stringify({ name, seconds: (performance.now() - start) / 1000, steps }));
}
