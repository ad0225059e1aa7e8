// @ts-check
/** Keeps the page's files, so that it opens without a network; the large ones are kept by the worker. */

/** @type {{version: string, files: Record<string, string>, large: string[]}} Files and their sha256; the build writes this line. */
const SITE = { version: '', files: {}, large: [] };

const scope = /** @type {any} */ (globalThis);
const root = new URL('./', scope.location.href);
const NAME = `freefill ${root.pathname} ${SITE.version}`;
const LARGE = `freefill-large ${root.pathname}`;
/** What decides whether a page is isolated, and what a file is. */
const HEADERS = ['Content-Type', 'Cross-Origin-Opener-Policy', 'Cross-Origin-Embedder-Policy', 'Cross-Origin-Resource-Policy'];

async function keep() {
  const cache = await caches.open(NAME);
  await Promise.all(Object.entries(SITE.files).map(async ([name, sha256]) => {
    // Past the browser's own cache, which may hold an older one.
    const answer = await fetch(name, { cache: 'no-cache' });
    const bytes = await answer.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (!answer.ok || found !== sha256) throw new Error(`${name} is not the file that this site was made with`);
    const headers = HEADERS.flatMap((header) => {
      const value = answer.headers.get(header);
      return value === null ? [] : [[header, value]];
    });
    await cache.put(name, new Response(bytes, { headers: /** @type {[string, string][]} */ (headers) }));
  }));
}

/** Drop what earlier versions have left; other sites of the same host have their own. */
async function clean() {
  for (const name of await caches.keys()) {
    if (name.startsWith(`freefill ${root.pathname} `) && name !== NAME) await caches.delete(name);
  }
  const large = await caches.open(LARGE);
  for (const request of await large.keys()) {
    if (!SITE.large.includes(request.url.slice(root.href.length))) await large.delete(request);
  }
}

/** @param {Request} request */
async function answer(request) {
  const cache = await caches.open(NAME);
  const name = request.url.slice(root.href.length).replace(/[?#].*$/, '') || 'index.html';
  return (await cache.match(name)) ?? fetch(request);
}

scope.addEventListener('install', (/** @type {any} */ event) => event.waitUntil(keep()));
scope.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(clean()));
scope.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method === 'GET' && request.url.startsWith(root.href)) event.respondWith(answer(request));
});
