// Large files as they come and as they are kept: node large_files.mjs SITE, answers as JSON.
import { createHash } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';

const plain = new Uint8Array(50_000).map((_, i) => (i * i) >> 3);
const packed = new Uint8Array(gzipSync(plain));
const pinned = (bytes) => ({ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
const entry = { name: 'a.gz', ...pinned(packed), unpacked: pinned(plain) };
const damaged = packed.map((byte, i) => (i === 300 ? byte ^ 1 : byte));

const kept = new Map();
let room = true;
let served = packed;
let asked = 0;
globalThis.caches = {
  open: async () => ({
    match: async (name) => (kept.has(name) ? new Response(kept.get(name)) : undefined),
    put: async (name, answer) => {
      if (!room) throw new Error('no room');
      kept.set(name, new Uint8Array(await answer.arrayBuffer()));
    },
  }),
};
globalThis.fetch = async () => {
  asked += 1;
  return served ? new Response(served) : new Response('', { status: 404 });
};
const { large } = await import(pathToFileURL(path.join(process.argv[2], 'files.js')));

async function get() {
  const before = asked;
  let last = 0;
  let steady = true;
  try {
    const bytes = await large(entry, (count) => {
      steady &&= count >= last && count <= entry.bytes;
      last = count;
    });
    return { right: Buffer.compare(bytes, plain) === 0, asked: asked - before, steady, last: last === entry.bytes };
  } catch (error) {
    return { error: error.message, asked: asked - before };
  }
}

const found = { first: await get(), kept: await get() };
kept.set('a.gz', damaged);
found.damagedOnDisk = await get();
kept.clear();
served = damaged;
found.damagedOnTheWay = await get();
found.notKept = kept.size;
served = null;
found.missing = await get();
served = plain;
found.unpackedByTheServer = await get();
found.unpackedAndKept = await get();
kept.clear();
room = false;
served = packed;
found.noRoom = await get();
console.log(JSON.stringify(found));
