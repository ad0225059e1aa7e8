// What the site's modules in Node start from: the plan in FOLDER/cases.json, and its network in onnxruntime-web.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export const folder = process.argv[2];
export const plan = JSON.parse(fs.readFileSync(path.join(folder, 'cases.json')));
export const ort = await import(pathToFileURL(path.join(plan.runtime, 'ort.wasm.bundle.min.mjs')));
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = fs.readFileSync(path.join(plan.runtime, 'ort-wasm-simd-threaded.wasm'));
export const session = await ort.InferenceSession.create(fs.readFileSync(plan.weights), { executionProviders: ['wasm'] });

/** @param {string[]} parts of a path below the folder of modules */
export const imported = (...parts) => import(pathToFileURL(path.join(plan.modules, ...parts)));
