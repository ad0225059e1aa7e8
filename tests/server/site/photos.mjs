// Reads PNG files by the site's modules and writes them again: node photos.mjs SITE FOLDER.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [site, folder] = process.argv.slice(2);
const { readPng, writePng } = await import(pathToFileURL(path.join(site, 'png_file.js')));
const { intoJpeg, ofJpeg } = await import(pathToFileURL(path.join(site, 'metadata.js')));
for (const name of fs.readdirSync(folder).filter((one) => /\.(png|jpg)$/.test(one))) {
  const file = new Uint8Array(fs.readFileSync(path.join(folder, name)));
  if (name.endsWith('.png')) {
    try {
      const { photo, metadata, turned } = await readPng(file);
      const written = new Uint8Array(await (await writePng(photo, metadata)).arrayBuffer());
      fs.writeFileSync(path.join(folder, `${name}.raw`), photo.samples);
      fs.writeFileSync(path.join(folder, `${name}.again`), written);
      console.log(JSON.stringify({ name, channels: photo.channels, turned }));
    } catch (error) {
      console.log(JSON.stringify({ name, error: error.message }));
    }
  } else {
    const plain = new Uint8Array(fs.readFileSync(path.join(folder, 'plain.jpeg')));
    fs.writeFileSync(path.join(folder, `${name}.again`), intoJpeg(plain, ofJpeg(file)));
    console.log(JSON.stringify({ name }));
  }
}
