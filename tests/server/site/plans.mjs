// Plans without a network: node plans.mjs SITE FOLDER, where cases.json lists photos and holes.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [site, folder] = process.argv.slice(2);
const from = (name) => import(pathToFileURL(path.join(site, 'fill', name)));
const [{ plan }, { find }, { thin }] = await Promise.all(['tiling.js', 'flat.js', 'guidance.js'].map(from));
const corners = ({ left, top, right, bottom }) => [left, top, right, bottom];
for (const { name, width, height, channels } of JSON.parse(fs.readFileSync(path.join(folder, 'cases.json')))) {
  const read = (kind) => new Uint8Array(fs.readFileSync(path.join(folder, `${name}.${kind}`)));
  const hole = { width, height, data: read('hole') };
  const photo = channels ? { width, height, channels, samples: read('photo') } : null;
  console.log(JSON.stringify({
    name,
    crops: plan(hole).map((crop) => [corners(crop.hole), corners(crop.box), crop.factor, crop.zoom]),
    even: photo ? find(photo, hole, hole, []).map((part) => [corners(part.hole.box), part.colour]) : [],
    thinned: photo ? thin(hole).reduce((sum, value, at) => (sum * 31 + value * (at % 9973)) % 1000003, 7) : 0,
  }));
}
